"""Model folders that are written completely or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from genzoo.description import check_description, describe, written_places
from genzoo.files import atomic_folder_update, write_text
from genzoo.layouts.own import Places, places_in
from genzoo.meta_init import tied_names
from genzoo.model import Model
from genzoo.model_files import CONFIG, INDEX, SHARDS, WEIGHTS, pattern_of

MAX_SHARD_SIZE = "5GB"


def save_model(model: Model, folder: str | os.PathLike[str]) -> None:
    """Write ``config.json``, the weights and other files of the layout, all or none.

    Files of an earlier layout in the folder that the model does not have are removed.

    Raises:
        DiskFullError: There is no space left.
        PluginError: The model's class is not registered.
        ConfigFileError: Its layout is malformed.
        LoadError: A subfolder of its layout is a link out of the folder.
    """
    folder, layout = Path(folder), model.layout()
    description = check_description({**describe(model), **layout.to_dict()}, folder / CONFIG.name)
    places, tied = places_in(description), tied_names(model)
    state = {k: v for k, v in model.state_dict().items() if k not in tied}
    with atomic_folder_update(
        folder,
        last=CONFIG.name,
        stale=pattern_of((WEIGHTS, SHARDS, INDEX)),
        markers=places.markers,
        old=written_places(folder).paths,
    ) as temporary:
        for name in places.paths:
            (temporary / name).parent.mkdir(exist_ok=True)
        _save_placed(state, places, temporary)
        config = json.dumps(description, indent=2) + "\n"
        for name, text in {**layout.files, CONFIG.name: config}.items():
            write_text(temporary / name, text)
        for path in temporary.rglob("*.safetensors"):  # Written for their owner only.
            shutil.copymode(temporary / CONFIG.name, path)


def _save_placed(state: dict[str, Tensor], places: Places, folder: Path) -> None:
    """Write each tensor into the file of its prefix, the others into the default files."""
    rest = apart({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()})
    for path, prefix in places.weights.items():
        names = [name for name in rest if name.startswith(prefix)]
        own = {name.removeprefix(prefix): rest.pop(name) for name in names}
        save_file(own, folder / path, metadata={"format": "pt"})
    if rest or not places.weights:
        _save_weights(rest, folder)


def _save_weights(state: dict[str, Tensor], folder: Path) -> None:
    from huggingface_hub import split_torch_state_dict_into_shards

    plan = split_torch_state_dict_into_shards(
        state, filename_pattern="model{suffix}.safetensors", max_shard_size=MAX_SHARD_SIZE
    )
    for name, keys in plan.filename_to_tensors.items():
        save_file({k: state[k] for k in keys}, folder / name, metadata={"format": "pt"})
    if plan.is_sharded:
        index = {"metadata": plan.metadata, "weight_map": plan.tensor_to_filename}
        write_text(folder / INDEX.name, json.dumps(index, indent=2) + "\n")


def apart(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy the tensors that are parts of one storage, which safetensors refuses."""
    users = Counter(tensor.untyped_storage().data_ptr() for tensor in state.values())
    return {
        name: tensor.clone() if users[tensor.untyped_storage().data_ptr()] > 1 else tensor
        for name, tensor in state.items()
    }
