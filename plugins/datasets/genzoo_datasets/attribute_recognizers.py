"""Recognizers: what a picture shows, independent of any generative model.

A recognizer returns values of a grammar's slots (`genzoo.captions`): for each slot the value that
the picture shows, or −1 if it shows none clearly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from genzoo.plugin import DataInfo, UnknownNameError
from genzoo_datasets import classifier
from genzoo_datasets.drawing import DRAWN
from genzoo_datasets.label_accuracy import unfit
from genzoo_datasets.shapes import COLOURS, JITTER, PLACES, SHAPE_CAPTIONS, SIZES, Scene

SHAPES_RECOGNIZER = "shapes-templates"
UNCLEAR = -1
MOST_UNEXPLAINED = 0.25
"""The maximum share by which a picture may differ from the nearest template."""
_STEPS = 5
_BLOCK = 100
_MAX_SIDE = 32


class Recognizer(Protocol):
    """Recognises what pictures show."""

    sha256: str
    """A hash of its weights or templates, which identifies the recognizer."""

    def recognize(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return for each slot the values (N,) int64 of pictures (N, C, H, W) in [0, 1]."""
        ...


class ClassifierRecognizer:
    """The label of a classifier that comes with genzoo.

    Arguments:
        name: The name of the classifier.
    """

    def __init__(self, name: str) -> None:
        self.classifier = classifier.load_classifier(name)
        self.sha256 = classifier.sha256_of(name)

    def recognize(self, x: Tensor) -> dict[str, Tensor]:
        """Return the most probable label of each picture."""
        return {"label": self.classifier.predict(x)}


class ShapesRecognizer:
    """Colour, shape, size and place of the nearest picture, by least squares.

    With a template t (the coverage of each pixel) and a colour c, the squared distance of the
    picture c t from x is ‖x − c t‖² = ‖x‖² − 2 Σ c_k ⟨x_k, t⟩ + ‖c‖² ‖t‖². The templates are all
    shapes in all places, in steps of radius and centre that are finer than a pixel. A picture
    shows nothing clearly if the nearest template leaves more than a quarter of its ‖c‖² ‖t‖²
    unexplained, for example if it has no shape, a second shape, or a shape between two.

    Arguments:
        side: Height and width of the pictures; pictures larger than 32 are reduced to it by
            averaging.
    """

    def __init__(self, side: int) -> None:
        self.side = min(side, _MAX_SIDE)
        self.scene = _every_scene(self.side)
        self.templates = self.scene.pictures(self.side).amax(1).flatten(1)
        self.paint = torch.tensor(list(COLOURS.values()))
        self.sha256 = hashlib.sha256(self.templates.mul(255).byte().numpy().tobytes()).hexdigest()

    def recognize(self, x: Tensor) -> dict[str, Tensor]:
        """Return what the nearest template shows; −1 everywhere if it is not near."""
        blocks = [self._nearest(block) for block in torch.split(x.float().clamp(0, 1), _BLOCK)]
        colour, template = (torch.cat(parts) for parts in zip(*blocks, strict=True))
        clear = template != UNCLEAR
        attributes = {"colour": colour}
        for name in ("shape", "size", "place"):
            attributes[name] = getattr(self.scene, name)[template]
        return {name: value.where(clear, UNCLEAR) for name, value in attributes.items()}

    def _nearest(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return colour and template (B,) of the nearest templates; −1 for those not near."""
        x = F.adaptive_avg_pool2d(x, self.side).flatten(2)
        overlap = torch.einsum("nkp,tp->nkt", x, self.templates)
        weight = self.paint.square().sum(1)[:, None] * self.templates.square().sum(1)
        gain = 2 * torch.einsum("ck,nkt->nct", self.paint, overlap) - weight
        best, index = gain.flatten(1).max(1)
        unexplained = (x.square().sum((1, 2)) - best) / weight.flatten()[index]
        template = index % len(self.templates)
        clear = unexplained <= MOST_UNEXPLAINED
        return index // len(self.templates), template.where(clear, UNCLEAR)


def unrecognizable(name: str | None, info: DataInfo) -> str:
    """Return why no recognizer, or not the named one, fits the data; empty if one does."""
    captions = _captions(info)
    if not captions:
        return "the data's captions do not come from a grammar (give --data.captions)"
    if name == SHAPES_RECOGNIZER or (name is None and captions <= set(SHAPE_CAPTIONS)):
        fits = captions <= set(SHAPE_CAPTIONS) and info["x"].event_shape[0] == 3
        return "" if fits else f"{SHAPES_RECOGNIZER} is for the dataset shapes only"
    return unfit(name, info)


def load_recognizer(name: str | None, info: DataInfo) -> tuple[str, Recognizer]:
    """Return the named recognizer, or the one for the data, with its name.

    Raises:
        UnknownNameError: There is none with this name.
    """
    fitting, captions = classifier.fitting(info["x"].event_shape), _captions(info)
    shapes = bool(captions) and captions <= set(SHAPE_CAPTIONS)
    chosen = name or (SHAPES_RECOGNIZER if shapes else str(fitting))
    if chosen == SHAPES_RECOGNIZER:
        return chosen, ShapesRecognizer(info["x"].event_shape[1])
    if chosen not in classifier.SHIPPED:
        raise UnknownNameError("recognizer", chosen, [SHAPES_RECOGNIZER, *classifier.SHIPPED])
    return chosen, ClassifierRecognizer(chosen)


def _captions(info: DataInfo) -> set[str]:
    return set(info["text"].templates_of_texts()) if "text" in info else set()


def _every_scene(side: int) -> Scene:
    """Return the scenes of all templates: all shapes and places, in steps of radius and centre."""
    steps = torch.linspace(-JITTER, JITTER, _STEPS)
    places = torch.tensor(list(PLACES.values()))
    radii = torch.cat([torch.linspace(*ends, _STEPS) for ends in SIZES.values()])
    index = torch.cartesian_prod(
        *map(torch.arange, (len(DRAWN), len(radii), len(places), _STEPS, _STEPS))
    )
    shape, radius, place, right, down = index.unbind(1)
    away = torch.stack([steps[right], steps[down]], dim=1)
    middle = side * (0.5 + places[place] + away)
    colour = torch.full_like(shape, list(COLOURS).index("white"))
    return Scene(colour, shape, radius // _STEPS, place, side * radii[radius], middle)
