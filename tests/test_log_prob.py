"""Log-probabilities of rows: their mean, their blocks, and their graph."""

import math

import pytest
import torch

import genzoo
from genzoo import Binary, CapabilityError, ConfigError, DataError, DataInfo, Real, Unit
from genzoo.errors import NotFiniteFigureError
from genzoo.plugin import LogProb, Note, by_blocks
from genzoo_boltzmann.rbm import RBM, RBMConfig
from genzoo_vae.importance import effective_samples, standard_error
from genzoo_vae.vae import VAE, VAEConfig
from sound_models import Gaussian
from test_compare import machine, states, values


def test_the_mean_has_the_spread_of_rows_and_the_shared_error():
    log_p = values(-1, -3, -5, -7, shared_error=2.0, interval=(-1.0, 0.5), kind="exact")
    found = log_p.mean()
    assert (found.value, found.num_samples, found.unit, found.kind) == (-4, 4, "nats", "exact")
    assert found.std_error == pytest.approx(math.hypot(math.sqrt(20 / 3 / 4), 2.0))
    assert found.interval == (-5.0, -3.5)
    assert len(log_p) == 4


def test_a_density_is_noted():
    notes = (Note("own", "Its own."),)
    given = {"values": torch.zeros(2), "kind": "exact", "notes": notes}
    assert LogProb(**given, measure="mass").mean().notes == notes
    assert [n.code for n in LogProb(**given, measure="density").mean().notes] == ["own", "density"]


def test_a_mean_over_nothing_or_of_nan_is_refused():
    with pytest.raises(DataError, match="no rows"):
        values().mean()
    with pytest.raises(NotFiniteFigureError, match="of row 1, is nan"):
        values(-1, math.nan).mean()


@pytest.mark.parametrize(("shape", "errors"), [((3, 2), (3, 2)), ((3,), (2,)), ((), ())])
def test_there_is_one_value_for_each_row(shape, errors):
    with pytest.raises(ConfigError, match="one log-probability for each row"):
        LogProb(
            values=torch.zeros(shape),
            kind="exact",
            measure="mass",
            std_errors=torch.zeros(errors),
        )


def test_blocks_without_gradients_and_one_block_with_them():
    weight, asked = torch.ones((), requires_grad=True), []

    def log_prob(rows):
        asked.append((rows.start, rows.stop))
        return weight * torch.arange(10.0)[rows]

    with torch.no_grad():
        found = by_blocks(log_prob, 10, 4)
    assert asked == [(0, 4), (4, 8), (8, 10)]
    assert (found.dtype, found.tolist()) == (torch.float64, list(range(10)))
    whole = by_blocks(log_prob, 10, 4)
    assert asked[3:] == [(0, 10)]
    assert whole.dtype == torch.float32
    assert whole.requires_grad


@pytest.mark.parametrize(("visible", "hidden"), [(6, 3), (3, 14)])
def test_the_gradient_of_a_machine_is_data_less_model(visible, hidden):
    """∂ mean log p / ∂W = E_data[v p(h|v)ᵀ] − E_model[v p(h|v)ᵀ], both by enumeration.

    Of 14 hidden units the visible ones are enumerated; of 6 and 3 the hidden ones.
    """
    rbm = RBM(RBMConfig(event=Binary(shape=(visible,)), num_hidden=hidden)).double()
    with torch.no_grad():
        rbm.W.normal_(generator=torch.Generator().manual_seed(0))
    x, every = states(visible)[[1, 2, 5]], states(visible)
    log_p = rbm.log_prob(x)
    found = torch.autograd.grad(log_p.values.mean(), [rbm.W, rbm.b, rbm.c])
    with torch.no_grad():
        p = rbm.log_prob(every).values.exp()
        assert p.sum().item() == pytest.approx(1)
        h, h_data = rbm.encode(every), rbm.encode(x)
        expected = (
            x.T @ h_data / 3 - every.T @ (p[:, None] * h),
            x.mean(0) - p @ every,
            h_data.mean(0) - p @ h,
        )
        torch.testing.assert_close(log_p.values, rbm.log_prob(x).values)
    torch.testing.assert_close(found, expected)


def test_the_gradient_over_many_blocks_of_states_is_that_of_one():
    rbm = machine(0, size=16)
    rbm.config, wide = (
        rbm.config,
        RBM(RBMConfig(event=Binary(shape=(16,)), num_hidden=13)).double(),
    )
    with torch.no_grad():
        wide.W.zero_()
        wide.W[:, :3], wide.b[:], wide.c[:3] = rbm.W, rbm.b, rbm.c
    x = states(4).repeat(1, 4)[:5]
    small, large = (torch.autograd.grad(m.log_prob(x).values.sum(), m.W)[0] for m in (rbm, wide))
    torch.testing.assert_close(large[:, :3], small)


def test_an_estimate_by_annealing_has_no_gradient():
    rbm = RBM(RBMConfig(event=Binary(shape=(30,)), num_hidden=23))
    with pytest.raises(CapabilityError, match=r"2\^23 states .* objective 'pcd' or 'cd'.*no_grad"):
        rbm.log_prob(torch.zeros(2, 30))


def test_standard_errors_of_importance_sampling_are_the_spread_of_fresh_draws():
    """To first order in 1/K; the spread of 400 values has an error of 3.5 %."""
    torch.manual_seed(0)
    model = VAE(VAEConfig(event=Binary(shape=(6,)), hidden_dims=(8,), latent_dim=2))
    x, generator = states(6).float()[:20], torch.Generator().manual_seed(0)
    with torch.no_grad():
        found = [model.log_prob(x, generator=generator, num_samples=50) for _ in range(400)]
    measured = torch.stack([f.values for f in found]).std(0)
    claimed = torch.stack([f.std_errors for f in found]).mean(0)
    ratio = (claimed / measured).mean().item()
    assert ratio == pytest.approx(1, abs=0.07)


def test_equal_weights_are_all_effective_and_without_error():
    log_w = torch.full((8, 3), -700.0, dtype=torch.float64)
    effective = effective_samples(log_w)
    torch.testing.assert_close(effective, torch.full((3,), 8.0).double())
    errors = standard_error(effective, 8)
    torch.testing.assert_close(errors, torch.zeros(3).double(), atol=1e-6, rtol=0)
    assert standard_error(effective_samples(log_w[:1]), 1).tolist() == [math.inf] * 3


def test_the_gradient_of_a_vae_is_that_of_the_importance_weighted_bound():
    torch.manual_seed(0)
    model = VAE(VAEConfig(event=Binary(shape=(6,)), hidden_dims=(8,), latent_dim=2)).double()
    x = states(6)[:7]
    log_p = model.log_prob(x, generator=torch.Generator().manual_seed(3), num_samples=5)
    eps = torch.randn(5, 7, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    z = model.moments(x)[0] + (0.5 * model.moments(x)[1]).exp() * eps
    q = torch.distributions.Normal(model.moments(x)[0], (0.5 * model.moments(x)[1]).exp())
    log_w = torch.stack(
        [model.likelihood(row).log_prob(x) + model.prior().log_prob(row) for row in z]
    )
    expected = (log_w - q.log_prob(z).sum(2)).logsumexp(0) - math.log(5)
    torch.testing.assert_close(log_p.values, expected)
    parameters = list(model.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(log_p.values.sum(), parameters, retain_graph=True),
        torch.autograd.grad(expected.sum(), parameters),
    )


class Levels(Gaussian):
    """A density of data in [0, 1]."""

    event_spaces = (Real, Unit)


def test_bits_of_a_density_of_levels_have_those_of_a_level_added():
    x = torch.randint(256, (50, 3), generator=torch.Generator().manual_seed(0)) / 255
    model = Levels(Gaussian.Config(event=Unit(shape=(3,))))
    plain = genzoo.evaluate(model, x, ["log-likelihood"]).figures
    info = DataInfo(fields={"x": Unit(shape=(3,), levels=256)})
    stepped = genzoo.ArrayDataset(x, info, "levels")
    found = genzoo.evaluate(model, stepped, ["log-likelihood"]).figures
    assert found["log-likelihood"].value == plain["log-likelihood"].value
    added = found["bits-per-dimension"].value - plain["bits-per-dimension"].value
    assert added == pytest.approx(8)
    assert "levels-added" in [note.code for note in found["bits-per-dimension"].notes]
