"""The denoising diffusion probabilistic model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from genzoo import (
    Batch,
    Bounds,
    Config,
    ConfigError,
    DataError,
    DataSpec,
    Estimate,
    GenerativeModel,
    Named,
    Sampler,
    Stage,
)
from genzoo_diffusion.conditioning import Embedder, LabelEmbedder, NoCondition, Signal
from genzoo_diffusion.diffusers_unet import UNet
from genzoo_diffusion.fitted_text import FittedTextConfig, FittedTextEncoder
from genzoo_diffusion.networks import FlatNetwork, ImageNetwork
from genzoo_diffusion.parameterization import PARAMETERIZATIONS
from genzoo_diffusion.pretrained_text import PretrainedTextConfig, PretrainedTextEncoder
from genzoo_diffusion.schedule import Name, make_schedule
from genzoo_diffusion.text_encoders import TextEmbedder, TextEncoder
from genzoo_diffusion.text_networks import TextImageNetwork

_Width = Annotated[int, Bounds(1, 2**16)]
_Beta = Annotated[float, Bounds(1e-8, 0.999)]


@dataclass(frozen=True, kw_only=True)
class DDPMConfig(Config):
    """A denoising diffusion model."""

    event_shape: Annotated[tuple[Annotated[int, Bounds(1, 2**20)], ...], Bounds(1, 8)]
    """The shape of one example; (C, H, W) for images."""
    data: Literal["unit", "real"] | None = None
    """Values in [0, 1], which the model sees in [−1, 1], or real ones, seen as they are."""
    network: Literal["flat", "image"] | None = None
    """Fully connected layers, or a U-Net, which three dimensions get by default."""
    channels: Annotated[tuple[_Width, ...], Bounds(1, 16)] = (32, 64)
    """The U-Net's channels at each level, from the finest; each level halves the image."""
    layers_per_block: Annotated[int, Bounds(1, 64)] = 1
    """The U-Net's residual blocks at each level."""
    attention_levels: Annotated[int, Bounds(0, 16)] = 1
    """How many of the U-Net's coarsest levels attend to themselves."""
    dropout: Annotated[float, Bounds(0.0, 0.99)] = 0.0
    """The share of the U-Net's units that are dropped while learning."""
    unet: Mapping[str, Any] = field(default_factory=dict)
    """A UNet2DModel's config as diffusers has it, in place of the U-Net's fields above."""
    hidden_dim: _Width = 128
    """The width of fully connected layers."""
    num_blocks: Annotated[int, Bounds(1, 1024)] = 3
    """How many residual blocks of fully connected layers there are."""
    time_features: Literal["sinusoidal", "fourier"] = "sinusoidal"
    """How fully connected layers see the time: in sinusoids of fixed or of random frequencies."""
    num_train_timesteps: Annotated[int, Bounds(2, 10**5)] = 1000
    """T, the number of times."""
    schedule: Name = "linear"
    """How the noise grows."""
    beta_start: _Beta = 1e-4
    """β at the first time, where it rises linearly."""
    beta_end: _Beta = 0.02
    """β at the last time, where it rises linearly."""
    prediction_type: Literal["epsilon", "sample", "v_prediction"] = "epsilon"
    """What the network predicts: the noise ε, the data x₀, or v."""
    variance_type: Literal["fixed_small", "fixed_large"] = "fixed_small"
    """The variance of a step back: that of q(x_{t−1} | x_t, x_0), or β_t."""
    levels: Annotated[int | None, Bounds(2, 2**16)] = None
    """How many grey levels data in [0, 1] have, of which the likelihood is one of."""
    condition: Literal["none", "label", "text"] = "none"
    """What the model is conditioned on."""
    num_classes: Annotated[int | None, Bounds(1, 2**20)] = None
    """The number of labels, where it is conditioned on them."""
    text: FittedTextConfig = field(default_factory=FittedTextConfig)
    """The encoder of texts that is trained along, where it is conditioned on them."""
    frozen_text: PretrainedTextConfig | None = None
    """A published encoder of texts in its place; it is given by a recipe."""

    def __post_init__(self) -> None:
        super().__post_init__()
        image = len(self.event_shape) == 3
        defaults = {"data": "unit" if image else "real", "network": "image" if image else "flat"}
        for name, value in defaults.items():  # What is stored names them.
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        if self.condition == "label" and self.num_classes is None:
            raise ConfigError("DDPMConfig: condition='label' needs num_classes.")
        if self.condition == "text":
            self._check_text()
        if self.unet and (self.network == "flat" or self.condition != "none"):
            raise ConfigError("DDPMConfig: a unet is for images without a condition.")
        if self.beta_end < self.beta_start:
            raise ConfigError(
                f"DDPMConfig: beta_end = {self.beta_end:g} is less than beta_start = "
                f"{self.beta_start:g}; noise must grow."
            )
        if self.schedule == "zero-terminal-snr" and self.prediction_type == "epsilon":
            raise ConfigError(
                "DDPMConfig: at a terminal SNR of zero x_T is ε itself, and predicting it says "
                "nothing of x₀. Take prediction_type='v_prediction' or 'sample'."
            )

    def _check_text(self) -> None:
        """Raise ConfigError where no text can be encoded, or no network told of one."""
        if self.network == "flat":
            raise ConfigError("DDPMConfig: condition='text' needs network='image', and images.")
        if not self.text.vocabulary and self.frozen_text is None:
            raise ConfigError(
                "DDPMConfig: condition='text' needs words. Give --data.captions, so that they are "
                "those of the data's captions; or a text.vocabulary, or a frozen_text."
            )


class DDPM(GenerativeModel):
    """p(x_{t−1} | x_t) = N(μ(x_t, t), σ_t² I), with a network that denoises x_t.

    x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε; from x_t the network predicts ε, x_0 or v, and μ is the mean of
    q(x_{t−1} | x_t, x_0) at the x_0 that the prediction stands for. Times are t = 0, …, T − 1, as
    in diffusers, and x_0 before the first of them is the data.

    | Deep Unsupervised Learning using Nonequilibrium Thermodynamics
    | (Sohl-Dickstein, Weiss, Maheswaranathan, Ganguli, 2015)
    | Denoising Diffusion Probabilistic Models (Ho, Jain, Abbeel, 2020)

    Arguments:
        config: Shapes, network and schedule.

    Attributes:
        schedule: The noise at each time.
        parameterization: What the network predicts.
        embedder: Makes of conditions what the network is told.
        network: Predicts, given x_t, t and what it is told.
    """

    Config = DDPMConfig
    kind = frozenset({"unit", "real"})
    papers = (
        (
            "Jonathan Ho, Ajay Jain, Pieter Abbeel. Denoising Diffusion Probabilistic Models. "
            "NeurIPS, 2020."
        ),
        (
            "Alex Nichol, Prafulla Dhariwal. Improved Denoising Diffusion Probabilistic Models. "
            "ICML, 2021."
        ),
        "Jonathan Ho, Tim Salimans. Classifier-Free Diffusion Guidance. 2022.",
    )
    limits = (
        (
            "Its likelihood is a lower bound, of the chain of all T times; samplers that take "
            "fewer steps draw from other distributions, which have no likelihood here."
        ),
        (
            "Guidance over 1 draws from no distribution that the model states: samples fit their "
            "condition better and vary less."
        ),
        "A sample takes as many runs of the network as its sampler takes steps.",
    )

    alpha: Tensor
    sigma: Tensor

    def __init__(self, config: DDPMConfig) -> None:
        super().__init__(config)
        self.schedule = make_schedule(
            config.schedule, config.num_train_timesteps, config.beta_start, config.beta_end
        )
        self.parameterization = PARAMETERIZATIONS[config.prediction_type]
        self.embedder = make_embedder(config)
        self.network = make_network(config)
        # Both roots apart, for 1 − ᾱ keeps few digits in float32.
        dtype, alpha_bar = torch.get_default_dtype(), self.schedule.alpha_bar
        self.register_buffer("alpha", alpha_bar.sqrt().to(dtype), persistent=False)
        self.register_buffer("sigma", (1 - alpha_bar).sqrt().to(dtype), persistent=False)

    @property
    def condition_kind(self) -> str:
        """What the model is conditioned on."""
        return str(self.config.condition)

    @classmethod
    def configure(cls, spec: DataSpec, **overrides: Any) -> Any:
        """Return a config that fits the data: their range, a U-Net for images, captions' words."""
        values = {"data": "real" if spec.kind == "real" else "unit", **overrides}
        if values.get("condition") == "text" and spec.captions and not values.get("frozen_text"):
            given = values.get("text", {})
            given = given.to_dict() if isinstance(given, Config) else given
            values["text"] = FittedTextConfig.for_captions(spec.captions, **given)
        return super().configure(spec, **values)

    @classmethod
    def example(cls) -> tuple[DDPMConfig, Batch]:
        """Return a small conditional U-Net, and twelve rows for it."""
        generator = torch.Generator().manual_seed(0)
        config = DDPMConfig(
            event_shape=(1, 4, 4),
            data="real",
            channels=(8, 8),
            num_train_timesteps=10,
            schedule="cosine",
            condition="label",
            num_classes=3,
        )
        x = torch.randn(12, 1, 4, 4, generator=generator)
        return config, {"x": x, "label": torch.arange(12) % 3}

    @classmethod
    def default_stages(cls) -> tuple[Stage, ...]:
        """Return denoising, by Adam, with averaged weights."""
        trainer = {"steps": 20_000, "batch_size": 128, "warmup_steps": 500, "clip_norm": 1.0}
        return (Stage(objective=Named(name="denoising"), trainer={**trainer, "ema_decay": 0.999}),)

    def sampler(self) -> Sampler:
        """Return ancestral sampling over all times."""
        from genzoo_diffusion.samplers import DDPMSampler

        return DDPMSampler()

    def check_data(self, spec: DataSpec) -> None:
        """Raise DataError where the data's kind, range or grey levels are not the model's."""
        super().check_data(spec)
        if spec.kind != self.config.data:
            raise DataError(
                f"The model is of {self.config.data} data; these are {spec.kind}. Make it with "
                f"data={spec.kind!r}."
            )
        levels = self.config.levels
        if levels is not None and spec.levels is not None and levels != spec.levels:
            raise DataError(f"The model has {levels} grey levels; these data have {spec.levels}.")

    # Units

    def state(self, x: Tensor) -> Tensor:
        """Return data (B, *event_shape) as the states that the chain ends in."""
        return 2 * x - 1 if self.config.data == "unit" else x

    def present(self, state: Tensor) -> Tensor:
        """Return a state in the units of x, in [0, 1] where the data are."""
        return ((state + 1) / 2).clamp(0, 1) if self.config.data == "unit" else state

    # Conditionals

    def diffuse(self, x_0: Tensor, t: Tensor, epsilon: Tensor) -> Tensor:
        """Return x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε, for times (B,)."""
        a, s = self.coefficients(t, x_0)
        return a * x_0 + s * epsilon

    def predict(self, x_t: Tensor, t: Tensor, signal: Signal) -> Tensor:
        """Return what the network predicts, (B, *event_shape), for states at times (B,)."""
        output: Tensor = self.network(x_t, t, signal)
        return output

    def predicted_x_0(self, x_t: Tensor, t: Tensor, signal: Signal) -> Tensor:
        """Return the x_0 that the prediction stands for, (B, *event_shape)."""
        a, s = self.coefficients(t, x_t)
        return self.parameterization.x_0(self.predict(x_t, t, signal), x_t, a, s)

    def coefficients(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return √ᾱ_t and √(1 − ᾱ_t), (B, 1, ...), for times (B,) and states like ``like``."""
        shape = (-1, *[1] * (like.ndim - 1))
        return self.alpha[t].view(shape), self.sigma[t].view(shape)

    def signal(self, condition: Any, num: int) -> Signal:
        """Return what the network is told of ``num`` conditions of the model's kind.

        Raises:
            ConditionError: One is missing, superfluous, or not understood.
        """
        signal: Signal = self.embedder(condition, num, self.device)
        return signal

    # Capabilities

    def log_likelihood(
        self,
        x: Tensor,
        *,
        condition: Any = None,
        generator: torch.Generator | None = None,
        num_samples: int | None = None,
    ) -> Estimate:
        """Return the mean variational bound on log p(x), in nats.

        The terms of the prior and of the last step back are computed for every row, those between
        at ``num_samples`` times of each, one drawn from each of as many equal parts of the chain.

        Arguments:
            x: Examples (N, *event_shape).
            condition: One for each of them, where the model is conditioned.
            generator: Where times and noise come from, on the model's device.
            num_samples: How many times; min(T − 1, 100) by default. At T − 1 every term is
                computed.

        Raises:
            DataError: The examples hold values that the likelihood has no probability for.
        """
        from genzoo_diffusion.vlb import estimate

        most = len(self.schedule) - 1
        num = min(num_samples or 100, most)
        return estimate(self, x, self.signal(condition, len(x)), generator, num)

    def complete(
        self,
        x: Tensor,
        known: Tensor,
        *,
        generator: torch.Generator,
        num_steps: int = 1000,
        condition: Any = None,
    ) -> Tensor:
        """Return ``x`` (B, *event_shape) where ``known``, and a draw given it elsewhere.

        After each step back, what is known is put back, noised to the state's time.

        | RePaint: Inpainting using Denoising Diffusion Probabilistic Models
        | (Lugmayr et al., 2022), without its resampling

        Arguments:
            x: Examples, of which the known part is looked at.
            known: Where it is known, bool, of a shape that broadcasts to that of ``x``.
            generator: Where the noise comes from, on the model's device.
            num_steps: Steps back, at most T of which are made.
            condition: One for each row; None leaves it open.
        """
        from genzoo_diffusion.completion import complete

        return complete(self, x, known, generator, num_steps, condition)


def make_embedder(config: Any) -> Embedder:
    """Return what makes signals of the config's conditions."""
    if config.condition == "text":
        return TextEmbedder(make_text_encoder(config))
    return LabelEmbedder(config.num_classes) if config.condition == "label" else NoCondition()


def make_text_encoder(config: Any) -> TextEncoder:
    """Return the encoder of the config's texts."""
    if config.frozen_text is not None:
        return PretrainedTextEncoder(config.frozen_text)
    return FittedTextEncoder(config.text)


def make_network(config: Any) -> nn.Module:
    """Return the network of a config."""
    classes = config.num_classes + 1 if config.condition == "label" else None
    if config.network == "image":
        image = (
            config.event_shape,
            config.channels,
            config.layers_per_block,
            config.attention_levels,
            config.dropout,
        )
        if config.condition == "text":
            return TextImageNetwork(*image, (config.frozen_text or config.text).width)
        return UNet(config.unet) if config.unet else ImageNetwork(*image, classes)
    return FlatNetwork(
        config.event_shape,
        config.hidden_dim,
        config.num_blocks,
        config.time_features,
        config.num_train_timesteps,
        classes,
    )
