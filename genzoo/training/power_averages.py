"""Power-function averages of the weights, of which snapshots are kept.

They decide nothing in training: they are kept so that `genzoo.post_hoc_ema` can make an average of
another length afterwards. What is published is averaged by ``ema_decay``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from genzoo.model import Model
from genzoo.training.power_functions import gamma_of, kept_share
from genzoo.training.sharding.tensors import part_of, put_into


class PowerAverages:
    """Averages of a model's trained parameters, in float32 at least; buffers are not averaged.

    Arguments:
        model: The model.
        sigma_rels: The lengths of the averages.
        trained: The parameters that the stage trains; those of the model are averaged.
    """

    def __init__(
        self, model: Model, sigma_rels: Sequence[float], trained: Iterable[Tensor]
    ) -> None:
        self.model, self.sigma_rels = model, tuple(sigma_rels)
        self.gammas = [gamma_of(sigma_rel) for sigma_rel in self.sigma_rels]
        own = {id(parameter) for parameter in trained}
        self.parameters = {n: p for n, p in model.named_parameters() if id(p) in own}
        self.averages = [
            {
                name: _wide(parameter.detach().clone())
                for name, parameter in self.parameters.items()
            }
            for _ in self.sigma_rels
        ]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the averages with the model's weights after update number ``step``.

        The first update replaces them, so the weights before training do not count.
        """
        if not self.parameters:
            return
        # Each process averages its parts.
        current = [_wide(part_of(p.detach())) for p in self.parameters.values()]
        for gamma, average in zip(self.gammas, self.averages, strict=True):
            share = 1.0 - kept_share(step, gamma)
            torch._foreach_lerp_([part_of(one) for one in average.values()], current, share)

    def snapshots(self) -> Iterator[tuple[float, dict[str, Tensor]]]:
        """Yield the length of each average with its tensors, and the model's buffers as they are.

        The mean of two counters or masks is neither, so buffers are copied, as by ``ema_decay``.
        """
        parameters = dict(self.model.named_parameters(remove_duplicate=False))
        state = self.model.state_dict()
        buffers = {name: tensor for name, tensor in state.items() if name not in parameters}
        for sigma_rel, average in zip(self.sigma_rels, self.averages, strict=True):
            yield sigma_rel, {**average, **buffers}

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Return the averages, by the name of their file in a checkpoint."""
        return {f"power-average-{i}": dict(one) for i, one in enumerate(self.averages)}

    def load(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Put back what ``state`` returned."""
        for i, average in enumerate(self.averages):
            saved = state.get(f"power-average-{i}", {})
            for name, tensor in average.items():
                put_into(tensor, saved[name])


def _wide(tensor: Tensor) -> Tensor:
    """Return a tensor in float32 if it is narrower."""
    # In bfloat16 a step of 1 − β is lost in rounding, and the average does not move.
    return tensor.float() if tensor.dtype.itemsize < 4 else tensor
