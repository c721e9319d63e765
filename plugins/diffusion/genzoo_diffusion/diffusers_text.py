"""The text encoder and tokenizer of a pipeline of diffusers as a `StoredTextConfig`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genzoo.plugin import ConfigFileError, shown
from genzoo_diffusion.clip_tokens import Pieces, by_id, fields_of, pieces_in
from genzoo_diffusion.text_tokenizers import SETTINGS_OF
from genzoo_diffusion.token_files import Room

TEXT_ENCODER, TEXT_WEIGHTS = "text_encoder/config.json", "text_encoder/model.safetensors"
TOKENIZER = "tokenizer/tokenizer_config.json"
_WHOLE, _TOKENS, _MERGES = (
    "tokenizer/tokenizer.json",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
)
TOKENIZER_TEXTS = (_WHOLE, _TOKENS, _MERGES)
_ROOM = Room(size=2**22, lists=60_000, commas=180_000)
"""This limits memory to 46 MB; CLIP's tokenizer.json has 48,945 lists and 147,322 commas."""
_NOTES = {"architectures", "model_type", "transformers_version", "torch_dtype", "dtype"}
"""Fields of a config of transformers that are not arguments of its class."""
_UNUSED = {"dropout": 0.0, "gradient_checkpointing": False}
"""Fields of older configs, and the values at which they have no effect."""


def stored_text(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a `StoredTextConfig`.

    Arguments:
        found: The contents of the files by path.

    Raises:
        ConfigFileError: A file is missing, malformed, or its kind is not supported.
    """
    return {"clip": _clip(found[TEXT_ENCODER]), "tokenizer": _tokenizer(found)}


def _clip(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a CLIPTextConfig; the class defines which there are."""
    if config.get("model_type") != "clip_text_model":
        raise ConfigFileError(
            f"{TEXT_ENCODER} has the kind {shown(config.get('model_type'))}; clip_text_model "
            "is supported."
        )
    noted = {name for name, value in _UNUSED.items() if config.get(name) == value} | _NOTES
    return {k: v for k, v in config.items() if k not in noted and not k.startswith("_")}


def _tokenizer(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a `BytePairsConfig`; tokenizer.json has priority."""
    SETTINGS_OF["clip"].passed(found[TOKENIZER], TOKENIZER)
    whole = _WHOLE in found
    pieces = pieces_in(_parsed(_WHOLE, found), _WHOLE) if whole else _from_two(found)
    return fields_of(found[TOKENIZER], pieces, TOKENIZER)


def _from_two(found: Mapping[str, Any]) -> Pieces:
    """Return the contents of vocab.json and merges.txt."""
    for name in (_TOKENS, _MERGES):
        if name not in found:
            raise ConfigFileError(f"There is neither a {name} nor a {_WHOLE}. Save it again.")
    lines = found[_MERGES].split("\n")
    first = 1 if lines[0].startswith("#version") else 0
    vocabulary = by_id(_TOKENS, _parsed(_TOKENS, found))
    return Pieces(vocabulary, [line for line in lines[first:] if line])


def _parsed(path: str, found: Mapping[str, Any]) -> Mapping[str, Any]:
    return _ROOM.parsed(found[path].encode("utf-8"), path)
