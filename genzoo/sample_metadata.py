"""The settings of a sample picture: a text in the PNG, read as untrusted input."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from genzoo import registry
from genzoo.component import Component
from genzoo.errors import GenzooError
from genzoo.evaluation.provenance import flat, sampler_provenance
from genzoo.files import check_inside
from genzoo.parsing import strict_json
from genzoo.sampler import Sampler

KEY = "genzoo"
"""The key of a picture's settings."""
_MAX_TEXT, _MAX_CHUNKS = 10_000, 1000
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, kw_only=True)
class SampleMetadata:
    """The settings of a picture of samples, as far as they are known.

    Arguments:
        caption: The caption of the picture, if it has its own.
        num: The number of samples.
        seed: The seed.
        batch_size: The block size.
        given: The conditions of each row: values of one condition, or of several by name.
        sampler: The registered name of the sampler.
        sampler_config: The fields of its config.
    """

    caption: str | None = None
    num: int | None = None
    seed: int | None = None
    batch_size: int | None = None
    given: tuple[Any, ...] = ()
    sampler: str | None = None
    sampler_config: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> SampleMetadata | None:
        """Return the settings of a picture, or None if there are none that can be read."""
        try:
            check_inside(path, path.parent)
            return cls._of(_told(path)) if path.is_file() else None
        except (GenzooError, OSError, ValueError, struct.error):
            return None

    @classmethod
    def _of(cls, stored: Mapping[str, Any]) -> SampleMetadata:
        """Return the values that have the right type; others are dropped."""
        given, config = stored.get("given"), stored.get("sampler_config")
        rows = given if isinstance(given, list) else []
        return cls(
            caption=_if(str, stored.get("caption")),
            num=_if(int, stored.get("num")),
            seed=_if(int, stored.get("seed")),
            batch_size=_if(int, stored.get("batch_size")),
            given=tuple(row for row in rows if _is_given(row)),
            sampler=_if(str, stored.get("sampler")),
            sampler_config=config if isinstance(config, dict) else {},
        )

    def in_words(self) -> str:
        """Return the caption of the picture."""
        if self.caption is not None:
            return self.caption
        how = {
            "sampler": self.sampler,
            "sampler_config": self.sampler_config,
            "seed": self.seed,
            "batch_size": self.batch_size,
        }
        settings = flat({key: value for key, value in how.items() if value not in (None, {})})
        num = "Samples" if self.num is None else f"{self.num} samples"
        rows = ", each row given the text next to it" if len(self.given) > 1 else ""
        return f"{num}{rows}, drawn with {settings}." if settings else f"{num}{rows}."

    def known_sampler(self) -> Sampler | None:
        """Return the sampler; None if it is not installed or refuses the config."""
        if self.sampler is None or self.sampler not in registry.names("samplers"):
            return None
        try:
            drew = Component(name=self.sampler, config=self.sampler_config)
            sampler: Sampler = registry.make("samplers", drew)
        except GenzooError:
            return None
        return sampler


def given_rows(given: Mapping[str, Sequence[str]]) -> list[Any]:
    """Return the conditions of each row from a picture's texts.

    >>> given_rows({"label": ["3", "boot"]})
    [3, 'boot']
    """
    num = max((len(texts) for texts in given.values()), default=0)
    rows = [
        {name: _number(texts[i if len(texts) > 1 else 0]) for name, texts in given.items()}
        for i in range(num)
    ]
    return [next(iter(row.values())) for row in rows] if len(given) == 1 else rows


def _number(text: str) -> str | int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else text


def _is_given(row: Any) -> bool:
    if isinstance(row, dict):
        return all(type(value) in (str, int) for value in row.values())
    return type(row) in (str, int)


def sample_metadata(
    num: int,
    seed: int | None,
    sampler: Sampler,
    given: Sequence[Any] = (),
    batch_size: int | None = None,
) -> dict[str, str]:
    """Return the settings of a picture of samples, under their key.

    Arguments:
        num: The number of samples.
        seed: The seed, if it is known.
        sampler: The sampler.
        given: The conditions of each row.
        batch_size: The block size, if it is known.
    """
    how = {"num": num, "seed": seed, "batch_size": batch_size, **sampler_provenance(sampler)}
    return {KEY: json.dumps({**how, "given": list(given)} if given else how)}


def _told(path: Path) -> Mapping[str, Any]:
    """Return the settings in a picture; empty if it has none.

    Raises:
        ValueError: It is not a PNG.
    """
    with path.open("rb") as file:
        text = next((text for key, text in _texts(file) if key == KEY), "{}")
    stored = strict_json(text)
    return stored if isinstance(stored, dict) else {}


def _texts(file: IO[bytes]) -> Iterator[tuple[str, str]]:
    """Yield the plain texts of a PNG by key, up to its pixels, which are not read.

    Pillow would also unpack compressed texts, of which 60 kB can make 60 MB.
    """
    if file.read(8) != _SIGNATURE:
        raise ValueError("it is not a PNG")
    for number in range(_MAX_CHUNKS):
        length, kind = struct.unpack(">I4s", file.read(8).ljust(8, b"\0"))
        if (kind == b"IHDR") != (number == 0):
            raise ValueError("it is a damaged PNG")
        if kind == b"IDAT":
            return
        if kind == b"tEXt" and length <= _MAX_TEXT:
            key, _, text = file.read(length).partition(b"\0")
            yield key.decode("latin-1"), text.decode("latin-1")
        else:
            file.seek(length, os.SEEK_CUR)
        file.seek(4, os.SEEK_CUR)  # The chunk's checksum.
    raise ValueError("it is a PNG without pixels")


def _if(kind: type, value: Any) -> Any:
    return value if type(value) is kind else None
