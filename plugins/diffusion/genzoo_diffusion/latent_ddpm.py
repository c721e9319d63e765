"""A diffusion model over the codes of an autoencoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any

import torch
from torch import Tensor

from genzoo.plugin import (
    Batch,
    Binary,
    Bounds,
    Component,
    ConfigError,
    DataInfo,
    Label,
    Layout,
    Model,
    ModelSpec,
    Real,
    Space,
    Stage,
    SupportsDecode,
    SupportsEncode,
    Unit,
    evaluating,
)
from genzoo_diffusion.autoencoder_kl import AUTOENCODING, AutoencoderKL
from genzoo_diffusion.config import Channels, DiffusionConfig, Shape, with_captions
from genzoo_diffusion.diffusion import Diffusion

_ROWS = 256
"""How many rows are encoded at once where the scale is measured."""


def _autoencoder() -> ModelSpec:
    return ModelSpec(name="autoencoder-kl")


@dataclass(frozen=True, kw_only=True)
class LatentDDPMConfig(DiffusionConfig):
    """A denoising diffusion model of codes."""

    autoencoder: ModelSpec = field(default_factory=_autoencoder)
    """Any model without a condition that encodes and decodes, whose codes are diffused."""
    latent_shape: Shape | None = None
    """The shape of a code; None finds out, and what is stored names it."""
    known_scale: Annotated[float | None, Bounds(1e-8, 1e8)] = None
    """s, where it is known beforehand, as of a published model; measured of data by default."""
    channels: Channels = (64,)
    """The U-Net's channels at each level, from the finest; each level halves the codes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.latent_shape is not None:
            self._fill_network(self.latent_shape)
        self._check()

    @cached_property
    def event(self) -> Space:
        """The data: those of the autoencoder."""
        return self.autoencoder.event


class LatentDDPM(Diffusion):
    """A diffusion model whose states are codes x_0 = s z(x) of a frozen autoencoder.

    z(x) is the mean of the encoder's distribution, or whatever the autoencoder's ``encode``
    returns, and s = 1 / std(z(x)) over all values of the codes of data, so that states have the
    extent that the schedule is made for. A sample is the decoder's answer to the last state.

    Codes that are images (C, h, w) get a U-Net, others fully connected layers.

    It is trained in two stages: first the autoencoder, then the network upon its codes. s is
    measured when the second one begins, unless the config says it. Where the autoencoder is
    trained already, load its weights into ``model.autoencoder`` and train by "denoising" alone.

    | High-Resolution Image Synthesis with Latent Diffusion Models
    | (Rombach, Blattmann, Lorenz, Esser, Ommer, 2022)

    Arguments:
        config: Autoencoder, network, schedule and conditions.

    Attributes:
        autoencoder: The model that encodes and decodes.
        latent_scale: s.

    Raises:
        ConfigError: The autoencoder cannot encode or decode, has a condition, or is nested too
            deep; or a network does not fit its codes.
    """

    Config = LatentDDPMConfig
    event_spaces = (Binary, Unit, Real)
    papers = (
        (
            "Robin Rombach, Andreas Blattmann, Dominik Lorenz, Patrick Esser, Björn Ommer. "
            "High-Resolution Image Synthesis with Latent Diffusion Models. CVPR, 2022."
        ),
        (
            "Jonathan Ho, Ajay Jain, Pieter Abbeel. Denoising Diffusion Probabilistic Models. "
            "NeurIPS, 2020."
        ),
        "Jonathan Ho, Tim Salimans. Classifier-Free Diffusion Guidance. 2022.",
    )
    limits = (
        "It states no likelihood: what is diffused are codes, not data.",
        "No sample is better than what its autoencoder makes of a picture that it is given.",
        (
            "Guidance over 1 draws from no distribution that the model states: samples fit their "
            "condition better and vary less."
        ),
    )

    latent_scale: Tensor
    data_seen: Tensor

    def __init__(self, config: LatentDDPMConfig) -> None:
        autoencoder = _checked(config.autoencoder.build())
        if config.latent_shape is None:
            config = dataclasses.replace(config, latent_shape=autoencoder.codes.event_shape)
        super().__init__(config, tuple(config.latent_shape or ()))
        self.autoencoder: Any = autoencoder
        self.known_scale = known = config.known_scale
        scale, seen = torch.tensor(known or 1.0), torch.tensor(known is not None)
        # What the config says is not stored a second time.
        self.register_buffer("latent_scale", scale, persistent=known is None)
        self.register_buffer("data_seen", seen, persistent=known is None)

    @property
    def is_bounded(self) -> bool:
        """Codes have no bounds."""
        return False

    @property
    def default_batch_size(self) -> int:
        """How many codes are drawn at once: as many as are decoded at once, too."""
        return min(super().default_batch_size, int(self.autoencoder.default_batch_size))

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> Any:
        """Return a config that fits the data: that of the autoencoder, and captions' words."""
        given = overrides.get("autoencoder", _autoencoder())
        inner = ModelSpec.from_dict(given) if isinstance(given, Mapping) else given
        values = with_captions(info, conditions, overrides)
        return super().configure(info, conditions, **{**values, "autoencoder": inner.fitted(info)})

    @classmethod
    def example(cls) -> tuple[LatentDDPMConfig, Batch]:
        """Return a small conditional config, and twelve rows."""
        inner, batch = AutoencoderKL.example()
        config = LatentDDPMConfig(
            autoencoder=ModelSpec(name="autoencoder-kl", config=inner.to_dict()),
            channels=(8, 8),
            num_train_timesteps=10,
            schedule="cosine",
            conditions={"label": Label(num_classes=3)},
        )
        return config, {**batch, "label": torch.arange(12) % 3}

    @classmethod
    def default_stages(cls, config: DiffusionConfig) -> tuple[Stage, ...]:
        """Return those of the autoencoder `autoencoder-kl`, then denoising, by Adam.

        Another autoencoder needs stages of its own in place of the former.
        """
        first = (dataclasses.replace(stage, model="autoencoder") for stage in AUTOENCODING)
        trainer = {
            "max_steps": 20_000,
            "batch_size": 128,
            "warmup_steps": 500,
            "max_grad_norm": 1.0,
        }
        denoising = Stage(
            objective=Component(name="denoising"),
            part=("network", "embedder"),
            trainer={**trainer, "ema_decay": 0.999},
        )
        return (*first, denoising)

    def layout(self) -> Layout:
        """Return the layout of diffusers: a `StableDiffusionPipeline`, or the parts of one."""
        from genzoo_diffusion.latent_layout import latent_layout

        return latent_layout(self)

    def check_data(self, info: DataInfo) -> None:
        """Raise DataError where the data are not what the autoencoder is for."""
        super().check_data(info)
        self.autoencoder.check_data(info)

    # Units

    def state(self, x: Tensor) -> Tensor:
        """Return the codes of data (B, *event_shape), times s: (B, *state_shape).

        Raises:
            ConfigError: They are of another shape than the config says.
        """
        z = self._codes(x)
        if tuple(z.shape[1:]) != self.state_shape:
            raise ConfigError(
                f"The autoencoder's codes have shape {tuple(z.shape[1:])}; latent_shape says "
                f"{self.state_shape}. Leave it out."
            )
        return self.latent_scale * z

    def to_data(self, state: Tensor) -> Tensor:
        """Return states (B, *state_shape), over s, decoded: (B, *event_shape)."""
        x: Tensor = self.autoencoder.decode(state / self.latent_scale)
        return x

    @torch.no_grad()
    def _codes(self, x: Tensor) -> Tensor:
        with evaluating(self.autoencoder):
            z: Tensor = self.autoencoder.encode(x)
        return z

    # The scale

    def needs_data_init(self) -> bool:
        """Whether s has not been measured yet."""
        return not bool(self.data_seen)

    def init_from_data(self, batch: Batch, info: DataInfo) -> None:
        """Let s be 1 / std(z(x)), over all values of the codes of a batch.

        Raises:
            ConfigError: All codes are the same, so that the autoencoder has learned nothing.
        """
        z = torch.cat([self._codes(rows) for rows in batch["x"].split(_ROWS)])
        deviation = z.double().std(correction=0).item()
        if not deviation > 0:
            raise ConfigError(
                f"The standard deviation of the autoencoder's codes is {deviation:g}. Train it "
                "first."
            )
        self.latent_scale.fill_(1 / deviation)
        self.data_seen.fill_(True)


def _checked(model: Model) -> Any:
    """Raise ConfigError where a model is not an autoencoder without a condition."""
    who = type(model).__name__
    lacking = [kind for kind in (SupportsEncode, SupportsDecode) if not isinstance(model, kind)]
    if lacking:
        raise ConfigError(
            f"The autoencoder must encode and decode; {who} is not a "
            f"{' and no '.join(kind.__name__ for kind in lacking)}. Take one such as "
            "autoencoder-kl or vae."
        )
    if model.conditions:
        raise ConfigError(
            f"The autoencoder must have no condition; this {who} has a "
            f"{' and a '.join(model.conditions)}. Condition the diffusion model in its place."
        )
    return model
