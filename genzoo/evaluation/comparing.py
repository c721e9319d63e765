"""A card's figure compared with the figure that is computed again, fact by fact."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeGuard

from genzoo.card.figures import Figure, plain
from genzoo.estimate import Estimate

ROUNDING = 1e-4
WITHIN = 3.0
_UNDERSTATED = 0.5
# What a receipt says about the software and the random stream, which are compared apart.
_NOT_SETTINGS = ("genzoo", "torch", "stream")


def differences(stated: Figure, made: Figure) -> list[str]:
    """Return in words where a card differs from the same figure computed again, up to rounding.

    The value, its error, interval and reference, the kind and unit, the notes' codes, and all
    settings are compared.
    """
    scale = _scale(made)
    found = [
        _number("value", stated.value, made.value, scale),
        *(
            _number(name, stated.facts.get(key), made.facts.get(key), scale)
            for name, key in (("error", "std_error"), ("number of samples", "num_samples"))
        ),
        *_ends(stated, made, ROUNDING * scale),
        _reference(stated.facts.get("reference"), made.facts.get("reference"), scale),
        *_words(stated, made),
        _notes(_codes(stated), _codes(made)),
        *_settings(stated.receipt, made.receipt),
    ]
    return [text for text in found if text]


def contradictions(stated: Figure, made: Figure, default: Figure) -> list[str]:
    """Return in words what a card claims that another random stream does not explain.

    The value must lie within three standard errors of the one with the defaults, and so must the
    ends of its interval. Kind and unit must be equal, and the error at least half of the one that
    is computed with the card's settings.

    Arguments:
        stated: The card's figure.
        made: It, computed again with the card's settings.
        default: It, computed again with settings no weaker than the defaults.
    """
    claimed, error = stated.facts.get("std_error"), made.facts.get("std_error")
    understated = not _is_number(claimed) or (
        _is_number(error) and claimed < _UNDERSTATED * error * (1 - ROUNDING)
    )
    return [
        *too_far(stated, default),
        *_words(stated, made),
        *([f"error {_shown(claimed)}, recomputed {_shown(error)}"] if understated else []),
        *_ends(stated, default, _allowed(default)),
    ]


def too_far(stated: Figure, default: Figure) -> list[str]:
    """Say where a value lies more than three standard errors from the one with the defaults."""
    if not (_is_number(stated.value) and _is_number(default.value)):
        return ["the value is not a finite number"]
    if abs(stated.value - default.value) <= _allowed(default):
        return []
    error = _shown(default.facts.get("std_error"))
    found = f"{default.value:.6g} ± {error}, computed with the defaults"
    return [f"{stated.value:.6g} is more than three standard errors from {found}"]


def unreliable_codes(figure: Figure) -> set[str]:
    """Return the codes of the notes that call a figure unreliable."""
    return {note.code for note in figure.notes if note.unreliable}


def has_finite_error(figure: Estimate) -> bool:
    """Whether a figure and its error are finite numbers, so that a claim can be held to them."""
    return math.isfinite(figure.value) and math.isfinite(figure.std_error)


def _allowed(default: Figure) -> float:
    error = default.facts.get("std_error")
    return max(WITHIN * error if _is_number(error) else 0.0, ROUNDING * _scale(default))


def _scale(figure: Figure) -> float:
    """Return what rounding is measured by: the value or, where that is near 0, its error."""
    sizes = [figure.value, figure.facts.get("std_error")]
    return max([abs(size) for size in sizes if _is_number(size)], default=0.0) or 1e-12


def _number(name: str, stated: Any, made: Any, scale: float) -> str:
    if not _is_number(made):
        equal = not _is_number(stated)
    else:
        equal = _is_number(stated) and abs(stated - made) <= ROUNDING * max(scale, abs(made))
    return "" if equal else f"{name} {_shown(stated)}, recomputed {_shown(made)}"


def _ends(stated: Figure, made: Figure, allowed: float) -> list[str]:
    theirs, ours = stated.facts.get("bracket"), made.facts.get("bracket")
    theirs, ours = list(theirs or ()), list(ours or ())
    equal = len(theirs) == len(ours) and all(
        (not _is_number(a) and not _is_number(b))
        or (_is_number(a) and _is_number(b) and abs(a - b) <= allowed)
        for a, b in zip(theirs, ours, strict=True)
    )
    return [] if equal else [f"interval {_interval(theirs)}, recomputed {_interval(ours)}"]


def _reference(stated: Any, made: Any, scale: float) -> str:
    theirs = stated if isinstance(stated, Mapping) else {}
    ours = made if isinstance(made, Mapping) else {}
    name = str(ours.get("kind") or theirs.get("kind") or "reference")
    if theirs.get("kind") != ours.get("kind"):
        return f"reference {theirs.get('kind', 'none')}, recomputed {ours.get('kind', 'none')}"
    return _number(name, theirs.get("value"), ours.get("value"), scale)


def _words(stated: Figure, made: Figure) -> list[str]:
    """Return where the kind, the unit or the name of the data differ."""
    pairs = [(key, stated.facts.get(key) or "", made.facts.get(key) or "") for key in _TEXTS]
    pairs.append(("data", stated.receipt.get("data", ""), made.receipt.get("data", "")))
    return [
        f"{key} {a or 'none'}, recomputed {b or 'none'}" for key, a, b in pairs if str(a) != str(b)
    ]


_TEXTS = ("kind", "unit")


def _codes(figure: Figure) -> set[tuple[str, bool]]:
    return {(note.code, note.unreliable) for note in figure.notes}


def _notes(stated: set[tuple[str, bool]], made: set[tuple[str, bool]]) -> str:
    if stated == made:
        return ""
    theirs, ours = (", ".join(sorted(code for code, _ in codes)) for codes in (stated, made))
    return f"notes {theirs or 'none'}, recomputed {ours or 'none'}"


def _settings(stated: Mapping[str, Any], made: Mapping[str, Any]) -> list[str]:
    theirs, ours = (_given(plain(receipt)) for receipt in (stated, made))
    return [
        f"{key} {theirs.get(key, 'none')}, recomputed {ours.get(key, 'none')}"
        for key in sorted({*theirs, *ours})
        if theirs.get(key) != ours.get(key)
    ]


def _given(receipt: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in receipt.items()
        if key not in (*_NOT_SETTINGS, "data") and value not in (None, "", {})
    }


def _interval(ends: list[Any]) -> str:
    return f"{_shown(ends[0])} to {_shown(ends[-1])}" if ends else "none"


def _is_number(value: Any) -> TypeGuard[float]:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _shown(value: Any) -> str:
    return f"{value:.6g}" if _is_number(value) else str(value)
