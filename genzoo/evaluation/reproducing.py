"""Recomputation of figures from their provenance, with the settings of a card or stronger ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from genzoo import registry
from genzoo.component import Component
from genzoo.config import differences
from genzoo.data import Dataset, load_dataset, pair
from genzoo.errors import DataError
from genzoo.evaluation import MAX_EXAMPLES, compute_metric, open_case
from genzoo.evaluation.metric import Case, Metric
from genzoo.evaluation.provenance import provenance_of
from genzoo.evaluation.streams import stated_batch_size, stated_threads, stream_of
from genzoo.model import Model
from genzoo.sampler import Sampler
from genzoo.threads import limited

_NEEDED = ("source", "split", "metric", "examples", "seed")
_STRENGTH = ("limit", "limit_seed", "binarize_seed")
_PATHS = ("/", "\\", "~", "..")


@dataclass(frozen=True)
class Settings:
    """The settings of a figure, read from its provenance as untrusted input.

    Arguments:
        values: The values of the provenance that determine a figure.
    """

    values: Mapping[str, Any]

    @classmethod
    def of(cls, provenance: Mapping[str, Any]) -> Settings:
        """Read its provenance.

        Raises:
            DataError: It lacks a value that is needed, or has one of the wrong type.
        """
        lacking = [key for key in _NEEDED if provenance.get(key) in (None, "")]
        if lacking:
            raise DataError(f"its provenance lacks {', '.join(lacking)}")
        for key in ("examples", "seed"):
            if type(provenance[key]) is not int:
                raise DataError(
                    f"its provenance's {key} is not a whole number: {provenance[key]!r}"
                )
        values = {key: provenance[key] for key in _KEYS if provenance.get(key) not in (None, "")}
        threads = stated_threads(provenance.get("stream"))
        return cls(values if threads is None else {**values, "threads": threads})

    @property
    def question(self) -> str:
        """A key that is equal for equal settings, without the metric."""
        kept = {key: v for key, v in self.values.items() if key not in ("metric", "metric_config")}
        return repr(sorted(kept.items()))

    @property
    def threads(self) -> int | None:
        """The number of threads in the provenance; None for that of this process."""
        threads: int | None = self.values.get("threads")
        return threads

    @property
    def metric(self) -> Metric:
        """The metric with the values of its config."""
        metric: Metric = registry.make("metrics", self._component("metric"))
        return metric

    def for_verification(self, model: Model) -> Settings:
        """Return settings that are no weaker than the defaults.

        At least the default numbers of rows, chains and draws, all rows of the data, the default
        seed, and the defaults of all other fields of the metric, except those that define what is
        measured.
        """
        metric, values = self.metric, dict(self.values)
        values["metric_config"] = differences(metric.verification_config(model), metric.Config())
        values |= {"examples": max(values["examples"], MAX_EXAMPLES), "seed": 0}
        for key in ("data_config", "data_y_config"):
            if key in values:
                kept = values[key].items()
                values[key] = {k: v for k, v in kept if k not in _STRENGTH}
        return replace(self, values=values)

    def is_weaker_than(self, other: Settings, num_rows: int) -> bool:
        """Whether other settings compute another figure, for a number of rows."""
        ours, theirs = dict(self.values), dict(other.values)
        if ours["examples"] >= min(theirs["examples"], num_rows):
            ours["examples"] = theirs["examples"]
        default: dict[str, Any] = {"metric_config": {}, "data_config": {}, "data_y_config": {}}
        return {**default, **ours} != {**default, **theirs}

    def open(self, model: Model) -> Case:
        """Return the case that the figure is computed on.

        Raises:
            GenzooError: The data or the sampler are unknown or refused.
        """
        values = self.values
        return open_case(
            model,
            self._data(),
            sampler=self._sampler(),
            seed=values["seed"],
            max_examples=values["examples"],
        )

    def _data(self) -> Dataset:
        values = self.values
        data = _registered(values["source"], values["split"], values.get("data_config", {}))
        if "source_y" not in values:
            return data
        config = values.get("data_y_config", {})
        return pair(data, _registered(values["source_y"], values.get("split_y"), config))

    def _sampler(self) -> Sampler | None:
        if "sampler" not in self.values:
            return None
        sampler: Sampler = registry.make("samplers", self._component("sampler"))
        return sampler

    def _component(self, key: str) -> Component:
        """Return the value of a key with its config, as a component.

        Raises:
            ConfigError: The value is not a text, or the config is not a table.
        """
        values = {"name": self.values[key], "config": self.values.get(f"{key}_config", {})}
        return Component.from_dict(values)


_KEYS = (
    *_NEEDED,
    *("data_config", "source_y", "split_y", "data_y_config"),
    *("metric_config", "sampler", "sampler_config"),
)


class Reproduction:
    """The recomputed figures of one model, each computed once.

    They are computed with the number of threads that the card states.

    Arguments:
        model: The model.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._cases: dict[str, Case] = {}
        self._made: dict[tuple[str, str], dict[str, Any]] = {}

    def case(self, settings: Settings) -> Case:
        """Return the case of settings, created once for all metrics."""
        if settings.question not in self._cases:
            self._cases[settings.question] = settings.open(self.model)
        return self._cases[settings.question]

    def figures(self, settings: Settings) -> dict[str, Any]:
        """Return a metric's figures by name.

        Raises:
            GenzooError: They cannot be computed here; the message says why.
        """
        name = settings.values["metric"]
        key = settings.question, repr((name, settings.values.get("metric_config", {})))
        if key not in self._made:
            with limited(settings.threads):
                self._made[key] = compute_metric(self.case(settings), name, settings.metric)
        return self._made[key]

    def provenance(self, settings: Settings) -> dict[str, Any]:
        """Return the shared provenance of settings."""
        with limited(settings.threads):
            return provenance_of(self.case(settings))

    def stream(self, settings: Settings, stated: Any) -> dict[str, Any]:
        """Return the fingerprint of the settings' samples, with the stated block size."""
        with limited(settings.threads):
            return stream_of(self.case(settings), stated_batch_size(stated))


def _registered(source: Any, split: Any, config: Any) -> Dataset:
    """Return registered data. Cards are untrusted, so paths in them are not followed.

    Raises:
        DataError: The source is not registered, or a value of its config is a path.
        UnknownNameError: There is no such dataset.
    """
    if not isinstance(source, str) or not isinstance(config, Mapping):
        raise DataError("its provenance does not name a dataset with a table of values")
    if source not in registry.names("datasets"):
        raise DataError(
            f"{source!r} is not a registered dataset; a card's figures are computed again on "
            "registered datasets only, never on a path or a repository"
        )
    for key, value in config.items():
        if isinstance(value, str) and any(part in value for part in _PATHS):
            raise DataError(f"the card's data config contains a path, {key} = {value!r}")
    return load_dataset(source, split, **config)
