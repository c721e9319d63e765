"""The text encoder of a pipeline of diffusers, and its tokenizer, as a config of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genzoo.config import shown
from genzoo.errors import ConfigFileError
from genzoo.files import strict_json
from genzoo_diffusion.byte_pairs import implied

TEXT_ENCODER, TEXT_WEIGHTS = "text_encoder/config.json", "text_encoder/model.safetensors"
TOKENIZER = "tokenizer/tokenizer_config.json"
_WHOLE, _TOKENS, _MERGES = (
    "tokenizer/tokenizer.json",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
)
TOKENIZER_TEXTS = (_WHOLE, _TOKENS, _MERGES)
_MOST_LISTS, _MOST_COMMAS = 60_000, 180_000
"""The most of them in a tokenizer's JSON, for 46 MB at most; CLIP's has 48,945 and 147,322."""
_NOTES = {"architectures", "model_type", "transformers_version", "torch_dtype", "dtype"}
"""What a config of transformers says beside what its class takes."""
_UNUSED = {"dropout": 0.0, "gradient_checkpointing": False}
"""What older ones say too, and the value at which it has no say."""
_SPECIAL = {
    "start": ("bos_token", "<|startoftext|>"),
    "end": ("eos_token", "<|endoftext|>"),
    "unknown": ("unk_token", "<|endoftext|>"),
    "padding": ("pad_token", "<|endoftext|>"),
}


def stored_text(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a `StoredTextConfig`.

    Arguments:
        found: What the files hold, by their paths.

    Raises:
        ConfigFileError: A file is missing, malformed, or of a kind that is not supported.
    """
    return {"clip": _clip(found[TEXT_ENCODER]), "tokenizer": _tokenizer(found)}


def _clip(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a CLIPTextConfig; the class itself says which it has."""
    if config.get("model_type") != "clip_text_model":
        raise ConfigFileError(
            f"{TEXT_ENCODER} is of the kind {shown(config.get('model_type'))}; clip_text_model "
            "is supported."
        )
    noted = {name for name, value in _UNUSED.items() if config.get(name) == value} | _NOTES
    return {k: v for k, v in config.items() if k not in noted and not k.startswith("_")}


def _tokenizer(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a `BytePairsConfig`: of tokenizer.json, which outranks the others."""
    settings = found[TOKENIZER]
    special = {name: _token(settings, *where) for name, where in _SPECIAL.items()}
    tokens: dict[str, Any] = {name: token["content"] for name, token in special.items()}
    if _WHOLE in found:
        vocabulary, merges, added = _from_whole(found[_WHOLE])
    else:
        (vocabulary, merges), added = _from_two(found), []
    own = implied([_pair(merge) for merge in merges], tokens["start"], tokens["end"])
    return {
        **tokens,
        "merges": "\n".join(merges),
        "vocabulary": "" if vocabulary == own else "\n".join(vocabulary),
        "lowered": _lowered([*special.values(), *(_noted(settings) or added)], tokens),
        "max_length": settings.get("model_max_length"),
    }


def _from_whole(text: str) -> tuple[list[str], list[str], list[Mapping[str, Any]]]:
    """Return the tokens, the merges and the special tokens that a tokenizer.json holds.

    transformers' class takes no more from it: the rest of what it does is its own.
    """
    whole = _parsed(_WHOLE, text)
    model = whole.get("model")
    if not isinstance(model, Mapping) or model.get("type", "BPE") != "BPE":
        raise ConfigFileError(f"{_WHOLE} holds no byte pairs, got {shown(model)}.")
    merges = model.get("merges")
    if not isinstance(merges, list):
        raise ConfigFileError(f"{_WHOLE}: merges must be a list, got {shown(merges)}.")
    pairs = [" ".join(m) if _is_pair(m) else m for m in merges]
    added = whole.get("added_tokens") or []
    if not all(isinstance(pair, str) for pair in pairs) or not isinstance(added, list):
        raise ConfigFileError(f"{_WHOLE}: a merge is no pair of tokens, or added_tokens no list.")
    return _by_id(_WHOLE, model.get("vocab")), pairs, added


def _from_two(found: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the tokens and the merges that vocab.json and merges.txt hold."""
    for name in (_TOKENS, _MERGES):
        if name not in found:
            raise ConfigFileError(f"There is neither a {name} nor a {_WHOLE}. Save it again.")
    lines = found[_MERGES].split("\n")
    first = 1 if lines[0].startswith("#version") else 0
    vocabulary = _by_id(_TOKENS, _parsed(_TOKENS, found[_TOKENS]))
    return vocabulary, [line for line in lines[first:] if line]


def _by_id(path: str, vocabulary: Any) -> list[str]:
    """Return tokens in the order of their ids, of which none may be missing."""
    if not isinstance(vocabulary, Mapping) or not all(type(i) is int for i in vocabulary.values()):
        raise ConfigFileError(f"{path}: the vocabulary must give each token a number.")
    ordered = sorted(vocabulary, key=lambda token: vocabulary[token])
    if [vocabulary[token] for token in ordered] != list(range(len(ordered))):
        raise ConfigFileError(
            f"{path}: the numbers of its {len(ordered)} tokens are not those from 0 on, each once."
        )
    return ordered


def _token(settings: Mapping[str, Any], name: str, default: str) -> Mapping[str, Any]:
    value = settings.get(name, default)
    token = {"content": value} if isinstance(value, str) else value
    if not isinstance(token, Mapping) or not isinstance(token.get("content"), str):
        raise ConfigFileError(f"{TOKENIZER}: {name} cannot be {shown(value)}.")
    return token


def _noted(settings: Mapping[str, Any]) -> list[Any]:
    """Return the special tokens that some versions of transformers list in the settings too."""
    listed = settings.get("added_tokens_decoder") or {}
    if not isinstance(listed, Mapping):
        raise ConfigFileError(f"{TOKENIZER}: added_tokens_decoder cannot be {shown(listed)}.")
    return list(listed.values())


def _lowered(listed: list[Any], tokens: Mapping[str, str]) -> list[str]:
    """Return the special tokens that are found in what is in lower case already.

    Where one is listed twice, transformers takes what is said last.
    """
    flags: dict[str, bool] = {}
    for token in listed:
        content = token.get("content") if isinstance(token, Mapping) else None
        if not isinstance(content, str) or content not in tokens.values():
            raise ConfigFileError(f"The tokenizer has a token of its own: {shown(token)}.")
        if any(token.get(name) for name in ("lstrip", "rstrip", "single_word")):
            raise ConfigFileError(f"The token {shown(content)} takes more than itself.")
        flags[content] = bool(token.get("normalized"))
    return sorted(content for content, flag in flags.items() if flag)


def _parsed(path: str, text: str) -> Mapping[str, Any]:
    """Parse JSON whose parts were counted first, because each takes memory."""
    lists, commas = text.count("[") + text.count("{"), text.count(",")
    if lists > _MOST_LISTS or commas > _MOST_COMMAS:
        raise ConfigFileError(f"{path} has more parts than a vocabulary of a text encoder.")
    try:
        found = strict_json(text)
    except (ValueError, RecursionError) as error:
        raise ConfigFileError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, Mapping):
        raise ConfigFileError(f"{path} must hold an object, got a {type(found).__name__}.")
    return found


def _is_pair(merge: Any) -> bool:
    return isinstance(merge, list) and len(merge) == 2 and all(isinstance(m, str) for m in merge)


def _pair(merge: str) -> tuple[str, str]:
    first, _, second = merge.partition(" ")
    return first, second
