"""Models as text, and as HTML for notebooks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextvars import ContextVar

from torch import nn

from genzoo import capabilities, registry
from genzoo.capabilities import SupportsEncode
from genzoo.config import abridged
from genzoo.errors import GenzooError
from genzoo.markup import escaped, facts, folded
from genzoo.model import Model
from genzoo.text_safety import one_line

_in_tree: ContextVar[bool] = ContextVar("in_tree", default=False)


def line_of(model: Model) -> str:
    """Return a model as one line: its class, name, data, conditions, size and capabilities.

    Inside of `tree_of`, the tree of its modules is returned.
    """
    if _in_tree.get():
        return nn.Module.__repr__(model)
    parts = [name for name in [_name_of(model)] if name]
    parts.append(model.event.describe())
    parts += [f"given {name}: {space.describe()}" for name, space in model.conditions.items()]
    parts += [f"{_num_parameters(model):,} parameters", _can(model)]
    return one_line(f"{type(model).__name__}({'; '.join(parts)})")


def tree_of(model: Model) -> str:
    """Return the tree of a model's modules, as `torch.nn.Module` prints it."""
    token = _in_tree.set(True)
    try:
        return nn.Module.__repr__(model)
    finally:
        _in_tree.reset(token)


def html_of(model: Model) -> str:
    """Return a model as HTML: what it is, what it models and what it can do."""
    from genzoo.card.model import summary_of  # Cards need libraries that a model does not.

    title = f"<strong>{escaped(type(model).__name__)}</strong> {escaped(_name_of(model))}"
    folds = [folded("config", _config(model)), folded("modules", tree_of(model))]
    if model.papers:
        folds.append(folded("papers", "\n".join(model.papers)))
    what = escaped(summary_of(type(model)))
    return f"<div>{title}<div>{what}</div>{facts(dict(_facts(model)))}{''.join(folds)}</div>"


def _facts(model: Model) -> Iterator[tuple[str, str]]:
    yield "data", model.event.describe()
    for name, space in model.conditions.items():
        free = " (may be left out)" if model.takes_null else ""
        yield f"given {name}", f"{space.describe()}{free}"
    if isinstance(model, SupportsEncode):
        yield "codes", model.codes.describe()
    kinds = ", ".join(sorted({str(p.dtype).removeprefix("torch.") for p in model.parameters()}))
    where = ", ".join(sorted({str(p.device) for p in model.parameters()}))
    yield "parameters", f"{_num_parameters(model):,} ({kinds}, {where})"
    yield "can", _can(model)
    yield "sampler", model.default_sampler(model.config).name


def _can(model: Model) -> str:
    """Return what a model can do: sampling, and its capabilities."""
    names = ["sample", *map(capabilities.title_of, capabilities.of(model))]
    kind = model.log_prob_kind
    return ", ".join(f"{n} ({kind})" if n == "log-prob" and kind else n for n in names)


def _name_of(model: Model) -> str:
    """Return the registered name of a model; empty if it has none."""
    try:
        return registry.describe(model).name
    except GenzooError:
        return ""


def _num_parameters(model: Model) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _config(model: Model) -> str:
    return json.dumps(abridged(model.config.to_dict()), indent=2, ensure_ascii=False)
