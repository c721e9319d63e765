"""Tokenizers of published text encoders: transformers' classes, built from checked values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from genzoo.plugin import AllowedFields, Bounds, ConfigFileError, ForeignFields, read_object, shown
from genzoo_diffusion import byte_pairs
from genzoo_diffusion.charsmaps import charsmap
from genzoo_diffusion.clip_tokens import fields_of, pieces_in
from genzoo_diffusion.dependencies import transformers
from genzoo_diffusion.text_kinds import Kind, NoFields
from genzoo_diffusion.token_files import (
    SETTINGS,
    WHOLE,
    Room,
    Token,
    added_tokens,
    model_of,
    numbered,
    scored,
)

_INERT: dict[str, tuple[Any, ...]] = {
    "add_prefix_space": (False, None),
    "do_basic_tokenize": (True,),
    "never_split": (None,),
    "padding_side": ("right",),
    "sp_model_kwargs": ({},),
    "split_special_tokens": (False,),
}
_WORDS = """
add_bos_token add_eos_token added_tokens_decoder additional_special_tokens backend bos_token
clean_up_tokenization_spaces cls_token eos_token errors extra_special_tokens is_local legacy
local_files_only mask_token max_length model_input_names model_max_length name_or_path
pad_to_multiple_of pad_token pad_token_type_id processor_class sep_token
special_tokens_map_file stride tokenizer_class tokenizer_file truncation_side
truncation_strategy unk_token vocab_file
"""
_IGNORED = frozenset(_WORDS.split())
"""Fields that are read separately, because they name tokens, and fields without effect."""


@dataclass(frozen=True, kw_only=True)
class T5Settings(ForeignFields):
    """What T5's tokenizer is given, in addition to its tokens."""

    extra_ids: Annotated[int, Bounds(0, 1000)] = 100


@dataclass(frozen=True, kw_only=True)
class BertSettings(ForeignFields):
    """What BERT's tokenizer is given, in addition to its tokens."""

    do_lower_case: bool = True
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True


SETTINGS_OF: Mapping[str, AllowedFields] = {
    "clip": AllowedFields(
        fields=NoFields, inert=_INERT | {"do_lower_case": (True,)}, ignored=_IGNORED
    ),
    "t5": AllowedFields(fields=T5Settings, inert=_INERT, ignored=_IGNORED),
    "bert": AllowedFields(fields=BertSettings, inert=_INERT, ignored=_IGNORED),
}
_NAMED = {
    "t5": {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"},
    "bert": {
        "unk_token": "[UNK]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
    },
}


@dataclass(frozen=True)
class Files:
    """The contents of the files of a tokenizer.

    Arguments:
        settings: tokenizer_config.json.
        whole: tokenizer.json.
        tokens: The size of the encoder's vocabulary, which limits the ids.
    """

    settings: Mapping[str, Any]
    whole: Mapping[str, Any]
    tokens: int

    @classmethod
    def read(cls, folder: Path, tokens: int) -> Files:
        """Read them.

        Raises:
            ConfigFileError: A file is missing, malformed, or too large for that many tokens.
        """
        settings = read_object(folder / SETTINGS)
        return cls(settings, Room.of_tokens(tokens).read(folder / WHOLE), tokens)


def make_tokenizer(kind: Kind, files: Files, max_length: int) -> Any:
    """Return a tokenizer.

    Arguments:
        kind: The kind of encoder.
        files: The contents of its files.
        max_length: The maximum number of tokens of a text.

    Raises:
        ConfigFileError: A field of a file is not allowed.
        Exception: The library refuses it.
    """
    passed = SETTINGS_OF[kind].passed(files.settings, SETTINGS)
    tokenizer = _MAKERS[kind](files, passed, max_length)
    _check_ids({i: str(t) for i, t in tokenizer.added_tokens_decoder.items()}, files)
    return tokenizer


def _check_ids(found: Mapping[int, str], files: Files) -> None:
    """Refuse tokens whose ids differ from the files or exceed the encoder's vocabulary.

    A token that is not in the vocabulary gets the next id, whatever the files say. The vocabulary
    itself has been checked when it was read.

    Raises:
        ConfigFileError: There is such a token.
    """
    listed = added_tokens(files.settings, files.whole, files.tokens)
    for number, token in [*found.items(), *((i, token.content) for i, token in listed.items())]:
        if number >= files.tokens or found.get(number) != token:
            raise ConfigFileError(
                f"{WHOLE}: the token {shown(token)} cannot have the id {number:,}. The encoder's "
                f"weights are for {files.tokens:,} tokens, each with its own id."
            )


def _clip(files: Files, passed: Mapping[str, Any], max_length: int) -> Any:
    model_of(files.whole, "BPE")
    fields = fields_of(files.settings, pieces_in(files.whole, WHOLE), SETTINGS)
    config = byte_pairs.BytePairsConfig.from_dict(fields | {"max_length": max_length})
    if len(config.tokens()) > files.tokens:
        raise ConfigFileError(
            f"{WHOLE} has {len(config.tokens()):,} tokens; the encoder's weights are for "
            f"{files.tokens:,}."
        )
    return byte_pairs.make_tokenizer(config)


def _t5(files: Files, passed: Mapping[str, Any], max_length: int) -> Any:
    model = model_of(files.whole, "Unigram")
    vocabulary = scored(model.get("vocab"), files.tokens, WHOLE)
    extra = [f"<extra_id_{i}>" for i in range(passed["extra_ids"])]
    characters = charsmap(files.whole)
    more = {} if characters is None else {"_spm_precompiled_charsmap": characters}
    return transformers().T5TokenizerFast(
        vocab=vocabulary, **more, **passed, **_tokens("t5", files, extra)
    )


def _bert(files: Files, passed: Mapping[str, Any], max_length: int) -> Any:
    model = model_of(files.whole, "WordPiece")
    vocabulary = numbered(model.get("vocab"), files.tokens, WHOLE)
    return transformers().BertTokenizerFast(vocab=vocabulary, **passed, **_tokens("bert", files))


_MAKERS: Mapping[str, Callable[[Files, Mapping[str, Any], int], Any]] = {
    "clip": _clip,
    "t5": _t5,
    "bert": _bert,
}


def _tokens(kind: str, files: Files, known: list[str] | None = None) -> dict[str, Any]:
    """Return the special tokens of a tokenizer by name, and the added tokens by id.

    Raises:
        ConfigFileError: They are malformed, or a named one is not listed.
    """
    added = added_tokens(files.settings, files.whole, files.tokens)
    listed = {token.content: token for token in added.values()}
    named = {}
    for name, default in _NAMED[kind].items():
        token = Token.of(files.settings.get(name, default), f"{SETTINGS}: {name}")
        named[name] = listed.get(token.content, token).made()
    for name in ("additional_special_tokens", "extra_special_tokens"):
        _check_listed(name, files.settings.get(name), {*listed, *(known or ())})
    return {**named, "added_tokens_decoder": {i: token.made() for i, token in added.items()}}


def _check_listed(name: str, given: Any, known: set[str]) -> None:
    if given is not None and not isinstance(given, list):
        raise ConfigFileError(f"{SETTINGS}: {name} cannot be {shown(given)}.")
    for value in given or []:
        token = Token.of(value, f"{SETTINGS}: {name}")
        if token.content not in known:
            raise ConfigFileError(
                f"{SETTINGS}: {name} has {shown(token.content)}, which is not an added token."
            )
