"""A text as rows: blocks of characters, each the index of a character of an alphabet."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from torch import Tensor

from genzoo.config import shown
from genzoo.errors import ConfigError, DataError, counted

MAX_CHARACTERS = 10_000
"""The maximum number of different characters."""
_UNICODE = 0x110000


def alphabet_of(text: str, title: str) -> str:
    """Return the different characters of a text in the order of Unicode.

    Raises:
        DataError: There are more than 10,000.
    """
    found = "".join(map(chr, np.unique(_codes(text)).tolist()))
    if len(found) > MAX_CHARACTERS:
        raise DataError(
            f"{title} has {len(found):,} different characters; {MAX_CHARACTERS:,} are allowed. "
            "Replace the rare ones in the file."
        )
    return found


def check_alphabet(alphabet: str) -> None:
    """Raise ConfigError if a character is given twice, or if one is half of a pair of UTF-16."""
    character, times = Counter(alphabet).most_common(1)[0]
    if times > 1:
        raise ConfigError(
            f"The alphabet {shown(alphabet)} has {shown(character)} {times} times. Give each "
            "character once."
        )
    if half := next((c for c in alphabet if "\ud800" <= c <= "\udfff"), None):
        raise ConfigError(
            f"The alphabet {shown(alphabet)} has {shown(half)}, which is not a character of "
            "UTF-8. Leave it out."
        )


def blocks_of(text: str, alphabet: str, length: int, title: str) -> Tensor:
    """Return the blocks of a text, (N, length); the characters after the last one are left out.

    Arguments:
        text: The text.
        alphabet: The characters, each once.
        length: The number of characters of a block.
        title: The text's name, for errors.

    Raises:
        DataError: A character is not in the alphabet, or the text is shorter than a block.
    """
    if len(text) < length:
        raise DataError(
            f"{title} has {counted(len(text), 'character')}, fewer than the {length} of a block. "
            f"Give --data.length {len(text)} or less, or a longer text."
        )
    places = np.full(_UNICODE, -1, np.int16)
    places[_codes(alphabet)] = np.arange(len(alphabet))
    found = places[_codes(text)]
    if found.min() < 0:
        first = int((found < 0).argmax())
        line = text.count("\n", 0, first) + 1
        raise DataError(
            f"{title} has {shown(text[first])} in line {line}, which is not in the alphabet "
            f"{shown(alphabet)}. Add it to --data.alphabet, or leave --data.alphabet out."
        )
    num = len(text) // length
    rows = torch.from_numpy(found[: num * length].reshape(num, length))
    return rows.to(torch.uint8) if len(alphabet) <= 256 else rows


def _codes(text: str) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)
