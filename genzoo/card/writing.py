"""Writing and updating cards: genzoo's blocks are replaced, text of people stays."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.card.contents import read_contents, render
from genzoo.card.figures import Figure, figures_of, task_of
from genzoo.card.front_matter import (
    describe,
    licence_of,
    name_of,
    new_card,
    read_card,
    save_card,
    set_licence,
    set_source,
    source_of,
)
from genzoo.card.managed_sections import refreshed, split
from genzoo.card.table import table
from genzoo.evaluation import Evaluation
from genzoo.text_safety import visible

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

_AROUND = re.compile(
    r"<!-- (?:figures, written by genzoo|end of figures) -->|## Figures|```(?:bash)?|"
    r"Each figure can be verified from its provenance:|genzoo evaluate \S+ --verify"
)


def write_card(
    folder: Path, *, name: str | None = None, source: str | None = None, license: str | None = None
) -> None:
    """Write or update the card of a model folder.

    It is made from the config, the weights' headers, ``recipe.toml``, ``samples.png`` and the
    figures in the card. genzoo writes between marks and replaces that text. Text of people is
    kept, and a block that somebody removed is not added again.

    Arguments:
        folder: The model folder.
        name: The title of the model; None keeps that of the card, or else uses the name of the
            folder.
        source: The source of the model, such as a repository; None keeps that of the card, or else
            uses the folder's name.
        license: The licence, such as "mit"; None keeps that of the card.

    Raises:
        LoadError: The card, the config or the weights are refused.
        UnknownNameError: No installed plugin registers the model.
        ConfigError: ``license`` does not have the form of a licence's short name.
        DiskFullError: No space is left; the card is unchanged.
    """
    folder = Path(folder)
    existing = read_card(folder)
    card = existing or new_card()
    if license is not None:
        set_licence(card.data, license)
    if source is not None:
        set_source(card.data, source)
    name = name or name_of(card.data) or folder.resolve().name
    _write(folder, card, name, task=None, is_new=existing is None)


def write_figures(
    folder: Path, evaluation: Evaluation, *, name: str, conditions: Sequence[str] = ()
) -> None:
    """Write the figures of an evaluation into a folder's card, as a table and as model index.

    Figures that answer the same question are replaced, and the card is updated as by `write_card`.

    Arguments:
        folder: The model folder.
        evaluation: The figures.
        name: The title of the model, if the card has none.
        conditions: The names of the model's conditions, which determine the Hub's name of its
            task.

    Raises:
        LoadError: The existing card cannot be read.
        DiskFullError: No space is left; the card is unchanged.
    """
    folder = Path(folder)
    existing = read_card(folder)
    card = existing or new_card()
    data: Any = card.data
    new, task = figures_of(evaluation), task_of(conditions)
    old = [(Figure.from_result(result), result) for result in data.eval_results or []]
    kept = [result for figure, result in old if not any(map(figure.same_question, new))]
    data.eval_results = [*kept, *(figure.to_result(task) for figure in new)]
    _write(folder, card, name_of(data) or name, task=task, is_new=existing is None)


def read_figures(folder: Path) -> list[Figure]:
    """Return the figures in a folder's card; none if there is no card.

    Raises:
        LoadError: The card cannot be read.
    """
    return _figures(read_card(Path(folder)))


def shows_its_figures(folder: Path) -> bool:
    """Whether the block of figures in a card agrees with its head.

    Figures are read from the card's head, but people read the block, and somebody may change one
    of them. A card without such a block shows no figures of genzoo.

    Raises:
        LoadError: The card cannot be read.
    """
    card = read_card(Path(folder))
    blocks = [piece.text for piece in split(card.text if card else "") if piece.block == "figures"]
    written = [line for line in str(table(_figures(card))).splitlines() if line.strip()]
    said = [
        [line for line in block.splitlines() if line.strip() and not _AROUND.fullmatch(line)]
        for block in blocks
    ]
    return all(lines == written for lines in said)


def has_figures_block(folder: Path) -> bool:
    """Whether a card has a block of figures by genzoo.

    Raises:
        LoadError: The card cannot be read.
    """
    card = read_card(Path(folder))
    return any(piece.block == "figures" for piece in split(card.text if card else ""))


def read_licence(folder: Path) -> str:
    """Return the licence that a folder's card states; empty if it states none.

    Raises:
        LoadError: The card cannot be read.
    """
    return licence_of(read_card(Path(folder)))


def _write(folder: Path, card: ModelCard, name: str, *, task: str | None, is_new: bool) -> None:
    """Write the updated card; ``task`` is the Hub's name of the task if no config has one."""
    name = visible(name)
    contents = read_contents(
        folder,
        name=name,
        source=source_of(card.data) or visible(folder.resolve().name),
        figures=_figures(card),
        licence=licence_of(card),
    )
    about, training = contents.about, contents.training
    if about:  # The Hub has no name of a task for models that do not make images.
        task = task_of(about.conditions) if about.is_image else None
    repositories = [data.repository for data in training.data] if training else []
    describe(
        card.data,
        name=contents.name,
        tags=[about.name] if about else [],
        task=task,
        datasets=list(dict.fromkeys(filter(None, repositories))),
    )
    text, needed = render(contents), ["figures"] if contents.figures else []
    card.text = text if is_new else refreshed(card.text, text, needed=needed)
    save_card(folder, card)


def _figures(card: ModelCard | None) -> list[Figure]:
    data: Any = card.data if card else None
    return [Figure.from_result(result) for result in (data and data.eval_results) or []]
