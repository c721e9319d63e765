"""The files of a tokenizer, read as data with limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genzoo.plugin import ConfigFileError, parse_object, read_file, shown

WHOLE, SETTINGS = "tokenizer.json", "tokenizer_config.json"
_TOKEN = {
    "content": str,
    "lstrip": bool,
    "normalized": bool,
    "rstrip": bool,
    "single_word": bool,
    "special": bool,
}
_MARK = ("__type", "AddedToken")
_MOST_ADDED, _LONGEST = 2_000, 256
_MOST_SCORE = 1e6


@dataclass(frozen=True)
class Room:
    """The limits of a JSON file, whose parts take memory while it is parsed.

    Arguments:
        size: Its size in bytes.
        lists: The number of lists and objects.
        commas: The number of commas.
    """

    size: int
    lists: int
    commas: int

    @classmethod
    def of_tokens(cls, tokens: int) -> Room:
        """Return the limits of a tokenizer.json with some tokens, in any layout."""
        return cls(2**21 + 160 * tokens, 5_000 + 2 * tokens, 20_000 + 5 * tokens)

    def parsed(self, raw: bytes, where: str) -> dict[str, Any]:
        """Return the parsed object of a text, after counting its parts.

        Raises:
            ConfigFileError: It exceeds the limits, or is not a JSON object.
        """
        lists, commas = raw.count(b"[") + raw.count(b"{"), raw.count(b",")
        if len(raw) > self.size or lists > self.lists or commas > self.commas:
            raise ConfigFileError(
                f"{where} has more parts than a vocabulary of a text encoder: {len(raw):,} bytes, "
                f"{lists:,} lists and {commas:,} commas; {self.size:,}, {self.lists:,} and "
                f"{self.commas:,} are allowed."
            )
        return parse_object(raw, where)

    def read(self, path: Path) -> dict[str, Any]:
        """Return the object in a file of a folder.

        Raises:
            LoadError: It is missing, a link, too large, or malformed.
        """
        return self.parsed(read_file(path, self.size), path.name)


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token that is matched as a whole, before the rest of a text is tokenized.

    Arguments:
        content: Its text.
        flags: How it is matched, by the names of `tokenizers.AddedToken`; missing flags have the
            library's defaults.
    """

    content: str
    flags: Mapping[str, bool]

    @classmethod
    def of(cls, value: Any, where: str) -> Token:
        """Return the token of an entry of a file: its text, or an object.

        Raises:
            ConfigFileError: It is neither, or has unknown fields.
        """
        found = {"content": value} if isinstance(value, str) else value
        if isinstance(found, Mapping) and found.get(_MARK[0], _MARK[1]) == _MARK[1]:
            found = {k: v for k, v in found.items() if k != _MARK[0]}
            sound = all(k in _TOKEN and type(v) is _TOKEN[k] for k, v in found.items())
            if sound and 0 < len(found.get("content", "")) <= _LONGEST:
                flags = {k: bool(v) for k, v in found.items() if k != "content"}
                return cls(content=str(found["content"]), flags=flags)
        raise ConfigFileError(f"{where} cannot be {shown(value)}.")

    def made(self) -> Any:
        """Return it as an object of the library."""
        from tokenizers import AddedToken

        return AddedToken(self.content, **self.flags)


def added_tokens(
    settings: Mapping[str, Any], whole: Mapping[str, Any], tokens: int
) -> dict[int, Token]:
    """Return the tokens that are matched as a whole, by their ids.

    Arguments:
        settings: The contents of tokenizer_config.json; if it lists them, it has priority.
        whole: The contents of tokenizer.json.
        tokens: The size of the encoder's vocabulary.

    Raises:
        ConfigFileError: They are malformed, too many, or their ids exceed the encoder's
            vocabulary.
    """
    name = "added_tokens_decoder"
    if name in settings:
        listed, where = settings[name], f"{SETTINGS}: {name}"
        pairs = list(listed.items()) if isinstance(listed, Mapping) else None
    else:
        listed, where = whole.get("added_tokens", []), f"{WHOLE}: added_tokens"
        pairs = _by_their_ids(listed)
    if pairs is None or len(pairs) > _MOST_ADDED:
        raise ConfigFileError(f"{where} cannot be {shown(listed)}.")
    found = {_id(key, tokens, where): Token.of(value, where) for key, value in pairs}
    if len({token.content for token in found.values()}) < len(pairs):
        raise ConfigFileError(f"{where} lists a token twice.")
    return found


def _by_their_ids(listed: Any) -> list[tuple[Any, Any]] | None:
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        return None
    return [(one.get("id"), {k: v for k, v in one.items() if k != "id"}) for one in listed]


def _id(value: Any, tokens: int, where: str) -> int:
    """Return the id of a token, a number or its digits."""
    digits = value if isinstance(value, str) and value.isascii() and len(value) < 10 else ""
    number = int(digits) if digits.isdigit() else value
    if type(number) is not int or not 0 <= number < tokens:
        raise ConfigFileError(
            f"{where} has the id {shown(value)}; the encoder's weights are for {tokens:,} tokens."
        )
    return number


def model_of(whole: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return the part of a tokenizer.json with the tokens.

    Raises:
        ConfigFileError: It has another kind, or pads texts on the left.
    """
    model, padding = whole.get("model"), whole.get("padding")
    if not isinstance(model, Mapping) or model.get("type", kind) != kind:
        raise ConfigFileError(f"{WHOLE} has no {kind}, got {shown(model)}.")
    if padding is not None and _direction(padding) != "Right":
        raise ConfigFileError(f"{WHOLE} pads texts by {shown(padding)}; Right is supported.")
    return model


def _direction(padding: Any) -> Any:
    return padding.get("direction", "Right") if isinstance(padding, Mapping) else None


def numbered(vocabulary: Any, tokens: int, where: str) -> dict[str, int]:
    """Return a vocabulary that maps tokens to ids.

    Raises:
        ConfigFileError: It is malformed, an id occurs twice, or an id exceeds the encoder's
            vocabulary.
    """
    if not isinstance(vocabulary, dict) or not vocabulary:
        raise ConfigFileError(f"{where}: the vocabulary cannot be {shown(vocabulary)}.")
    for token, number in vocabulary.items():
        if not token or type(number) is not int or not 0 <= number < tokens:
            raise ConfigFileError(
                f"{where}: {shown(token)} has the id {shown(number)}; the encoder's weights are "
                f"for {tokens:,} tokens."
            )
    if len(set(vocabulary.values())) < len(vocabulary):
        raise ConfigFileError(f"{where}: two tokens have the same id.")
    return vocabulary


def scored(vocabulary: Any, tokens: int, where: str) -> list[tuple[str, float]]:
    """Return a vocabulary of pieces with their scores, in the order of their ids.

    Raises:
        ConfigFileError: It is malformed, has a piece twice, or has more pieces than the encoder's
            vocabulary.
    """
    if not isinstance(vocabulary, list) or not 2 < len(vocabulary) <= tokens:
        raise ConfigFileError(
            f"{where}: the vocabulary cannot be {shown(vocabulary)}; 3 to {tokens:,} pieces are "
            "allowed."
        )
    for pair in vocabulary:
        if not (isinstance(pair, list) and len(pair) == 2 and _is_scored(*pair)):
            raise ConfigFileError(f"{where}: {shown(pair)} is not a piece with a score.")
    if len({piece for piece, _ in vocabulary}) < len(vocabulary):
        raise ConfigFileError(f"{where}: a piece occurs twice.")
    return [(piece, float(score)) for piece, score in vocabulary]


def _is_scored(piece: Any, score: Any) -> bool:
    number = type(score) in (int, float) and math.isfinite(score) and abs(score) <= _MOST_SCORE
    return isinstance(piece, str) and bool(piece) and number
