"""Checkpoints that survive a kill at any moment and hold no pickle.

Write: temporary folder → tensors as safetensors, the rest as JSON → manifest last, with the size
and sha256 of each file → fsync each file and the folder → rename → fsync the parent → read the
manifest back → only then prune, never below two.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from genzoo.errors import CheckpointError
from genzoo.files import (
    check_no_link,
    disk_full_named,
    fsync,
    own_folder,
    remove,
    sha256_of,
    write_text,
)
from genzoo.parsing import strict_json
from genzoo.saving import apart
from genzoo.tensor_file import write_tensors

_NAME = re.compile(r"stage-(\d{3})-step-(\d{9})")
_MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint.

    Arguments:
        stage: The number of the stage.
        step: Updates made in it.
        tensors: For each file, its tensors by name.
        values: Everything that is not a tensor.
        versions: The versions that wrote it.
    """

    stage: int
    step: int
    tensors: Mapping[str, Mapping[str, Tensor]]
    values: Mapping[str, Any]
    versions: Mapping[str, str] = field(default_factory=dict)


class StoredTensors(Mapping[str, Tensor]):
    """The tensors of a file, each read when it is asked for.

    Arguments:
        path: A safetensors file that was checked.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with safe_open(path, framework="pt", device="cpu") as file:
            self._names = tuple(file.keys())

    def __getitem__(self, name: str) -> Tensor:
        with safe_open(self._path, framework="pt", device="cpu") as file:
            if name not in self._names:
                raise KeyError(name)
            tensor: Tensor = file.get_tensor(name)
            return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def save(
    checkpoint: Checkpoint,
    root: Path,
    *,
    keep: int = 2,
    whole: Callable[[Tensor], Tensor] | None = None,
) -> Path:
    """Write a checkpoint below ``root``, read it back, and only then prune the oldest.

    Arguments:
        checkpoint: The checkpoint.
        root: The folder of checkpoints.
        keep: The number of checkpoints to keep.
        whole: Returns the values of a tensor, when it is written; files are then written tensor by
            tensor.

    Raises:
        DiskFullError: No space is left; earlier checkpoints are unchanged.
        LoadError: ``root`` is a link; nothing is written or pruned through it.
    """
    final = path_of(checkpoint.stage, checkpoint.step, root)
    check_no_link(root)
    if final.exists() and not problem_of(final):
        return final
    with disk_full_named(final):
        root.mkdir(parents=True, exist_ok=True)
        with own_folder(root, prefix=f".{final.name}-", suffix=".writing") as own:
            temporary = own / final.name
            temporary.mkdir()
            _write(checkpoint, temporary, whole)
            remove(final)
            temporary.rename(final)
        fsync(root)
    problem = problem_of(final)
    if problem:
        raise CheckpointError(f"{final} was written and does not read back: {problem}.")
    with disk_full_named(root):
        prune(root, keep)
    return final


def path_of(stage: int, step: int, root: Path) -> Path:
    """Return the path of the checkpoint of a position."""
    return root / f"stage-{stage:03d}-step-{step:09d}"


def load_newest(root: Path, *, lazily: bool = False) -> tuple[Path, Checkpoint, list[str]] | None:
    """Return the newest valid checkpoint, and the skipped ones with the reasons.

    Arguments:
        root: The folder of checkpoints.
        lazily: Whether each tensor is read when it is asked for.
    """
    with disk_full_named(root):
        remove_stale(root)
        found = list_checkpoints(root)
    passed: list[str] = []
    for path in reversed(found):
        problem = problem_of(path)
        if not problem:
            return path, read(path, lazily=lazily), passed
        passed.append(f"{path.name} ({problem})")
    return None


def read(path: Path, *, lazily: bool = False) -> Checkpoint:
    """Return the content of a checkpoint whose manifest has been checked."""
    manifest, load = _manifest(path), StoredTensors if lazily else load_file
    tensors = {
        name.removesuffix(".safetensors"): load(path / name)
        for name in manifest["files"]
        if name.endswith(".safetensors")
    }
    values = strict_json((path / "values.json").read_text("utf-8"))
    stage, step = _position(path)
    return Checkpoint(stage, step, tensors, values, manifest["versions"])


def problem_of(path: Path) -> str:
    """Describe the problem of a checkpoint; empty if every file agrees with the manifest."""
    try:
        manifest = _manifest(path)
        there = {file.name for file in path.iterdir()} - {_MANIFEST}
        if odd := sorted(there - set(manifest["files"])):
            return f"its manifest does not list {odd[0]}"
        for name, entry in manifest["files"].items():
            if (path / name).stat().st_size != entry["size"]:
                return f"{name} is truncated"
            if sha256_of(path / name) != entry["sha256"]:
                return f"{name} is damaged"
    except FileNotFoundError as error:
        return f"{Path(str(error.filename)).name} is missing"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"its manifest is unreadable: {error}"
    return ""


def list_checkpoints(root: Path) -> list[Path]:
    """Return the checkpoints below ``root``, valid or not, oldest first."""
    found = [path for path in root.glob("stage-*") if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: path.name)


def prune(root: Path, keep: int) -> None:
    """Remove the oldest checkpoints, never below two."""
    check_no_link(root)
    for path in list_checkpoints(root)[: -max(2, keep)]:
        remove(path)


def remove_stale(root: Path) -> None:
    """Remove the leftovers of an interrupted write."""
    check_no_link(root)
    for path in root.glob(".stage-*.writing"):
        with contextlib.suppress(OSError):
            remove(path)


def _write(checkpoint: Checkpoint, folder: Path, whole: Callable[[Tensor], Tensor] | None) -> None:
    for name, tensors in checkpoint.tensors.items():
        if whole is not None:
            write_tensors(folder / f"{name}.safetensors", tensors, whole)
            continue
        contiguous = {key: t.detach().cpu().contiguous() for key, t in tensors.items()}
        save_file(apart(contiguous), folder / f"{name}.safetensors")
    write_text(folder / "values.json", _json(checkpoint.values))
    files = {
        path.name: {"size": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.iterdir())
    }
    for path in folder.iterdir():
        fsync(path)
    manifest = {
        "format": FORMAT,
        "stage": checkpoint.stage,
        "step": checkpoint.step,
        "versions": dict(checkpoint.versions),
        "files": files,
    }
    write_text(folder / _MANIFEST, json.dumps(manifest, indent=1))
    fsync(folder / _MANIFEST)
    fsync(folder)


def _json(values: Mapping[str, Any]) -> str:
    try:
        return json.dumps(values, allow_nan=False)
    except (TypeError, ValueError) as error:  # All other values are the Trainer's own.
        raise CheckpointError(
            f"An optimiser or a schedule has a state that a checkpoint cannot hold: {error}. It "
            "can hold tensors, finite numbers and texts."
        ) from error


def _manifest(path: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = strict_json((path / _MANIFEST).read_text("utf-8"))
    if manifest["format"] != FORMAT:
        raise ValueError(f"format {manifest['format']!r} is not {FORMAT}")
    if set(manifest) != {"format", "stage", "step", "versions", "files"}:
        raise ValueError(f"its keys are {', '.join(sorted(manifest))}")
    if (manifest["stage"], manifest["step"]) != _position(path):
        raise ValueError(f"it is of stage {manifest['stage']}, step {manifest['step']}")
    # Without this check, an empty folder with an empty list would be valid.
    if not {"model.safetensors", "values.json"} <= set(manifest["files"]):
        raise ValueError("it does not list the model and the values")
    return manifest


def _position(path: Path) -> tuple[int, int]:
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise CheckpointError(f"{path.name!r} is not the name of a checkpoint.")
    return int(match[1]), int(match[2])
