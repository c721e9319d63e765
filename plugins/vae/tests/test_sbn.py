"""The sigmoid belief network: its draws, its layers, its learning."""

import pytest
import torch

from enumerable import EVENT, EVERY, made
from genzoo import CapabilityError, ConfigError, Label, create_model
from genzoo.plugin import DataInfo
from genzoo_vae import enumeration
from genzoo_vae.belief_layers import BeliefLayer
from genzoo_vae.posteriors.proposal import Rows


def test_log_p_by_hand():
    """log p(x | h_1) + log p(h_1 | h_2) + log p(h_2), written out with logistic functions."""
    model = made("deep sbn")
    x, h1, h2 = (torch.tensor(v).double() for v in ([1.0, 0, 1, 1], [1.0, 0], [0.0, 1]))
    below, middle, top = model.generative

    def log_p(values, logits):
        p = logits.sigmoid()
        return (values * p.log() + (1 - values) * (1 - p).log()).sum()

    wanted = log_p(x, below.offset + below.linear.weight @ (2 * h1 - 1))
    wanted = wanted + log_p(h1, middle.offset + middle.linear.weight @ (2 * h2 - 1))
    wanted = wanted + log_p(h2, top.offset)
    rows = Rows(x.view(1, 1, 2, 2))
    found = enumeration.log_joint(model, rows, (h1.view(1, 1, 2), h2.view(1, 1, 2)))
    torch.testing.assert_close(found.squeeze(), wanted)


def test_units_of_an_autoregressive_layer_see_those_before_them_only():
    layer = BeliefLayer(3, 5, autoregressive=True).double()
    layer.among.data.normal_()
    v, u = torch.randn(1, 3).double(), torch.randn(1, 5).double()
    jacobian = torch.autograd.functional.jacobian(lambda u: layer.logits(v, u)[0], u)[:, 0]
    assert bool((jacobian.triu() == 0).all())
    below = torch.tril_indices(5, 5, -1)
    assert bool((jacobian[below[0], below[1]] != 0).all())


def test_a_condition_decides_the_top_layer():
    model = made("deep sbn", conditions={"label": Label(num_classes=2)})
    rows = [Rows(EVERY, model.checked(label, 16)) for label in (0, 1)]
    with torch.no_grad():
        p = [enumeration.log_evidence(model, r).exp() for r in rows]
    assert all(each.sum().item() == pytest.approx(1) for each in p)
    assert (p[0] - p[1]).abs().max() > 0.01


def test_receptive_fields_are_differences_of_means():
    model = made("deep sbn")
    below, middle, top = model.generative
    p = top.offset.sigmoid()
    fields = model.receptive_fields(2)
    for j in range(2):
        means = []
        for value in (1.0, 0.0):
            h2 = p.clone()
            h2[j] = value
            h1 = (middle.offset + middle.linear.weight @ (2 * h2 - 1)).sigmoid()
            means.append((below.offset + below.linear.weight @ (2 * h1 - 1)).sigmoid())
        torch.testing.assert_close(fields[j].flatten(), means[0] - means[1])
    assert torch.equal(model.filters(), model.receptive_fields(1))
    with pytest.raises(ConfigError, match=r"layers 1 to 2, got 3"):
        model.receptive_fields(3)


def test_fantasies_have_a_picture_for_each_layer():
    model = made("deep sbn")
    found = model.fantasies(3, generator=torch.Generator().manual_seed(0))
    assert [tuple(x.shape) for x in found] == [(3, 1, 2, 2)] * 3
    assert set(found[0].unique().tolist()) <= {0.0, 1.0}
    with pytest.raises(CapabilityError, match="without a condition"):
        made("sbn", conditions={"label": Label(num_classes=2)}).fantasies(
            1, generator=torch.Generator()
        )


def test_offsets_of_x_start_at_the_log_odds_of_the_data():
    model = create_model("sbn", event=EVENT, hidden_dims=(3,))
    assert model.needs_data_init()
    x = torch.tensor([[1.0, 0, 1, 0], [1, 1, 0, 0]]).view(2, 1, 2, 2)
    model.init_from_data({"x": x}, DataInfo(fields={"x": EVENT}))
    wanted = torch.tensor([0.999, 0.5, 0.5, 0.001])
    torch.testing.assert_close(model.generative[0].offset.sigmoid().data, wanted)
    assert not model.needs_data_init()


def test_tanh_units_are_inside_the_conditionals():
    model = create_model("sbn", event=EVENT, hidden_dims=(3,), mlp_dims=(5, 6))
    assert [p.shape[0] for p in model.generative[0].hidden.parameters() if p.ndim == 2] == [5, 6]
    assert [p.shape[0] for p in model.recognition[0].hidden.parameters() if p.ndim == 2] == [5, 6]


def test_codes_are_those_of_the_top_layer():
    """Draws of h_2 given x, and its probabilities with those of h_1 in the place of units."""
    model = made("deep sbn", hidden_dims=(3, 2))
    x = EVERY[[5]]
    h1 = model.recognition[0].mean(x.flatten(1))
    torch.testing.assert_close(model.encode(x), model.recognition[1].mean(h1))
    z = model.draw_codes(x.expand(20_000, 1, 2, 2), generator=torch.Generator().manual_seed(0))
    assert z.shape == (20_000, 2)
    states = torch.cartesian_prod(*[torch.arange(2.0)] * 3).double()
    p = model.recognition[0].mean(x.flatten(1))
    weights = torch.where(states > 0.5, p, 1 - p).prod(1)
    wanted = (weights[:, None] * model.recognition[1].mean(states)).sum(0)
    assert (z.mean(0) - wanted).abs().max() < 5 * 0.5 / 20_000**0.5


def test_a_recognition_network_sees_the_condition():
    model = made("sbn", conditions={"label": Label(num_classes=2)})
    codes = [model.encode(EVERY, condition=label) for label in (0, 1)]
    assert (codes[0] - codes[1]).abs().max() > 0.01


def test_means_of_autoregressive_units_depend_on_those_before():
    layer = BeliefLayer(2, 3, autoregressive=True).double()
    for parameter in layer.parameters():
        parameter.data.normal_()
    v = torch.tensor([[0.0, 1.0]]).double()
    a, weights, wanted = layer.logits(v)[0], layer.among, []
    for i in range(3):
        wanted.append((a[i] + sum(weights[i, j] * wanted[j] for j in range(i))).sigmoid())
    torch.testing.assert_close(layer.mean(v)[0], torch.stack(wanted))
