"""CLIP's tokenizer: byte pairs, merged in a given order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any

from genzoo.plugin import Bounds, Config, ConfigError, foreign_errors, shown
from genzoo_diffusion.dependencies import transformers

_END_OF_WORD = "</w>"
_PRINTABLE = (*range(33, 127), *range(161, 173), *range(174, 256))
BYTES = (*map(chr, _PRINTABLE), *(chr(256 + i) for i in range(256 - len(_PRINTABLE))))
"""A visible character for each byte, in CLIP's order; printable bytes map to themselves."""
_Text = Annotated[str, Bounds(0, 2**20)]
_Token = Annotated[str, Bounds(1, 64)]


@dataclass(frozen=True, kw_only=True)
class BytePairsConfig(Config):
    """The config of CLIP's tokenizer, with its vocabulary and merges.

    Lists are strings with one entry per line, so that the 48,894 merges of CLIP take 600 kB and
    fit into a config.

    | Neural Machine Translation of Rare Words with Subword Units (Sennrich, Haddow, Birch, 2016)
    | Learning Transferable Visual Models From Natural Language Supervision (Radford et al., 2021)

    Raises:
        ConfigError: A merge is not a pair of tokens, a token occurs twice, or a special token is
            not in the vocabulary.
    """

    merges: _Text = ""
    """The pairs of tokens that are merged, in order of priority: one per line, with a space."""
    vocabulary: _Text = ""
    """The tokens in the order of their ids, one per line; if empty, CLIP's order: bytes, bytes at
    the end of a word, merged pairs, start and end."""
    start: _Token = "<|startoftext|>"
    """The token before a text."""
    end: _Token = "<|endoftext|>"
    """The token after a text."""
    unknown: _Token = "<|endoftext|>"
    """The token for unknown input."""
    padding: _Token = "<|endoftext|>"
    """The token for padding after a text."""
    lowered: Annotated[tuple[_Token, ...], Bounds(0, 4)] = ()
    """The special tokens that are recognised in a text after it is converted to lower case."""
    max_length: Annotated[int, Bounds(3, 512)] = 77
    """The maximum number of tokens of a text, including those at its ends."""

    def __post_init__(self) -> None:
        super().__post_init__()
        tokens = self.tokens()
        known = set(tokens)
        if len(known) < len(tokens):
            (twice, _), *_ = Counter(tokens).most_common(1)
            raise ConfigError(f"BytePairsConfig: the vocabulary has {shown(twice)} twice.")
        for token in (self.start, self.end, self.unknown, self.padding):
            if token not in known:
                raise ConfigError(
                    f"BytePairsConfig: {shown(token)} is not in the vocabulary. Add it at its end."
                )
        for pair in self.pairs():
            if not {*pair, "".join(pair)} <= known:
                raise ConfigError(
                    f"BytePairsConfig.merges: {shown(' '.join(pair))} has or makes a token "
                    "that is not in the vocabulary."
                )

    def pairs(self) -> list[tuple[str, str]]:
        """Return the merges.

        Raises:
            ConfigError: A line is not a pair.
        """
        pairs = [tuple(line.split(" ")) for line in self.merges.split("\n") if line]
        for pair in pairs:
            if len(pair) != 2 or not all(pair):
                raise ConfigError(
                    f"BytePairsConfig.merges: {shown(' '.join(pair))} is not a pair of tokens "
                    "with a space between them."
                )
        return [(a, b) for a, b in pairs]

    def tokens(self) -> list[str]:
        """Return the tokens in the order of their ids."""
        if self.vocabulary:
            return self.vocabulary.split("\n")
        return implied(self.pairs(), self.start, self.end)


def implied(pairs: list[tuple[str, str]], start: str, end: str) -> list[str]:
    """Return the tokens of CLIP's merges, in the order of their ids."""
    ends = [byte + _END_OF_WORD for byte in BYTES]
    return [*BYTES, *ends, *map("".join, pairs), start, end]


def make_tokenizer(config: BytePairsConfig) -> Any:
    """Return transformers' `CLIPTokenizer`, built from the config on each call."""
    from tokenizers import AddedToken

    def special(token: str) -> Any:
        return AddedToken(token, normalized=token in config.lowered, special=True)

    failed = "The byte pairs do not form a tokenizer"
    with foreign_errors(ConfigError, failed, "Check merges and vocabulary."):
        return transformers().CLIPTokenizer(
            vocab={token: i for i, token in enumerate(config.tokens())},
            merges=config.pairs(),
            unk_token=special(config.unknown),
            bos_token=special(config.start),
            eos_token=special(config.end),
            pad_token=special(config.padding),
            model_max_length=config.max_length,
        )
