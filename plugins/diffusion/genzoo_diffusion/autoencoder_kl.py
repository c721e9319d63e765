"""An autoencoder of images whose codes are images too, for latent diffusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import torch
from torch import Tensor

from genzoo.plugin import (
    Batch,
    Binary,
    Bounds,
    Component,
    Config,
    ConfigError,
    DataInfo,
    GenerativeModel,
    Layout,
    Real,
    Space,
    Stage,
    Unit,
    batch_size_for,
)
from genzoo_diffusion.config import Channels
from genzoo_diffusion.dependencies import diffusers
from genzoo_diffusion.diffusers_config import build
from genzoo_diffusion.networks import check_image, norm_groups, widest
from genzoo_diffusion.suiting import channels

_CHANNELS = (16, 32, 32)

AUTOENCODING = (
    Stage(
        objective=Component(name="autoencoding", config={"lr": 3e-3}),
        trainer={
            "max_steps": 2_000,
            "batch_size": 32,
            "warmup_steps": 100,
            "lr_scheduler": "cosine",
            "max_grad_norm": 1.0,
            "ema_decay": 0.995,
        },
    ),
)
"""The training stages of the autoencoder, which are also the first of a model of its codes."""


@dataclass(frozen=True, kw_only=True)
class AutoencoderKLConfig(Config):
    """An autoencoder of images with codes (L, h, w)."""

    event: Space
    """Images (C, H, W): `Unit` or `Binary`, which are scaled to [−1, 1], or `Real`, not scaled."""
    latent_channels: Annotated[int, Bounds(1, 2**12)] = 4
    """L, the number of channels of a code."""
    channels: Channels = _CHANNELS
    """The channels at each level, from the finest; all levels but the last halve the image."""
    layers_per_block: Annotated[int, Bounds(1, 64)] = 1
    """The number of residual blocks at each level of the encoder; the decoder has one more."""
    attention: bool = False
    """Whether the middle blocks of encoder and decoder have self-attention."""
    autoencoder: Mapping[str, Any] = field(default_factory=dict)
    """The config of diffusers' AutoencoderKL, in place of the fields above."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.event.event_shape) != 3:
            raise ConfigError(
                "AutoencoderKLConfig is for images (C, H, W), not for examples of shape "
                f"{self.event.event_shape}."
            )


class AutoencoderKL(GenerativeModel[AutoencoderKLConfig]):
    """The autoencoder of Stable Diffusion (`AutoencoderKL`): q(z | x) = N(μ(x), diag σ²(x)).

    It wraps diffusers' `AutoencoderKL`, with the decoder x̂(z).

    Both are convolutional, and codes are images with fewer pixels. The weight of the KL term is
    small, so that codes keep nearly all of an image: they are meant to be modelled by another
    model, such as `latent-ddpm`.

    | Auto-Encoding Variational Bayes (Kingma, Welling, 2014)
    | High-Resolution Image Synthesis with Latent Diffusion Models
    | (Rombach, Blattmann, Lorenz, Esser, Ommer, 2022)

    Arguments:
        config: Shapes and channels.

    Attributes:
        vae: diffusers' network.
        latent_shape: The shape of a code, (L, h, w).

    Raises:
        ConfigError: Images cannot be halved that often, or do not fit diffusers' config.
    """

    Config = AutoencoderKLConfig
    event_spaces = (Binary, Unit, Real)
    papers = (
        "Diederik P. Kingma, Max Welling. Auto-Encoding Variational Bayes. ICLR, 2014.",
        (
            "Robin Rombach, Andreas Blattmann, Dominik Lorenz, Patrick Esser, Björn Ommer. "
            "High-Resolution Image Synthesis with Latent Diffusion Models. CVPR, 2022."
        ),
    )
    limits = (
        (
            "Its samples are poor: codes of images do not cover N(0, I), from which they are "
            "drawn. It is meant for use with a model of its codes."
        ),
        "It has no likelihood.",
    )

    def __init__(self, config: AutoencoderKLConfig) -> None:
        super().__init__(config)
        fields = dict(config.autoencoder) or _fields(config)
        self.vae = build(diffusers().AutoencoderKL, fields)
        found = self.vae.config
        channels, *sides = self.event_shape
        levels = len(found.block_out_channels)
        check_image(self.event_shape, levels)
        if (found.in_channels, found.out_channels) != (channels, channels):
            raise ConfigError(
                f"The autoencoder takes images of {found.in_channels} channels, and returns "
                f"{found.out_channels}; the images of the event have {channels}."
            )
        small = (side // 2 ** (levels - 1) for side in sides)
        self.latent_shape = (int(found.latent_channels), *small)

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> Any:
        """Return a config that fits the data, without grey levels.

        Images are halved at most twice, while their sides are even and above 7, so that codes keep
        a place for each part of a small image.
        """
        cls.check_event(info)
        event = info[cls.event_field].relaxed()
        values = {"event": event, **overrides}
        if len(event.event_shape) == 3:
            levels = len(channels(event.event_shape))
            values = {"channels": _CHANNELS[:levels], **values}
        return super().configure(info, conditions, **values)

    @classmethod
    def example(cls) -> tuple[AutoencoderKLConfig, Batch]:
        """Return a config whose codes have a quarter of the pixels, and twelve rows."""
        generator = torch.Generator().manual_seed(0)
        event = Unit(shape=(1, 4, 4))
        config = AutoencoderKLConfig(event=event, latent_channels=2, channels=(4, 8))
        return config, {"x": torch.rand(12, 1, 4, 4, generator=generator)}

    @classmethod
    def default_stages(cls, config: AutoencoderKLConfig) -> tuple[Stage, ...]:
        """Return training by reconstruction with a small KL term, with averaged weights."""
        return AUTOENCODING

    @property
    def default_batch_size(self) -> int:
        """The number of codes that are decoded at once, by the decoder's widest level."""
        return batch_size_for(widest(self.vae.config.block_out_channels, self.event_shape))

    @classmethod
    def default_sampler(cls, config: AutoencoderKLConfig) -> Component:
        """Return the sampler that decodes codes from N(0, I)."""
        return Component(name="normal-codes")

    def layout(self) -> Layout:
        """Return the layout of diffusers' `AutoencoderKL`, in the folder ``vae``."""
        from genzoo_diffusion.diffusers_layout import vae_layout

        return vae_layout(self.vae, "vae.")

    @property
    def is_bounded(self) -> bool:
        """Whether the data are in [0, 1], and scaled to [−1, 1]."""
        return not isinstance(self.event, Real)

    # Units

    def scaled(self, x: Tensor) -> Tensor:
        """Scale data for the networks: from [0, 1] to [−1, 1], others not at all."""
        return 2 * x - 1 if self.is_bounded else x

    def unscaled(self, x: Tensor) -> Tensor:
        """Scale the decoder's output to the units of x, in [0, 1] if the data are."""
        return ((x + 1) / 2).clamp(0, 1) if self.is_bounded else x

    # Conditionals

    def posterior(self, x: Tensor) -> Any:
        """Return q(z | x) of scaled images (B, C, H, W), as diffusers' distribution.

        It has ``mean`` and ``std``, both (B, L, h, w), and ``kl()``, (B,), in nats.
        """
        return self.vae.encode(x).latent_dist

    def reconstruct(self, z: Tensor) -> Tensor:
        """Return x̂(z), (B, C, H, W), scaled, for codes (B, L, h, w)."""
        x: Tensor = self.vae.decode(z, return_dict=False)[0]
        return x

    @property
    def codes(self) -> Space:
        """Codes z, (L, h, w)."""
        return Real(shape=self.latent_shape)

    def encode(self, x: Tensor, *, condition: Any = None) -> Tensor:
        """Return the mean of q(z | x), (B, L, h, w)."""
        self.checked_condition(condition, x.shape[0])
        mean: Tensor = self.posterior(self.scaled(self.checked_rows(x))).mean
        return mean

    def draw_codes(
        self, x: Tensor, *, condition: Any = None, generator: torch.Generator
    ) -> Tensor:
        """Draw z ~ q(z | x), (B, L, h, w)."""
        self.checked_condition(condition, x.shape[0])
        q = self.posterior(self.scaled(self.checked_rows(x)))
        z: Tensor = q.sample(generator=generator)
        return z

    def decode(self, z: Tensor, *, condition: Any = None) -> Tensor:
        """Return x̂(z), (B, C, H, W), in the units of x."""
        self.checked_condition(condition, z.shape[0])
        return self.unscaled(self.reconstruct(self.checked_codes(z, self.latent_shape)))


def _fields(config: AutoencoderKLConfig) -> dict[str, Any]:
    """Return the arguments of diffusers' class."""
    levels, shape = len(config.channels), config.event.event_shape
    return {
        "in_channels": shape[0],
        "out_channels": shape[0],
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "block_out_channels": config.channels,
        "layers_per_block": config.layers_per_block,
        "latent_channels": config.latent_channels,
        "norm_num_groups": norm_groups(shape, config.channels),
        "sample_size": max(shape[1:]),
        "mid_block_add_attention": config.attention,
    }
