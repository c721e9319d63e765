"""What each layer of a deep model knows of an example: the layers below drawn anew."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from genzoo.plugin import ConfigError
from genzoo_boltzmann.fast_bernoulli import bernoulli
from genzoo_boltzmann.layers import Layers
from genzoo_boltzmann.rbm import RBM


@torch.no_grad()
def in_machine(
    layers: Layers, units: Sequence[Tensor], num_steps: int, generator: torch.Generator
) -> list[Tensor]:
    """Return the units h_1 of a deep machine, (B, N_1), drawn given those of each hidden layer.

    Given a layer, those below do not depend on those above. Gibbs sweeps draw them in turn, the
    ones next to it and every second one below these, then the others.

    Arguments:
        layers: The machine, with detached weights.
        units: A state: the units of all layers, (B, N_l) each, from which sweeps start.
        num_steps: The number of sweeps for each layer.
        generator: The generator, on the units' device.
    """
    found = []
    for level in range(1, len(layers)):
        x = dict(enumerate(units[: level + 1]))
        for _ in range(num_steps):
            _sweep_below(layers, level, x, generator)
        found.append(x[1])
    return found


def _sweep_below(
    layers: Layers, level: int, x: dict[int, Tensor], generator: torch.Generator
) -> None:
    """Draw the layers below one, in place."""
    for parity in (level - 1, level):
        for layer in range(parity % 2, level, 2):
            around = {n: x[n] for n in (layer - 1, layer + 1) if n in x}
            field = layers.field(layer, around, layers.biases[layer])
            x[layer] = bernoulli(field.sigmoid(), generator)


@torch.no_grad()
def in_net(
    machines: Sequence[RBM], units: Sequence[Tensor], generator: torch.Generator
) -> list[Tensor]:
    """Return the units h_1 of a belief net, drawn from each hidden layer downwards.

    Arguments:
        machines: The machines of neighbouring layers, from the lowest one.
        units: The units of all layers.
        generator: The generator, on the units' device.
    """
    found = []
    for level, h in enumerate(units[1:], start=1):
        for rbm in reversed(machines[1:level]):
            h = bernoulli(rbm.visible_mean(h), generator)
        found.append(h)
    return found


def receptive_fields(weights: Sequence[Tensor], layer: int) -> Tensor:
    """Return the linear receptive field of each unit of a layer, (N_l, V).

    It is a column of W_1 W_2 … W_l: what a unit weighs in v if the layers between were linear.

    Raises:
        ConfigError: ``layer`` is not from 1 to the number of hidden layers.
    """
    if not 1 <= layer <= len(weights):
        raise ConfigError(f"The hidden layers are 1 to {len(weights)}; there is none {layer}.")
    found = weights[0].detach()
    for W in weights[1:layer]:
        found = found @ W.detach()
    return found.T
