"""What lists of words have in common with a word list: a trigram model, and shares of words.

A model of words may repeat the words that it was trained on. So its samples are counted in three
parts: words of the training part, other words of the full list, and new ones. The new ones are
judged by a letter model that knows the training words only: their perplexity is near that of
held-out words if they are spelt as words are.

    bits per character = −Σ log₂ p(word) / Σ (letters + 1),  perplexity = 2^(bits per character),

where each word has one end mark, which counts as a character.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

END = "$"
"""The end mark; two of them also stand before the first letter."""


@dataclass(frozen=True)
class Trigrams:
    """An interpolated trigram model of letters with an end mark, with Witten-Bell smoothing.

        p(c | a b) = (n(a b c) + t(a b) p(c | b)) / (n(a b) + t(a b)),

    with counts n of the words it is fitted on, and the number t of different characters that
    follow a context there. p(c | b) and p(c) are computed alike, from equal probabilities of all
    K characters in the end. So each p(· | a b) sums to one, and none of the K is impossible.

    | The zero-frequency problem (Witten, Bell, 1991)

    Arguments:
        letters: The K − 1 letters.
        counts: How often each character follows each context of at most two characters.
    """

    letters: str
    counts: dict[str, Counter[str]]

    @classmethod
    def fitted(cls, words: Sequence[str]) -> Trigrams:
        """Return the model of some words, which are the training part only.

        Raises:
            ValueError: There are no words, or one contains the end mark.
        """
        letters = "".join(sorted(set("".join(words))))
        if not words or END in letters:
            raise ValueError(f"Give words without {END!r}; got {len(words)}, of {letters!r}.")
        counts: dict[str, Counter[str]] = {}
        for word in words:
            for context, character in _steps(word):
                for first in range(3):
                    counts.setdefault(context[first:], Counter())[character] += 1
        return cls(letters, counts)

    def probability(self, character: str, context: str) -> float:
        """Return p of a letter, or of the end mark, after at most two characters.

        >>> model = Trigrams.fitted(["ab", "abb"])
        >>> round(sum(model.probability(c, "ab") for c in "ab$"), 12)
        1.0
        >>> round(model.probability("b", "$a"), 12)  # (2 + (2 + (3 + 3 / 3) / 10) / 3) / 3
        0.933333333333
        """
        if character != END and character not in self.letters:
            return 0.0
        p = 1 / (len(self.letters) + 1)
        for first in range(len(context), -1, -1):
            follow = self.counts.get(context[first:])
            if follow:
                p = (follow[character] + len(follow) * p) / (follow.total() + len(follow))
        return p

    def bits(self, word: str) -> float:
        """Return −log₂ p of a word and its end; infinite if a letter was never seen."""
        each = [self.probability(character, context) for context, character in _steps(word)]
        return -sum(map(math.log2, each)) if all(each) else math.inf

    def bits_per_character(self, words: Sequence[str]) -> float:
        """Return the bits of words for each letter and end mark; NaN for no words."""
        characters = sum(len(word) + 1 for word in words)
        return sum(map(self.bits, words)) / characters if characters else math.nan

    def perplexity(self, words: Sequence[str]) -> float:
        """Return 2^bits_per_character: as many characters would be equally likely."""
        return float(2 ** self.bits_per_character(words))


@dataclass(frozen=True)
class Shares:
    """Which part of samples are words.

    Arguments:
        words: The share of words of the full list.
        training: The share of words of the training part.
        new: The samples that are not in the training part, in their order, with repetitions.
    """

    words: float
    training: float
    new: list[str]


def shares(samples: Sequence[str], full: Sequence[str], training: Sequence[str]) -> Shares:
    """Return the shares of samples that are words.

    Arguments:
        samples: The samples, as text without padding.
        full: All words, of each part.
        training: The words that the model was trained on.

    Raises:
        ValueError: There are no samples, or a word of the training part is not in the full list.

    >>> found = shares(["ab", "ba", "ab", "cc"], full=["ab", "ba"], training=["ab"])
    >>> found.words, found.training, found.new
    (0.75, 0.5, ['ba', 'cc'])
    """
    known, trained = set(full), set(training)
    if not samples or not trained <= known:
        raise ValueError(
            f"Give samples, and a full list with all training words; got {len(samples)} samples, "
            f"and {len(trained - known)} training words are not in the full list."
        )
    num = len(samples)
    return Shares(
        words=sum(word in known for word in samples) / num,
        training=sum(word in trained for word in samples) / num,
        new=[word for word in samples if word not in trained],
    )


def _steps(word: str) -> list[tuple[str, str]]:
    """Return each character of a word and its end, after the two characters before it."""
    text = END * 2 + word + END
    return [(text[i - 2 : i], text[i]) for i in range(2, len(text))]
