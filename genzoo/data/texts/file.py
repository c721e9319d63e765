"""A text file as blocks of characters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor

from genzoo.config import Bounds
from genzoo.data.config import DataConfig
from genzoo.data.dataset import ArrayDataset, Dataset, DataSource
from genzoo.data.split_names import SPLITS
from genzoo.data.texts.blocks import MAX_CHARACTERS, alphabet_of, blocks_of, check_alphabet
from genzoo.data.texts.reading import read_text
from genzoo.data.unpacking import MAX_BYTES, MaxBytes
from genzoo.errors import counted
from genzoo.spaces import Categorical
from genzoo.spec import DataInfo

_SHARE = 10


@dataclass(frozen=True, kw_only=True)
class TextFileConfig(DataConfig):
    """A text file as blocks of characters."""

    length: Annotated[int, Bounds(1, 2**16)] = 64
    """The number of characters of a block."""
    alphabet: Annotated[str | None, Bounds(1, MAX_CHARACTERS)] = None
    """The characters, each once; by default those of the file in the order of Unicode."""
    max_bytes: MaxBytes = MAX_BYTES
    """A file with more bytes is refused before it is read."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alphabet is not None:
            check_alphabet(self.alphabet)


class TextFile(DataSource[TextFileConfig]):
    """A text file in UTF-8, cut into blocks of characters without overlap.

    The first blocks are the split train, the tenth of them before the last tenth is valid, and the
    last tenth is test. With fewer than ten blocks, all are train. The characters after the last
    block are left out. Each line ends with one line feed, also in files of other systems.
    """

    Config = TextFileConfig
    located = True

    def splits(self) -> tuple[str, ...]:
        """Return train, valid and test, or train if there are fewer than ten blocks."""
        return SPLITS if len(self._rows) >= _SHARE else SPLITS[:1]

    def load(self, split: str) -> Dataset:
        """Return the blocks of one split.

        Raises:
            DataError: The file is unreadable, empty, shorter than a block or not in UTF-8, or a
                character is not in the alphabet.
        """
        length, names = self.config.length, tuple(self._alphabet)
        space = Categorical(shape=(length,), num_categories=len(names), names=names)
        info, name = DataInfo(fields={"x": space}), f"{self._title}/{split}, blocks of {length}"
        dataset = ArrayDataset(self._part(split), info, name)
        if rest := len(self._text) % length:
            verb = "is" if rest == 1 else "are"
            said = f"{counted(rest, 'character')} after the last block {verb} left out."
            dataset.notes = (said,)
        return dataset

    def _part(self, split: str) -> Tensor:
        held = len(self._rows) // _SHARE
        sizes = [len(self._rows) - 2 * held, held, held]
        return torch.split(self._rows, sizes)[SPLITS.index(split)]

    @property
    def _title(self) -> str:
        return Path(self.location).name

    @cached_property
    def _text(self) -> str:
        return read_text(Path(self.location), self.config.max_bytes)

    @cached_property
    def _alphabet(self) -> str:
        return self.config.alphabet or alphabet_of(self._text, self._title)

    @cached_property
    def _rows(self) -> Tensor:
        return blocks_of(self._text, self._alphabet, self.config.length, self._title)
