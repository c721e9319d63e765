"""SentencePiece's maps of characters, looked at before a library walks through them.

A map is a trie and a text of replacements. The trie is an array of cells: from a cell, each byte
leads to another one, and from some to a leaf, which is a place in that text, up to the next zero
byte. The library takes both for granted, and gives up where a cell or a place is not there; and
were there no zero byte, a letter would become all the rest of the text.

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
"""Bytes of a map, of which NFKC's has 240,007, and of a replacement, of which it has 33."""
_LEAF = 2**31


def charsmap(whole: Mapping[str, Any]) -> bytes | None:
    """Return the map of characters that a tokenizer.json has; None where it has none.

    Raises:
        ConfigFileError: It is not one.
    """
    for part in _normalizers(whole):
        if part.get("type") == "Precompiled" and "precompiled_charsmap" in part:
            return _checked(part["precompiled_charsmap"])
    return None


def _normalizers(whole: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the normalizers of a tokenizer.json, which stand alone or in a list."""
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
        raise ConfigFileError(f"{_WHERE} is not a map of characters: its trie leads out of it.")
    return raw


def _holds(cells: bytes, length: int) -> bool:
    """Whether each byte leads from each cell to a cell, and each leaf into a text of a length.

    A cell p is reached by the byte in its lowest eight bits, and leads, for a byte b, to the cell
    p ⊕ offset ⊕ b; its leaf, where its bit 8 is set, is the cell p ⊕ offset.
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
