"""Snapshots of power-function averages: one file for each length and update, in the run's folder.

A file is whole or not there, and its name says what it is, so it needs no index. Any set of them
can be combined.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from genzoo.files import atomic_file, check_no_link, disk_full_named, remove
from genzoo.model_files import EMA_FIGURES, EMA_SNAPSHOTS
from genzoo.saving import apart

_NAME = re.compile(r"stage-(\d{3})-step-(\d{9})-sigma-(0\.\d{1,18})\.safetensors")


@dataclass(frozen=True, order=True)
class Snapshot:
    """The file of an average.

    Arguments:
        stage: The number of the stage.
        step: Updates made in it.
        sigma_rel: The length of the average.
        path: The file.
    """

    stage: int
    step: int
    sigma_rel: float
    path: Path


def is_due(step: int, total: int, number: int, *, last: bool = False) -> bool:
    """Whether snapshots follow an update: ``number`` in a stage, evenly spaced, one at its end.

    It is a function of the stage's values, so a resumed run keeps the same ones. If a run goes on
    with another total, those of the updates before remain.

    Arguments:
        step: The number of updates made.
        total: The number of updates of the stage.
        number: The number of snapshots of each average.
        last: Whether the stage ends here, as after a stop because of no better figure.

    >>> [step for step in range(1, 11) if is_due(step, 10, 4)]
    [3, 5, 8, 10]
    """
    return last or number * step // total > number * (step - 1) // total


def write(
    folder: Path, stage: int, step: int, averages: Iterable[tuple[float, Mapping[str, Tensor]]]
) -> None:
    """Write the snapshots of an update into the folder of a run.

    Raises:
        DiskFullError: No space is left; no file is half-written.
        LoadError: The folder of snapshots is a link.
    """
    root = folder / EMA_SNAPSHOTS.name
    check_no_link(root)
    for sigma_rel, tensors in averages:
        name = f"stage-{stage:03d}-step-{step:09d}-sigma-{sigma_rel!r}.safetensors"
        contiguous = {key: t.detach().cpu().contiguous() for key, t in tensors.items()}
        with atomic_file(root / name) as temporary:
            save_file(apart(contiguous), temporary)


def list_snapshots(folder: Path) -> list[Snapshot]:
    """Return the snapshots in the folder of a run, in order, without reading them."""
    found = []
    for path in (folder / EMA_SNAPSHOTS.name).glob("stage-*"):
        match = _NAME.fullmatch(path.name)
        if match is not None:
            found.append(Snapshot(int(match[1]), int(match[2]), float(match[3]), path))
    return sorted(found)


def forget_after(folder: Path, stage: int, step: int) -> None:
    """Remove the snapshots of later updates, and the figures if there were any.

    A run that was stopped after them makes these updates again, and with another total they give
    other weights.

    Raises:
        LoadError: The folder of snapshots is a link.
    """
    check_no_link(folder / EMA_SNAPSHOTS.name)
    later = [one for one in list_snapshots(folder) if (one.stage, one.step) > (stage, step)]
    with disk_full_named(folder):
        for one in later:
            remove(one.path)
        if later:
            remove(folder / EMA_FIGURES.name)
