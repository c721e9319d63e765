"""Captions from a small grammar: templates with slots for the properties of a picture.

A template is a text with slots in braces, ``"a photo of {label=a sneaker|a bag}"``: the slot
``label`` is "a sneaker" for label 0 and "a bag" for label 1. Templates are plain texts, so a
config can store them, and captions can be read back: what a caption says about a picture is known
exactly.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import torch

from genzoo.config import shown
from genzoo.errors import ConfigError

_SLOT = re.compile(r"\{(\w+)=([^{}]*)\}")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")

MAX_TEMPLATES, MAX_SLOTS, MAX_CHOICES, MAX_WORDS = 100, 16, 1000, 128
"""Maximum templates per grammar, slots per template, choices per slot, and words per caption.
Reading a caption takes time quadratic in its words."""


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
        name: The property that it describes.
        choices: The words for each value, in order.
    """

    name: str
    choices: tuple[str, ...]


class Grammar:
    """The captions that templates can make, with their meanings.

    Arguments:
        templates: Texts with slots ``{name=first|second|...}``; a slot has the same number of
            choices in all of them. At most 100 texts with 16 slots each, 1,000 choices per slot,
            and captions of 128 words.

    Raises:
        ConfigError: There is no template, one is malformed, or a bound is exceeded.

    >>> grammar = Grammar(["a {label=cat|dog}", "one {label=cat|dog}"])
    >>> grammar.meaning("A dog."), grammar.meaning("a bird")
    ({'label': 1}, None)
    """

    def __init__(self, templates: Iterable[str]) -> None:
        texts = tuple(templates)
        _check_number(len(texts), MAX_TEMPLATES, "The grammar has too many templates")
        self.templates = tuple(map(_Template, texts))
        if not self.templates:
            raise ConfigError('A grammar needs a template, such as "a photo of {label=cat|dog}".')
        self.slots: dict[str, int] = {}
        for slot in (slot for template in self.templates for slot in template.slots):
            known = self.slots.setdefault(slot.name, len(slot.choices))
            if known != len(slot.choices):
                raise ConfigError(
                    f"The slot {slot.name!r} has {known} choices in one template and "
                    f"{len(slot.choices)} in another: give it the same number in each."
                )

    def draw(
        self, values: Sequence[Mapping[str, int]], generator: torch.Generator | None = None
    ) -> list[str]:
        """Return a caption for each picture, from a template drawn at random.

        Arguments:
            values: The value of every slot, for each picture.
            generator: The generator of the choice of templates.
        """
        which = torch.randint(len(self.templates), (len(values),), generator=generator).tolist()
        return [self.templates[k].filled(v) for k, v in zip(which, values, strict=True)]

    def meaning(self, caption: str) -> dict[str, int] | None:
        """Return the values of the slots of a caption, or None if no template makes it.

        Case, spacing and punctuation are ignored.
        """
        words = words_of(caption)
        found = (template.read(words) for template in self.templates)
        return next((values for values in found if values is not None), None)

    def most_words(self) -> int:
        """Return the number of words of the longest caption, without generating captions."""
        return max(template.most_words for template in self.templates)

    def captions(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Yield every possible caption with its meaning; there may be very many."""
        for template in self.templates:
            yield from template.captions()

    def words(self) -> tuple[str, ...]:
        """Return all possible words, sorted."""
        found: set[str] = set()
        for template in self.templates:
            found.update(words_of(_SLOT.sub(r" \2 ", template.text).replace("|", " ")))
        return tuple(sorted(found))


class _Template:
    """One template: a text, and the slots in it.

    Arguments:
        text: The template.

    Raises:
        ConfigError: A brace has no partner, a slot occurs twice, its choices are not distinct, or
            there are too many.
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
        between = [_Said(words_of(text)) for text in self._fixed]
        slots = [_Said(*map(words_of, slot.choices)) for slot in self.slots]
        pairs = zip(between[:-1], slots, strict=True)
        self._parts = [*(part for pair in pairs for part in pair), between[-1]]
        self.most_words = sum(max(part.lengths) for part in self._parts)
        _check_number(
            self.most_words, MAX_WORDS, f"The template {shown(text)} makes too many words"
        )

    def filled(self, values: Mapping[str, int]) -> str:
        """Return the caption for ``values``, which may have more keys than slots."""
        chosen = [slot.choices[values[slot.name]] for slot in self.slots]
        return "".join(a + b for a, b in zip(self._fixed, [*chosen, ""], strict=True))

    def read(self, words: Sequence[str]) -> dict[str, int] | None:
        """Return the meaning of a caption's words, or None if this template does not make it.

        If there are several readings, the first slot takes its first possible choice, then the
        second slot, and so on.
        """
        if len(words) > self.most_words:
            return None
        reached = self._reached_from(words)
        if 0 not in reached[0]:
            return None
        start, found = 0, []
        for part, ends in zip(self._parts, reached[1:], strict=True):
            value, start = min(part.beginning(words, start, ends))
            found.append(value)
        return {slot.name: value for slot, value in zip(self.slots, found[1::2], strict=True)}

    def _reached_from(self, words: Sequence[str]) -> list[set[int]]:
        """Return for each part the positions from which the rest can be read; last, the end."""
        reached = [{len(words)}]
        for part in reversed(self._parts):
            reached.append(part.starts(words, reached[-1]))
        return reached[::-1]

    def captions(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Yield every caption with its meaning."""
        for chosen in product(*(range(len(slot.choices)) for slot in self.slots)):
            values = {slot.name: v for slot, v in zip(self.slots, chosen, strict=True)}
            yield self.filled(values), values

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
        _check_number(
            len(self.slots), MAX_SLOTS, f"The template {shown(self.text)} has too many slots"
        )
        for slot in self.slots:
            _check_number(
                len(slot.choices), MAX_CHOICES, f"The slot {slot.name!r} has too many choices"
            )
            plain = [tuple(words_of(choice)) for choice in slot.choices]
            if len(set(plain)) < len(plain) or not all(plain):
                raise ConfigError(
                    f"The slot {slot.name!r} of the template {self.text!r} must have choices that "
                    "differ and are not empty."
                )


class _Said:
    """A part of a template: one of several sequences of words.

    Arguments:
        choices: The sequences, in order.
    """

    def __init__(self, *choices: Sequence[str]) -> None:
        self._values = {tuple(words): value for value, words in enumerate(choices)}
        self.lengths = sorted({len(words) for words in self._values})

    def starts(self, words: Sequence[str], ends: Iterable[int]) -> set[int]:
        """Return the positions where a sequence can begin that reaches one of ``ends``."""
        pairs = ((end - length, end) for end in ends for length in self.lengths if length <= end)
        return {start for start, end in pairs if tuple(words[start:end]) in self._values}

    def beginning(
        self, words: Sequence[str], start: int, ends: Container[int]
    ) -> Iterator[tuple[int, int]]:
        """Yield the number and the end of each sequence from ``start`` to one of ``ends``."""
        for end in (start + length for length in self.lengths):
            value = self._values.get(tuple(words[start:end]))
            if end in ends and value is not None:
                yield value, end


def _check_number(found: int, most: int, what: str) -> None:
    if found > most:
        raise ConfigError(f"{what}: {found:,}, and {most:,} are allowed. Leave some out.")
