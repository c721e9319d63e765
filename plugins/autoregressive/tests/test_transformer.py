"""The transformer: what its attention computes, and refusals."""

import math

import pytest
import torch

from genzoo import Binary, ConfigError, create_model
from small_chains import EVENTS, MODELS, net


def test_a_layer_is_the_formula_of_attention():
    model = net("transformer", **MODELS["transformer"])
    block = model.blocks[0]
    h = torch.randn(2, 6, 8, dtype=torch.float64)
    q, k, v = block.qkv(block.norm(h)).chunk(3, dim=-1)
    attended = torch.zeros_like(h)
    for head in (slice(0, 4), slice(4, 8)):
        scores = q[..., head] @ k[..., head].mT / math.sqrt(4)
        scores = scores.masked_fill(torch.ones(6, 6).triu(1).bool(), -math.inf)
        attended[..., head] = scores.softmax(-1) @ v[..., head]
    wanted = h + block.out(attended)
    wanted = wanted + block.down(torch.nn.functional.gelu(block.up(block.hidden_norm(wanted))))
    assert torch.allclose(block(h), wanted)


def test_a_place_receives_the_value_before_it_its_position_and_the_condition():
    model = net("transformer", **MODELS["transformer"])
    inputs, given = torch.rand(2, 3, 1).double(), torch.rand(2, 8).double()
    found = model.embedded(inputs, given, slice(0, 3))
    wanted = inputs @ model.values.weight.T + model.positions[:3] + given[:, None]
    wanted[:, 0] = model.start + model.positions[0] + given
    assert torch.allclose(found, wanted)
    found = model.embedded(inputs[:, 1:], given, slice(1, 3))
    assert torch.allclose(found, wanted[:, 1:])


def test_training_hides_the_values_of_some_places_and_keeps_the_others():
    model = net("transformer", value_dropout=0.25, **MODELS["transformer"])
    torch.manual_seed(0)
    inputs = torch.rand(500, 6, 1).double() + 1
    every = model.embedded(inputs, None, slice(0, 6)) - model.positions
    model.train()
    found = model.embedded(inputs, None, slice(0, 6)) - model.positions
    assert torch.equal(found[:, 0], every[:, 0])  # The first place receives no value.
    hidden = (found[:, 1:].abs() < 1e-12).all(-1)
    assert torch.allclose(found[:, 1:][~hidden], every[:, 1:][~hidden])
    error = (0.25 * 0.75 / hidden.numel()) ** 0.5
    assert abs(hidden.double().mean().item() - 0.25) < 4.5 * error
    assert not torch.equal(hidden[0], hidden[1])
    model.eval()
    assert torch.equal(model.embedded(inputs, None, slice(0, 6)) - model.positions, every)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"num_heads": 3}, "num_heads=3 does not divide hidden_dim=64"),
        ({"event": Binary(shape=(2**14 + 1,))}, "at most 16,384"),
    ],
)
def test_configs_that_cannot_be_are_refused(config, said):
    with pytest.raises(ConfigError, match=said):
        create_model("transformer", **{"event": EVENTS["binary"], **config})
