"""README.md, read and written through huggingface_hub, so that a Hub reads what we wrote."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.card.figures import NOT_FINITE, Figure, figures_of, task_of
from genzoo.errors import LoadError
from genzoo.evaluation import Evaluation
from genzoo.evaluation.receipts import flat
from genzoo.files import atomic_file, write_text

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

CARD_FILE = "README.md"
MAX_CARD_BYTES = 4_000_000
_BEGIN, _END = "<!-- figures, written by genzoo evaluate -->", "<!-- end of figures -->"
_SECTION = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
_SOURCE = re.compile(r"GenModel\.from_pretrained\((?:FOLDER|\"[^\"\n]*\")\)")
_ELSEWHERE = ("data", "source", "split", "data_config")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~$])")


def write_figures(
    folder: Path, evaluation: Evaluation, *, name: str, condition_kind: str = "none"
) -> None:
    """Put an evaluation's figures into a folder's card, as a table and as its model index.

    Figures that answer the same question are replaced; all else in the card stays as it is. A
    card is made where there is none.

    Arguments:
        folder: The model folder.
        evaluation: The figures.
        name: What the model is called, where a card is made.
        condition_kind: The model's, from which a Hub's name of its task follows.

    Raises:
        LoadError: The card that is there cannot be read.
        DiskFullError: There is no space left; the card is as it was.
    """
    path = Path(folder, CARD_FILE)
    card = _read(path) if path.is_file() else _new(name, condition_kind)
    data: Any = card.data
    new, task = figures_of(evaluation), task_of(condition_kind)
    old = [(Figure.from_result(result), result) for result in data.eval_results or []]
    kept = [pair for pair in old if not any(map(pair[0].same_question, new))]
    figures = [*(figure for figure, _ in kept), *new]
    data.eval_results = [*(result for _, result in kept), *(f.to_result(task) for f in new)]
    data.model_name = data.model_name or name
    section = "\n".join([_BEGIN, "", "## Figures", "", *table(figures), "", _END])
    card.text = _with_section(card.text, section)
    with atomic_file(path) as temporary:
        write_text(temporary, str(card))


def write_card(
    folder: Path, *, name: str, source: str | None = None, license: str | None = None
) -> None:
    """Make a model folder's card, or bring up to date what it says of where the model is.

    What a person wrote in the card stays, and so do its figures.

    Arguments:
        folder: The model folder; its config names the model.
        name: What the model is called.
        source: What it is loaded from, a repository; None takes the folder's name.
        license: The licence, such as "mit"; None keeps what the card states.

    Raises:
        LoadError: The card or the config that is there cannot be read.
        DiskFullError: There is no space left; the card is as it was.
    """
    path = Path(folder, CARD_FILE)
    card = _read(path) if path.is_file() else _new(name, "none")
    data: Any = card.data
    data.library_name = "genzoo"
    if license is not None:
        data.license = license
    card.text = _with_source(card.text, source or Path(folder).resolve().name)
    with atomic_file(path) as temporary:
        write_text(temporary, str(card))


def read_licence(folder: Path) -> str:
    """Return the licence that a folder's card states; empty where it states none.

    Raises:
        LoadError: The card cannot be read.
    """
    path = Path(folder, CARD_FILE)
    data: Any = _read(path).data if path.is_file() else None
    found = getattr(data, "license", None)
    return found if isinstance(found, str) else ""


def read_figures(folder: Path) -> list[Figure]:
    """Return the figures in a folder's card; none where there is no card.

    Raises:
        LoadError: The card cannot be read.
    """
    path = Path(folder, CARD_FILE)
    if not path.is_file():
        return []
    data: Any = _read(path).data
    return [Figure.from_result(result) for result in data.eval_results or []]


def table(figures: Sequence[Figure]) -> list[str]:
    """Return the lines of a Markdown table; what was typed by someone shows as text."""
    lines = ["| figure | value | kind | data | receipt |", "| --- | --- | --- | --- | --- |"]
    for figure in figures:
        facts, receipt = figure.facts, figure.receipt
        value = NOT_FINITE if figure.value is None else f"{figure.value:.6g}"
        error = facts.get("std_error")
        value += "" if error is None else f" ± {error:.2g}"
        cells = [
            figure.name,
            f"{value} {facts.get('unit', '')}".strip(),
            facts.get("kind", ""),
            receipt.get("data", ""),
            flat({key: value for key, value in receipt.items() if key not in _ELSEWHERE}),
        ]
        lines.append(f"| {' | '.join(escaped(cell) for cell in cells)} |")
    return lines


def escaped(text: Any) -> str:
    """Return text that Markdown shows as it is, in one line."""
    line = " ".join(str(text).split())
    return _MARKDOWN.sub(r"\\\1", html.escape(line, quote=False))


def _read(path: Path) -> ModelCard:
    from huggingface_hub import ModelCard
    from yaml import YAMLError

    if path.stat().st_size > MAX_CARD_BYTES:
        raise LoadError(f"{path} has over {MAX_CARD_BYTES:,} bytes, too many for a card.")
    try:
        return ModelCard(path.read_text("utf-8"))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, YAMLError) as error:
        raise LoadError(f"{path} cannot be read as a card: {error}. Mend its head.") from error


def _new(name: str, condition_kind: str) -> ModelCard:
    from huggingface_hub import ModelCard, ModelCardData

    data = ModelCardData(
        library_name="genzoo",
        model_name=name,
        pipeline_tag=task_of(condition_kind),
        tags=["genzoo", "generative-model"],
    )
    snippet = "from genzoo import GenModel\n\nmodel = GenModel.from_pretrained(FOLDER)"
    text = f"# {escaped(name)}\n\nLoad it with\n\n```python\n{snippet}\n```"
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}\n")


def _with_source(text: str, source: str) -> str:
    """Return the card's text with the place that its snippet loads the model from."""
    return _SOURCE.sub(lambda _: f'GenModel.from_pretrained("{source}")', text, count=1)


def _with_section(text: str, section: str) -> str:
    if _SECTION.search(text):
        return _SECTION.sub(lambda _: section, text, count=1)
    return f"{text.rstrip()}\n\n{section}\n"
