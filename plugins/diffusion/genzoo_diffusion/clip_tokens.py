"""The files of CLIP's tokenizer as a `BytePairsConfig`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genzoo.plugin import ConfigFileError, shown
from genzoo_diffusion.byte_pairs import implied

_SPECIAL = {
    "start": ("bos_token", "<|startoftext|>"),
    "end": ("eos_token", "<|endoftext|>"),
    "unknown": ("unk_token", "<|endoftext|>"),
    "padding": ("pad_token", "<|endoftext|>"),
}


@dataclass(frozen=True)
class Pieces:
    """The contents of the files of a tokenizer.

    Arguments:
        vocabulary: The tokens in the order of their ids.
        merges: The pairs of tokens that become one, with a space between them.
        added: The entries of the special tokens.
    """

    vocabulary: list[str]
    merges: list[str]
    added: Sequence[Any] = ()


def fields_of(settings: Mapping[str, Any], pieces: Pieces, where: str) -> dict[str, Any]:
    """Return the fields of a `BytePairsConfig`.

    Arguments:
        settings: The contents of tokenizer_config.json.
        pieces: The contents of the other files.
        where: The name of the settings in errors.

    Raises:
        ConfigFileError: A special token is malformed or not supported.
    """
    special = {name: _token(settings, *known, where) for name, known in _SPECIAL.items()}
    tokens: dict[str, Any] = {name: token["content"] for name, token in special.items()}
    own = implied([_pair(merge) for merge in pieces.merges], tokens["start"], tokens["end"])
    listed = [*special.values(), *(_noted(settings, where) or pieces.added)]
    return {
        **tokens,
        "merges": "\n".join(pieces.merges),
        "vocabulary": "" if pieces.vocabulary == own else "\n".join(pieces.vocabulary),
        "lowered": _lowered(listed, tokens),
        "max_length": settings.get("model_max_length"),
    }


def pieces_in(whole: Mapping[str, Any], where: str) -> Pieces:
    """Return the contents of a tokenizer.json.

    transformers' class uses nothing else of it.

    Raises:
        ConfigFileError: It does not have byte pairs.
    """
    model = whole.get("model")
    if not isinstance(model, Mapping) or model.get("type", "BPE") != "BPE":
        raise ConfigFileError(f"{where} has no byte pairs, got {shown(model)}.")
    merges = model.get("merges")
    if not isinstance(merges, list):
        raise ConfigFileError(f"{where}: merges must be a list, got {shown(merges)}.")
    pairs = [" ".join(m) if _is_pair(m) else m for m in merges]
    added = whole.get("added_tokens") or []
    if not all(isinstance(pair, str) for pair in pairs) or not isinstance(added, list):
        raise ConfigFileError(
            f"{where}: a merge is not a pair of tokens, or added_tokens not a list."
        )
    return Pieces(by_id(where, model.get("vocab")), pairs, added)


def by_id(where: str, vocabulary: Any) -> list[str]:
    """Return tokens in the order of their ids, which must be complete.

    Raises:
        ConfigFileError: An id is missing or occurs twice.
    """
    if not isinstance(vocabulary, Mapping) or not all(type(i) is int for i in vocabulary.values()):
        raise ConfigFileError(f"{where}: the vocabulary must give each token a number.")
    ordered = sorted(vocabulary, key=lambda token: vocabulary[token])
    if [vocabulary[token] for token in ordered] != list(range(len(ordered))):
        raise ConfigFileError(
            f"{where}: the ids of its {len(ordered)} tokens are not consecutive from 0, each once."
        )
    return ordered


def _token(settings: Mapping[str, Any], name: str, default: str, where: str) -> Mapping[str, Any]:
    value = settings.get(name, default)
    token = {"content": value} if isinstance(value, str) else value
    if not isinstance(token, Mapping) or not isinstance(token.get("content"), str):
        raise ConfigFileError(f"{where}: {name} cannot be {shown(value)}.")
    return token


def _noted(settings: Mapping[str, Any], where: str) -> list[Any]:
    """Return the special tokens that some versions of transformers store in the settings too."""
    listed = settings.get("added_tokens_decoder") or {}
    if not isinstance(listed, Mapping):
        raise ConfigFileError(f"{where}: added_tokens_decoder cannot be {shown(listed)}.")
    return list(listed.values())


def _lowered(listed: list[Any], tokens: Mapping[str, str]) -> list[str]:
    """Return the special tokens that are recognised in text in lower case.

    If one is listed twice, transformers uses the last entry.
    """
    flags: dict[str, bool] = {}
    for token in listed:
        content = token.get("content") if isinstance(token, Mapping) else None
        if not isinstance(content, str) or content not in tokens.values():
            raise ConfigFileError(
                f"The tokenizer has an additional token, which is not supported: {shown(token)}."
            )
        if any(token.get(name) for name in ("lstrip", "rstrip", "single_word")):
            raise ConfigFileError(
                f"The token {shown(content)} matches more than itself, which is not supported."
            )
        flags[content] = bool(token.get("normalized"))
    return sorted(content for content, flag in flags.items() if flag)


def _is_pair(merge: Any) -> bool:
    return isinstance(merge, list) and len(merge) == 2 and all(isinstance(m, str) for m in merge)


def _pair(merge: str) -> tuple[str, str]:
    first, _, second = merge.partition(" ")
    return first, second
