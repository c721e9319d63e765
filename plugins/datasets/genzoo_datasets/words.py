"""Words of a word list, split by a hash of each word."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import ascii_lowercase
from typing import Annotated

import torch

from genzoo.plugin import (
    ArrayDataset,
    Bounds,
    Categorical,
    ConfigError,
    DataConfig,
    DataError,
    DataInfo,
    Dataset,
    DataSource,
    read_text,
)

LISTS = ("/usr/share/dict/american-english", "/usr/share/dict/words")
"""Where Debian's package wamerican puts its list."""
_SPLITS = ("train", "valid", "test")
_MOST = 2**28
_PADDING = len(ascii_lowercase)


@dataclass(frozen=True, kw_only=True)
class WordsConfig(DataConfig):
    """Words of a list."""

    path: str | None = None
    """A file with one word in each line; by default the list of Debian's package wamerican."""
    min_length: Annotated[int, Bounds(1, 64)] = 3
    """The least number of letters of a word."""
    max_length: Annotated[int, Bounds(1, 64)] = 12
    """The greatest number of letters of a word, which is the number of places of a row."""
    split_seed: Annotated[int, Bounds(0, 2**63 - 1)] = 0
    """The seed of the split."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_length > self.max_length:
            raise ConfigError(
                f"WordsConfig.min_length is {self.min_length}, more than max_length, which is "
                f"{self.max_length}. Give a smaller one."
            )


class Words(DataSource[WordsConfig]):
    """The lower-case words of a word list, as letters with padding.

    Each line is a word. Those with other characters than a to z, such as the apostrophe or the
    capital letter of a name, and those of other lengths are left out. Each word occurs once. The
    splits train, valid and test have about 80, 10 and 10 % of the words. A hash of the seed and
    the word decides, so the split of a word depends neither on other words nor on their order.
    """

    Config = WordsConfig

    def splits(self) -> tuple[str, ...]:
        """Return train, valid and test."""
        return _SPLITS

    def load(self, split: str) -> Dataset:
        """Return the words of a split in alphabetical order.

        Raises:
            DataError: There is no list, or it has no such words.
        """
        kept, note = self._words
        seed, length, letters = self.config.split_seed, self.config.max_length, ascii_lowercase
        words = [word for word in kept if split_of(word, seed) == split]
        space = Categorical(shape=(length,), num_categories=_PADDING + 1, names=(*letters, ""))
        title = f"words of {self._path.name}/{split}{f', split seed {seed}' if seed else ''}"
        if not words:
            raise DataError(f"{title}: no word is in this split. Give a longer list: --data.path.")
        dataset = ArrayDataset(_rows(words, length), DataInfo(fields={"x": space}), title)
        dataset.notes = note
        return dataset

    @cached_property
    def _path(self) -> Path:
        if self.config.path is not None:
            return Path(self.config.path).expanduser()
        for path in map(Path, LISTS):
            if path.is_file():
                return path
        raise DataError(
            f"There is no word list in {' or '.join(LISTS)}. Install Debian's package wamerican, "
            "or give --data.path FILE with one word in each line."
        )

    @cached_property
    def _words(self) -> tuple[list[str], tuple[str, ...]]:
        """The words in alphabetical order, and a note on what is left out."""
        least, most = self.config.min_length, self.config.max_length
        lines = [line.strip() for line in read_text(self._path, _MOST).split("\n")]
        given = [line for line in lines if line]
        plain = [word for word in given if word.isascii() and word.isalpha() and word.islower()]
        fitting = [word for word in plain if least <= len(word) <= most]
        kept = sorted(set(fitting))
        counts = {
            "with other characters than a to z": len(given) - len(plain),
            f"of other lengths than {least} to {most}": len(plain) - len(fitting),
            "that occur again": len(fitting) - len(kept),
        }
        left_out = ", ".join(f"{num:,} {what}" for what, num in counts.items() if num)
        return kept, (f"of {len(given):,} words, {left_out} are left out.",) if left_out else ()


def split_of(word: str, seed: int = 0) -> str:
    """Return the split of a word.

    >>> split_of("zoo"), split_of("zoo", seed=1)
    ('train', 'train')
    """
    key = hashlib.blake2b(word.encode(), key=seed.to_bytes(8, "big"), digest_size=8).digest()
    tenth = 10 * int.from_bytes(key, "big") // 2**64
    return _SPLITS[max(0, tenth - 7)]  # The tenths 0 to 7, 8 and 9.


def _rows(words: list[str], length: int) -> torch.Tensor:
    """Return words as indices of letters with padding, (N, length)."""
    padded = "".join(word.ljust(length, "{") for word in words)  # "{" follows "z" in ASCII.
    codes = torch.frombuffer(bytearray(padded, "ascii"), dtype=torch.uint8)
    return (codes - ord("a")).reshape(len(words), length)
