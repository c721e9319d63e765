"""The card as a file: its YAML head, read and written by huggingface_hub, and its text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.errors import ConfigError, LoadError
from genzoo.files import atomic_file, check_inside, write_text
from genzoo.model_files import CARD
from genzoo.parsing import check_yaml
from genzoo.text_safety import visible

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

LIBRARY = "genzoo"
_TAGS = (LIBRARY, "generative-model")
_LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")
_MAX_SHOWN = 200
_UNREADABLE = (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


def read_card(folder: Path) -> ModelCard | None:
    """Return a folder's card; None where there is none.

    Raises:
        LoadError: It cannot be read, or is a link out of the folder.
    """
    from huggingface_hub import ModelCard
    from yaml import YAMLError

    path = folder / CARD.name
    check_inside(path, folder)
    if not path.is_file():
        return None
    if path.stat().st_size > CARD.max_bytes:
        raise LoadError(f"{path} has over {CARD.max_bytes:,} bytes, too many for a card.")
    try:
        text = CARD.read_text(folder)
        check_yaml(_head(text))
        card = ModelCard(text)
    except (*_UNREADABLE, YAMLError) as error:
        reason = " ".join(str(error).split())[:_MAX_SHOWN]
        raise LoadError(f"{path} cannot be read as a card: {reason}. Mend its head.") from error
    _check_index(card, path)
    return card


def _check_index(card: ModelCard, path: Path) -> None:
    """Raise where an entry of the model index names its data by anything but texts.

    The client groups entries by these, and fails to write a card whose entries it cannot group.
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


def _head(text: str) -> str:
    """Return what the client will read as YAML; empty where there is no head."""
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    match = re.search(REGEX_YAML_BLOCK, text)
    return match[2] if match else ""


def new_card() -> ModelCard:
    """Return a card that says nothing yet."""
    from huggingface_hub import ModelCard

    return ModelCard(f"---\nlibrary_name: {LIBRARY}\n---\n")


def save_card(folder: Path, card: ModelCard) -> None:
    """Write a folder's card.

    Raises:
        DiskFullError: There is no space left; the card is as it was.
    """
    with atomic_file(folder / CARD.name) as temporary:
        write_text(temporary, str(card))


def describe(
    card: ModelCard, *, name: str, tags: Iterable[str], task: str | None, datasets: list[str]
) -> None:
    """Put into a card's head what a Hub lists models by; what is there already stays.

    Arguments:
        card: The card.
        name: What the model is called, which goes over what is there.
        tags: Tags that are added.
        task: What a Hub calls the model's task.
        datasets: The repositories of its data.
    """
    data: Any = card.data
    data.library_name = data.library_name or LIBRARY
    data.model_name = name
    data.pipeline_tag = data.pipeline_tag or task
    data.tags = list(dict.fromkeys([*_list(data.tags), *_TAGS, *tags]))
    data.datasets = data.datasets or datasets or None
    data.eval_results = data.eval_results or None  # An empty list makes an index that is none.


def licence_of(card: ModelCard | None) -> str:
    """Return the licence that a card states, in one line; empty where it states none."""
    data: Any = card and card.data
    licence = getattr(data, "license", None)
    return visible(" ".join(licence.split()))[:_MAX_SHOWN] if isinstance(licence, str) else ""


def set_licence(card: ModelCard, licence: str) -> None:
    """State a licence.

    Raises:
        ConfigError: It has not the form of a licence's short name.
    """
    if not _LICENCE.fullmatch(licence):
        raise ConfigError(
            f"{licence!r} is no short name of a licence: give one such as apache-2.0, mit, "
            "cc-by-4.0 or other."
        )
    data: Any = card.data
    data.license = licence.lower()


def source_of(card: ModelCard) -> str:
    """Return where the card says that its model is loaded from; empty where it does not say."""
    data: Any = card.data
    own = data.get(LIBRARY)
    source = own.get("source") if isinstance(own, dict) else None
    return source if isinstance(source, str) and len(source) <= _MAX_SHOWN else ""


def set_source(card: ModelCard, source: str) -> None:
    """Say in the head where the model is loaded from, so that it is known when it is rewritten."""
    data: Any = card.data
    own = data.get(LIBRARY)
    data[LIBRARY] = {**(own if isinstance(own, dict) else {}), "source": visible(source)}


def name_of(card: ModelCard) -> str:
    """Return what the card calls its model; empty where it does not say."""
    data: Any = card.data
    return data.model_name if isinstance(data.model_name, str) else ""


def _list(values: Any) -> list[str]:
    if isinstance(values, str):
        return [values]
    return [str(value) for value in values or ()]
