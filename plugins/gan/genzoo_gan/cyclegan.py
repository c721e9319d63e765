"""CycleGAN: two translators between two domains of images, trained without pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import torch
from torch import Tensor

from genzoo.plugin import (
    Batch,
    Bounds,
    Component,
    Conditions,
    ConditionSpaces,
    Config,
    ConfigError,
    DataError,
    DataInfo,
    GenerativeModel,
    OneDraw,
    Space,
    Stage,
    Unit,
    batch_size_for,
)
from genzoo_gan.normalising import Normalization
from genzoo_gan.spaces import demand_image, without_levels
from genzoo_gan.translators import ResNetTranslator


@dataclass(frozen=True, kw_only=True)
class CycleGANConfig(Config):
    """Two translators between two domains of images."""

    event: Space
    """The space of the first domain, x: images (C, H, W)."""
    conditions: ConditionSpaces = field(default_factory=dict)
    """The space of the second domain, y, of the same height and width; that of x by default."""
    width: Annotated[int, Bounds(1, 2**12)] = 64
    """The number of channels of a translator's first layer; each halving doubles it."""
    num_blocks: Annotated[int, Bounds(0, 100)] = 6
    """The number of residual blocks of a translator."""
    num_halvings: Annotated[int, Bounds(0, 8)] = 2
    """The number of halvings in a translator: the sides must be multiples of 2 to this power."""
    normalization: Normalization = "instance"
    """The normalisation of activations: each channel separately, as in the paper, which loses the
    brightness and contrast of an image; or all channels of an image together, which keeps them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.conditions:  # The stored config names both spaces.
            object.__setattr__(self, "conditions", {"y": self.event})
        if set(self.conditions) != {"y"}:
            raise ConfigError(
                "CycleGANConfig.conditions must have exactly one entry, the second domain y, got "
                f"{', '.join(self.conditions)}."
            )
        x = demand_image(self.event, "CycleGANConfig.event")
        y = demand_image(self.conditions["y"], "CycleGANConfig.conditions.y")
        _check_sides(x, y, self.num_halvings)


class CycleGAN(GenerativeModel[CycleGANConfig]):
    """Translators between two domains, G: X → Y and F: Y → X, trained without pairs.

    As a distribution over x given an image y it is a point mass at F(y); `translate` works in both
    directions.

    | Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks
    | (Zhu, Park, Isola, Efros, 2017)

    Arguments:
        config: The spaces of both domains and the translators' size.
    """

    Config = CycleGANConfig
    event_spaces = (Unit,)
    condition_spaces = (Unit,)
    needs = ("y",)
    papers = (
        (
            "Jun-Yan Zhu, Taesung Park, Phillip Isola, Alexei A. Efros. Unpaired Image-to-Image "
            "Translation using Cycle-Consistent Adversarial Networks. ICCV, 2017."
        ),
        (
            "Xudong Mao, Qing Li, Haoran Xie, Raymond Y. K. Lau, Zhen Wang, Stephen Paul Smolley. "
            "Least Squares Generative Adversarial Networks. ICCV, 2017."
        ),
    )
    limits = (
        (
            "It is a function of its image: one translation for each, and no likelihood. It does "
            "not generate images."
        ),
        (
            "What it learns is not determined: every map between the domains that keeps their "
            "distributions and is invertible has the same loss as the intended one. If the "
            "true translation is not known, look at the strips."
        ),
        (
            "A small cycle error says that nothing is lost, not that the translation is right: "
            "translators that do nothing have a cycle error of 0."
        ),
    )

    def __init__(self, config: CycleGANConfig) -> None:
        super().__init__(config)
        x, y = (self.domain(name).event_shape[0] for name in ("x", "y"))
        sizes = (config.width, config.num_blocks, config.num_halvings, config.normalization)
        self.G = ResNetTranslator(x, y, *sizes)
        self.F = ResNetTranslator(y, x, *sizes)

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> Any:
        """Return a config that fits the data, with as many halvings as the sides allow, at most 2.

        Grey levels are left out: a translation lies between them, and can be translated back.
        """
        sides = info[cls.event_field].event_shape[1:]
        even = [k for k in (2, 1, 0) if all(side % 2**k == 0 for side in sides)]
        found = super().configure(info, conditions, **{"num_halvings": even[0], **overrides})
        return without_levels(found, overrides)

    @classmethod
    def example(cls) -> tuple[CycleGANConfig, Batch]:
        """Return a tiny config between grey and colour, and eight rows."""
        generator = torch.Generator().manual_seed(0)
        config = CycleGANConfig(
            event=Unit(shape=(1, 8, 8)),
            conditions={"y": Unit(shape=(3, 8, 8))},
            width=2,
            num_blocks=1,
            num_halvings=1,
        )
        x, y = (torch.rand(8, c, 8, 8, generator=generator) for c in (1, 3))
        return config, {"x": x, "y": y}

    @classmethod
    def default_stages(cls, config: CycleGANConfig) -> tuple[Stage, ...]:
        """Return the game of both domains, with cycle consistency.

        As in the paper, the learning rate is constant in the first half and falls linearly to
        zero in the second.
        """
        return (
            Stage(
                objective=Component(name="cycle"),
                trainer={
                    "max_steps": 20_000,
                    "batch_size": 1,
                    "lr_scheduler": "constant-then-linear",
                },
            ),
        )

    @property
    def default_batch_size(self) -> int:
        """The number of images that are translated at once, by the first and widest layer."""
        return batch_size_for(self.config.width * math.prod(self.event_shape[1:]))

    @classmethod
    def default_sampler(cls, config: CycleGANConfig) -> Component:
        """Return the translation of the condition."""
        return Component(name="translation")

    def check_data(self, info: DataInfo) -> None:
        """Raise DataError if either domain does not fit the model."""
        second = self.domain("y")
        if "y" in info and (reason := second.accepts(info["y"])):
            raise DataError(
                f"CycleGAN's second domain is {second.describe()}; these data do not fit: "
                f"{reason}. Resize or convert them (--data-y.size, --data-y.scale 255), or make "
                "the model for these data."
            )
        super().check_data(info)

    def domain(self, name: str) -> Space:
        """Return the space of a domain, "x" or "y"."""
        return self.event if name == "x" else self.conditions["y"]

    def translate(self, x: Tensor, *, to: str) -> Tensor:
        """Translate images of one domain to the other, in [0, 1].

        Arguments:
            x: Images of x, (B, C, H, W) in [0, 1], for ``to="y"``; of y for ``to="x"``.
            to: "y" for G(x), "x" for F(y).

        Raises:
            ConfigError: There is no such domain.
            DataError: The images are not of the other domain's shape.
        """
        if to not in ("x", "y"):
            raise ConfigError(f'to must be "x" or "y", got {to!r}.')
        source = self.domain("y" if to == "x" else "x")
        if tuple(x.shape[1:]) != source.event_shape:
            raise DataError(
                f'A translation to "{to}" takes images of shape {source.event_shape}; these have '
                f"shape {tuple(x.shape[1:])}. Resize them, or translate the other way."
            )
        x = self.checked_rows(x, space=source)
        network = self.G if to == "y" else self.F
        return unsigned(network(signed(x)))


@dataclass(frozen=True, kw_only=True)
class TranslationConfig(Config):
    """Translate the condition."""


class Translation(OneDraw[TranslationConfig]):
    """Translation of the condition y: x = F(y), without randomness."""

    Config = TranslationConfig
    requires = (CycleGAN,)
    is_stochastic = False

    def decode(
        self, model: CycleGAN, z: Tensor, condition: Conditions, generator: torch.Generator
    ) -> Tensor:
        """Return x, (num, *event_shape), for conditions y (num, C, H, W)."""
        return model.translate(condition["y"], to="x")


def signed(x: Tensor) -> Tensor:
    """Map values from [0, 1] to [−1, 1], the range of translators and critics."""
    return 2 * x - 1


def unsigned(x: Tensor) -> Tensor:
    """Map values from [−1, 1] to [0, 1]."""
    return (x + 1) / 2


def _check_sides(x: tuple[int, ...], y: tuple[int, ...], num_halvings: int) -> None:
    if x[1:] != y[1:]:
        raise ConfigError(
            f"CycleGAN keeps height and width: x has {x[1:]}, y has {y[1:]}. Resize one of them "
            "(images: --data.size, --data-y.size)."
        )
    multiple = 2**num_halvings
    if any(side % multiple for side in x[1:]) or min(x[1:]) < max(4, 2 * multiple):
        raise ConfigError(
            f"CycleGANConfig: {num_halvings} halvings need sides that are multiples of {multiple},"
            f" {max(4, 2 * multiple)} or more; got {x[1:]}. Resize the images, or give fewer "
            "num_halvings."
        )
