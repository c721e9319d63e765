"""Evaluations stored in the folder of a run or a model."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.errors import DataError
from genzoo.files import read_text, replace_text, sha256_of
from genzoo.model_files import EVALUATIONS
from genzoo.parsing import strict_json
from genzoo.storage import FolderSource, open_model

if TYPE_CHECKING:
    from genzoo.evaluation import Evaluation

_NOT_PROTOCOL = ("genzoo", "torch", "stream")
_MAX_SLUG = 40
WEIGHTS = "weights_sha256"
"""The key of the hash of the weights that were evaluated."""


def protocol_of(evaluation: Evaluation) -> dict[str, Any]:
    """Return the settings that figures must share to be compared.

    They are the data, the rows, the seed and the sampler, without versions and random stream.
    """
    return protocol_in(evaluation.provenance)


def protocol_in(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a stored provenance that figures must share to be compared."""
    return {key: value for key, value in provenance.items() if key not in _NOT_PROTOCOL}


def metrics_of(evaluation: Evaluation) -> dict[str, Any]:
    """Return the config of each metric of an evaluation, without its defaults, by name."""
    return _metrics(evaluation.to_dict())


def save_evaluation(evaluation: Evaluation, folder: str | os.PathLike[str]) -> Path:
    """Store an evaluation in the folder of the run or model that was evaluated.

    Evaluations with other data or settings lie next to each other. One with equal settings, whose
    metrics are all computed again, is replaced.

    Returns:
        The path of the file, ``evaluation-DATA-SETTINGS-METRICS.json``.

    Raises:
        LoadError: The folder has no model.
        DataError: The evaluation is too large to be read again.
        DiskFullError: No space is left.
        GenzooError: The folder cannot be written.
    """
    folder = Path(folder)
    values = {WEIGHTS: weights_sha256(folder), **evaluation.to_dict()}
    text = json.dumps(values, indent=2, allow_nan=False) + "\n"
    if len(text.encode()) > EVALUATIONS.max_bytes:
        raise DataError(
            f"The evaluation has more than {EVALUATIONS.max_bytes:,} bytes. Evaluate fewer "
            "metrics at once."
        )
    protocol, metrics = _digest(protocol_of(evaluation)), metrics_of(evaluation)
    slug = re.sub(r"[^a-z0-9]+", "-", str(evaluation.provenance.get("data", "")).lower())
    name = f"evaluation-{slug.strip('-')[:_MAX_SLUG] or 'data'}-{protocol}"
    path = folder / f"{name}-{_digest(metrics)[:4]}.json"
    replace_text(path, text)
    for other in folder.glob(f"{name}-*.json"):
        with contextlib.suppress(OSError, ValueError, AttributeError, KeyError, TypeError):
            old = _metrics(strict_json(read_text(other, EVALUATIONS.max_bytes)))
            if other != path and all(metrics.get(key) == value for key, value in old.items()):
                other.unlink()
    return path


def weights_sha256(folder: str | os.PathLike[str]) -> str:
    """Return a hash of the weights in a model folder, whichever files they are in.

    Raises:
        LoadError: The folder has no model.
    """
    source = FolderSource(folder)
    names = sorted(open_model(source).weight_names)
    hashes = [sha256_of(source.folder / name) for name in names]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _metrics(values: Mapping[str, Any]) -> dict[str, Any]:
    made = [figure["provenance"] for figure in values["figures"].values()]
    return {str(own.get("metric", "")): own.get("metric_config", {}) for own in made}


def _digest(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
