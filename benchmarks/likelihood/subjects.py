"""Which registered models have a probability of zeros and ones, and by which way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from genzoo import registry
from genzoo.capabilities import SupportsDataInit
from genzoo.data import Dataset
from genzoo.errors import GenzooError
from genzoo.fitting import titles
from genzoo.log_prob import Measure
from genzoo.model import Model
from genzoo.spaces import Binary, Real, Space, Unit
from likelihood.rows import Dequantised, InSpace


@dataclass(frozen=True)
class Subject:
    """A registered model, and what its rows are.

    Arguments:
        name: Its registered name.
        space: The space of its event.
        measure: Whether it has a mass of zeros and ones, or a density, which needs noise.
    """

    name: str
    space: Space
    measure: Measure = "mass"

    def rows(self, data: Dataset) -> Dataset:
        """Return zeros and ones as the model takes them."""
        if self.measure == "density":
            return Dequantised(data, self.space)
        return data if data.info["x"] == self.space else InSpace(data, self.space)


def subject_of(name: str, data: Dataset) -> Subject | str:
    """Return how a model enters the table, or the reason why it cannot.

    A model of zeros and ones has their mass. A model of grey levels is asked for the mass of two
    levels, and otherwise for a density of numbers in [0, 1], or of real numbers.
    """
    try:
        cls = registry.load("models", name)
    except GenzooError as error:
        return str(error)
    if cls.event_field != "x":
        return f"it models the field {cls.event_field}, not x"
    if cls.needs:
        return f"it needs {' and '.join(cls.needs)}, so it has no p(x) without a condition"
    if not callable(getattr(cls, "log_prob", None)):
        return "it has no log_prob"
    return _by_space(name, cls, data)


def _by_space(name: str, cls: type[Model], data: Dataset) -> Subject | str:
    """Return the first way that a class supports."""
    shape = data.info["x"].event_shape
    if any(issubclass(Binary, space) for space in cls.event_spaces):
        return Subject(name, data.info["x"])
    for subject in _other_ways(name, cls, shape):
        if measure_of(subject, cls, data) == subject.measure:
            return subject
    return f"it models {titles(cls.event_spaces)} data, and has no mass or density of these rows"


def _other_ways(name: str, cls: type[Model], shape: tuple[int, ...]) -> Iterator[Subject]:
    has_unit = any(issubclass(Unit, space) for space in cls.event_spaces)
    if has_unit:
        yield Subject(name, Unit(shape=shape, levels=2))
        yield Subject(name, Unit(shape=shape), "density")
    if any(issubclass(Real, space) for space in cls.event_spaces):
        yield Subject(name, Real(shape=shape), "density")


@torch.no_grad()
def measure_of(subject: Subject, cls: type[Any], data: Dataset) -> Measure | None:
    """Return the measure of an untrained model's log p of two rows; None if it refuses them."""
    rows = subject.rows(data)
    batch = rows.head(100)
    try:
        model = cls(cls.configure(rows.info)).eval()
        if isinstance(model, SupportsDataInit) and model.needs_data_init():
            model.init_from_data(batch, rows.info)
        num = None if model.default_num_samples is None else 2
        found: Measure = model.log_prob(batch["x"][:2], num_samples=num).measure
    except GenzooError:
        return None
    return found
