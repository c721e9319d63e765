"""Pictures of the layers of deep models: laws by enumeration."""

import pytest
import torch

from genzoo import Binary
from genzoo_boltzmann import fantasies
from genzoo_boltzmann.dbm import DBM, DBMConfig
from genzoo_boltzmann.dbn import DBN, DBNConfig
from machines import states

SIZES = (4, 3, 2, 2)


def _model(cls, config, sizes=SIZES):
    model = cls(config(event=Binary(shape=(1, 2, 2)), hidden_dims=sizes[1:])).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(generator=generator)
    return model


def _joint(layers):
    """All states of all layers, and their probabilities."""
    x = states(sum(layers.sizes)).split(layers.sizes, dim=1)
    pairs = sum(((x[n] @ W) * x[n + 1]).sum(1) for n, W in enumerate(layers.W))
    own = sum(units @ c for units, c in zip(x, layers.biases, strict=True))
    return x, (pairs + own).softmax(0)


@torch.no_grad()
def test_a_deep_machine_draws_what_is_below_a_layer_given_its_units():
    model, num = _model(DBM, DBMConfig), 4000
    model.W[2].mul_(-2)
    layers = model._detached()
    x, p = _joint(layers)
    given = [torch.ones(num, size, dtype=torch.float64) for size in SIZES]
    found = fantasies.in_machine(layers, given, 20, torch.Generator().manual_seed(0))
    assert torch.equal(found[0], given[1])
    for level in (2, 3):
        weight = p * x[level].all(1)
        wanted = weight @ x[1] / weight.sum()
        # Five standard errors of a share.
        torch.testing.assert_close(found[level - 1].mean(0), wanted, rtol=0, atol=0.04)
    assert (found[1].mean(0) - found[2].mean(0)).abs().max() > 0.08


@torch.no_grad()
def test_a_net_draws_each_layer_from_the_one_above():
    machines, num = _model(DBN, DBNConfig).machines, 4000
    given = [torch.ones(num, size, dtype=torch.float64) for size in SIZES]
    found = fantasies.in_net(machines, given, torch.Generator().manual_seed(0))
    assert torch.equal(found[0], given[1])
    second = machines[1].visible_mean(given[2][:1])[0]
    torch.testing.assert_close(found[1].mean(0), second, rtol=0, atol=0.04)
    h = states(SIZES[2])
    weight = torch.where(h == 1, *(q := machines[2].visible_mean(given[3][:1]), 1 - q)).prod(1)
    third = weight @ machines[1].visible_mean(h)
    torch.testing.assert_close(found[2].mean(0), third, rtol=0, atol=0.04)


@pytest.mark.parametrize(("cls", "config"), [(DBM, DBMConfig), (DBN, DBNConfig)])
@torch.no_grad()
def test_a_first_layer_says_all_about_its_sample(cls, config):
    """With weights that leave nothing to chance, E[v | h₁] is the sample itself."""
    model = _model(cls, config, (4, 4, 2))
    below = model.W[0] if cls is DBM else model.machines[0].W
    below.copy_(200 * torch.eye(4).double())
    bias = model.b if cls is DBM else model.machines[0].b
    bias.fill_(-100.0)
    v, first, second = model.fantasies(
        50, generator=torch.Generator().manual_seed(0), num_inference_steps=20
    )
    torch.testing.assert_close(first, v)
    assert not torch.equal(second.round(), v)
