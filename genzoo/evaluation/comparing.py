"""The comparison of a card's figure with the recomputed figure, fact by fact."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from genzoo.card.figures import METRIC_TYPE, Figure, plain
from genzoo.estimate import Estimate
from genzoo.goal import words_of

ROUNDING = 1e-4
WITHIN = 3.0
_UNDERSTATED, _OVERSTATED = 0.5, 2.0
_NEAR = 0.01
"""The tolerance of numbers in a note, which are rounded."""
_NUMBER = re.compile(r"[-+−]?(?:\d[\d,]*\.?\d*(?:e[-+]?\d+)?|inf|nan)")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]{0,40}")
# Facts about the software and the random stream, which are compared separately.
_NOT_SETTINGS = ("genzoo", "torch", "stream")


def differences(stated: Figure, made: Figure) -> list[str]:
    """Return the differences between a card's figure and the recomputed one, up to rounding.

    Value, error, interval, reference, kind, unit, codes of notes and all settings are compared.
    """
    scale = _scale(made)
    texts = [
        _number("value", stated.value, made.value, scale),
        _number("error", stated.facts.get("std_error"), made.facts.get("std_error"), scale),
        *_ends(stated, made, ROUNDING * scale),
        _reference(stated.facts.get("reference"), made.facts.get("reference"), ROUNDING * scale),
        *settled(stated, made),
        *_settings(stated.provenance, made.provenance, every=True),
        _texts(stated, made, numbers=True),
    ]
    return [text for text in dict.fromkeys(texts) if text]


def settled(stated: Figure, made: Figure) -> list[str]:
    """Return the differences of a card's figure that do not depend on the random stream.

    Kind, unit, texts of notes, number of samples, kind of reference, goal, software, and all
    settings except numbers that come from draws are compared.
    """
    nums = stated.facts.get("num_samples"), made.facts.get("num_samples")
    other = stated.facts.get(METRIC_TYPE)  # A model index may have a second name of a figure.
    texts = [
        *_words(stated, made),
        _number("number of samples", *nums, 0.0),
        _notes(stated, made),
        _texts(stated, made, numbers=False),
        _reference(stated.facts.get("reference"), made.facts.get("reference"), math.inf),
        _goal(stated, made),
        *_settings(stated.provenance, made.provenance, every=False),
        *_software(stated.provenance),
        f"type {other!r}, recomputed {stated.name!r}" if other else "",
    ]
    return [text for text in texts if text]


def contradictions(stated: Figure, made: Figure, default: Figure) -> list[str]:
    """Return the differences of a card's figure that another random stream does not explain.

    The value and the ends of its interval must lie within three standard errors of the figure with
    the defaults. Kind and unit must be equal, and the error at least half of the one computed with
    the card's settings.

    Arguments:
        stated: The card's figure.
        made: The figure recomputed with the card's settings.
        default: The figure recomputed with settings no weaker than the defaults.
    """
    claimed, error = stated.facts.get("std_error"), made.facts.get("std_error")
    other = not _is_number(claimed) or (
        _is_number(error)
        and not _UNDERSTATED * (1 - ROUNDING) <= claimed / max(error, 1e-300) <= _OVERSTATED
    )
    texts = [
        *too_far(stated, default),
        *([f"error {_shown(claimed)}, recomputed {_shown(error)}"] if other and error else []),
        *_ends(stated, default, _allowed(default)),
        _reference(stated.facts.get("reference"), made.facts.get("reference"), _allowed(default)),
        *settled(stated, made),
    ]
    return [text for text in dict.fromkeys(texts) if text]


def too_far(stated: Figure, default: Figure) -> list[str]:
    """Return a difference if a value is over three standard errors from the default figure."""
    if not (_is_number(stated.value) and _is_number(default.value)):
        return ["the value is not a finite number"]
    if abs(stated.value - default.value) <= _allowed(default):
        return []
    error = _shown(default.facts.get("std_error"))
    recomputed = f"{default.value:.6g} ± {error}, computed with the defaults"
    return [f"{stated.value:.6g} is more than three standard errors from {recomputed}"]


def unreliable_codes(figure: Figure) -> set[str]:
    """Return the codes of the unreliable notes of a figure."""
    return {note.code for note in figure.notes if note.unreliable}


def has_finite_error(figure: Estimate) -> bool:
    """Whether a figure and its error are finite, so that a claim can be compared with them."""
    return math.isfinite(figure.value) and math.isfinite(figure.std_error)


def _allowed(default: Figure) -> float:
    error = default.facts.get("std_error")
    return max(WITHIN * error if _is_number(error) else 0.0, ROUNDING * _scale(default))


def _scale(figure: Figure) -> float:
    """Return the scale of rounding: the value, or its error if the value is near 0."""
    sizes = [figure.value, figure.facts.get("std_error")]
    return max([abs(size) for size in sizes if _is_number(size)], default=0.0) or 1e-12


def _number(name: str, stated: Any, made: Any, scale: float) -> str:
    allowed = ROUNDING * max(scale, abs(made) if _is_number(made) else 0.0)
    return (
        ""
        if _agree(stated, made, allowed)
        else f"{name} {_shown(stated)}, recomputed {_shown(made)}"
    )


def _ends(stated: Figure, made: Figure, allowed: float) -> list[str]:
    theirs, ours = stated.facts.get("interval"), made.facts.get("interval")
    theirs, ours = list(theirs or ()), list(ours or ())
    pairs = zip(theirs, ours, strict=False)
    equal = len(theirs) == len(ours) and all(_agree(a, b, allowed) for a, b in pairs)
    return [] if equal else [f"interval {_interval(theirs)}, recomputed {_interval(ours)}"]


def _reference(stated: Any, made: Any, allowed: float) -> str:
    theirs = stated if isinstance(stated, Mapping) else {}
    ours = made if isinstance(made, Mapping) else {}
    if theirs.get("kind") != ours.get("kind") or bool(stated) != bool(made):
        return f"reference {_kind_of(stated)}, recomputed {_kind_of(made)}"
    a, b = theirs.get("value"), ours.get("value")
    return (
        "" if _agree(a, b, allowed) else f"{ours.get('kind')} {_shown(a)}, recomputed {_shown(b)}"
    )


def _agree(a: Any, b: Any, allowed: float) -> bool:
    """Whether two values are numbers that differ by at most ``allowed``, or neither is one."""
    if _is_number(a) and _is_number(b):
        return abs(a - b) <= allowed
    return not (_is_number(a) or _is_number(b))


def _kind_of(reference: Any) -> str:
    """Return the kind of an untrusted reference."""
    if not reference:
        return "none"
    kind = reference.get("kind") if isinstance(reference, Mapping) else None
    return str(kind or "without a kind")


def _goal(stated: Figure, made: Figure) -> str:
    theirs, ours = words_of(stated.goal), words_of(made.goal)
    return "" if theirs == ours else f"goal {theirs!r}, recomputed {ours!r}"


def _words(stated: Figure, made: Figure) -> list[str]:
    """Return the differences in kind, unit and name of the data."""
    keys = ("kind", "unit")
    pairs = [(key, stated.facts.get(key) or "", made.facts.get(key) or "") for key in keys]
    pairs.append(("data", stated.provenance.get("data", ""), made.provenance.get("data", "")))
    return [
        f"{key} {a or 'none'}, recomputed {b or 'none'}" for key, a, b in pairs if str(a) != str(b)
    ]


def _notes(stated: Figure, made: Figure) -> str:
    a, b = (sorted((note.code, note.unreliable) for note in f.notes) for f in (stated, made))
    if a == b:
        return ""
    theirs, ours = (", ".join(code for code, _ in codes) for codes in (a, b))
    return f"notes {theirs or 'none'}, recomputed {ours or 'none'}"


def _texts(stated: Figure, made: Figure, *, numbers: bool) -> str:
    """Return notes with other words or numbers; codes are compared separately."""
    ours = {note.code: note.text for note in made.notes}
    for note in stated.notes:
        text = ours.get(note.code, note.text)
        other = _NUMBER.sub("#", note.text) != _NUMBER.sub("#", text)
        if other or (numbers and not _near(note.text, text)):
            return f"the text of note {note.code} differs: {note.text!r}, recomputed {text!r}"
    return ""


def _near(stated: str, made: str) -> bool:
    pairs = zip(_NUMBER.findall(stated), _NUMBER.findall(made), strict=True)
    read = [[float(n.replace(",", "").replace("−", "-")) for n in pair] for pair in pairs]
    return all(a == b or math.isclose(a, b, rel_tol=_NEAR, abs_tol=_NEAR) for a, b in read)


def _software(provenance: Mapping[str, Any]) -> list[str]:
    """Return values that are not versions, because they would be printed among the settings."""
    versions = {key: provenance.get(key) for key in ("genzoo", "torch") if provenance.get(key)}
    return [
        f"{key} {value!r} is not a version"
        for key, value in versions.items()
        if not (isinstance(value, str) and _VERSION.fullmatch(value))
    ]


def _settings(stated: Mapping[str, Any], made: Mapping[str, Any], *, every: bool) -> list[str]:
    """Return the settings that differ; without ``every``, drawn numbers are ignored."""
    theirs, ours = (_given(plain(provenance)) for provenance in (stated, made))
    drawn = {key for key, value in ours.items() if isinstance(value, float) and not every}
    return [
        f"{key} {theirs.get(key, 'none')}, recomputed {ours.get(key, 'none')}"
        for key in sorted({*theirs, *ours} - drawn)
        if theirs.get(key) != ours.get(key)
    ]


def _given(provenance: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in provenance.items()
        if key not in (*_NOT_SETTINGS, "data") and value not in (None, "", {})
    }


def _interval(ends: list[Any]) -> str:
    return f"{_shown(ends[0])} to {_shown(ends[-1])}" if ends else "none"


def _is_number(value: Any) -> TypeGuard[float]:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _shown(value: Any) -> str:
    return f"{value:.6g}" if _is_number(value) else str(value)
