"""The views of `genzoo explore` and what they need of a model."""

from __future__ import annotations

from genzoo.capabilities import (
    SupportsBits,
    SupportsDecode,
    SupportsEncode,
    SupportsFilters,
    SupportsLayers,
    declares,
)

NEEDED: dict[str, tuple[type, ...]] = {
    "codes": (SupportsEncode,),
    "interpolation": (SupportsEncode, SupportsDecode),
    "filters": (SupportsFilters,),
    "fantasies": (SupportsLayers,),
    "bits": (SupportsBits,),
    "manifold": (SupportsEncode, SupportsDecode),
    "traversal": (SupportsEncode, SupportsDecode),
}
OF_NORMAL_CODES = ("manifold", "traversal")
"""Views of codes with a normal distribution only."""


def views_of(cls: type) -> list[str]:
    """Return the views of the models of a class, without those of normal codes."""
    return [
        view
        for view, needed in NEEDED.items()
        if view not in OF_NORMAL_CODES and all(declares(cls, p) for p in needed)
    ]
