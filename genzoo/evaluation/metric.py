"""Metric: one way to judge a model on data."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from genzoo.config import Config
from genzoo.data.dataset import Dataset
from genzoo.estimate import Estimate
from genzoo.model import GenerativeModel

AnyConfig = Config


@dataclass(frozen=True)
class Case:
    """What is judged, on what.

    Arguments:
        model: The model, in eval mode.
        data: The rows it is judged on.
        batch: Those rows, at most ``max_examples`` of them, on the CPU.
        generator: Where a metric's randomness comes from, on the model's device.
    """

    model: GenerativeModel
    data: Dataset
    batch: Mapping[str, Any]
    generator: torch.Generator


class Metric(abc.ABC):
    """A figure, or several, that say how good a model is; abstract.

    Class attributes:
        Config: The metric's own frozen dataclass.
        requires: The capabilities that a model must have for it.
        kinds: The kinds of data it makes sense for; None for all.

    Arguments:
        config: The metric's values.
    """

    Config: ClassVar[type[Config]]
    requires: ClassVar[tuple[type, ...]] = ()
    kinds: ClassVar[frozenset[str] | None] = None

    def __init__(self, config: AnyConfig | None = None) -> None:
        self.config: Any = self.Config() if config is None else config

    def missing(self, model: GenerativeModel, data: Dataset) -> str:
        """Say why the metric cannot be had of a model on data; empty where it can."""
        lacking = [needed.__name__ for needed in self.requires if not isinstance(model, needed)]
        if lacking:
            return f"the model lacks {', '.join(lacking)}"
        if self.kinds is not None and data.spec.kind not in self.kinds:
            return f"it is for {', '.join(sorted(self.kinds))} data, not {data.spec.kind}"
        return ""

    @abc.abstractmethod
    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the figures by name."""
