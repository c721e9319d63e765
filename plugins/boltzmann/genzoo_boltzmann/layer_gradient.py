"""The gradient of a deep machine's two phases, one product for each pair of layers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genzoo_boltzmann.layers import Layers
from genzoo_boltzmann.machine import Gradients, Phase
from genzoo_boltzmann.natural_gradient import Statistics, Term


@torch.no_grad()
def contrast(
    layers: Layers, data: Phase, chain: Phase, rates: Tensor | None
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the gradient of mean F(data) − mean F(chain) for each W_l and for each bias.

    With x the even units and the probabilities of the odd ones, ∂F/∂W_l = −x_{l−1}x_lᵀ and ∂F/∂c_l
    = −x_l. Of data whose even hidden units are mean-field probabilities q, F is E_q[E] − H(q).

    The centred gradient is that of the machine around offsets μ_l, with terms (x_{l−1} −
    μ_{l−1})ᵀW_l(x_l − μ_l), transformed back: ∇c_l = ∇c_l − ∇W_lᵀμ_{l−1} − ∇W_{l+1}μ_{l+1}. Here
    μ_0 is the base rate, and μ_l the mean of a hidden layer over the data.

    | Deep Boltzmann Machines and the Centering Trick (Montavon, Müller, 2012)
    | How to Center Deep Boltzmann Machines (Melchior, Fischer, Wiskott, 2016)

    Arguments:
        layers: The machine.
        data: The phase of the data.
        chain: The phase of the chains.
        rates: The base rates of the visible units, (N_0,); None for the plain gradient.
    """
    num = layers.sizes[0]
    d_even = chain.state.mean(0) - data.state.mean(0)
    if rates is None:
        p = _signed(data.p, chain.p)
        return _products(layers, data, chain, p), _by_layer(layers, d_even, p.sum(0))
    lam = data.p.mean(0)
    p = _signed(data.p - lam, chain.p - lam)
    d_W = _products(layers, data, chain, p)
    mu = _by_layer(layers, torch.cat([rates, data.state[:, num:].mean(0)]), lam)
    d_biases = _by_layer(layers, d_even, p.sum(0))
    return d_W, _centred(d_W, d_biases, mu)


@torch.no_grad()
def statistics(
    parameters: Sequence[nn.Parameter],
    layers: Layers,
    data: Phase,
    chain: Phase,
    rates: Tensor | None,
) -> Statistics:
    """Return x_{l−1}x_lᵀ for each W_l and x_l for each bias, around the offsets of `contrast`.

    Arguments:
        parameters: Each W_l, then each bias.
        layers: The machine.
        data: The phase of the data.
        chain: The phase of the chains.
        rates: The base rates of the visible units, (N_0,); None for the plain gradient.
    """
    num = len(layers.W)
    mu = [torch.zeros_like(c) for c in layers.biases]
    if rates is not None:
        means = _by_layer(layers, data.state.mean(0), data.p.mean(0))
        mu = [rates, *means[1:]]

    def terms(phase: Phase) -> list[Term]:
        units = {**layers.split(phase.state, 0), **layers.split(phase.p, 1)}
        x = [units[layer] - offset for layer, offset in enumerate(mu)]
        pairs = [Term(below, above) for below, above in itertools.pairwise(x)]
        return [*pairs, *(Term(own) for own in x)]

    def step(found: Sequence[Tensor]) -> Gradients:
        d_W, d_biases = list(found[:num]), _uncentred(found[:num], found[num:], mu)
        return dict(zip(parameters, (*d_W, *d_biases), strict=True))

    return Statistics(terms(data), terms(chain), step)


def _centred(d_W: list[Tensor], d_biases: list[Tensor], mu: list[Tensor]) -> list[Tensor]:
    """Centre the even layers of products whose odd ones are centred; return the biases' part."""
    for layer, d in enumerate(d_W, start=1):
        if layer % 2:
            d.addr_(mu[layer - 1], d_biases[layer], alpha=-1)
        else:
            d.addr_(d_biases[layer - 1], mu[layer], alpha=-1)
    return _uncentred(d_W, d_biases, mu)


def _uncentred(
    d_W: Sequence[Tensor], d_biases: Sequence[Tensor], mu: Sequence[Tensor]
) -> list[Tensor]:
    """Return the biases' part for a machine without offsets, given that of the one around μ."""
    found = [d.clone() for d in d_biases]
    for layer, d in enumerate(d_W, start=1):
        found[layer - 1].addmv_(d, mu[layer], alpha=-1)
        found[layer].addmv_(d.T, mu[layer - 1], alpha=-1)
    return found


def _signed(p_data: Tensor, p_chain: Tensor) -> Tensor:
    """Return the rows of both, each over minus or plus its number of rows, (B + B', D)."""
    return torch.cat([p_data * (-1 / len(p_data)), p_chain * (1 / len(p_chain))])


def _products(layers: Layers, data: Phase, chain: Phase, p: Tensor) -> list[Tensor]:
    """Return Σ x_{l−1}x_lᵀ over the rows of both phases for each l, with the odd units ``p``."""
    phases = [layers.split(phase.state, 0) for phase in (data, chain)]
    odd, found = layers.split(p, 1), []
    for layer in range(1, len(layers)):
        if layer == 1 and data.ones is not None and chain.ones is not None:
            found.append(data.ones.above(chain.ones).T.matmul(odd[1].contiguous()))
        elif layer % 2:
            found.append(torch.cat([x[layer - 1] for x in phases]).T @ odd[layer])
        else:
            found.append(odd[layer - 1].T @ torch.cat([x[layer] for x in phases]))
    return found


def _by_layer(layers: Layers, even: Tensor, odd: Tensor) -> list[Tensor]:
    """Return values of each layer, (N_l,), from those of even and of odd layers."""
    parts = [even.split_with_sizes(layers.sizes[0::2]), odd.split_with_sizes(layers.sizes[1::2])]
    return [parts[layer % 2][layer // 2] for layer in range(len(layers))]
