"""Features for the comparison of examples."""

from __future__ import annotations

import abc
import hashlib
import logging
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import torch
from torch import Tensor

from genzoo import process_group, registry
from genzoo.config import Bounds, Config
from genzoo.data.dataset import Dataset
from genzoo.errors import MissingDependencyError, UnknownNameError
from genzoo.evaluation.metric import Case, Metric
from genzoo.fitting import titles
from genzoo.model import Model
from genzoo.spaces import Space

logger = logging.getLogger("genzoo")

PIXELS = "pixels"
MAX_PIXELS = 64
"""Larger examples are not compared by their values unless that is requested."""
_BLOCK = 250
_GREY = (0.0, 1.0)


class FeatureExtractor(abc.ABC):
    """Abstract base class of feature extractors, which are registered in ``genzoo.extractors``.

    Class attributes:
        is_default: Whether it is used for rows that it accepts if a metric names no extractor.

    Attributes:
        sha256: The hash of its weights, for the provenance of figures.

    Arguments:
        device: The device.
    """

    is_default: ClassVar[bool] = False
    sha256: str

    @abc.abstractmethod
    def __init__(self, device: torch.device | str = "cpu") -> None: ...

    @classmethod
    @abc.abstractmethod
    def inapplicable_reason(cls, space: Space) -> str:
        """Return why it does not accept rows of a space; empty if it does."""

    @abc.abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Return the features (B, D) of rows (B, *event_shape) on the device."""


@dataclass(frozen=True)
class Extractor:
    """A function from examples to features, identified by a name and a hash.

    Arguments:
        name: The dataset's name.
        sha256: The hash of its weights; that of an empty file if it has none.
        function: Features (B, D) of examples (B, *event_shape).
        device: The device.
    """

    name: str
    sha256: str
    function: Callable[[Tensor], Tensor]
    device: torch.device | str = "cpu"

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Return the features of ``x`` (N, *event_shape), (N, D) float64, on the CPU."""
        dtype = torch.float32 if x.is_floating_point() else x.dtype
        blocks = torch.split(x, _BLOCK)

        def features(k: int) -> Tensor:
            return self.function(blocks[k].to(self.device, dtype)).double().cpu()

        if self.name == PIXELS:  # To send them would take longer than to compute them.
            return torch.cat(list(map(features, range(len(blocks)))))
        return torch.cat(process_group.map_blocks(features, len(blocks)))


@dataclass(frozen=True)
class Compared:
    """Features of samples, of data, and of held-out data; each (N, D) float64.

    Arguments:
        samples: Those of the model's samples.
        reference: Those of the data to compare with.
        held_out: Those of data in place of the samples.
        provenance: Their settings.
    """

    samples: Tensor
    reference: Tensor
    held_out: Tensor
    provenance: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class FeatureConfig(Config):
    """The config of every metric on features; its own config adds to these fields."""

    extractor: Annotated[str | None, Bounds(1, 4096)] = None
    """pixels, a registered extractor, or a transformers image model's repository or folder."""


F = TypeVar("F", bound=FeatureConfig)


class FeatureMetric(Metric[F]):
    """Abstract base class of metrics that compare features of samples and of data."""

    Config = FeatureConfig
    min_examples = 100
    defining_fields = ("extractor",)

    def inapplicable_reason(self, model: Model, data: Dataset) -> str:
        if model.event_field != "x":
            return f"it compares x; {type(model).__name__} draws {model.event_field}"
        space = data.info["x"]
        if space.vectors(data.head(1)["x"]) is None:
            return f"it compares vectors, which {space} do not have"
        return super().inapplicable_reason(model, data)

    def unavailable_reason(self, model: Model, data: Dataset) -> str:
        return super().unavailable_reason(model, data) or unfit(
            self.config.extractor, data.info["x"]
        )

    def compared(self, case: Case) -> Compared:
        """Return the features, extracted once for all metrics that use the same ones."""
        name = self.config.extractor or default_extractor(case.data.info["x"])
        return case.once(("features", name), lambda: _compared(case, str(name)))


def default_extractor(space: Space) -> str | None:
    """Return the name of the default extractor for data, or None.

    It is the one registered as the default for the space, or else pixels if there are few.
    """
    registered = _defaults(space)
    few = math.prod(space.event_shape) <= MAX_PIXELS
    return registered[0] if len(registered) == 1 else PIXELS if few and not registered else None


def unfit(name: str | None, space: Space) -> str:
    """Return why an extractor, or the default one, does not fit data; empty if it does."""
    shape, title = space.event_shape, titles([type(space)])
    if name is None:
        return "" if default_extractor(space) else _undecided(space)
    if name == PIXELS:
        return ""
    if name in registry.names("extractors"):
        reason: str = registry.load("extractors", name).inapplicable_reason(space)
        return reason
    images = len(shape) == 3 and shape[0] in (1, 3) and space.bounds == _GREY
    return "" if images else f"{name} is for images in [0, 1], not {title} data of {shape}"


def _undecided(space: Space) -> str:
    """Return why there is no default extractor."""
    several = " and ".join(_defaults(space))
    return (
        f"{(several and f'{several} are defaults') or 'no extractor is registered'} for "
        f"{titles([type(space)])} data of shape {space.event_shape}: name one by its config's "
        f"field extractor ({PIXELS}, or a transformers image model)"
    )


def _defaults(space: Space) -> list[str]:
    """Return the registered extractors that are the default for a space."""
    return [name for name in registry.names("extractors") if _is_default(name, space)]


def _is_default(name: str, space: Space) -> bool:
    """Whether an extractor is the default for a space; one that is broken is not."""
    try:
        cls = registry.load("extractors", name)
        return cls.is_default and not cls.inapplicable_reason(space)
    except MissingDependencyError as error:
        logger.debug("The extractor %s is not used: %s", name, error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
        logger.warning("The extractor %s is not used: %s: %s", name, type(error).__name__, error)
    return False


def pixels(vectors: Callable[[Tensor], Any]) -> Extractor:
    """Return the extractor of plain values, as given by ``vectors``."""
    return Extractor(PIXELS, hashlib.sha256().hexdigest(), vectors)


def load_extractor(name: str, device: torch.device | str = "cpu") -> Extractor:
    """Return an extractor by its name.

    Arguments:
        name: "pixels", the name of a registered extractor, or the repository or folder of a
            transformers image model, which runs with transformers' own class, never with code of
            the repository.
        device: The device.

    Raises:
        UnknownNameError: There is none with this name.
        LoadError: The model is refused; see `genzoo.evaluation.transformers_features`.
        MissingDependencyError: transformers is needed, and is not installed.
    """
    if name == PIXELS:
        return pixels(lambda x: x.flatten(1))
    if name in registry.names("extractors"):
        registered = registry.load("extractors", name)(device)
        return Extractor(name, registered.sha256, registered.features, device)
    if os.sep in name or "/" in name or Path(name).is_dir():
        from genzoo.evaluation.transformers_features import load_image_model

        function, sha256 = load_image_model(name, device)
        return Extractor(name, sha256, function, device)
    remedy = "A transformers image model is named by OWNER/NAME or by its folder."
    raise UnknownNameError("extractor", name, [PIXELS, *registry.names("extractors")], remedy)


def compared_by(case: Case, extract: Extractor) -> Compared:
    """Return the features of a case's samples and rows."""
    samples, reference = extract(case.samples), extract(case.reference["x"])
    num, dimensions = samples.shape
    provenance = {
        "extractor": extract.name,
        "sha256": extract.sha256,
        "dimensions": dimensions,
        "samples": num,
    }
    return Compared(samples, reference, extract(case.held_out["x"]), provenance)


def _compared(case: Case, name: str) -> Compared:
    if name == PIXELS:
        return compared_by(case, pixels(case.data.info["x"].vectors))
    return compared_by(case, load_extractor(name, case.model.device))
