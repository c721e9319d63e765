"""Checks of storage: weights, config and card are complete."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from genzoo.card import write_card
from genzoo.errors import LoadError
from genzoo.meta_init import build_empty
from genzoo.model_files import CARD
from genzoo.pretrained import GenModel
from genzoo.storage import FolderSource, OwnModel
from genzoo.testing.cases import SEED, Case, demand, demand_equal
from genzoo.testing.training_harness import updated

_MAX_TABLE = 2**16
_ROUNDING = 1e-4


def check_builds_empty(case: Case) -> None:
    """The model can be built on the meta device with its names and shapes."""
    model = case.model()
    empty = build_empty(case.cls, model.config, max_tensors=len(model.state_dict()))
    tensors = [*empty.named_parameters(), *empty.named_buffers()]
    real = [name for name, t in tensors if not (t.is_meta or _is_small_table(t))]
    demand(
        not real,
        f"Built on the meta device, {', '.join(real)} take real memory: make them with torch's "
        "functions, not from numpy or on an explicit device.",
    )
    demand(
        {k: v.shape for k, v in empty.state_dict().items()}
        == {k: v.shape for k, v in model.state_dict().items()},
        "Built on the meta device, the model has other names or shapes.",
    )


def _is_small_table(tensor: Tensor) -> bool:
    """Whether a tensor is one short row of values, such as a schedule."""
    return tensor.ndim < 2 and tensor.nbytes <= _MAX_TABLE and not tensor.requires_grad


def check_save_load(case: Case) -> None:
    """A saved model loads bit-equal, with the same config, in eval mode, and samples the same."""
    model = case.model().eval()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        loaded = GenModel.from_pretrained(folder)
    demand(type(loaded) is case.cls, f"It loads as {type(loaded)}.")
    demand(loaded.config == model.config, "The config is not the same after loading.")
    demand_equal(model.state_dict(), loaded.state_dict(), "after saving and loading")
    buffers = dict(model.named_buffers()), dict(loaded.named_buffers())
    demand_equal(*buffers, "among the buffers after loading")
    demand(not loaded.training, "A loaded model must be in eval mode.")
    condition = case.condition(model, 3)
    saved, found = (m.sample(3, seed=SEED, condition=condition) for m in (model, loaded))
    # Loaded tensors have other alignments, for which some kernels sum in another order.
    same = torch.allclose(saved, found, rtol=_ROUNDING, atol=_ROUNDING)
    demand(same, "The loaded model samples other values from the same seed.")


def check_strict_load(case: Case) -> None:
    """A missing tensor, an additional one, and one with another shape are refused."""

    def refused(change: Callable[[dict[str, Tensor]], Any]) -> bool:
        with tempfile.TemporaryDirectory() as folder:
            case.model().save_pretrained(folder)
            files = OwnModel(FolderSource(folder)).weights
            path = files.headers[first][0]
            prefix = files.prefixes.get(path, "")
            state = {prefix + name: tensor.clone() for name, tensor in load_file(path).items()}
            change(state)
            save_file({name.removeprefix(prefix): t for name, t in state.items()}, path)
            try:
                GenModel.from_pretrained(folder)
            except LoadError:
                return True
            return False

    first = min(case.model().state_dict())

    demand(refused(lambda s: s.pop(first)), f"Weights without {first!r} load.")
    demand(refused(lambda s: s.update(extra=torch.zeros(1))), "Weights with an extra tensor load.")
    wide = refused(lambda s: s.update({first: torch.zeros(*s[first].shape, 2)}))
    demand(wide, f"Weights with another shape of {first!r} load.")


def check_state_is_registered(case: Case) -> None:
    """Every tensor of model and objective is a parameter or a buffer; others are not saved."""
    for stage in case.stages():
        objective = updated(case, stage)
        for name, module in objective.named_modules():
            for attribute, found in _hidden_tensors(module):
                owner = f"{type(module).__name__} ({name or 'the objective'})"
                demand(
                    False,
                    f"{owner} keeps {found} in the attribute {attribute!r}, which is neither "
                    "saved nor moved to a device: use register_buffer, or for what belongs to a "
                    "process set_process_buffer.",
                )


def check_training_keeps_buffers(case: Case) -> None:
    """A buffer of the model that training changes is persistent, so that it is saved."""
    for stage in case.stages():
        before = dict(case.model().named_buffers())
        model = updated(case, stage).model
        stored = model.state_dict().keys()
        lost = [
            name
            for name, buffer in model.named_buffers()
            if name not in stored and not torch.equal(buffer, before.get(name, torch.zeros(0)))
        ]
        demand(not lost, f"Training changes buffers that are not saved: {', '.join(lost)}.")


def check_card(case: Case) -> None:
    """The card of a stored model renders, with its name, papers and limits."""
    for what, texts in (("papers", case.cls.papers), ("limits", case.cls.limits)):
        sound = isinstance(texts, tuple) and all(isinstance(text, str) for text in texts)
        demand(sound, f"{what} must be a tuple of texts, got {texts!r}.")
    with tempfile.TemporaryDirectory() as folder:
        case.model().save_pretrained(folder)
        write_card(Path(folder), name="example", source="somebody/example")
        card = Path(folder, CARD.name).read_text("utf-8")
    for text in (case.name, "somebody/example", *case.cls.papers, *case.cls.limits):
        demand(_words(text) in _words(card), f"The card does not say {text!r}.")


def _words(text: str) -> str:
    """Return letters and digits only, because a card escapes Markdown."""
    return "".join(filter(str.isalnum, text))


def _hidden_tensors(module: nn.Module) -> Iterator[tuple[str, str]]:
    known = {"_parameters", "_buffers", "_modules", "config"}
    for attribute, value in vars(module).items():
        if attribute not in known and (found := _tensor_in(value)):
            yield attribute, found


def _tensor_in(value: Any, depth: int = 3) -> str:
    """Return the kind of array that a value is or contains; empty if none."""
    if isinstance(value, Tensor):
        return "a tensor"
    if isinstance(value, np.ndarray):
        return "a numpy array"
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, (list, tuple, set)) or not depth:
        return ""
    return next(filter(None, (_tensor_in(item, depth - 1) for item in value)), "")
