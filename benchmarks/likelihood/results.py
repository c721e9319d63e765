"""What is stored of each model and seed, and the table of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from genzoo.errors import ConfigError
from genzoo.estimate import Estimate, Note
from genzoo.evaluation.paired import difference
from genzoo.files import replace_text
from genzoo.log_prob import LogProb

_PROTOCOL = "protocol.json"
_HEAD = (
    "| model | log p, nats | kind | interval | difference to the best | each seed "
    "| above the noise | parameters | training, CPU-s | evaluation, CPU-s |"
)


@dataclass(frozen=True)
class Result:
    """A model trained from one seed, or the reason why it has no figure.

    Arguments:
        name: The model or the baseline.
        seed: The seed of its training.
        log_p: log P of each evaluated row, or a bound or an estimate; None if there is none.
        reason: Why there is none.
        above_noise: By how much the mean −log P exceeds the entropy of the noise, and the error
            of that; None without grey levels.
        num_parameters: The number of trained values.
        updates: The updates of each stage.
        training: CPU seconds of training.
        evaluation: CPU seconds of the evaluation.
    """

    name: str
    seed: int = 0
    log_p: LogProb | None = None
    reason: str = ""
    above_noise: tuple[float, float] | None = None
    num_parameters: int = 0
    updates: tuple[int, ...] = ()
    training: float = 0.0
    evaluation: float = 0.0

    def to_json(self) -> str:
        """Return the result as JSON."""
        plain = {key: value for key, value in vars(self).items() if key != "log_p"}
        return json.dumps(plain | {"log_p": self.log_p and _plain(self.log_p)})

    @classmethod
    def from_json(cls, text: str) -> Result:
        """Return a stored result."""
        values = json.loads(text)
        values["log_p"] = values["log_p"] and _log_prob(values["log_p"])
        values["updates"] = tuple(values["updates"])
        values["above_noise"] = values["above_noise"] and tuple(values["above_noise"])
        return cls(**values)


def _plain(log_p: LogProb) -> dict[str, Any]:
    return {
        "values": [round(value, 6) for value in log_p.values.tolist()],
        "kind": log_p.kind,
        "measure": log_p.measure,
        "shared_error": log_p.shared_error,
        "interval": log_p.interval,
        "notes": [asdict(note) for note in log_p.notes],
        "provenance": {key: str(value) for key, value in log_p.provenance.items()},
    }


def _log_prob(values: Mapping[str, Any]) -> LogProb:
    changed = {
        "values": torch.tensor(values["values"], dtype=torch.float64),
        "interval": values["interval"] and tuple(values["interval"]),
        "notes": tuple(Note(**note) for note in values["notes"]),
    }
    return LogProb(**{**values, **changed})


class Store:
    """The results in a folder, one file each, all of one protocol.

    Arguments:
        folder: The folder.
        protocol: The values that figures depend on.

    Raises:
        ConfigError: The folder has results of another protocol.
    """

    def __init__(self, folder: Path, protocol: Mapping[str, Any]) -> None:
        self.folder = folder / "results"
        path = folder / _PROTOCOL
        stored = json.loads(path.read_text("utf-8")) if path.exists() else protocol
        wrong = [key for key in protocol if stored.get(key) != protocol[key]]
        if wrong:
            raise ConfigError(
                f"{folder} has results with {wrong[0]} {stored.get(wrong[0])}, not "
                f"{protocol[wrong[0]]}. Choose another folder with --output."
            )
        replace_text(path, json.dumps(protocol))

    def has(self, name: str, seed: int) -> bool:
        """Whether a result is stored."""
        return self._path(name, seed).exists()

    def add(self, result: Result) -> None:
        """Store a result, completely or not at all."""
        replace_text(self._path(result.name, result.seed), result.to_json())

    def all(self) -> list[Result]:
        """Return every result."""
        paths = sorted(self.folder.glob("*.json"))
        return [Result.from_json(path.read_text("utf-8")) for path in paths]

    def _path(self, name: str, seed: int) -> Path:
        return self.folder / f"{name}-{seed}.json"


def over_seeds(found: Sequence[LogProb]) -> LogProb:
    """Return the mean of log p over trained models, row by row; normalisers err independently."""
    if len(found) == 1:
        return found[0]
    ends = [p.interval or (0.0, 0.0) for p in found]
    mean = tuple(sum(end) / len(found) for end in zip(*ends, strict=True))
    return replace(
        found[0],
        values=torch.stack([p.values for p in found]).mean(0),
        std_errors=None,
        shared_error=math.hypot(*(p.shared_error for p in found)) / len(found),
        interval=(mean[0], mean[1]) if any(p.interval for p in found) else None,
        notes=tuple(dict.fromkeys(note for p in found for note in p.notes)),
    )


def by_name(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Return the results with a figure of each name, by seed; the best name first."""
    found: dict[str, list[Result]] = {}
    for result in results:
        if result.log_p is not None:
            found.setdefault(result.name, []).append(result)
    means = {
        name: over_seeds(log_probs(rows)).values.mean().item() for name, rows in found.items()
    }
    order = sorted(found, key=lambda name: means[name], reverse=True)
    return {name: sorted(found[name], key=lambda result: result.seed) for name in order}


def log_probs(results: Iterable[Result]) -> list[LogProb]:
    """Return log p of results that have it."""
    return [result.log_p for result in results if result.log_p is not None]


def table(results: Sequence[Result], failed: Mapping[str, str] | None = None) -> str:
    """Return the table in Markdown, the best model first, then the models without a figure.

    Arguments:
        results: The results.
        failed: Why models have no figure yet, by name.
    """
    named = by_name(results)
    best = next(iter(named), "")
    lines = [_HEAD, "|" + " --- |" * _HEAD.count(" | ") + " --- |"]
    means = {name: over_seeds(log_probs(rows)) for name, rows in named.items()}
    for name, rows in named.items():
        less = (
            "" if name == best else _plus_minus(difference(name, means[name], best, means[best]))
        )
        lines.append(_line(name, rows, means[name].mean(), less))
    if remarks := _remarks(named):
        lines += ["", *remarks]
    reasons = {r.name: r.reason for r in results if r.reason} | dict(failed or {})
    if reasons:
        lines += ["", "| not in the table | reason |", "| --- | --- |"]
        lines += [f"| {name} | {' '.join(reason.split())} |" for name, reason in reasons.items()]
    return "\n".join(lines)


def _remarks(named: Mapping[str, Sequence[Result]]) -> list[str]:
    """Return the notes of each model's first seed, such as its number of draws."""
    first = ((name, log_probs(rows)[0].notes) for name, rows in named.items())
    return [f"- {name}: {' '.join(map(str, notes))}" for name, notes in first if notes]


def _line(name: str, rows: Sequence[Result], mean: Estimate, less: str) -> str:
    ends = "" if mean.interval is None else " to ".join(map(_number, mean.interval))
    wrong = [note.code for note in mean.notes if note.unreliable]
    kind = f"{mean.kind}{' (through noise)' * _through_noise(mean)}"
    each = ", ".join(_number(p.values.mean().item()) for p in log_probs(rows))
    above = [row.above_noise for row in rows if row.above_noise is not None]
    gap = f"{sum(gap for gap, _ in above) / len(above):.1f}" if above else ""
    seconds = [
        sum(s) / len(rows) for s in zip(*((r.training, r.evaluation) for r in rows), strict=True)
    ]
    cells = [
        name,
        _plus_minus(mean),
        f"{kind}, unreliable: {', '.join(wrong)}" if wrong else kind,
        ends,
        less,
        each if len(rows) > 1 else "",
        gap,
        f"{rows[0].num_parameters:,}" if rows[0].num_parameters else "",
        *(f"{s:.0f}" for s in seconds),
    ]
    return f"| {' | '.join(cells)} |"


def _through_noise(figure: Estimate) -> bool:
    return any(note.code == "dequantised" for note in figure.notes)


def _plus_minus(figure: Estimate) -> str:
    return f"{_number(figure.value)} ± {figure.std_error:.2f}"


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
