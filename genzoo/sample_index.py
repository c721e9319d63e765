"""The index of a folder of samples: what they depend on, to continue with the same request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genzoo.config import is_whole
from genzoo.errors import DataError, OutputExistsError
from genzoo.evaluation.provenance import sampler_provenance
from genzoo.files import read_text
from genzoo.parsing import strict_json
from genzoo.sampling import Blocks
from genzoo.seeds import MAX_SEED
from genzoo.version import __version__

INDEX = "samples.json"
_MAX_BYTES = 2**20
_MAX_THREADS = 2**16
# What a folder's samples depend on, with its words in an error; a digest is not shown.
_REQUEST = {
    "model": "the model",
    "config_sha256": "the model's config",
    "weights_sha256": "the weights",
    "sampler": "the sampler",
    "sampler_config": "the sampler's config",
    "condition_sha256": "the conditions",
    "num": "the number of samples",
    "seed": "the seed",
    "batch_size": "the block size",
    "shard_size": "the number of samples per file",
    "device": "the kind of device",
}


def request_of(blocks: Blocks, per_file: int) -> dict[str, Any]:
    """Return what the samples depend on."""
    model, request = blocks.model, blocks.request
    config = json.dumps(model.config.to_dict(), sort_keys=True)
    return {
        "model": type(model).__name__,
        "config_sha256": hashlib.sha256(config.encode()).hexdigest(),
        "weights_sha256": _digest(model.state_dict()),
        **sampler_provenance(request.sampler),
        "condition_sha256": _digest(request.condition),
        "num": request.num,
        "seed": blocks.seed,
        "batch_size": blocks.size,
        "shard_size": per_file,
        "shards": -(-request.num // per_file),
        "device": model.device.type,
        "threads": torch.get_num_threads(),
        "genzoo": __version__,
        "torch": str(torch.__version__),
    }


def _digest(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of tensors and lists of texts by name."""
    digest = hashlib.sha256()
    for name in sorted(values):
        value = values[name]
        if isinstance(value, Tensor):
            digest.update(repr((name, str(value.dtype), tuple(value.shape))).encode())
            plain = value.detach().cpu().contiguous().reshape(-1)
            data: Any = plain.view(torch.uint8).numpy()
            digest.update(data)
        else:
            digest.update(json.dumps([name, value]).encode())
    return digest.hexdigest()


def stored_index(path: Path) -> dict[str, Any]:
    """Return what an index says.

    Raises:
        DataError: It is damaged.
    """
    try:
        found = strict_json(read_text(path, _MAX_BYTES))
        if not isinstance(found, dict):
            raise ValueError("it is not a table")  # noqa: TRY004 - of what is read
        if missing := sorted({*_REQUEST, "threads"} - {*found}):
            raise ValueError(f"it lacks {missing[0]}")
        for name, least, most in (("seed", 0, MAX_SEED), ("threads", 1, _MAX_THREADS)):
            if not (is_whole(found[name]) and least <= found[name] <= most):
                raise ValueError(f"its {name} is {found[name]!r}")
    except (OSError, ValueError) as error:
        raise DataError(
            f"{str(path)!r} cannot be read: {error}. Choose a new folder, or remove this one."
        ) from error
    return found


def demand_same(
    folder: Path, stored: Mapping[str, Any], wanted: Mapping[str, Any], *, fresh: bool
) -> None:
    """Raise OutputExistsError if a folder holds samples of another request."""
    differ = [
        f"{words} differ" + "s" * (not words.endswith("s"))
        if name.endswith(("sha256", "config"))
        else f"{words} was {stored[name]}, is {wanted[name]}"
        for name, words in _REQUEST.items()
        if stored[name] != wanted[name] and not (name == "seed" and fresh)
    ]
    if differ:
        raise OutputExistsError(
            f"{str(folder)!r} holds samples of another request: {'; '.join(differ)}. Choose a new "
            "folder, or make the same request."
        )
