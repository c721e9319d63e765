"""What is sharded: networks whose parameters are read only while they are called."""

import pytest
import torch
from torch import nn

import families
from genzoo.training.sharding.reading import read_while
from genzoo.training.sharding.units import choose, networks_of


class Net(nn.Sequential):
    """Two linear layers: 20 and 10 parameters."""

    def __init__(self):
        super().__init__(nn.Linear(4, 4), nn.Linear(4, 2))


class Bare(nn.Module):
    """A parent that stands for an objective with the child network ``net``."""

    def __init__(self, net, losses):
        super().__init__()
        self.net, self.losses = net, losses


def chosen(net, losses, least=1):
    parent = Bare(net, losses)
    readings = read_while(parent, lambda: losses(net, torch.ones(3, 4)))
    return choose(parent, readings, least), readings


def plain(net, x):
    net(x).sum()


def test_a_network_is_gathered_in_blocks_and_itself_last():
    choice, readings = chosen(Net(), plain)
    assert choice.networks == {"net": ["net.0", "net.1", "net"]}
    assert not choice.refused
    assert not readings.takes_second_derivatives


@pytest.mark.parametrize(("least", "found"), [(30, {"net": ["net"]}), (31, {})])
def test_small_networks_stay_whole_and_small_blocks_are_gathered_with_the_rest(least, found):
    choice, _ = chosen(Net(), plain, least)
    assert choice.networks == found
    assert not choice.refused


def test_a_parameter_that_is_read_outside_leaves_its_network_whole_and_others_sharded():
    def losses(net, x):
        net(x)
        net[0].weight.square().sum()

    choice, _ = chosen(Net(), losses)
    assert choice.networks == {"net.1": ["net.1"]}
    choice, _ = chosen(Net(), losses, least=20)
    assert choice.networks == {}
    assert choice.refused == {"net.0": "weight is read outside of its calls"}


def test_facts_of_a_parameter_may_be_read_outside():
    def losses(net, x):
        weight = net[0].weight
        net(x.to(weight.dtype)).reshape(-1, weight.shape[0] // 2)
        assert weight.ndim == 2
        assert weight.numel() == 16
        assert weight.requires_grad

    assert "net" in chosen(Net(), losses)[0].networks


def test_a_shared_parameter_is_gathered_with_all_of_its_modules():
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    choice, _ = chosen(tied, plain)
    assert choice.networks == {"net": ["net"]}
    apart = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
    apart[1].weight = apart[0].weight
    choice, _ = chosen(apart, lambda net, x: net[1](x))
    assert choice.networks == {}
    assert choice.refused["net.1"] == "weight is shared with another module"


def test_a_child_that_is_read_and_not_called_is_no_block():
    attention = nn.MultiheadAttention(4, 2)  # It reads the weights of out_proj itself.
    choice, _ = chosen(attention, lambda net, x: net(x, x, x))
    assert choice.networks == {"net": ["net"]}


def test_a_part_that_is_also_called_without_its_network_is_a_network():
    def losses(net, x):
        net(x)
        net[0](x)

    assert list(chosen(Net(), losses)[0].networks) == ["net.0", "net.1"]


def test_a_list_of_networks_is_not_one_and_a_network_without_calls_stays_whole():
    many = nn.ModuleList([Net(), Net()])
    choice, _ = chosen(many, lambda net, x: net[0](x))
    assert list(choice.networks) == ["net.0"]
    choice, _ = chosen(Net(), lambda net, x: x, least=30)
    assert choice.refused == {"net": "it is not called"}


def test_a_functional_call_with_other_parameters_leaves_a_network_whole():
    """As unrolled updates of a critic do."""

    def losses(net, x):
        changed = {name: 0.9 * parameter for name, parameter in net.named_parameters()}
        torch.func.functional_call(net, changed, (x,))
        net(x)

    assert chosen(Net(), losses)[0].networks == {}


def test_a_network_whose_output_is_a_view_that_is_changed_in_place_stays_whole():
    class View(Net):
        def forward(self, x):
            return super().forward(x)[:, :1]

    def changed(net, x):
        y = net(x)
        y += 1

    assert list(chosen(View(), changed)[0].networks) == ["net.0", "net.1"]
    assert "net" in chosen(View(), plain)[0].networks


def test_second_derivatives_are_noticed():
    def losses(net, x):
        x.requires_grad_()
        torch.autograd.grad(net(x).sum(), x, create_graph=True)

    assert chosen(Net(), losses)[1].takes_second_derivatives
    first = chosen(Net(), lambda net, x: torch.autograd.grad(net(x.requires_grad_()).sum(), x))
    assert not first[1].takes_second_derivatives


def test_networks_are_the_children_of_models_and_objectives():
    model = families.linear()
    objective = families.LeastSquares(model, families.None_())
    objective.critic = Net()
    assert list(networks_of(objective)) == ["model.net", "critic"]
