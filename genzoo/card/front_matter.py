"""The card file: its YAML head, read and written by huggingface_hub, and its text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.errors import ConfigError, LoadError
from genzoo.files import check_inside, replace_text
from genzoo.model_files import CARD
from genzoo.parsing import check_yaml
from genzoo.text_safety import one_line, visible

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

LIBRARY = "genzoo"
_TAGS = (LIBRARY, "generative-model")
_LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")
_MAX_SHOWN = 200
_UNREADABLE = (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


def read_card(folder: Path) -> ModelCard | None:
    """Return a folder's card, or None.

    Raises:
        LoadError: It cannot be read, or is a link out of the folder.
    """
    from huggingface_hub import ModelCard
    from huggingface_hub.repocard import REGEX_YAML_BLOCK
    from yaml import YAMLError

    path = folder / CARD.name
    check_inside(path, folder)
    if not path.is_file():
        return None
    if path.stat().st_size > CARD.max_bytes:
        raise LoadError(f"{path} has over {CARD.max_bytes:,} bytes, too many for a card.")
    try:
        text = CARD.read_text(folder)
        head = re.search(REGEX_YAML_BLOCK, text)  # What the client reads as YAML.
        check_yaml(head[2] if head else "")
        card = ModelCard(text)
    except (*_UNREADABLE, YAMLError) as error:
        reason = " ".join(str(error).split())[:_MAX_SHOWN]
        raise LoadError(f"{path} cannot be read as a card: {reason}. Fix its head.") from error
    _check_index(card, path)
    return card


def _check_index(card: ModelCard, path: Path) -> None:
    """Raise if an entry of the model index describes its data by anything but texts.

    The client groups entries by these, and cannot write a card whose entries it cannot group.
    """
    for result in getattr(card.data, "eval_results", None) or []:
        try:
            hash(result.unique_identifier)
        except TypeError as error:
            raise LoadError(
                f"{path} cannot be read as a card: its model index has a table or a list where a "
                f"text is needed, in the data of {result.metric_name or result.metric_type}. "
                "Write it as a text, such as config: '{\"limit\": 10}'."
            ) from error


def new_card() -> ModelCard:
    """Return an empty card."""
    from huggingface_hub import ModelCard

    return ModelCard(f"---\nlibrary_name: {LIBRARY}\n---\n")


def save_card(folder: Path, card: ModelCard) -> None:
    """Write a folder's card.

    Raises:
        DiskFullError: No space is left; the card is unchanged.
    """
    replace_text(folder / CARD.name, str(card))


def describe(
    data: Any, *, name: str, tags: Iterable[str], task: str | None, datasets: list[str]
) -> None:
    """Add to a card's head what a Hub lists models by; existing values stay.

    Arguments:
        data: The head.
        name: The title of the model, which replaces the existing one.
        tags: Tags that are added.
        task: The Hub's name of the model's task.
        datasets: The repositories of its data.
    """
    data.library_name = data.library_name or LIBRARY
    data.model_name = name
    data.pipeline_tag = data.pipeline_tag or task
    own = [data.tags] if isinstance(data.tags, str) else map(str, data.tags or ())
    data.tags = list(dict.fromkeys([*own, *_TAGS, *tags]))
    data.datasets = data.datasets or datasets or None
    data.eval_results = data.eval_results or None  # An empty list would make an invalid index.


def licence_of(card: ModelCard | None) -> str:
    """Return the licence that a card states, on one line; empty if it states none."""
    data: Any = card and card.data
    licence = getattr(data, "license", None)
    return one_line(licence)[:_MAX_SHOWN] if isinstance(licence, str) else ""


def set_licence(data: Any, licence: str) -> None:
    """Set the licence.

    Raises:
        ConfigError: It does not have the form of a licence's short name.
    """
    if not _LICENCE.fullmatch(licence):
        raise ConfigError(
            f"{licence!r} is not a short name of a licence: give one such as apache-2.0, mit, "
            "cc-by-4.0 or other."
        )
    data.license = licence.lower()


def source_of(data: Any) -> str:
    """Return the model's source that a head states; empty if it states none."""
    own = data.get(LIBRARY)
    source = own.get("source") if isinstance(own, dict) else None
    return source if isinstance(source, str) and len(source) <= _MAX_SHOWN else ""


def set_source(data: Any, source: str) -> None:
    """Store the model's source in the head, for the next time the card is written."""
    own = data.get(LIBRARY)
    data[LIBRARY] = {**(own if isinstance(own, dict) else {}), "source": visible(source)}


def name_of(data: Any) -> str:
    """Return the head's title of the model; empty if there is none."""
    return data.model_name if isinstance(data.model_name, str) else ""
