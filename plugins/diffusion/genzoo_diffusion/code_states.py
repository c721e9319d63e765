"""States that are codes of a frozen autoencoder."""

from __future__ import annotations

import abc
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
    ConfigError,
    DataInfo,
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
from genzoo_diffusion.config import Channels, Shape, StatesConfig, with_captions
from genzoo_diffusion.gaussian_path import GaussianPath

_ROWS = 256
"""The number of rows that are encoded at once to measure the scale."""


def _autoencoder() -> ModelSpec:
    return ModelSpec(name="autoencoder-kl")


@dataclass(frozen=True, kw_only=True)
class CodesConfig(StatesConfig):
    """Abstract base class of configs of a model of codes."""

    autoencoder: ModelSpec = field(default_factory=_autoencoder)
    """The autoencoder: any model without a condition that encodes and decodes."""
    latent_shape: Shape | None = None
    """The shape of a code; by default that of the autoencoder's codes."""
    known_scale: Annotated[float | None, Bounds(1e-8, 1e8)] = None
    """s, if it is known, as for a published model; measured on the data by default."""
    channels: Channels = (64,)
    """The U-Net's channels at each level, from the finest; levels halve the codes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.latent_shape is not None:
            self._fill_network(self.latent_shape)
        self._check()

    @cached_property
    def event(self) -> Space:
        """The space of the data, which is the autoencoder's."""
        return self.autoencoder.event


class CodeStates(GaussianPath, abc.ABC):
    """Abstract base class of models whose states are codes x_0 = s z(x) of a frozen autoencoder.

    z(x) is the mean of the encoder's distribution, or what the autoencoder's ``encode`` returns,
    and s = 1 / std(z(x)) over all values of the codes of the data, so that states have unit
    variance, as the path expects. A sample is the decoded last state.

    The network is a U-Net for codes that are images (C, h, w), else fully connected layers; a
    transformer over patches of either can be chosen.

    Training has two stages: first the autoencoder, then the network on its codes. s is measured at
    the start of the second stage, unless the config gives it. If the autoencoder is already
    trained, load its weights into ``model.autoencoder`` and train with the second stage's
    objective only.

    | High-Resolution Image Synthesis with Latent Diffusion Models
    | (Rombach, Blattmann, Lorenz, Esser, Ommer, 2022)

    Arguments:
        config: Autoencoder, network, path and conditions.

    Attributes:
        autoencoder: The model that encodes and decodes.
        latent_scale: s.

    Raises:
        ConfigError: The autoencoder cannot encode or decode, has a condition, or is nested too
            deeply; or the network does not fit its codes.
    """

    event_spaces = (Binary, Unit, Real)

    latent_scale: Tensor
    data_seen: Tensor

    def __init__(self, config: Any) -> None:
        autoencoder = _checked(config.autoencoder.build())
        if config.latent_shape is None:
            config = dataclasses.replace(config, latent_shape=autoencoder.codes.event_shape)
        super().__init__(config, tuple(config.latent_shape or ()))
        self.autoencoder: Any = autoencoder
        self.known_scale = known = config.known_scale
        scale, seen = torch.tensor(known or 1.0), torch.tensor(known is not None)
        # What the config says is not stored again.
        self.register_buffer("latent_scale", scale, persistent=known is None)
        self.register_buffer("data_seen", seen, persistent=known is None)

    @property
    def is_bounded(self) -> bool:
        """Codes have no bounds."""
        return False

    @property
    def default_batch_size(self) -> int:
        """The number of codes that are drawn at once, limited by the autoencoder's number."""
        return min(super().default_batch_size, int(self.autoencoder.default_batch_size))

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> Any:
        """Return a config that fits the data: autoencoder, network, and the words of captions.

        Fields are those of `suited` for what is encoded, except for the U-Net's channels, which
        follow from the codes.
        """
        cls.check_event(info)
        given = overrides.get("autoencoder", _autoencoder())
        inner = ModelSpec.from_dict(given) if isinstance(given, Mapping) else given
        fields = cls.suited(info[cls.event_field].event_shape, overrides)
        if fields.pop("channels", None) is not None:
            fields.pop("network", None)  # Codes may be flat; their shape chooses the network.
        values = {**fields, **with_captions(info, conditions, overrides)}
        return super().configure(info, conditions, **{**values, "autoencoder": inner.fitted(info)})

    @classmethod
    def default_stages(cls, config: Any) -> tuple[Stage, ...]:
        """Return the default stages of the autoencoder, then that of the network."""
        first: tuple[Stage, ...] = config.autoencoder.default_stages("autoencoder")
        own = super().default_stages(config)
        part = ("network", "embedder")
        return (*first, *(dataclasses.replace(stage, part=part) for stage in own))

    def check_data(self, info: DataInfo) -> None:
        """Raise DataError if the data do not fit the autoencoder."""
        super().check_data(info)
        self.autoencoder.check_data(info)

    # Units

    def state(self, x: Tensor) -> Tensor:
        """Return the codes of data (B, *event_shape), times s: (B, *state_shape).

        Raises:
            ConfigError: Their shape differs from that of the config.
        """
        z = self._codes(x)
        if tuple(z.shape[1:]) != self.state_shape:
            raise ConfigError(
                f"The autoencoder's codes have shape {tuple(z.shape[1:])}; latent_shape says "
                f"{self.state_shape}. Leave it out."
            )
        return self.latent_scale * z

    def to_data(self, state: Tensor) -> Tensor:
        """Return the decoded states (B, *state_shape) / s: (B, *event_shape)."""
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
        """Set s to 1 / std(z(x)), over all values of the codes of a batch.

        Raises:
            ConfigError: All codes are equal, so the autoencoder is not trained.
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
            f"The autoencoder must not have a condition; this {who} has a "
            f"{' and a '.join(model.conditions)}. Condition the diffusion model instead."
        )
    return model
