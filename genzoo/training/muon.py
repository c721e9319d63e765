"""Muon for matrices, with AdamW for all other parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import nn

from genzoo.config import Bounds
from genzoo.errors import ConfigError, MissingDependencyError
from genzoo.training.optimizers import Optimizer, OptimizerConfig, Share, decayed


@dataclass(frozen=True, kw_only=True)
class MuonConfig(OptimizerConfig):
    """Muon for matrices, with AdamW for all other parameters."""

    lr: Annotated[float, Bounds(0.0, 1e3)] = 0.02
    """The learning rate of matrices, before warm-up and schedule: about the spectral norm of an
    update of a square matrix. This is the rate that is logged."""
    momentum: Share = 0.95
    """The momentum of matrices, with Nesterov's look ahead."""
    weight_decay: Annotated[float, Bounds(0.0, 1e3)] = 0.01
    """The share by which an update at learning rate 1 shrinks a weight, for matrices and higher
    tensors only."""
    adamw_lr: Annotated[float, Bounds(0.0, 1e3)] = 3e-4
    """The learning rate of all other parameters, before warm-up and schedule."""
    betas: tuple[Share, Share] = (0.9, 0.95)
    """The decay rates of AdamW's means of gradients and of their squares."""


class Muon(Optimizer[MuonConfig]):
    """Muon for matrices: momentum, orthogonalised; AdamW for all other parameters.

    The singular values of an update are close to 1, times √max(1, rows / columns). Muon is for the
    matrices of hidden layers. Its author leaves biases, scales, and the first and last layer of
    transformers to AdamW, and flattens filters of convolutions to matrices. Here all matrices are
    updated by Muon, as a component does not know which layer is the last, and filters by AdamW,
    because PyTorch's Muon takes matrices only. It needs PyTorch 2.9.

    | Muon: An optimizer for hidden layers in neural networks (Jordan et al., 2024),
    | https://kellerjordan.github.io/posts/muon
    """

    elementwise = False
    Config = MuonConfig

    def build(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """Return both optimisers as one.

        Raises:
            MissingDependencyError: This version of PyTorch has no Muon.
            ConfigError: No parameter is a matrix.
        """
        c, make = self.config, getattr(torch.optim, "Muon", None)
        if make is None:
            raise MissingDependencyError(
                f"muon needs PyTorch 2.9 or newer; this is {torch.__version__}. pip install -U "
                "'torch>=2.9', or choose another optimizer: adamw."
            )
        matrices = [p for p in parameters if p.ndim == 2]
        others = [p for p in parameters if p.ndim != 2]
        if not matrices:
            raise ConfigError("muon updates matrices; this player has none. Choose adamw.")
        parts = [make(matrices, lr=c.lr, momentum=c.momentum, weight_decay=c.weight_decay)]
        if others:
            groups = decayed(others, c.weight_decay)
            parts.append(
                torch.optim.AdamW(groups, lr=c.adamw_lr, betas=c.betas, weight_decay=0, fused=True)
            )
        return Together(parts)


class Together(torch.optim.Optimizer):
    """Several optimisers as one, each with its own parameter groups.

    Arguments:
        parts: The optimisers, of different parameters.
    """

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        self.parts = list(parts)
        # The same dictionaries, so that a schedule sets the learning rates of the parts.
        super().__init__([group for part in parts for group in part.param_groups], {})
        self._share()

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Make a step of each part."""
        for part in self.parts:
            part.step()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put back what ``state_dict`` gave."""
        super().load_state_dict(state_dict)
        self._share()

    def _share(self) -> None:
        """Let the parts have the groups and the state of the whole, of which there is one file."""
        groups = iter(self.param_groups)
        for part in self.parts:
            part.param_groups = [next(groups) for _ in part.param_groups]
            part.state = self.state
