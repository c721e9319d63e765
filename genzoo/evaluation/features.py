"""Features: what examples are compared by, where pixels say too little."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor

from genzoo.config import Bounds, Config
from genzoo.data.dataset import Dataset
from genzoo.errors import UnknownNameError
from genzoo.evaluation import classifier
from genzoo.evaluation.metric import Case, Metric
from genzoo.fitting import titles
from genzoo.model import Model
from genzoo.spaces import Space

PIXELS = "pixels"
MAX_PIXELS = 64
"""Examples of more values are not compared value by value unless that is asked for."""
_BLOCK = 250
_GREY = (0.0, 1.0)


@dataclass(frozen=True)
class Extractor:
    """A function from examples to features, by a name and a hash that say which.

    Arguments:
        name: What to call it.
        sha256: The hash of its weights; that of no bytes where it has none.
        function: Features (B, D) of examples (B, *event_shape).
        device: Where it computes.
    """

    name: str
    sha256: str
    function: Callable[[Tensor], Tensor]
    device: torch.device | str = "cpu"

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Return the features of ``x`` (N, *event_shape), (N, D) float64, on the CPU."""
        blocks = [
            self.function(self._moved(block)).double().cpu() for block in torch.split(x, _BLOCK)
        ]
        return torch.cat(blocks)

    def _moved(self, block: Tensor) -> Tensor:
        dtype = torch.float32 if block.is_floating_point() else block.dtype
        return block.to(self.device, dtype)


@dataclass(frozen=True)
class Compared:
    """Features of samples, of as many data, and of as many other data; each (N, D) float64.

    Arguments:
        samples: Of the model's samples.
        reference: Of the data that they are compared with.
        held_out: Of data in the samples' place.
        provenance: What they were made with.
    """

    samples: Tensor
    reference: Tensor
    held_out: Tensor
    provenance: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class FeatureConfig(Config):
    """What every metric on features takes; its own config adds to these."""

    extractor: Annotated[str | None, Bounds(1, 4096)] = None
    """pixels, a shipped classifier, or a transformers image model's repository or folder."""


class FeatureMetric(Metric):
    """A metric that compares features of samples with features of data; abstract."""

    Config = FeatureConfig
    min_examples = 100
    defining_fields = ("extractor",)

    def inapplicable_reason(self, model: Model, data: Dataset) -> str:
        """Say why the figure makes no sense; empty where it does."""
        if model.event_field != "x":
            return f"it compares x; {type(model).__name__} draws {model.event_field}"
        space = data.info["x"]
        if space.vectors(data.head(1)["x"]) is None:
            return f"it compares vectors; there are none of {space}"
        return super().inapplicable_reason(model, data)

    def unavailable_reason(self, model: Model, data: Dataset) -> str:
        """Say why the figure cannot be computed; empty where it can."""
        return super().unavailable_reason(model, data) or unfit(
            self.config.extractor, data.info["x"]
        )

    def compared(self, case: Case) -> Compared:
        """Return the features, extracted once for all metrics that ask for the same ones."""
        name = self.config.extractor or default_extractor(case.data.info["x"])
        return case.once(("features", name), lambda: _compared(case, str(name)))


def default_extractor(space: Space) -> str | None:
    """Return the name of the extractor for data where none is named, or None.

    It is the shipped classifier of the examples' shape, else pixels where there are few.
    """
    shipped = classifier.fitting(space.event_shape) if space.bounds == _GREY else None
    few = math.prod(space.event_shape) <= MAX_PIXELS
    return shipped or (PIXELS if few else None)


def unfit(name: str | None, space: Space) -> str:
    """Say why an extractor, or the default one, does not fit data; empty where it does."""
    shape, title = space.event_shape, titles([type(space)])
    if name is None and default_extractor(space) is None:
        return (
            f"no extractor comes with genzoo for {title} data of shape {shape}: name one by "
            f"its config's field extractor ({PIXELS}, or a transformers image model)"
        )
    if name is None or name == PIXELS:
        return ""
    if name not in classifier.SHIPPED:
        images = len(shape) == 3 and shape[0] in (1, 3) and space.bounds == _GREY
        return "" if images else f"{name} is for images in [0, 1], not {title} data of {shape}"
    wanted = classifier.SHIPPED[name].event_shape
    if shape == wanted and space.bounds == _GREY:
        return ""
    return f"{name} is for images {wanted} in [0, 1], not {title} data of shape {shape}"


def pixels(vectors: Callable[[Tensor], Any]) -> Extractor:
    """Return the extractor that compares values as they are, as ``vectors`` gives them."""
    return Extractor(PIXELS, hashlib.sha256().hexdigest(), vectors)


def load_extractor(name: str, device: torch.device | str = "cpu") -> Extractor:
    """Return an extractor by its name.

    Arguments:
        name: "pixels", "digits-cnn", "fashion-cnn", or the repository or folder of a transformers
            image model, which is run by transformers' own class and never by code of its own.
        device: Where it is to compute.

    Raises:
        UnknownNameError: There is none of that name.
        LoadError: The model is refused; see `genzoo.evaluation.transformers_features`.
        MissingDependencyError: transformers is needed, and is not installed.
    """
    if name == PIXELS:
        return pixels(lambda x: x.flatten(1))
    if name in classifier.SHIPPED:
        net = classifier.load_classifier(name).to(device)
        return Extractor(name, classifier.sha256_of(name), net.features, device)
    if os.sep in name or "/" in name or Path(name).is_dir():
        from genzoo.evaluation.transformers_features import load_image_model

        function, sha256 = load_image_model(name, device)
        return Extractor(name, sha256, function, device)
    remedy = "A transformers image model is named by OWNER/NAME or by its folder."
    raise UnknownNameError("extractor", name, [PIXELS, *classifier.SHIPPED], remedy)


def compared_by(case: Case, extract: Extractor) -> Compared:
    """Return the features that an extractor gives of a case's samples and rows."""
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
