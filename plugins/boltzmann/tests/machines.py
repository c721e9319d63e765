"""Small machines whose every probability can be summed."""

import math

import torch

from genzoo import Binary
from genzoo_boltzmann.dbm import DBM, DBMConfig
from genzoo_boltzmann.rbm import RBM, RBMConfig


def states(num):
    """All states of ``num`` units, (2^num, num), float64."""
    return ((torch.arange(2**num)[:, None] >> torch.arange(num)) & 1).double()


def machine(num_visible=6, num_hidden=4, scale=1.0, seed=0):
    """A machine with normal weights and biases, in float64."""
    generator = torch.Generator().manual_seed(seed)
    rbm = RBM(RBMConfig(event=Binary(shape=(num_visible,)), num_hidden=num_hidden)).double()
    with torch.no_grad():
        for parameter in rbm.parameters():
            draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(scale * draw)
        rates = torch.rand(num_visible, generator=generator, dtype=torch.float64)
        rbm.base_rates.copy_(0.1 + 0.8 * rates)
        rbm.data_seen.fill_(True)
    return rbm


def check_gradient(rbm, data, chain, **tolerance):
    """Hold the plain gradient of a machine's contrast against autograd's."""
    phases = rbm.phase(data), rbm.phase(chain)
    found = rbm.contrast(*phases, centred=False)
    loss = rbm.free_energy(data).mean() - rbm.free_energy(chain).mean()
    expected = torch.autograd.grad(loss, [rbm.W, rbm.b, rbm.c])
    torch.testing.assert_close(rbm.difference(*phases), loss.detach(), **tolerance)
    for parameter, wanted in zip((rbm.W, rbm.b, rbm.c), expected, strict=True):
        torch.testing.assert_close(found[parameter], wanted, **tolerance)


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


def gated(num_visible=70, num_hidden=23, on=50, depth=5.0, dtype=torch.float32):
    """A machine with a mode that annealing does not find, and log Z of it in closed form.

    One hidden unit turns the first ``on`` visible units on; the others, and all other hidden
    units, are fair coins. The mode has about e^depth times the mass of the rest, and at β = 0 a
    share of 2^−on: only at the end of the path does it become the likelier one.
    """
    rbm = RBM(RBMConfig(event=Binary(shape=(num_visible,)), num_hidden=num_hidden)).to(dtype)
    with torch.no_grad():
        for parameter in rbm.parameters():
            parameter.zero_()
        rbm.W[:on, 0] = 8.0
        rbm.c[0] = depth - on * (8 - math.log(2))
    coins = (num_visible - on + num_hidden - 1) * math.log(2)
    mode = rbm.c[0].item() + on * math.log1p(math.exp(8))
    return rbm, coins + float(torch.tensor([on * math.log(2), mode]).logsumexp(0))


def rows_of_mode(num, num_visible=70, on=50, seed=0):
    """Draws of the visible units given that the gate is open."""
    generator = torch.Generator().manual_seed(seed)
    p = torch.full((num_visible,), 0.5)
    p[:on] = torch.sigmoid(torch.tensor(8.0))
    return torch.rand(num, num_visible, generator=generator).lt(p).float()


def rows(rbm, num, generator):
    """Exact draws of the visible units of a machine with few hidden ones, (num, V)."""
    with torch.no_grad():
        h = states(rbm.W.shape[1])
        log_p = h @ rbm.c + torch.nn.functional.softplus(rbm.b + h @ rbm.W.T).sum(1)
        drawn = torch.multinomial(log_p.softmax(0), num, replacement=True, generator=generator)
        p = torch.sigmoid(rbm.b + h[drawn] @ rbm.W.T)
    return torch.rand(p.shape, generator=generator, dtype=p.dtype).lt(p).to(p.dtype)


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


def deep_machine(sizes=(4, 3, 2), scale=0.7):
    """A deep machine with layers of given sizes, from below, and random weights."""
    generator = torch.Generator().manual_seed(0)
    model = DBM(DBMConfig(event=Binary(shape=sizes[:1]), hidden_dims=sizes[1:])).double()
    with torch.no_grad():
        for parameter in model.parameters():
            draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(scale * draw)
        model.base_rates.copy_(0.2 + 0.6 * torch.rand(sizes[0], generator=generator))
    return model
