"""genzoo evaluate."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

from genzoo import registry
from genzoo.card import has_figures_block, read_figures, shows_its_figures, write_figures
from genzoo.cli.arguments import EvaluateArguments, Peeked
from genzoo.cli.components import Place, resolved
from genzoo.cli.data import data_of, peeked_data, sections_of
from genzoo.cli.fields import changed, extended, section
from genzoo.cli.folders import folder_of, model_of, own_folder
from genzoo.cli.sample import sampler_of, sampler_section
from genzoo.cli.shared_work import say_on_main, shared
from genzoo.cli.texts import command_line, write
from genzoo.component import Component
from genzoo.config import Config
from genzoo.errors import ConfigError, GenzooError, VerificationError
from genzoo.evaluation import Evaluation, evaluate
from genzoo.evaluation.verifying import verify
from genzoo.files import replace_text
from genzoo.hub import names_repository
from genzoo.model import Model
from genzoo.model_files import CARD
from genzoo.process_group import main_first, on_main
from genzoo.text_safety import one_line

logger = logging.getLogger("genzoo")


def arguments_for(peeked: Peeked) -> type:
    """Return the arguments of ``evaluate`` with the fields of the named classes."""
    sections = sections_of(peeked_data(peeked), peeked)
    if name := peeked.flags.get("sampler"):
        sections["sampler"] = sampler_section(name, peeked)
    return extended(EvaluateArguments, {**sections, **metric_sections(peeked)})


def metric_sections(peeked: Peeked) -> dict[str, Config]:
    """Return the sections of flags of the named metrics."""
    places = {name: Place(_field(name), peeked.named) for name in peeked.metrics}
    return {
        place.prefix: section(registry.load("metrics", name).Config, place=place)
        for name, place in places.items()
    }


def run(arguments: Any) -> None:
    """Evaluate the model and print its figures."""
    if arguments.card:
        own_folder(arguments.folder, "--card writes into the folder")
    with shared(arguments.device):
        _run(arguments)


def _run(arguments: Any) -> None:
    model = main_first(lambda: model_of(arguments.folder, arguments.revision, arguments.device))
    if arguments.verify:
        _verify(model, arguments)
        return
    result = evaluate(
        model,
        main_first(lambda: data_of(arguments)),
        metrics_of(arguments) or None,
        sampler=sampler_of(arguments),
        seed=arguments.seed,
        max_examples=arguments.max_examples,
    )
    on_main(lambda: _report(arguments, model, result))


def _report(arguments: Any, model: Model, result: Evaluation) -> None:
    """Print the figures, and write them to where they belong."""
    write(result)
    if arguments.json is not None:
        text = json.dumps(result.to_dict(), indent=2, allow_nan=False)
        replace_text(arguments.json, f"{text}\n")
    if arguments.store and not names_repository(arguments.folder):
        _store(result, Path(arguments.folder), arguments.json)
    if arguments.card:
        folder = Path(arguments.folder)
        name, conditions = folder.resolve().name, tuple(model.conditions)
        write_figures(folder, result, name=name, conditions=conditions)
        write(f"The figures are in {folder / CARD.name}.")


def _store(result: Evaluation, folder: Path, json_file: Path | None) -> None:
    """Store the figures in the folder, unless ``--json`` has written them there."""
    if json_file is not None and json_file.resolve().parent == folder.resolve():
        return
    try:
        write(f"The figures are stored in {result.save(folder)}.")
    except GenzooError as error:
        logger.warning("The figures are not stored, only shown: %s", error)


_FAILED = {"differs": "differ", "cannot be verified": "cannot be verified"}


def _verify(model: Model, arguments: Any) -> None:
    """Compute the card's figures again, and print for each whether it is correct.

    Raises:
        ConfigError: Metrics, data or a sampler were given as well, or the card has no figures.
        VerificationError: A figure is wrong or cannot be verified, or the card's table shows other
            figures than its head.
    """
    named = (arguments.data_name, arguments.data_y_name, arguments.sampler_name)
    if arguments.metrics or any(named):
        raise ConfigError(
            "--verify takes metrics, data and samplers from the card: leave them out."
        )
    if arguments.card or arguments.json is not None:
        raise ConfigError("--verify writes nothing: leave --card and --json out.")
    folder = folder_of(arguments.folder, arguments.revision)
    figures = read_figures(folder)
    if not figures:
        raise ConfigError(
            f"{arguments.folder!r} has no card with figures. Make one: "
            f"{command_line('genzoo', 'evaluate', arguments.folder, '--card')}"
        )
    verdicts = verify(model, figures)
    for verdict in verdicts:
        say_on_main(one_line(verdict))
    counts = Counter(verdict.judgement for verdict in verdicts if not verdict.holds)
    wrong = [f"{num} of {len(verdicts)} figures {_FAILED[name]}" for name, num in counts.items()]
    if not has_figures_block(folder):
        say_on_main("The card's text has no block of figures: only its head was checked.")
    if not shows_its_figures(folder):
        wrong.append("the table shows other figures than the head, from which they are read")
    if wrong:
        raise VerificationError(f"The card does not hold: {'; '.join(wrong)}.")


def metrics_of(arguments: Any) -> list[Component]:
    """Return the named metrics with the values of their flags."""
    found = []
    for name in arguments.metrics:
        config = registry.load("metrics", name).Config
        values = resolved(config, {}, changed(getattr(arguments, _field(name))))
        found.append(Component(name=name, config=values))
    return found


def _field(metric: str) -> str:
    """Return the name of the section of a metric's flags."""
    return metric.replace("-", "_")
