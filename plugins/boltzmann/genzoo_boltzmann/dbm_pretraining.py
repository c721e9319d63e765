"""Greedy pretraining of a deep machine: each pair of its layers learns as an RBM."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from genzoo.plugin import Batch, Bounds, Component, Goal, Loss, Meaning, Objective, Step
from genzoo_boltzmann.dbm import DBM
from genzoo_boltzmann.fast_bernoulli import bernoulli
from genzoo_boltzmann.layers import Layers
from genzoo_boltzmann.objectives import LearningConfig, sgd
from genzoo_boltzmann.precision import full_precision
from genzoo_boltzmann.sparse_binary import binary_addmm, few_ones


@dataclass(frozen=True, kw_only=True)
class DBMPretrainingConfig(LearningConfig):
    """Greedy pretraining."""

    num_steps: Annotated[int, Bounds(1, 10**6)] = 1
    """The number of Gibbs sweeps from the data, the k of CD-k."""


class DBMPretraining(Objective[DBMPretrainingConfig]):
    """Trains each pair of neighbouring layers as an RBM by CD-k, on the layer below.

    In the deep machine a hidden layer is driven from both sides, in its RBM from one only. So a
    pair's product with W_l is doubled upwards unless layer l is the top, and downwards unless
    layer l − 1 is the visible one: the other side then has what the doubled half stands for.

    All pairs learn in every update, each from the probabilities that the pairs below give its
    lower layer. A hidden layer is the upper one of a pair and the lower one of the next; its bias
    follows the mean of both gradients.

    | Deep Boltzmann Machines (Salakhutdinov, Hinton, 2009)
    """

    Config = DBMPretrainingConfig
    requires = (DBM,)
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "loss": Meaning(
            "mean squared error of the visible units after the sweeps: not a likelihood",
            goal=Goal("lower", best=0.0),
            healthy="it falls fast, then slowly",
        ),
    }
    model: DBM

    @classmethod
    def optimizers(cls, config: DBMPretrainingConfig) -> Mapping[str, Component]:
        """Return stochastic gradient descent with the config's values."""
        return {"model": sgd(config)}

    @torch.no_grad()
    def _gradients(self, v: Tensor, step: Step) -> tuple[Tensor, dict[nn.Parameter, Tensor]]:
        model = self.model
        layers, x = model.layers(), v
        biases: list[list[Tensor]] = [[] for _ in layers.biases]
        gradients: dict[nn.Parameter, Tensor] = {}
        error = v.new_zeros(())
        for layer in range(1, len(layers)):
            pair = _Pair(layers, layer)
            p = pair.up(x)
            chain, p_chain = pair.sweeps(p, self.config.num_steps, step.generator)
            if layer == 1:
                error = ((v - chain) ** 2).mean()
            rates = model.base_rates if layer == 1 else x.mean(0)
            offsets = (rates, p.mean(0)) if self.config.centred else None
            d_W, d_below, d_above = pair.gradient((x, p), (chain, p_chain), offsets)
            gradients[model.W[layer - 1]] = d_W
            biases[layer - 1].append(d_below)
            biases[layer].append(d_above)
            x = bernoulli(p, step.generator)
        for parameter, found in zip((model.b, *model.c), biases, strict=True):
            gradients[parameter] = torch.stack(found).mean(0)
        return error, gradients

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the error of the visible units, with the gradients of contrastive divergence."""
        v = batch["x"].flatten(1).to(self.model.device, self.model.dtype)
        with full_precision(v.device):
            error, found = self._gradients(v, step)
        yield Loss(error, gradients={p: d for p, d in found.items() if p.requires_grad})


class _Pair:
    """Layers l − 1 and l as an RBM.

    Arguments:
        layers: The machine.
        layer: The number l of the upper layer.
    """

    def __init__(self, layers: Layers, layer: int) -> None:
        self.W = layers.W[layer - 1].detach()
        self.below, self.above = (layers.biases[n].detach() for n in (layer - 1, layer))
        self.upwards = 1.0 if layer == len(layers) - 1 else 2.0
        self.downwards = 1.0 if layer == 1 else 2.0

    def up(self, x: Tensor) -> Tensor:
        """Return the probabilities of the upper layer, (B, N_l), given the lower one."""
        product = binary_addmm(self.above / self.upwards, x, self.W, few_ones(x, self.W))
        return product.mul_(self.upwards).sigmoid_()

    def sweeps(self, p: Tensor, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the lower layer and the upper one's probabilities after Gibbs sweeps."""
        x = p
        for _ in range(num):
            h = bernoulli(p, generator)
            field = torch.addmm(self.below, h, self.W.T, alpha=self.downwards)
            x = bernoulli(field.sigmoid_(), generator)
            p = self.up(x)
        return x, p

    def gradient(
        self,
        data: tuple[Tensor, Tensor],
        chain: tuple[Tensor, Tensor],
        offsets: tuple[Tensor, Tensor] | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of W and of the biases of both layers; see `layer_gradient`.

        Arguments:
            data: Units of both layers, given the data.
            chain: Those of the chains.
            offsets: The offsets of both layers around which the gradient is centred, or None.
        """
        (x, p), (y, q) = data, chain
        d_below, d_above = y.mean(0) - x.mean(0), q.mean(0) - p.mean(0)
        if offsets is None:
            return (y.T @ q) / len(y) - (x.T @ p) / len(x), d_below, d_above
        mu, lam = offsets
        d_W = (y.T @ (q - lam)) / len(y) - (x.T @ (p - lam)) / len(x)
        d_W.addr_(mu, d_above, alpha=-1)
        d_below = d_below - self.downwards * (d_W @ lam)
        return d_W, d_below, d_above - self.upwards * (d_W.T @ mu)
