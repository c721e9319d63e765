"""Image models of the transformers library as extractors: their weights, never their code."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genzoo.errors import LoadError, MissingDependencyError
from genzoo.files import check_inside, read_text
from genzoo.parsing import strict_json

_CONFIGS = ("config.json", "preprocessor_config.json")
_WEIGHTS = "*.safetensors"
_CHUNK = 2**20
_MAX_CONFIG_BYTES = 2**20


def load_image_model(
    name: str, device: torch.device | str
) -> tuple[Callable[[Tensor], Tensor], str]:
    """Return a function from images (B, C, H, W) in [0, 1] to pooled features, and its hash.

    Arguments:
        name: A repository on the Hub, or a folder, that holds config.json,
            preprocessor_config.json and safetensors.
        device: Where it is to compute.

    Raises:
        LoadError: It has no safetensors, names code of its own (auto_map), or cannot be loaded.
        MissingDependencyError: transformers is not installed.
    """
    folder = _folder(name)
    _check(folder, name)
    net, processor, pools = _built(folder, name)
    net = net.to(device).eval().requires_grad_(False)

    def features(x: Tensor) -> Tensor:
        images = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        given = processor(images=images.cpu(), return_tensors="pt", do_rescale=False)
        return _pooled(net(**given.to(device)), pools)

    return features, _sha256(folder)


def _folder(name: str) -> Path:
    """Return a folder as it is given, or a repository's configs and weights from the Hub."""
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=[*_CONFIGS, _WEIGHTS]))
    except (OSError, ValueError, RuntimeError) as error:
        raise LoadError(
            f"The extractor {name!r} is no folder, and cannot be had from the Hub: {error}"
        ) from error


def _check(folder: Path, name: str) -> None:
    """Refuse what names code of its own, and what is no safetensors.

    Raises:
        LoadError: It does.
    """
    for file in _CONFIGS:
        try:
            check_inside(folder / file, folder)
            values = strict_json(read_text(folder / file, _MAX_CONFIG_BYTES))
        except (OSError, ValueError) as error:
            raise LoadError(f"The extractor {name!r} has no {file} to read: {error}.") from error
        if not isinstance(values, dict) or "auto_map" in values:
            raise LoadError(
                f"The extractor {name!r} is refused: its {file} names code of its own (auto_map), "
                "and genzoo runs none. Choose a model that transformers has a class for."
            )
    weights = list(folder.glob(_WEIGHTS))
    if not weights:
        raise LoadError(f"The extractor {name!r} has no safetensors; nothing else is loaded.")
    for path in weights:
        check_inside(path, folder)


def _built(folder: Path, name: str) -> tuple[Any, Any, bool]:
    """Return the network, what prepares its images, and whether its pooling has been learned.

    transformers fills weights that a folder lacks at random, which would make every run's
    features others.
    """
    try:
        from transformers import AutoImageProcessor, AutoModel
    except ImportError as error:
        raise MissingDependencyError(
            f"The extractor {name!r} needs transformers, which is not installed. Try: pip install "
            "'genzoo[transformers]'"
        ) from error
    safe: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    try:
        processor = AutoImageProcessor.from_pretrained(folder, **safe)
        with torch.random.fork_rng(devices=[]):
            net, info = AutoModel.from_pretrained(
                folder, use_safetensors=True, output_loading_info=True, **safe
            )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        raise LoadError(f"transformers cannot load the extractor {name!r}: {error}") from error
    missing = sorted(info["missing_keys"])
    lacking = [key for key in missing if not key.startswith("pooler.")]
    if lacking:
        raise LoadError(f"The extractor {name!r} lacks weights, the first of them {lacking[0]}.")
    return net, processor, not missing


def _pooled(output: Any, pools: bool) -> Tensor:
    """Return the pooled output (B, D); the mean over positions where the model has none."""
    pooled = getattr(output, "pooler_output", None) if pools else None
    found: Tensor = output.last_hidden_state.mean(1) if pooled is None else pooled
    return found.flatten(1)


def _sha256(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob(_WEIGHTS)):
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()
