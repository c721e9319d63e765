"""Log-likelihoods of several models on the same rows, and the errors of their differences."""

import dataclasses
import math

import pytest
import torch

import families
import genzoo
from genzoo import Binary, CapabilityError, ConfigError, DataInfo, Unit
from genzoo.data import ArrayDataset
from genzoo.evaluation.paired import difference
from genzoo.plugin import LogProb, Note
from genzoo_boltzmann import partition
from genzoo_boltzmann.rbm import RBM, RBMConfig
from genzoo_vae.vae import VAE, VAEConfig
from likelihoods import mean_log_prob
from sound_models import Exact

REPETITIONS = 200


def machine(seed, size=6):
    rbm = RBM(RBMConfig(event=Binary(shape=(size,)), num_hidden=3)).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in rbm.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator).double() / 2)
    return rbm


def states(size):
    return (torch.arange(2**size)[:, None] >> torch.arange(size)).bitwise_and(1).double()


def values(*numbers, kind="exact", **fields):
    return LogProb(values=torch.tensor(numbers).double(), kind=kind, measure="mass", **fields)


def test_the_difference_is_that_of_the_means():
    models = {"a": machine(0), "b": machine(1), "c": machine(2)}
    x = states(6)
    found = genzoo.compare(models, x)
    assert list(found.differences) == [("a", "b"), ("a", "c"), ("b", "c")]
    for name, model in models.items():
        assert found.figures[name].value == pytest.approx(mean_log_prob(model, x).value)
    for (a, b), estimate in found.differences.items():
        expected = found.figures[a].value - found.figures[b].value
        assert estimate.value == pytest.approx(expected, rel=1e-12)
        assert (estimate.kind, estimate.unit, estimate.num_samples) == ("exact", "nats", 64)
    assert "a − c" in str(found)
    assert found.provenance["examples"] == 64


def test_models_of_two_families_are_compared():
    config = VAEConfig(event=Binary(shape=(6,)), hidden_dims=(8,), latent_dim=2)
    vae, x = VAE(config), states(6).float()
    found = genzoo.compare({"vae": vae, "rbm": machine(0)}, x, seed=3, num_samples=50)
    again = genzoo.compare({"vae": vae, "rbm": machine(0)}, x, seed=3, num_samples=50)
    assert found.differences["vae", "rbm"].kind == "lower bound"
    assert "K = 50" in found.differences["vae", "rbm"].notes[0].text
    assert str(found) == str(again)


def test_the_error_is_that_of_paired_values_and_not_of_two_means():
    shared = torch.tensor([0.0, -100.0, -50.0, -10.0], dtype=torch.float64)
    a, b = (values(*(shared + torch.tensor(d)).tolist()) for d in ([1, 2, 3, 4], [0, 0, 0, 0]))
    found = difference("a", a, "b", b)
    assert found.value == pytest.approx(2.5)
    assert found.std_error == pytest.approx(math.sqrt(5 / 3 / 4))


def ratio_of(found):
    """Return the mean claimed error over the measured spread of a figure."""
    v = torch.tensor([estimate.value for estimate in found], dtype=torch.float64)
    return torch.tensor([e.std_error for e in found]).mean().item() / v.std().item()


def drawn(model, num, generator):
    x = states(6)
    log_p = -model.energy(x).detach()
    return x[torch.multinomial(log_p.softmax(0), num, replacement=True, generator=generator)]


def test_the_claimed_error_is_the_spread_over_fresh_rows():
    """The spread of 200 values has an error of 5 %: .9 to 1.15 is two of them and more."""
    a, b, generator = machine(0), machine(1), torch.Generator().manual_seed(0)
    log_p = {"a": a, "b": b}
    found = []
    for _ in range(REPETITIONS):
        x = drawn(a, 100, generator)
        found.append(genzoo.compare(log_p, x).differences["a", "b"])
    assert 0.9 < ratio_of(found) < 1.15


def test_the_claimed_error_holds_that_of_both_normalisers(monkeypatch):
    """Of fresh chains on the same rows, whose own differences are nothing next to them."""
    betas = torch.linspace(0, 1, 6, dtype=torch.float64)

    def best(model, *, generator, **_):
        return partition.ais(model, generator=generator, num_chains=50, betas=betas)

    monkeypatch.setattr(partition, "best", best)
    a, b = machine(0), machine(1)
    x = states(6)[:1].expand(4, -1)
    found = [
        genzoo.compare({"a": a, "b": b}, x, seed=seed).differences["a", "b"]
        for seed in range(REPETITIONS)
    ]
    assert 0.9 < ratio_of(found) < 1.15


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        ("exact", "exact", "exact"),
        ("lower bound", "exact", "lower bound"),
        ("exact", "lower bound", "upper bound"),
        ("upper bound", "exact", "upper bound"),
        ("lower bound", "upper bound", "lower bound"),
        ("upper bound", "lower bound", "upper bound"),
        ("lower bound", "lower bound", "stochastic estimate"),
        ("stochastic estimate", "exact", "stochastic estimate"),
        ("lower bound", "stochastic estimate", "stochastic estimate"),
    ],
)
def test_the_kind_of_a_difference(a, b, kind):
    found = difference("a", values(1, 2, kind=a), "b", values(0, 0, kind=b))
    assert found.kind == kind
    noted = [note.code for note in found.notes]
    assert ("bounds-differ" in noted) == (a == b == "lower bound")
    mixed = {a, b} == {"lower bound", "stochastic estimate"}
    assert ("bound-in-difference" in noted) == mixed


def test_intervals_and_notes_of_both_are_kept():
    note = Note("ess-low", "2.0 of 100 chains count.", unreliable=True)
    a = values(1, 3, interval=(-0.5, 0.1), notes=(note,), kind="stochastic estimate")
    b = values(0, 0, interval=(-0.2, 0.3), kind="stochastic estimate")
    found = difference("one", a, "two", b)
    assert found.interval == pytest.approx((2 - 0.5 - 0.3, 2 + 0.1 + 0.2))
    assert found.unreliable
    assert found.notes[0].text == "one: 2.0 of 100 chains count."


def toy(cls, event=None):
    return cls(families.ToyConfig(event=event or Binary(shape=(3,))))


class Density(Exact):
    """Says of its probabilities that they are densities."""

    def log_prob(self, x, **options):
        return dataclasses.replace(super().log_prob(x, **options), measure="density")


class Greys(Exact):
    """Takes greys."""

    event_spaces = (Unit,)


def test_what_cannot_be_compared_is_refused():
    x = torch.rand(5, 3).round()
    with pytest.raises(
        CapabilityError, match="'a' is that of a density, log p of 'b' that of a m"
    ):
        genzoo.compare({"a": toy(Density), "b": toy(Exact)}, x)
    space = Unit(shape=(3,), levels=2)
    data = ArrayDataset(x, DataInfo(fields={"x": space}), "two levels")
    greys = {"a": toy(Greys, space), "b": toy(Greys, Unit(shape=(3,)))}
    with pytest.raises(CapabilityError, match="their probabilities are of different events"):
        genzoo.compare(greys, data)
    for models in ([toy(Exact)] * 2, {"a": "vae-digits", "b": toy(Exact)}, {1: toy(Exact)}):
        with pytest.raises(ConfigError, match="takes models by name"):
            genzoo.compare(models, x)
    for num in (0, -1, 2.5, True, "5"):
        vae = VAE(VAEConfig(event=Binary(shape=(6,)), hidden_dims=(8,), latent_dim=2))
        with pytest.raises(ConfigError, match="num_samples must be a whole number of at least 1"):
            genzoo.compare({"a": vae, "b": machine(0)}, states(6), num_samples=num)
        with pytest.raises(ConfigError, match="num_samples must be a whole number of at least 1"):
            machine(0).log_prob(states(6), num_samples=num)
    with pytest.raises(ConfigError, match="at least two models, got 1"):
        genzoo.compare({"a": toy(Exact)}, x)
    linear = toy(families.Linear, Unit(shape=(3,)))
    with pytest.raises(CapabilityError, match="'a' is a Linear, without log_prob"):
        genzoo.compare({"a": linear, "b": toy(Exact)}, torch.rand(5, 3))
