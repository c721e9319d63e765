"""Small machines whose every probability can be summed."""

import torch

from genzoo_boltzmann.rbm import RBM, RBMConfig


def states(num):
    """All states of ``num`` units, (2^num, num), float64."""
    return ((torch.arange(2**num)[:, None] >> torch.arange(num)) & 1).double()


def machine(num_visible=6, num_hidden=4, scale=1.0, seed=0):
    """A machine with normal weights and biases, in float64."""
    generator = torch.Generator().manual_seed(seed)
    rbm = RBM(RBMConfig(event_shape=(num_visible,), num_hidden=num_hidden)).double()
    with torch.no_grad():
        for parameter in rbm.parameters():
            draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(scale * draw)
        rates = torch.rand(num_visible, generator=generator, dtype=torch.float64)
        rbm.base_rates.copy_(0.1 + 0.8 * rates)
        rbm.data_seen.fill_(True)
    return rbm


def two_modes(depth=5.0):
    """A machine of 6 + 2 units whose mass is at all-on and all-off, with nothing in between.

    W = depth on both hidden units and biases that make the two modes equally likely: block Gibbs
    moves between them almost never.
    """
    rbm = machine(6, 2, scale=0.0)
    with torch.no_grad():
        rbm.W.fill_(depth)
        rbm.b.fill_(-depth)
        rbm.c.fill_(-3 * depth)
        rbm.base_rates.fill_(0.5)
    return rbm


def log_joint(rbm):
    """−E(v, h) of every pair of states, (2^V, 2^H), term by term from the definition."""
    v, h = states(rbm.W.shape[0]), states(rbm.W.shape[1])
    pairs = torch.einsum("ai,ij,bj->ab", v, rbm.W, h)
    return (pairs + (v @ rbm.b)[:, None] + (h @ rbm.c)[None]).detach()


def probabilities(rbm):
    """p(v) of every visible state, (2^V,)."""
    joint = log_joint(rbm)
    return (joint.logsumexp(1) - joint.flatten().logsumexp(0)).exp()


def frequencies(v):
    """How often each state is among the rows of ``v``, (2^V,)."""
    index = (v.flatten(1).long() << torch.arange(v[0].numel())).sum(1)
    return torch.bincount(index, minlength=2 ** v[0].numel()).double() / len(v)


def total_variation(p, q):
    return 0.5 * float((p - q).abs().sum())


def expected_variation(p, num):
    """The mean total variation of ``num`` exact draws from ``p``: half Σ √(2 p(1−p) / πn)."""
    return 0.5 * float((2 * p * (1 - p) / (torch.pi * num)).sqrt().sum())
