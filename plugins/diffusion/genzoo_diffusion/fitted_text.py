"""A small text encoder that is trained with the network, with the words of the captions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from genzoo.plugin import (
    Bounds,
    ConditionError,
    Config,
    ConfigError,
    Grammar,
    foreign_errors,
    words_of,
)
from genzoo_diffusion.dependencies import transformers
from genzoo_diffusion.text_encoders import Encoded, TextEncoder

PAD, START, END = "<pad>", "<start>", "<end>"
_SPECIAL = (PAD, START, END)
_MOST_SHOWN = 60
_LENGTH = 16


@dataclass(frozen=True, kw_only=True)
class FittedTextConfig(Config):
    """The config of a small CLIP text model with its own vocabulary.

    Raises:
        ConfigError: A word is malformed or occurs twice, or the width is not a multiple of the
            heads.
    """

    vocabulary: Annotated[tuple[Annotated[str, Bounds(1, 64)], ...], Bounds(0, 20_000)] = ()
    """The vocabulary, in lower case; the words of the data's captions by default."""
    max_length: Annotated[int | None, Bounds(3, 512)] = None
    """The maximum number of words of a text, plus two; that of the data by default, else 16."""
    width: Annotated[int, Bounds(1, 4096)] = 64
    """The size of a state."""
    num_layers: Annotated[int, Bounds(1, 64)] = 2
    """Transformer layers."""
    num_heads: Annotated[int, Bounds(1, 64)] = 4
    """Heads of attention."""

    def __post_init__(self) -> None:
        super().__post_init__()
        wrong = [word for word in self.vocabulary if words_of(word) != [word]]
        if wrong or len(set(self.vocabulary)) < len(self.vocabulary):
            raise ConfigError(
                "FittedTextConfig.vocabulary must have words in lower case, each once; got "
                f"{wrong[0]!r}."
                if wrong
                else "FittedTextConfig.vocabulary has a word twice."
            )
        if self.width % self.num_heads:
            raise ConfigError(
                f"FittedTextConfig: {self.num_heads} heads do not divide the width {self.width}. "
                "Give a multiple."
            )
        if self.vocabulary and self.max_length is None:  # The stored config names it.
            object.__setattr__(self, "max_length", _LENGTH)

    @classmethod
    def for_captions(cls, templates: Iterable[str], **values: Any) -> FittedTextConfig:
        """Return a config with the words and length of a grammar's captions, unless given."""
        grammar = Grammar(templates)
        fitted = {"vocabulary": grammar.words(), "max_length": grammar.most_words() + 2}
        given = {name: value for name, value in values.items() if value not in (None, (), [])}
        return cls.from_dict({**fitted, **given})


class FittedTextEncoder(TextEncoder):
    """A small `CLIPTextModel` of transformers, with a token for each word of its vocabulary.

    A text becomes <start>, its words, <end> and <pad> up to the maximum length; unknown words are
    left out. As in Stable Diffusion a denoiser attends to all states, including those of the
    padding, which have seen the whole text.

    | Learning Transferable Visual Models From Natural Language Supervision (Radford et al., 2021)

    Arguments:
        config: Words and sizes.

    Attributes:
        clip: The transformers model.

    Raises:
        ConfigError: A library refuses the sizes or the words.
    """

    def __init__(self, config: FittedTextConfig) -> None:
        super().__init__()
        self.config, self.max_length = config, config.max_length or _LENGTH
        failed = "FittedTextConfig does not define an encoder"
        with foreign_errors(ConfigError, failed, "Check its sizes and words."):
            self.clip = _make_clip(config, self.max_length)
            self.tokenizer = make_tokenizer(config)

    @property
    def width(self) -> int:
        """D, the size of a state."""
        return int(self.config.width)

    def forward(self, texts: Sequence[str], device: torch.device) -> Encoded:
        """Return the states of B texts, (B, max_length, width).

        Raises:
            ConditionError: A text that is not empty has no known word, or too many.
        """
        out = self.clip(input_ids=self.token_ids(texts).to(device))
        return Encoded(out.last_hidden_state)

    def token_ids(self, texts: Sequence[str]) -> Tensor:
        """Return the tokens of B texts, (B, max_length), int64.

        Raises:
            ConditionError: A text that is not empty has no known word, or too many.
        """
        found = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        for text, ids in zip(texts, found, strict=True):
            self._check(text, len(ids))
        room = self.max_length
        return torch.tensor([ids + [_SPECIAL.index(PAD)] * (room - len(ids)) for ids in found])

    def _check(self, text: str, length: int) -> None:
        if length == 2 and text.strip():
            words = self.config.vocabulary
            more = f" and {len(words) - _MOST_SHOWN} more" if len(words) > _MOST_SHOWN else ""
            raise ConditionError(
                f"The text {text!r} has no word that this model knows. It knows: "
                f"{', '.join(words[:_MOST_SHOWN])}{more}."
            )
        if length > self.max_length:
            raise ConditionError(
                f"The text {text!r} has {length - 2} words that this model knows; the maximum is "
                f"most {self.max_length - 2}. Shorten it."
            )


def _make_clip(config: FittedTextConfig, max_length: int) -> Any:
    """Return the `CLIPTextModel` of a config."""
    library = transformers()
    return library.CLIPTextModel(
        library.CLIPTextConfig(
            vocab_size=len(_SPECIAL) + len(config.vocabulary),
            hidden_size=config.width,
            intermediate_size=4 * config.width,
            projection_dim=config.width,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            max_position_embeddings=max_length,
            pad_token_id=_SPECIAL.index(PAD),
            bos_token_id=_SPECIAL.index(START),
            eos_token_id=_SPECIAL.index(END),
        )
    )


def make_tokenizer(config: FittedTextConfig) -> Any:
    """Return the `tokenizers.Tokenizer` of a vocabulary, which ignores case and other words.

    It is built from the config on each call; it is not stored.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    ids = {word: i for i, word in enumerate((*_SPECIAL, *config.vocabulary))}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=PAD))
    tokenizer.normalizer = normalizers.Lowercase()
    # Only whole words of the vocabulary remain, so that nothing is unknown.
    tokenizer.pre_tokenizer = pre_tokenizers.Split(
        Regex(_whole_words(config.vocabulary)), behavior="removed", invert=True
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(name, ids[name]) for name in (START, END)]
    )
    return tokenizer


def _whole_words(words: Iterable[str]) -> str:
    longest_first = sorted(words, key=len, reverse=True)
    letter, joint = r"[^\W_]", "['’-]"
    before, after = f"(?<!{letter})(?<!{letter}{joint})", f"(?!{letter})(?!{joint}{letter})"
    return f"{before}(?:{'|'.join(map(re.escape, longest_first))}){after}"
