"""Captions from a small grammar: templates with slots, each of which says one thing of a picture.

A template is a text with slots in braces, ``"a photo of {label=a sneaker|a bag}"``: the slot
``label`` says "a sneaker" of label 0 and "a bag" of label 1. Templates are plain texts, so that
they can stand in a config, and any of their captions can be read back: what it says of a picture
is known exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import torch

from genzoo.errors import ConfigError

_SLOT = re.compile(r"\{(\w+)=([^{}]*)\}")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def words_of(text: str) -> list[str]:
    """Return the words of a text, in lower case, without punctuation.

    >>> words_of("A photo of a T-shirt, please!")
    ['a', 'photo', 'of', 'a', 't-shirt', 'please']
    """
    return _WORD.findall(text.lower())


@dataclass(frozen=True)
class Slot:
    """A place in a template.

    Arguments:
        name: What it says something of.
        choices: The words for each value, in order.
    """

    name: str
    choices: tuple[str, ...]


class Grammar:
    """The captions that templates can make, with what each of them says.

    Arguments:
        templates: Texts with slots ``{name=first|second|...}``; a slot has the same number of
            choices in all of them.

    Raises:
        ConfigError: There is none, or one is malformed.

    >>> grammar = Grammar(["a {label=cat|dog}", "one {label=cat|dog}"])
    >>> grammar.meaning("A dog."), grammar.meaning("a bird")
    ({'label': 1}, None)
    """

    def __init__(self, templates: Iterable[str]) -> None:
        self.templates = tuple(_Template(text) for text in templates)
        if not self.templates:
            raise ConfigError('A grammar needs a template, such as "a photo of {label=cat|dog}".')
        self.slots: dict[str, int] = {}
        for slot in (slot for template in self.templates for slot in template.slots):
            known = self.slots.setdefault(slot.name, len(slot.choices))
            if known != len(slot.choices):
                raise ConfigError(
                    f"The slot {slot.name!r} has {known} choices in one template and "
                    f"{len(slot.choices)} in another: give it as many in each."
                )

    def draw(
        self, values: Sequence[Mapping[str, int]], generator: torch.Generator | None = None
    ) -> list[str]:
        """Return a caption for each picture, of a template drawn among all.

        Arguments:
            values: The value of every slot, for each picture.
            generator: Where the choice of template comes from.
        """
        which = torch.randint(len(self.templates), (len(values),), generator=generator).tolist()
        return [self.templates[k].filled(v) for k, v in zip(which, values, strict=True)]

    def meaning(self, caption: str) -> dict[str, int] | None:
        """Return the values that a caption gives of slots; None where no template makes it.

        Case, spacing and punctuation make no difference.
        """
        plain = _plain(caption)
        found = (template.read(plain) for template in self.templates)
        return next((values for values in found if values is not None), None)

    def captions(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Yield every caption that can be made, with what it says."""
        for template in self.templates:
            yield from template.captions()

    def words(self) -> tuple[str, ...]:
        """Return every word that can occur, sorted."""
        found: set[str] = set()
        for template in self.templates:
            found.update(words_of(_SLOT.sub(r" \2 ", template.text).replace("|", " ")))
        return tuple(sorted(found))


class _Template:
    """One template: a text, and the slots in it.

    Arguments:
        text: As it is written.

    Raises:
        ConfigError: A brace is left over, a slot stands twice, or its choices are not distinct.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        parts = _SLOT.split(text)
        self._fixed = parts[::3]
        names, choices = parts[1::3], parts[2::3]
        self.slots = tuple(
            Slot(name, tuple(c.split("|"))) for name, c in zip(names, choices, strict=True)
        )
        self._check()
        self._values = [
            {_plain(choice): value for value, choice in enumerate(slot.choices)}
            for slot in self.slots
        ]
        self._pattern = re.compile(self._regular_expression())

    def filled(self, values: Mapping[str, int]) -> str:
        """Return the caption that says ``values``, which may hold more than the slots."""
        chosen = [slot.choices[values[slot.name]] for slot in self.slots]
        return "".join(a + b for a, b in zip(self._fixed, [*chosen, ""], strict=True))

    def read(self, plain: str) -> dict[str, int] | None:
        """Return what a caption, already plain, says; None where this does not make it."""
        match = self._pattern.fullmatch(plain)
        if match is None:
            return None
        pairs = zip(self.slots, self._values, match.groups(), strict=True)
        return {slot.name: values[group] for slot, values, group in pairs}

    def captions(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Yield every caption, with what it says."""
        for chosen in product(*(range(len(slot.choices)) for slot in self.slots)):
            values = {slot.name: v for slot, v in zip(self.slots, chosen, strict=True)}
            yield self.filled(values), values

    def _regular_expression(self) -> str:
        slots = [f"({'|'.join(map(re.escape, values))})" for values in self._values]
        fixed = [re.escape(_plain(text)) for text in self._fixed]
        parts = [part for pair in zip(fixed, [*slots, ""], strict=True) for part in pair]
        return " ".join(filter(None, parts))

    def _check(self) -> None:
        names = [slot.name for slot in self.slots]
        if any("{" in text or "}" in text for text in self._fixed):
            raise ConfigError(
                f"The template {self.text!r} has a brace that belongs to no slot. A slot is "
                "written {name=first|second}."
            )
        if re.search(r"\w\{|\}\w", self.text):
            raise ConfigError(
                f"The template {self.text!r} has a slot within a word. Write spaces."
            )
        if len(set(names)) < len(names):
            raise ConfigError(f"The template {self.text!r} has one slot twice. Leave one out.")
        for slot in self.slots:
            plain = [_plain(choice) for choice in slot.choices]
            if len(set(plain)) < len(plain) or not all(plain):
                raise ConfigError(
                    f"The slot {slot.name!r} of the template {self.text!r} must have choices that "
                    "differ and are not empty."
                )


def _plain(text: str) -> str:
    return " ".join(words_of(text))
