"""genzoo ema."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from genzoo.cli.arguments import EmaArguments, Peeked
from genzoo.cli.data import data_of, peeked_data, sections_of
from genzoo.cli.evaluate import metric_sections, metrics_of
from genzoo.cli.fields import extended
from genzoo.cli.folders import own_folder
from genzoo.cli.sample import sampler_of, sampler_section
from genzoo.cli.texts import command_line, write
from genzoo.errors import ConfigError
from genzoo.evaluation import evaluate
from genzoo.post_hoc import (
    PostHocAverage,
    averaged_model,
    check_output,
    default_output,
    find_average,
    save_average,
    store_figures,
)
from genzoo.training.power_functions import LENGTHS, check_lengths

_WHAT = "Snapshots are in the folder of a run"


def arguments_for(peeked: Peeked) -> type:
    """Return the arguments of ``ema`` with the fields of the named data, metrics and sampler."""
    own_folder(peeked.positional, _WHAT)  # Before a request for its recipe.
    sections = sections_of(peeked_data(peeked), peeked)
    if name := peeked.flags.get("sampler"):
        sections["sampler"] = sampler_section(name, peeked)
    return extended(EmaArguments, {**sections, **metric_sections(peeked)})


def run(arguments: Any) -> None:
    """Make the averages, and evaluate them or write their models."""
    folder = own_folder(arguments.folder, _WHAT)
    check_lengths(arguments.sigma_rel, "--sigma-rel")
    for sigma_rel in arguments.sigma_rel:
        LENGTHS.check(sigma_rel, "--sigma-rel")
    if arguments.output is not None:
        if len(arguments.sigma_rel) > 1:
            raise ConfigError(
                f"--output is the folder of one model, and {len(arguments.sigma_rel)} lengths are "
                "given. Give one length, or leave --output out."
            )
        check_output(folder, arguments.output, overwrite=arguments.overwrite)
    # All before the first: a length that is refused should not end a series of evaluations.
    averages = [
        find_average(folder, sigma_rel, step=arguments.step, stage=arguments.stage)
        for sigma_rel in arguments.sigma_rel
    ]
    if arguments.metrics:
        _evaluate(averages, arguments)
        return
    for average in averages:
        model = averaged_model(average)  # Before the line: a snapshot may be refused.
        write(str(average))
        _save(average, model, arguments.output)


def _evaluate(averages: Sequence[PostHocAverage], arguments: Any) -> None:
    """Evaluate each average, store its figures, and write its model if a folder is given."""
    data = data_of(SimpleNamespace(**vars(arguments), revision=None))
    metrics, sampler = metrics_of(arguments), sampler_of(arguments)
    for average in averages:
        model = averaged_model(average, arguments.device)
        result = evaluate(
            model,
            data,
            metrics,
            sampler=sampler,
            seed=arguments.seed,
            max_examples=arguments.max_examples,
        )
        write(str(average))
        for name, figure in result.figures.items():
            write(f"  {name}: {figure.short()}")
        path = store_figures(average, result)
        if arguments.output is not None:
            _save(average, model, arguments.output)
    write(
        f"The figures are stored in {path}. This plots them against the length: "
        f"{command_line('genzoo', 'report', arguments.folder)}"
    )


def _save(average: PostHocAverage, model: Any, output: Any) -> None:
    folder = default_output(average) if output is None else output
    save_average(average, model, folder)
    write(f"The averaged model is in {folder}.")
