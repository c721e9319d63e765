"""Whether samples obey their captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from genzoo.plugin import (
    Binary,
    Bounds,
    Case,
    Config,
    Dataset,
    Estimate,
    Goal,
    Grammar,
    Metric,
    Model,
    Note,
    Reference,
    Unit,
    mean_of,
)
from genzoo_datasets.attribute_recognizers import load_recognizer, unrecognizable

_NOTE = "Held-out data show how often the recognizer finds in rows what their own captions say"


@dataclass(frozen=True, kw_only=True)
class CaptionConfig(Config):
    """The share of captions that are obeyed."""

    recognizer: Annotated[str | None, Bounds(1, 64)] = None
    """shapes-templates or a shipped classifier; by default the one for the data."""


class CaptionObeyed(Metric[CaptionConfig]):
    """The share of samples in which a recognizer finds everything that their captions say.

    The values of a grammar's caption are known exactly; what it leaves open is not evaluated. If
    captions say more than one thing, the share of each is computed too, over the captions that say
    it.
    """

    Config = CaptionConfig
    spaces = (Unit, Binary)
    min_examples = 100
    needs_condition = "text"
    defining_fields = ("recognizer",)
    goals: ClassVar = {"*": Goal("higher", "reference")}

    def unavailable_reason(self, model: Model, data: Dataset) -> str:
        """Return why the figure cannot be computed; empty if it can."""
        return super().unavailable_reason(model, data) or unrecognizable(
            self.config.recognizer, data.info
        )

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the share of obeyed captions, and that of each slot."""
        info = case.data.info
        grammar = Grammar(info["text"].templates_of_texts())
        name, recognizer = load_recognizer(self.config.recognizer, info)
        said = [grammar.meaning(text) or {} for text in case.held_out["text"]]
        shown, real = recognizer.recognize(case.samples), recognizer.recognize(case.held_out["x"])
        order = torch.randperm(len(said), generator=torch.Generator().manual_seed(case.seed))
        chance = _right([said[i] for i in order.tolist()], real).double().mean().item()
        note = Note(
            "recognizer-limit", f"{_NOTE}; given other rows' captions, in {chance:.3f} of them."
        )
        provenance = {"recognizer": name, "sha256": recognizer.sha256}
        figures = {"caption-obeyed": _share(_right(said, shown), _right(said, real), note)}
        if len(grammar.slots) > 1:
            figures |= {f"{slot}-obeyed": _of(slot, said, shown, real) for slot in grammar.slots}
        return {key: replace(figure, provenance=provenance) for key, figure in figures.items()}


def _right(said: Sequence[Mapping[str, int]], shown: Mapping[str, Tensor]) -> Tensor:
    """Return whether each row shows everything that its caption says, (N,)."""
    columns = {slot: values.tolist() for slot, values in shown.items()}
    return torch.tensor(
        [
            bool(values) and all(columns[slot][i] == value for slot, value in values.items())
            for i, values in enumerate(said)
        ]
    )


def _of(
    slot: str,
    said: Sequence[Mapping[str, int]],
    shown: Mapping[str, Tensor],
    real: Mapping[str, Tensor],
) -> Estimate:
    """Return the share of one slot, over the rows whose captions have it."""
    telling = torch.tensor([slot in values for values in said])
    values = [{slot: v[slot]} if slot in v else {} for v in said]
    return _share(_right(values, shown)[telling], _right(values, real)[telling])


def _share(right: Tensor, held_out: Tensor, *notes: Note) -> Estimate:
    figure = mean_of(right.double(), "stochastic estimate", unit="share", notes=notes)
    return replace(figure, reference=Reference(held_out.double().mean().item(), "held-out data"))
