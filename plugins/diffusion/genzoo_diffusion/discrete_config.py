"""The config of discrete diffusion: kernel, schedule, network and conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from genzoo.plugin import Bounds, ConfigError, Space
from genzoo_diffusion.config import NetworkConfig
from genzoo_diffusion.discrete_schedule import Name
from genzoo_diffusion.networks import check_image

_Share = Annotated[float, Bounds(0.0, 1.0)]
MAX_ALPHA_END = 0.01


@dataclass(frozen=True, kw_only=True)
class DiscreteDiffusionConfig(NetworkConfig):
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
    """Fully connected layers ("flat"), a U-Net ("image"), or a transformer, the default."""
    patch_size: Annotated[int | None, Bounds(1, 2**20)] = None
    """The side of the patches of images that the U-Net and the transformer see as one position; 1
    by default, where every place is one."""
    embedding_dim: Annotated[int, Bounds(1, 2**16)] = 8
    """The size of the vector of a category in fully connected layers, and of a patch in the
    U-Net."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._fill(network="transformer", patch_size=1)
        self._check_told()
        self._check_end()
        self._check_patches()

    def _check_end(self) -> None:
        """Raise ConfigError if the law at the end is not the one from which samples begin."""
        most = 0.0 if self.kernel == "absorbing" else MAX_ALPHA_END
        if self.alpha_end > most:
            raise ConfigError(
                f"alpha_end = {self.alpha_end:g} leaves a share of the places unchanged at the "
                f"end, but samples begin with every place replaced. With the {self.kernel} kernel "
                f"it can be at most {most:g}."
            )

    def _check_patches(self) -> None:
        """Raise ConfigError if patches or the levels of a U-Net do not fit the rows."""
        shape, p = self.event.event_shape, self.patch_size or 1
        if self.network != "flat" and p > 1 and _indivisible(shape, p):
            raise ConfigError(
                f"patch_size = {p} must divide the sides of images (C, H, W); rows have the shape "
                f"{tuple(shape)}. Give patch_size 1, or one that divides them."
            )
        if self.network == "image":
            check_image(shape, 1)
            check_image((shape[0], shape[1] // p, shape[2] // p), len(self.channels))


def _indivisible(shape: tuple[int, ...], p: int) -> bool:
    return len(shape) != 3 or any(side % p for side in shape[1:])
