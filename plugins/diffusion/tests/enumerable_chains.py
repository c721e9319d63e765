"""Small discrete diffusions whose chain can be enumerated, with random or exact networks."""

import itertools

import torch
from torch import nn

from genzoo import Categorical
from genzoo.plugin import SupportsLogProb
from genzoo_diffusion.discrete_diffusion import DiscreteDiffusion, DiscreteDiffusionConfig
from genzoo_diffusion.discrete_kernels import Absorbing

SHAPE, K = (3,), 3


class Table(nn.Module):
    """Random logits for each state, wilder with time; (num_states ** D, D, K)."""

    def __init__(self, num_states, places, categories, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        shape = (num_states**places, places, categories)
        table = torch.randn(shape, generator=generator, dtype=torch.float64)
        self.table = nn.Parameter(table)
        self.num_states = num_states

    def forward(self, x_t, t, signal):
        logits = self.table[index_of(x_t, self.num_states)]
        return logits if t is None else (1 + t.view(-1, 1, 1)) * logits


class ExactNetwork(nn.Module):
    """What the other places of a state say about each place, for data of a known law."""

    def __init__(self, model, law):
        super().__init__()
        self.law = nn.Parameter(law.double())
        self.kernel, self.schedule = model.kernel, model.schedule

    def forward(self, x_t, t, signal):
        rows = states(K, x_t.shape[1])
        if isinstance(self.kernel, Absorbing):
            factors = ((x_t[:, None] == rows) | (x_t[:, None] == K)).double()
        else:
            alpha = self.schedule.alpha(t.double())[:, None, None]
            factors = alpha * (x_t[:, None] == rows) + (1 - alpha) / K
        logits = torch.empty(*x_t.shape, K, dtype=torch.float64)
        for i in range(x_t.shape[1]):
            others = [j for j in range(x_t.shape[1]) if j != i]
            weight = self.law * factors[:, :, others].prod(-1)
            for v in range(K):
                logits[:, i, v] = weight[:, rows[:, i] == v].sum(1)
        return logits.log()


def states(num, places):
    """Return all states, (num ** places, places)."""
    return torch.tensor(list(itertools.product(range(num), repeat=places)))


def index_of(x, num):
    """Return the index of each state in the list of `states`."""
    powers = num ** torch.arange(x.shape[1] - 1, -1, -1)
    return (x * powers).sum(1)


def random_law(seed=3, places=SHAPE[0]):
    generator = torch.Generator().manual_seed(seed)
    law = torch.rand(K**places, generator=generator, dtype=torch.float64) ** 3
    return law / law.sum()


def small(kernel="absorbing", T=4, event=None, **fields):
    """Return a model in float64 with a network of random logits."""
    event = event or Categorical(shape=SHAPE, num_categories=K)
    config = DiscreteDiffusionConfig(
        event=event,
        kernel=kernel,
        num_timesteps=T,
        network="flat",
        hidden_dim=4,
        num_blocks=1,
        **fields,
    )
    model = DiscreteDiffusion(config).double()
    places = event.num_dims
    model.network = Table(model.kernel.num_states, places, event.num_categories)
    return model


def exact(kernel="absorbing", T=None, law=None, **fields):
    """Return a model whose network is exact for data of a law."""
    model = small(kernel, T, **fields)
    model.network = ExactNetwork(model, random_law() if law is None else law)
    assert isinstance(model, SupportsLogProb)
    return model


@torch.no_grad()
def reverse_matrix(model, i, T):
    """Return p(x_{i-1} | x_i) of all states, by multiplying the laws of the places."""
    alpha = model.schedule.grid(T)
    everything = states(model.kernel.num_states, model.event.num_dims)
    t = torch.full((len(everything),), i / T, dtype=torch.float64)
    p = model.log_denoised(everything, t, model.signal(None, len(everything))).exp()
    places = model.kernel.reverse(everything, p, alpha[i - 1], alpha[i])
    found = torch.ones(len(everything), len(everything), dtype=torch.float64)
    for place in range(everything.shape[1]):
        found *= places[:, place][:, everything[:, place]]
    return found


@torch.no_grad()
def law_of_chain(model, T, start=None):
    """Return the probabilities of all states at t = 0, by the chain's matrices."""
    n, places = model.kernel.num_states, model.event.num_dims
    if start is None:
        last = isinstance(model.kernel, Absorbing)
        start = torch.zeros(n**places, dtype=torch.float64)
        start[-1 if last else slice(None)] = 1 if last else n**-places
    for i in range(T, 0, -1):
        start = start @ reverse_matrix(model, i, T)
    return start


@torch.no_grad()
def forward_law(model, x_0, alpha):
    """Return q(x_t | x_0) of all states by its definition."""
    everything = states(model.kernel.num_states, model.event.num_dims)
    kept = (everything == x_0).double()
    if isinstance(model.kernel, Absorbing):
        replaced = (everything == model.num_categories).double()
    else:
        replaced = torch.full_like(kept, 1 / model.num_categories)
    return (alpha * kept + (1 - alpha) * replaced).prod(1)


@torch.no_grad()
def formula(model, x_0, T):
    """Return the bound on −log p(x_0), summed over all steps and states.

    The true reverse law is Bayes' rule with the forward laws of states, not of places.
    """
    alpha = model.schedule.grid(T)
    everything = states(model.kernel.num_states, model.event.num_dims)
    total = 0.0
    for i in range(1, T + 1):
        at_t, at_s = forward_law(model, x_0, alpha[i]), forward_law(model, x_0, alpha[i - 1])
        step = torch.stack([_step(model, x_s, alpha[i] / alpha[i - 1]) for x_s in everything])
        joint = at_s[:, None] * step  # (s, t)
        q = (joint / at_t.clamp(min=1e-300)).T
        p = reverse_matrix(model, i, T)
        divergence = torch.where(q > 0, q * (q / p).log(), 0.0).sum(1)
        total += float((at_t * divergence).sum())
    return total


def _step(model, x_s, keep):
    """Return q(x_t | x_s) of all states x_t."""
    everything = states(model.kernel.num_states, model.event.num_dims)
    kept = (everything == x_s).double()
    if isinstance(model.kernel, Absorbing):
        replaced = (everything == model.num_categories).double()
    else:
        replaced = torch.full_like(kept, 1 / model.num_categories)
    return (keep * kept + (1 - keep) * replaced).prod(1)
