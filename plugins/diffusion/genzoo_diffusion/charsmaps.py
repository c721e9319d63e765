"""Checks of SentencePiece's character maps before a library uses them.

A map is a trie and a string of replacements. The trie is an array of cells: from a cell, each byte
leads to another cell, and some cells have a leaf, which is a position in that string; a
replacement ends at the next zero byte. The library does not check either and aborts if a cell or a
position is out of range; without a zero byte, a letter would be replaced by the whole rest of the
string.

| An Efficient Implementation of Trie Structures (Aoe, Morimoto, Sato, 1992)
| SentencePiece (Kudo, Richardson, 2018)
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np

from genzoo.plugin import ConfigFileError, shown
from genzoo_diffusion.token_files import WHOLE

_WHERE = f"{WHOLE}: precompiled_charsmap"
_MOST, _LONGEST = 2**20, 256
"""The maximum bytes of a map (NFKC's has 240,007) and of a replacement (NFKC's has 33)."""
_LEAF = 2**31


def charsmap(whole: Mapping[str, Any]) -> bytes | None:
    """Return the character map of a tokenizer.json; None if it has none.

    Raises:
        ConfigFileError: It is malformed.
    """
    for part in _normalizers(whole):
        if part.get("type") == "Precompiled" and "precompiled_charsmap" in part:
            return _checked(part["precompiled_charsmap"])
    return None


def _normalizers(whole: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the normalizers of a tokenizer.json, which are single or in a list."""
    given = whole.get("normalizer")
    if given is None:
        return []
    inner = given.get("normalizers") if isinstance(given, Mapping) else None
    parts = inner if isinstance(inner, list) else [given]
    if not all(isinstance(part, Mapping) for part in parts):
        raise ConfigFileError(f"{WHOLE}: normalizer cannot be {shown(given)}.")
    return parts


def _checked(value: Any) -> bytes:
    try:
        raw = base64.b64decode(value, validate=True)
        size = int.from_bytes(raw[:4], "little")
        cells, text = raw[4 : 4 + size], raw[4 + size :]
        text.decode("utf-8")
    except (TypeError, ValueError, binascii.Error) as error:
        raise ConfigFileError(f"{_WHERE} cannot be read: {error}.") from error
    longest = max(map(len, text.split(b"\0")))
    if len(raw) > _MOST or not text.endswith(b"\0") or longest > _LONGEST:
        raise ConfigFileError(
            f"{_WHERE} has {len(raw):,} bytes and a replacement of {longest:,}; {_MOST:,} and "
            f"{_LONGEST} are allowed."
        )
    if not cells or len(cells) != size or size % 4 or not _holds(cells, len(text)):
        raise ConfigFileError(f"{_WHERE} is not a map of characters: its trie leads out of range.")
    return raw


def _holds(cells: bytes, length: int) -> bool:
    """Whether every byte leads from every cell to a cell, and every leaf into the string.

    A cell p is reached by the byte in its lowest eight bits, and leads, for a byte b, to the cell
    p ⊕ offset ⊕ b; if its bit 8 is set, its leaf is the cell p ⊕ offset.
    """
    cell = np.frombuffer(cells, "<u4").astype(np.int64)
    place = np.arange(len(cell))
    offset = (cell >> 10) << ((cell & 2**9) >> 6)
    to = place ^ offset
    reached = (cell < _LEAF) & ((cell % 2**8 > 0) | (place == 0))
    if cell[0] >= _LEAF or not bool(((to | 255) < len(cell))[reached].all()):
        return False
    leaves = cell[to[reached & (cell >> 8 & 1 == 1)]] % _LEAF
    return bool((leaves < length).all())
