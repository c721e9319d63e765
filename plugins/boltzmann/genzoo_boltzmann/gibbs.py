"""Block Gibbs sampling: the kernel of sampling and training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from genzoo_boltzmann.fast_bernoulli import bernoulli
from genzoo_boltzmann.sparse_binary import binary_addmm, few_ones

if TYPE_CHECKING:
    from genzoo_boltzmann.rbm import RBM


def draw_hidden(model: RBM, v: Tensor, generator: torch.Generator) -> Tensor:
    """Draw h ~ p(h | v), (B, H)."""
    field = binary_addmm(model.c, v, model.W, few_ones(v, model.W))
    return bernoulli(field.sigmoid_(), generator)


def draw_visible(model: RBM, h: Tensor, generator: torch.Generator) -> Tensor:
    """Draw v ~ p(v | h), (B, V)."""
    return bernoulli(model.visible_logits(h).sigmoid_(), generator)


def sweep(model: RBM, v: Tensor, generator: torch.Generator) -> Tensor:
    """Draw h ~ p(h | v), then v ~ p(v | h): a transition that leaves p(v) invariant."""
    return draw_visible(model, draw_hidden(model, v, generator), generator)


def start_from_base_rates(model: RBM, num: int, generator: torch.Generator) -> Tensor:
    """Draw v from the independent model of the base rates, (num, V)."""
    return bernoulli(model.base_rates.expand(num, -1), generator)
