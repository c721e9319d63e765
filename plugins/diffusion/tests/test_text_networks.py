"""Denoisers with a text condition: what they see, what they do not, and diffusers' own."""

import pytest
import torch
from diffusers import UNet2DConditionModel

from genzoo import ConfigError
from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.networks import FlatNetwork, UNetShape, mean_state
from genzoo_diffusion.text_networks import TextImageNetwork


def network(shape=(3, 8, 8), channels=(8, 16), levels=1, layers=1, width=6, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        shape = UNetShape(shape, channels, layers, levels, 0.0, None)
        return TextImageNetwork(shape, width).eval()


def flat(shape=(3, 8, 8), width=6, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FlatNetwork(shape, 8, 2, "sinusoidal", 0, 0.5, 1000, None, width).eval()


def signal(num=2, length=5, width=6, seed=1, mask=None):
    generator = torch.Generator().manual_seed(seed)
    return Signal(tokens=torch.randn(num, length, width, generator=generator), mask=mask)


def states(*shape, seed=2):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


TIMES = torch.tensor([3, 700])
MAKERS = [flat, network, lambda: network(levels=0), lambda: network(levels=2)]
each = pytest.mark.parametrize("make", MAKERS, ids=["flat", "image", "middle", "everywhere"])


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 4, 12)])
@pytest.mark.parametrize("channels", [(8,), (8, 12), (4, 8, 8)])
@pytest.mark.parametrize("levels", [0, 1, 5])
def test_a_prediction_has_the_shape_of_the_state(shape, channels, levels):
    net = network(shape, channels, levels)
    assert net(states(2, *shape), TIMES, signal()).shape == (2, *shape)


def test_a_prediction_is_diffusers_own():
    net, x_t = network(), states(2, 3, 8, 8)
    theirs = UNet2DConditionModel.from_config(net.unet.config).eval()
    theirs.load_state_dict(net.unet.state_dict())
    told = signal()
    expected = theirs(x_t, TIMES, encoder_hidden_states=told.tokens).sample
    assert torch.equal(net(x_t, TIMES, told), expected)


@each
def test_each_row_is_told_of_its_own_text_and_time(make):
    net, x_t, told = make(), states(2, 3, 8, 8), signal()
    before = net(x_t, TIMES, told)
    other = Signal(tokens=torch.cat([told.tokens[:1], signal(seed=9).tokens[1:]]))
    after = net(x_t, TIMES, other)
    torch.testing.assert_close(after[0], before[0])
    assert (after[1] - before[1]).abs().max() > 1e-4
    later = net(x_t, torch.tensor([3, 10]), told)
    torch.testing.assert_close(later[0], before[0])
    assert (later[1] - before[1]).abs().max() > 1e-4


@each
def test_what_is_masked_is_not_seen(make):
    net, x_t = make(), states(2, 3, 8, 8)
    mask = torch.tensor([[True] * 3 + [False] * 2] * 2)
    told, other = signal(mask=mask), signal(mask=mask)
    other.tokens[:, 3:] = 7.0
    seen = net(x_t, TIMES, told)
    torch.testing.assert_close(net(x_t, TIMES, other), seen)
    torch.testing.assert_close(net(x_t, TIMES, Signal(tokens=told.tokens[:, :3])), seen)
    assert (net(x_t, TIMES, Signal(tokens=told.tokens)) - seen).abs().max() > 1e-4


@each
def test_all_that_is_seen_masked_or_not_is_the_same(make):
    net, x_t = make(), states(2, 3, 8, 8)
    all_of_it = signal(mask=torch.ones(2, 5, dtype=torch.bool))
    torch.testing.assert_close(net(x_t, TIMES, all_of_it), net(x_t, TIMES, signal()))


@each
def test_every_parameter_learns(make):
    net = make()
    net(states(2, 3, 8, 8), TIMES, signal()).square().sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_what_makes_no_network_is_refused():
    with pytest.raises(ConfigError, match="must be multiples of 4, got 8 × 6"):
        network((3, 8, 6), (8, 8, 8))


@each
def test_a_signal_without_a_text_is_refused(make):
    with pytest.raises(ConfigError, match="needs a signal with tokens"):
        make()(states(2, 3, 8, 8), TIMES, Signal())


def test_fully_connected_layers_are_told_of_the_mean_of_the_states_that_a_text_has():
    told = signal(mask=torch.tensor([[True, True, False, False, False], [False] * 5]))
    expected = torch.stack([told.tokens[0, :2].sum(0) / 2, torch.zeros(6)])
    torch.testing.assert_close(mean_state(told), expected)
    torch.testing.assert_close(mean_state(Signal(tokens=told.tokens)), told.tokens.mean(1))
