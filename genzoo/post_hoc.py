"""Post-hoc averages: the weights of a run, averaged with another length after training.

An average by one power function of the update number is nearly a sum of averages by others, of
which the run has kept snapshots (`genzoo.training.power_functions` has the mathematics). Karras
et al., "Analyzing and Improving the Training Dynamics of Diffusion Models" (2024), section 3.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from genzoo.card import write_card
from genzoo.card.training import averaging_comment
from genzoo.errors import ConfigError, DataError, LoadError, OutputExistsError
from genzoo.evaluation import Evaluation
from genzoo.evaluation.storing import protocol_in
from genzoo.files import check_no_link, read_text, remove, replace_text
from genzoo.model import Model
from genzoo.model_files import CONFIG, EMA, EMA_FIGURES, RECIPE, WEIGHTS
from genzoo.parsing import strict_json
from genzoo.pretrained import GenerativeModel, GenModel
from genzoo.saving import save_model
from genzoo.training.power_functions import LENGTHS, Profiles, gamma_of
from genzoo.training.snapshots import Snapshot, list_snapshots
from genzoo.weights import check_finite

MAX_RELATIVE_ERROR = 0.01
"""The relative error of a profile from which on an average is refused."""


@dataclass(frozen=True)
class PostHocAverage:
    """An average of a run's weights as a weighted sum of its snapshots.

    Arguments:
        run: The folder of the run.
        stage: The number of the stage.
        step: The update after which it is the average.
        sigma_rel: Its length.
        relative_error: The relative error of its profile, ‖target − Σ w_i p_i‖ / ‖target‖.
        snapshots: The snapshots.
        weights: The weight of each.
    """

    run: Path
    stage: int
    step: int
    sigma_rel: float
    relative_error: float
    snapshots: Sequence[Snapshot]
    weights: Sequence[float]

    def __str__(self) -> str:
        return (
            f"sigma_rel {self.sigma_rel:g} after update {self.step:,} of stage {self.stage}: "
            f"relative error {self.relative_error:.1e}, from {len(self.snapshots)} snapshots"
        )


def post_hoc_ema(
    run: str | os.PathLike[str],
    sigma_rel: float,
    *,
    step: int | None = None,
    stage: int | None = None,
    output_dir: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    device: torch.device | str = "cpu",
) -> GenerativeModel:
    """Return a run's model with weights that are averaged with any length, after training.

    The run must have kept snapshots: ``TrainerConfig(ema_sigma_rel=(0.05, 0.1))``. Parameters that
    the stage did not train are those of the folder.

    Arguments:
        run: The folder of a finished run.
        sigma_rel: The length: the standard deviation of the average's weights over the updates,
            divided by the number of updates.
        step: The update after which it is the average, one with snapshots; None for the last.
        stage: The number of the stage, from 0; None for the last.
        output_dir: A folder for the model, with its recipe and card; None writes nothing.
        overwrite: Whether a model in that folder may be replaced.
        device: The device of the model.

    Raises:
        ConfigError: No power function has this length, or it cannot be made of the snapshots to
            within `MAX_RELATIVE_ERROR`; or ``output_dir`` is the run's folder, or in it and not
            in its folder ``ema``.
        LoadError: There are no snapshots, or none at this step; or a snapshot is damaged, or is
            not the one that its name says.
        OutputExistsError: ``output_dir`` has a model, and ``overwrite`` is False.
    """
    average = find_average(run, sigma_rel, step=step, stage=stage)
    if output_dir is not None:
        check_output(run, output_dir, overwrite=overwrite)
    model = averaged_model(average, device)
    if output_dir is not None:
        save_average(average, model, output_dir)
    return model


def find_average(
    run: str | os.PathLike[str],
    sigma_rel: float,
    *,
    step: int | None = None,
    stage: int | None = None,
) -> PostHocAverage:
    """Return how an average is made of the snapshots of a run, without reading them.

    The arguments and errors are those of `post_hoc_ema`.
    """
    run, gamma = Path(run), gamma_of(sigma_rel)
    snapshots = _snapshots(run, stage)
    steps = sorted({one.step for one in snapshots})
    step = steps[-1] if step is None else step
    if step not in steps:
        raise LoadError(
            f"{str(run)!r} has no snapshot after update {step} of stage {snapshots[0].stage}. "
            f"Choose one of: {_listed(steps)}."
        )
    # Without later ones, the average stays the same when the run goes on.
    used = [one for one in snapshots if one.step <= step]
    profiles = _profiles(used)
    found = profiles.fit(float(step), gamma)
    if found.relative_error > MAX_RELATIVE_ERROR:
        raise ConfigError(_refusal(used, profiles, step, sigma_rel, found.relative_error))
    weights = found.weights.tolist()
    return PostHocAverage(run, used[0].stage, step, sigma_rel, found.relative_error, used, weights)


def averaged_model(average: PostHocAverage, device: torch.device | str = "cpu") -> GenerativeModel:
    """Return the model with the averaged weights; the errors are those of `post_hoc_ema`."""
    if not (average.run / CONFIG.name).exists():
        raise LoadError(
            f"{str(average.run)!r} has no model yet, which is written when the run ends. Resume "
            "it with genzoo train --resume."
        )
    model = GenModel.from_pretrained(average.run)
    parameters = dict(model.named_parameters())
    sums: dict[str, Tensor] = {}
    # All headers first: sums take long, and a file that is refused should be so at once.
    names = [_checked_names(snapshot, model) for snapshot in average.snapshots]
    # One snapshot at a time, and of it one tensor: all of them would not fit into memory.
    for i, snapshot in enumerate(average.snapshots):
        own = [name for name in names[i] if name in parameters]
        _add(sums, snapshot, average.weights[i], own)
    check_finite(sums, average.run)
    for name, tensor in sums.items():
        parameters[name].data = tensor.to(parameters[name].dtype)
    _copy_buffers(model, average, parameters)
    return model.to(device)


def check_output(
    run: str | os.PathLike[str], folder: str | os.PathLike[str], *, overwrite: bool
) -> None:
    """Check a folder that an average of a run is to be written into.

    Raises:
        ConfigError: It is the run's folder, or in it and not in its folder of averages.
        OutputExistsError: It has a run or a model that may not be replaced.
    """
    # Resolved, because a link or ".." may lead into the run.
    target, home = Path(folder).resolve(), Path(run).resolve()
    if target.is_relative_to(home) and home / EMA.name not in target.parents:
        raise ConfigError(
            f"The averaged model would be written into {os.fspath(folder)!r}, among the files of "
            f"the run {os.fspath(run)!r}: choose a folder outside the run, or one in "
            f"{str(Path(run) / EMA.name)!r}."
        )
    names = (CONFIG.name, WEIGHTS.name, RECIPE.name)
    if not overwrite and any((Path(folder) / name).exists() for name in names):
        raise OutputExistsError(
            f"{os.fspath(folder)!r} holds another run or model. Replace it (--overwrite), or "
            "choose another folder. In Python: post_hoc_ema(..., overwrite=True)."
        )


def default_output(average: PostHocAverage) -> Path:
    """Return the folder of an average in its run, emptied.

    Raises:
        LoadError: It is a link, or in one.
    """
    folder = average.run / EMA.name / repr(average.sigma_rel)
    check_no_link(average.run / EMA.name)
    check_no_link(folder)
    remove(folder)  # Its card and figures are those of other weights.
    return folder


def save_average(average: PostHocAverage, model: Model, folder: str | os.PathLike[str]) -> None:
    """Write an averaged model into a folder, with its recipe and a card that says how it was made.

    Raises:
        DiskFullError: No space is left.
    """
    folder = Path(folder)
    save_model(model, folder)
    recipe = average.run / RECIPE.name
    if recipe.exists():
        comment = averaging_comment(
            average.sigma_rel, average.stage, average.step, average.relative_error
        )
        replace_text(folder / RECIPE.name, f"{comment}\n{recipe.read_text('utf-8')}")
    write_card(folder, name=f"{average.run.resolve().name}-ema-{average.sigma_rel:g}")


def store_figures(average: PostHocAverage, evaluation: Evaluation) -> Path:
    """Store the figures of an average in the folder of its run, where the report plots them.

    Figures of the same average, data and settings are replaced.

    Returns:
        The path of the file.

    Raises:
        DataError: The file would be too large to be read again.
        DiskFullError: No space is left; the file is unchanged.
    """
    path = average.run / EMA_FIGURES.name
    names = ("stage", "step", "sigma_rel", "relative_error")
    values = {name: getattr(average, name) for name in names}
    entry = json.loads(json.dumps({**values, "evaluation": evaluation.to_dict()}, default=str))
    kept = [old for old in _stored(path) if not _is_replaced(old, entry)]
    text = json.dumps({"averages": [*kept, entry]}, indent=1, allow_nan=False) + "\n"
    if len(text.encode()) > EMA_FIGURES.max_bytes:
        raise DataError(
            f"{path} would have more than {EMA_FIGURES.max_bytes:,} bytes. Move it away, and "
            "evaluate again."
        )
    replace_text(path, text)
    return path


def _snapshots(run: Path, stage: int | None) -> list[Snapshot]:
    """Return the snapshots of a stage, by default of the last one that has some.

    Raises:
        LoadError: There are none, or there is no such folder.
    """
    if not run.is_dir():
        raise LoadError(
            f"There is no folder {str(run)!r}. Give the folder of genzoo train --output."
        )
    every = list_snapshots(run)
    stages = sorted({one.stage for one in every})
    if not every:
        raise LoadError(
            f"{str(run)!r} has no snapshots of averages. Train with --trainer.ema-sigma-rel 0.05 "
            "0.1, or in Python TrainerConfig(ema_sigma_rel=(0.05, 0.1))."
        )
    chosen = stages[-1] if stage is None else stage
    if chosen not in stages:
        raise LoadError(
            f"{str(run)!r} has no snapshots of stage {chosen}. Choose one of: {_listed(stages)}."
        )
    return [one for one in every if one.stage == chosen]


def _profiles(snapshots: Sequence[Snapshot]) -> Profiles:
    gammas = {one.sigma_rel: gamma_of(one.sigma_rel) for one in snapshots}
    steps = np.array([float(one.step) for one in snapshots])
    return Profiles(steps, np.array([gammas[one.sigma_rel] for one in snapshots]))


def _refusal(
    used: Sequence[Snapshot], profiles: Profiles, step: int, sigma_rel: float, error: float
) -> str:
    """Return why a length is refused, with the lengths that are possible."""
    low, high = LENGTHS.low, LENGTHS.high
    tried = [round(length, 3) for length in np.linspace(low, high, 271)]
    errors = {each: profiles.fit(float(step), gamma_of(each)).relative_error for each in tried}
    possible = [each for each, found in errors.items() if found <= MAX_RELATIVE_ERROR]
    kept = sorted({one.sigma_rel for one in used})
    between = f"between {min(possible):g} and {max(possible):g}" if possible else ""
    nearest = between or f"among those that were kept, {_listed(kept)}"
    num = len({one.step for one in used})
    return (
        f"sigma_rel {sigma_rel:g} cannot be made of the snapshots of {_listed(kept)} after {num} "
        f"updates up to {step}: the relative error is {error:.2g}, and {MAX_RELATIVE_ERROR:g} is "
        f"allowed. Choose a length {nearest}, or train with others (--trainer.ema-sigma-rel) or "
        "with more snapshots (--trainer.ema-snapshots)."
    )


def _add(sums: dict[str, Tensor], snapshot: Snapshot, weight: float, names: Sequence[str]) -> None:
    """Add the parameters of a snapshot, times a weight, in double precision."""
    if sums and sums.keys() != set(names):
        raise snapshot.damaged("it has other parameters than the snapshots before it")
    try:
        with safe_open(snapshot.path, framework="pt", device="cpu") as file:
            for name in names:
                tensor = file.get_tensor(name)
                wide = torch.promote_types(tensor.dtype, torch.float64)
                total = sums.setdefault(name, torch.zeros(tensor.shape, dtype=wide))
                total.add_(tensor, alpha=weight)
    except (SafetensorError, OSError) as error:
        raise snapshot.damaged(str(error)) from error


def _copy_buffers(model: Model, average: PostHocAverage, parameters: Mapping[str, Tensor]) -> None:
    """Copy the buffers of a snapshot of the last update into the model."""
    last = next(one for one in average.snapshots if one.step == average.step)
    names = [name for name in _checked_names(last, model) if name not in parameters]
    state = model.state_dict()
    with safe_open(last.path, framework="pt", device="cpu") as file:
        for name in names:
            state[name].copy_(file.get_tensor(name))


def _checked_names(snapshot: Snapshot, model: Model) -> list[str]:
    """Return the names of the tensors of a snapshot.

    Raises:
        WeightsError: It is missing, half-written, swapped, or of another model.
    """
    state, header = model.state_dict(), snapshot.header()
    for name, (_, shape) in header.items():
        if name not in state or tuple(state[name].shape) != shape:
            raise snapshot.damaged(f"{name} is not a tensor of the model in the folder")
    return list(header)


def _stored(path: Path) -> list[Any]:
    """Return the stored figures; none if they cannot be read."""
    try:
        found = strict_json(read_text(path, EMA_FIGURES.max_bytes))
    except (OSError, ValueError):
        return []
    averages = found.get("averages") if isinstance(found, dict) else None
    return averages if isinstance(averages, list) else []


def _is_replaced(old: Any, new: Mapping[str, Any]) -> bool:
    """Whether a stored entry has no figure that a new one does not compute again."""
    try:
        same = all(old[name] == new[name] for name in ("stage", "step", "sigma_rel"))
        then, now = old["evaluation"], new["evaluation"]
        again = then["figures"].keys() <= now["figures"].keys()
        return same and again and protocol_in(then["provenance"]) == protocol_in(now["provenance"])
    except (KeyError, TypeError, AttributeError):
        return True  # It is not one of ours.


def _listed(values: Sequence[Any]) -> str:
    shown = [f"{value:g}" for value in values]
    return ", ".join(shown if len(shown) <= 6 else [*shown[:3], "…", *shown[-2:]])
