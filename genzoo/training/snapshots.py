"""Snapshots of power-function averages: one file for each length and update, in the run's folder.

A file is whole or not there, and its name says what it is, so it needs no index. Any set of them
can be combined. The file itself says the same as its name, so that a swapped one is noticed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from genzoo.config import shown
from genzoo.errors import WeightsError
from genzoo.files import atomic_file, check_no_link, disk_full_named, remove
from genzoo.model_files import EMA_FIGURES, EMA_SNAPSHOTS
from genzoo.parsing import strict_json
from genzoo.saving import apart
from genzoo.weights import Header, read_header

_LABEL = "snapshot"
"""The key of the metadata. It is the only one: safetensors writes several in any order, and a
resumed run writes the same bytes."""
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

    @property
    def label(self) -> str:
        """What it is, as the file says it too."""
        return _label(self.stage, self.step, self.sigma_rel)

    def header(self) -> Header:
        """Return dtype and shape of every tensor, after a check of what the file is.

        A file that does not say what it is, is what its name says.

        Raises:
            WeightsError: It is missing or half-written, or another snapshot has its name.
        """
        try:
            header = read_header(self.path)
        except WeightsError as error:
            raise self.damaged("its header does not fit its size, or is not there") from error
        try:
            with safe_open(self.path, framework="pt", device="cpu") as file:
                found = (file.metadata() or {}).get(_LABEL, self.label)
        except (SafetensorError, OSError) as error:
            raise self.damaged(str(error)) from error
        if found != self.label:
            raise WeightsError(
                f"The snapshot {self.path} holds {_shown(found)}, and its name says "
                f"{_shown(self.label)}: put the right file back, or remove this one, and the "
                "average is made of the others, if they suffice."
            )
        return header

    def damaged(self, why: str) -> WeightsError:
        """Return the error of a file that cannot be used."""
        return WeightsError(
            f"The snapshot {self.path} is damaged ({why}). Remove it: the average is then made of "
            "the others, if they suffice."
        )


def _label(stage: int, step: int, sigma_rel: float) -> str:
    return json.dumps({"stage": stage, "step": step, "sigma_rel": sigma_rel})


def _shown(label: str) -> str:
    """Return a label in words."""
    try:
        values = strict_json(label)
        return ", ".join(f"{name} {values[name]!r}" for name in ("stage", "step", "sigma_rel"))
    except (ValueError, TypeError, KeyError):
        return f"{shown(label)}, which is not a snapshot's label"


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
        label = _label(stage, step, sigma_rel)
        contiguous = {key: t.detach().cpu().contiguous() for key, t in tensors.items()}
        with atomic_file(root / name) as temporary:
            save_file(apart(contiguous), temporary, metadata={_LABEL: label})


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
