"""Image models of transformers as feature extractors: weights, never code of a repository."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genzoo.errors import ConfigError, LoadError, MissingDependencyError
from genzoo.evaluation.image_kinds import ImageKind, kind_of
from genzoo.evaluation.image_processors import PREPARED, make_processor
from genzoo.foreign_fields import MAX_BYTES, loading, read_object
from genzoo.model_files import CONFIG, INDEX, WEIGHTS
from genzoo.published import make_transformers_model, weights_of
from genzoo.storage import FolderSource, plain_weights, require_weights
from genzoo.weights import WeightFiles, read_index


def load_image_model(
    name: str, device: torch.device | str
) -> tuple[Callable[[Tensor], Tensor], str]:
    """Return a function from images (B, C, H, W) in [0, 1] to pooled features, and its hash.

    config.json, preprocessor_config.json and weights are read here, and fields of an allow-list
    are passed on. transformers' classes make the model from these values and see nothing else in
    the folder.

    Arguments:
        name: A Hub repository or a folder with config.json, preprocessor_config.json and
            safetensors.
        device: The device.

    Raises:
        LoadError: It has no safetensors, names code (auto_map), has an unsupported kind, or cannot
            be loaded.
        HubError: It is not available from the Hub.
        MissingDependencyError: transformers is not installed.
    """
    _check_installed(name)
    title = f"The extractor {name!r}"
    folder = _folder(name)
    said, prepared = (_read(folder, file, title) for file in (CONFIG.name, PREPARED))
    files = _weights(folder, title)
    where = f"{title} cannot be loaded: "
    kind = kind_of(said, f"{where}{CONFIG.name}")
    with loading(title):
        net, pools = _built(kind, said, files, title)
        processor = make_processor(prepared, kind.processor, f"{where}{PREPARED}")
    net = net.to(device).requires_grad_(False)

    def features(x: Tensor) -> Tensor:
        images = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        with loading(title):  # The sizes in two files may not fit together.
            given = processor(images=images.cpu(), return_tensors="pt", do_rescale=False)
            return _pooled(net(pixel_values=given["pixel_values"].to(device)), pools)

    return features, _sha256(files)


def _check_installed(name: str) -> None:
    try:
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"The extractor {name!r} needs transformers, which is not installed. Try: pip install "
            "'genzoo[transformers]'"
        ) from error


def _folder(name: str) -> Path:
    """Return a local folder, or the cached folder of a repository with checked files."""
    from genzoo.hub.fetching import Snapshot
    from genzoo.hub.reference import Reference

    if Path(name).is_dir():
        return Path(name)
    try:
        reference = Reference(name)
    except ConfigError as error:
        raise LoadError(
            f"The extractor {name!r} is neither a folder nor a repository of the Hub: {error}"
        ) from error
    with Snapshot(reference) as snapshot:
        for file in (CONFIG.name, PREPARED):
            snapshot.file(file, most=MAX_BYTES)
        weights = [WEIGHTS.name]
        if WEIGHTS.name not in snapshot.files and INDEX.name in snapshot.files:
            weights = read_index(snapshot.file(INDEX.name, most=INDEX.max_bytes))
        for file in weights:
            snapshot.file(file)
    return snapshot.folder


def _read(folder: Path, file: str, title: str) -> Mapping[str, Any]:
    """Return the content of one of the configs.

    Raises:
        LoadError: It cannot be read, or names code.
    """
    if not (folder / file).exists():
        raise LoadError(f"{title} has no {file} to read.")
    values = read_object(folder / file)
    if "auto_map" in values:
        raise LoadError(
            f"{title} is refused: its {file} names code (auto_map), which genzoo does not "
            "run. Choose a model that transformers has a class for."
        )
    return values


def _weights(folder: Path, title: str) -> WeightFiles:
    """Return the weights of a folder: model.safetensors, or the files of its index.

    Raises:
        LoadError: There are none, or a header is malformed.
    """
    if not any((folder / name).exists() for name in (WEIGHTS.name, INDEX.name)):
        raise LoadError(f"{title} has no safetensors; nothing else is loaded.")
    if (folder / INDEX.name).exists() and not (folder / WEIGHTS.name).exists():
        source = FolderSource(folder)
        names = plain_weights(source)
        require_weights(source, names)
        return weights_of(folder, names)
    return weights_of(folder)


def _built(
    kind: ImageKind, said: Mapping[str, Any], files: WeightFiles, title: str
) -> tuple[Any, bool]:
    """Return the network, and whether its pooling layer has weights."""
    import transformers

    fields = kind.allowed.passed(said, f"{title} cannot be loaded: {CONFIG.name}")
    cls, config = getattr(transformers, kind.model), getattr(transformers, kind.config)
    return make_transformers_model(cls, lambda: config(**fields), files, title, optional="pooler.")


def _pooled(output: Any, pools: bool) -> Tensor:
    """Return the pooled output (B, D); the mean over positions if the model has none."""
    pooled = getattr(output, "pooler_output", None) if pools else None
    features: Tensor = output.last_hidden_state.mean(1) if pooled is None else pooled
    return features.flatten(1)


def _sha256(files: WeightFiles) -> str:
    """Return the hash of the files of the weights, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted({path for path, _, _ in files.headers.values()}):
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()
