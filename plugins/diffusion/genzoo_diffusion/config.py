"""The base class of configs of diffusion models: network, schedule and conditions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from genzoo.plugin import Bounds, ConditionSpaces, Config, ConfigError, DataInfo, Label, Text
from genzoo_diffusion.conditioning import named
from genzoo_diffusion.fitted_text import FittedTextConfig
from genzoo_diffusion.patch_transformer import patch_size_for
from genzoo_diffusion.pretrained_text import PretrainedTextConfig
from genzoo_diffusion.schedule import Name
from genzoo_diffusion.stored_text import StoredTextConfig

Shape = Annotated[tuple[Annotated[int, Bounds(1, 2**20)], ...], Bounds(1, 8)]
_Width = Annotated[int, Bounds(1, 2**16)]
Channels = Annotated[tuple[_Width, ...], Bounds(1, 16)]
_FEW = 8
_Beta = Annotated[float, Bounds(1e-8, 0.999)]
_Sigma = Annotated[float, Bounds(1e-4, 1e4)]
_Share = Annotated[float, Bounds(0.0, 1.0)]


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(Config):
    """Abstract base class of configs of a network that sees a state, a time and conditions."""

    network: Literal["flat", "image", "transformer"] | None = None
    """Fully connected layers ("flat"), a U-Net ("image"), the default for three dimensions, or a
    transformer over patches ("transformer")."""
    channels: Channels = (32, 64)
    """The U-Net's channels at each level, from the finest; levels halve the image."""
    layers_per_block: Annotated[int, Bounds(1, 64)] = 1
    """The number of the U-Net's residual blocks at each level."""
    attention_levels: Annotated[int, Bounds(0, 16)] = 1
    """The number of the U-Net's coarsest levels with self-attention."""
    dropout: Annotated[float, Bounds(0.0, 0.99)] = 0.0
    """The probability of dropout in the U-Net or the transformer."""
    hidden_dim: _Width = 128
    """The width of fully connected layers or of the transformer."""
    num_blocks: Annotated[int, Bounds(1, 1024)] = 3
    """The number of residual blocks of fully connected layers."""
    patch_size: Annotated[int | None, Bounds(1, 2**20)] = None
    """The side of the transformer's patches of images, or the number of values of a patch of other
    states; by default the smallest that leaves at most 64 patches, and 2 or more for images with
    sides of at least 8."""
    num_layers: Annotated[int, Bounds(1, 2**8)] = 4
    """The number of the transformer's blocks."""
    num_heads: Annotated[int, Bounds(1, 2**10)] = 4
    """The number of the transformer's heads of attention, which must divide hidden_dim."""
    mlp_ratio: Annotated[int, Bounds(1, 64)] = 4
    """The width of the hidden layer of the transformer's blocks, in units of hidden_dim."""
    time_features: Literal["sinusoidal", "fourier"] = "sinusoidal"
    """The time features of fully connected layers and of the transformer: sinusoids of fixed or
    random frequencies."""
    conditions: ConditionSpaces = field(default_factory=dict)
    """The spaces of the conditions, by name: a label, a text, one of each, or none."""
    condition_dropout: _Share = 0.1
    """The share of training examples whose conditions are all dropped, for classifier-free
    guidance and unconditional samples."""
    condition_dropout_each: _Share = 0.0
    """The share of training examples from which each condition is dropped independently."""
    text: FittedTextConfig = field(default_factory=FittedTextConfig)
    """The text encoder that is trained with the network, if the model is conditioned on text."""
    frozen_text: PretrainedTextConfig | None = None
    """A published, frozen text encoder in its place; recipes define it."""
    stored_text: StoredTextConfig | None = None
    """A text encoder that is stored with the model, in its place."""

    def _fill(self, **defaults: Any) -> None:
        """Set the fields that are None, so that the stored config names their values."""
        for name, value in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

    def _check_told(self) -> None:
        """Raise ConfigError for conditions that cannot be told, or heads that do not divide."""
        check_conditions(self)
        if self.network == "transformer" and self.hidden_dim % self.num_heads:
            raise ConfigError(
                f"{type(self).__name__}: num_heads = {self.num_heads} must divide hidden_dim = "
                f"{self.hidden_dim}. Change one of them."
            )


@dataclass(frozen=True, kw_only=True)
class StatesConfig(NetworkConfig):
    """Abstract base class of configs of a model of states of numbers, of some shape."""

    unet: Mapping[str, Any] = field(default_factory=dict)
    """The config of diffusers' UNet2DModel, or with texts of its UNet2DConditionModel, in place of
    the U-Net's fields above."""
    state_features: Annotated[int | None, Bounds(0, 2**16)] = None
    """The number of additional random Fourier features of the state in fully connected layers; by
    default 64 if the state has at most 8 dimensions, else 0."""
    feature_scale: Annotated[float, Bounds(0.0, 1e6)] = 0.5
    """The standard deviation of their frequencies, in cycles per unit of the data."""

    def _check(self) -> None:
        """Raise ConfigError if values do not fit together; called after defaults are filled in."""
        self._check_told()
        other = self.network in ("flat", "transformer")
        if self.unet and (other or named(self.conditions, Label)):
            raise ConfigError(
                f"{type(self).__name__}: unet is for images without a condition or with texts."
            )

    def _fill_network(self, shape: Sequence[int]) -> None:
        """Choose the network by the shape of a state, if none is given."""
        self._fill(
            network="image" if len(shape) == 3 else "flat",
            state_features=64 if math.prod(shape) <= _FEW else 0,
        )
        if self.network == "transformer":
            self._fill(patch_size=patch_size_for(shape))


@dataclass(frozen=True, kw_only=True)
class DiffusionConfig(StatesConfig):
    """Abstract base class of configs of a diffusion over states of some shape."""

    num_train_timesteps: Annotated[int, Bounds(2, 10**5)] = 1000
    """T, the number of time steps of the noise schedule."""
    schedule: Name = "linear"
    """The noise schedule."""
    beta_start: _Beta = 1e-4
    """β at the first time, for schedules in which it or its square root rises linearly."""
    beta_end: _Beta = 0.02
    """β at the last time, for schedules in which it or its square root rises linearly."""
    sigma_min: _Sigma = 0.002
    """The least noise σ = √(1 − ᾱ) / √ᾱ of the schedule "karras"."""
    sigma_max: _Sigma = 80.0
    """The largest noise σ of the schedule "karras"."""
    rho: Annotated[float, Bounds(1.0, 100.0)] = 7.0
    """ρ of the schedule "karras", in which σ to the power of 1 / ρ rises linearly."""
    prediction_type: Literal["epsilon", "sample", "v_prediction", "edm"] = "epsilon"
    """The prediction target of the network: the noise ε, the data x₀, v, or EDM's mixture of ε and
    x₀."""
    sigma_data: Annotated[float, Bounds(1e-3, 1e3)] = 0.5
    """The standard deviation of the data, for "edm"; that of images in [−1, 1] is about 0.5."""
    variance_type: Literal["fixed_small", "fixed_large"] = "fixed_small"
    """The variance of a reverse step: that of q(x_{t−1} | x_t, x_0), or β_t."""

    def _check(self) -> None:
        """Raise ConfigError if values do not fit together; called after defaults are filled in."""
        super()._check()
        who = type(self).__name__
        if self.beta_end < self.beta_start:
            raise ConfigError(
                f"{who}: beta_end = {self.beta_end:g} is less than beta_start = "
                f"{self.beta_start:g}; the noise must increase."
            )
        if self.sigma_max <= self.sigma_min:
            raise ConfigError(
                f"{who}: sigma_min = {self.sigma_min:g} must be less than sigma_max = "
                f"{self.sigma_max:g}; the noise must increase."
            )
        if self.schedule == "zero-terminal-snr" and self.prediction_type == "edm":
            raise ConfigError(
                f"{who}: with a terminal SNR of zero σ is infinite at the last time, and with "
                "prediction_type='edm' the network sees ln(σ) / 4. Use schedule='karras' or "
                "prediction_type='v_prediction'."
            )
        if self.schedule == "zero-terminal-snr" and self.prediction_type == "epsilon":
            raise ConfigError(
                f"{who}: with a terminal SNR of zero x_T equals ε, and predicting it determines "
                "nothing about x₀. Use prediction_type='v_prediction' or 'sample'."
            )


def check_conditions(config: Any) -> None:
    """Raise ConfigError for two conditions of a kind, or texts that cannot be encoded."""
    for kind in (Label, Text):
        names = [name for name, space in config.conditions.items() if isinstance(space, kind)]
        if len(names) > 1:
            raise ConfigError(
                f"{type(config).__name__}: only one condition can be a {kind.__name__.lower()}; "
                f"{' and '.join(names)} are. Leave out all but one."
            )
    if named(config.conditions, Text):
        _check_text(config)


def _check_text(config: Any) -> None:
    """Raise ConfigError if texts cannot be encoded."""
    who = type(config).__name__
    if config.frozen_text is not None and config.stored_text is not None:
        raise ConfigError(f"{who}: give a frozen_text or a stored_text, not both.")
    if not (config.text.vocabulary or config.frozen_text or config.stored_text):
        raise ConfigError(
            f"{who}: a text encoder needs words. Give --data.captions, to use those of the "
            "captions; or give text.vocabulary, frozen_text or stored_text."
        )


def with_captions(
    info: DataInfo, conditions: Sequence[str] | None, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a config's values with the words of the data's captions, if it needs any.

    Arguments:
        info: A description of the data.
        conditions: The fields of the data on which the model is conditioned.
        values: Fields of the config that are given.
    """
    spaces = [info.fields.get(name) for name in conditions or ()]
    templates = [t for space in spaces if isinstance(space, Text) for t in space.templates]
    if not templates or values.get("frozen_text") or values.get("stored_text"):
        return dict(values)
    given = values.get("text", {})
    given = given.to_dict() if isinstance(given, Config) else given
    return {**values, "text": FittedTextConfig.for_captions(templates, **given)}
