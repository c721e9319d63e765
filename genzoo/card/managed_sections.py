"""Blocks of a card that genzoo writes, between marks; people write the rest."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

_MARK = re.compile(
    r"^<!-- (?:(?P<begin>[a-z]+), written by genzoo(?: evaluate)?|end of (?P<end>[a-z]+)) -->"
    r"[ \t]*$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Piece:
    """A part of a card.

    Arguments:
        block: The name of a block of genzoo, with its marks; empty for text of people.
        text: Its text.
    """

    block: str
    text: str


def split(text: str) -> list[Piece]:
    """Return the parts of a card in order; a mark without its counterpart is text.

    >>> text = "<!-- use, written by genzoo -->\\n<!-- end of use -->\\n"
    >>> [piece.block for piece in split(text)]
    ['', 'use', '']
    """
    pieces, block, start = [], "", 0
    for mark in _MARK.finditer(text):
        if mark["begin"]:
            pieces.append(Piece("", text[start : mark.start()]))
            block, start = mark["begin"], mark.start()
        elif block == mark["end"]:
            pieces.append(Piece(block, text[start : mark.end()]))
            block, start = "", mark.end()
    return [*pieces, Piece("", text[start:])]


def refreshed(text: str, written: str, *, needed: Collection[str] = ()) -> str:
    """Return a card with updated blocks.

    Missing blocks were removed by somebody and are not added again.

    Arguments:
        text: The current card.
        written: The new card.
        needed: Blocks that are added at the end if they are missing.
    """
    new = {piece.block: piece.text for piece in split(written) if piece.block}
    pieces = split(text)
    body = "".join(
        new.get(piece.block, piece.text) if piece.block else piece.text for piece in pieces
    )
    there = {piece.block for piece in pieces}
    missing = [new[name] for name in needed if name not in there]
    return "\n\n".join([body.rstrip(), *missing]) + "\n" if missing else body
