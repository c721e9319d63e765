"""The config of discrete diffusion: kernel, schedule, network and conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from genzoo.plugin import Bounds, ConditionSpaces, Config, ConfigError, Space
from genzoo_diffusion.config import Channels, check_conditions
from genzoo_diffusion.discrete_schedule import Name
from genzoo_diffusion.fitted_text import FittedTextConfig
from genzoo_diffusion.networks import check_image
from genzoo_diffusion.pretrained_text import PretrainedTextConfig
from genzoo_diffusion.stored_text import StoredTextConfig

_Width = Annotated[int, Bounds(1, 2**16)]
_Share = Annotated[float, Bounds(0.0, 1.0)]
MAX_ALPHA_END = 0.01


@dataclass(frozen=True, kw_only=True)
class DiscreteDiffusionConfig(Config):
    """A diffusion of discrete data."""

    event: Space
    """The data: `Binary`, or `Categorical` with or without padding."""
    kernel: Literal["absorbing", "uniform"] = "absorbing"
    """What replaces a category: a mask, or any category with equal probability."""
    num_timesteps: Annotated[int | None, Bounds(1, 10**5)] = None
    """T, the number of steps of the chain; None is continuous time."""
    schedule: Name = "log-linear"
    """How α, the share of places that keep their category, falls with time."""
    sigma: Annotated[float, Bounds(1e-3, 100.0)] = 5.0
    """The total noise of the schedule 'linear', α = exp(−σ t) before it is cut to end at 0."""
    alpha_end: _Share = 0.0
    """α at the end, the share of places that keep their category there; samples begin without."""
    network: Literal["flat", "image", "transformer"] | None = None
    """Fully connected layers, a U-Net for three dimensions, or a transformer, the default."""
    embedding_dim: _Width = 8
    """The size of the vector of a category in fully connected layers, and of a square of them in
    the U-Net."""
    channels: Channels = (32, 64)
    """The U-Net's channels at each level, from the finest; levels halve the image."""
    layers_per_block: Annotated[int, Bounds(1, 64)] = 1
    """The number of the U-Net's residual blocks at each level."""
    attention_levels: Annotated[int, Bounds(0, 16)] = 1
    """The number of the U-Net's coarsest levels with self-attention."""
    dropout: Annotated[float, Bounds(0.0, 0.99)] = 0.0
    """The probability of dropout in the U-Net and the transformer."""
    hidden_dim: _Width = 128
    """The width of fully connected layers, and the size of the vectors of a transformer."""
    num_blocks: Annotated[int, Bounds(1, 1024)] = 3
    """The number of residual blocks of fully connected layers."""
    num_layers: Annotated[int, Bounds(1, 256)] = 4
    """The number of layers of the transformer."""
    num_heads: Annotated[int, Bounds(1, 1024)] = 4
    """The number of heads of the transformer's attention, which must divide hidden_dim."""
    mlp_ratio: Annotated[int, Bounds(1, 64)] = 4
    """The width of the layers between attentions, in units of hidden_dim."""
    patch_size: Annotated[int, Bounds(1, 256)] = 1
    """The side of the squares of places of an image that the U-Net and the transformer see as
    one."""
    time_features: Literal["sinusoidal", "fourier"] = "sinusoidal"
    """The features of the time: sinusoids of fixed or random frequencies."""
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.network is None:
            object.__setattr__(self, "network", "transformer")
        check_conditions(self)
        self._check_end()
        self._check_network()

    @property
    def unet(self) -> Mapping[str, Any]:
        """Empty: a U-Net is made by its fields."""
        return {}

    def _check_end(self) -> None:
        """Raise ConfigError if the law at the end is not the one from which samples begin."""
        most = 0.0 if self.kernel == "absorbing" else MAX_ALPHA_END
        if self.alpha_end > most:
            raise ConfigError(
                f"alpha_end = {self.alpha_end:g} leaves a share of the places unchanged at the "
                f"end, but samples begin with every place replaced. With the {self.kernel} kernel "
                f"it can be at most {most:g}."
            )

    def _check_network(self) -> None:
        """Raise ConfigError if the network does not fit the rows."""
        shape = self.event.event_shape
        p = self.patch_size
        if self.network != "flat" and p > 1 and _indivisible(shape, p):
            raise ConfigError(
                f"patch_size = {p} must divide the sides of images (C, H, W); rows have the shape "
                f"{tuple(shape)}. Give patch_size 1, or one that divides them."
            )
        if self.network == "image":
            check_image(shape, 1)
            check_image((shape[0], shape[1] // p, shape[2] // p), len(self.channels))
        if self.network == "transformer" and self.hidden_dim % self.num_heads:
            raise ConfigError(
                f"num_heads = {self.num_heads} does not divide hidden_dim = {self.hidden_dim}. "
                "Choose another number of heads."
            )


def _indivisible(shape: tuple[int, ...], p: int) -> bool:
    return len(shape) != 3 or any(side % p for side in shape[1:])
