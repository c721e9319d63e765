"""The machine with real units against its definition, its mixture and numerical integration."""

import copy
import math

import pytest
import torch

import genzoo
from genzoo import DataInfo, Trainer, TrainerConfig
from genzoo.plugin import Real
from genzoo_boltzmann import partition
from genzoo_boltzmann.gaussian_rbm import GaussianRBM, GaussianRBMConfig
from genzoo_boltzmann.samplers import Gibbs, GibbsConfig, TemperedGibbs, TemperedGibbsConfig
from machines import states

TIGHT = {"rtol": 1e-10, "atol": 1e-10}


def machine(num_visible=2, num_hidden=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    config = GaussianRBMConfig(event=Real(shape=(num_visible,)), num_hidden=num_hidden)
    model = GaussianRBM(config).double()
    with torch.no_grad():
        for parameter in model.parameters():
            draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(0.7 * draw)
        model.base_mean.fill_(0.2)
        model.base_var.fill_(1.5)
    return model


def points(num=40, num_visible=2):
    generator = torch.Generator().manual_seed(1)
    return 2 * torch.randn(num, num_visible, generator=generator, dtype=torch.float64)


def joint_energy(model, v, h):
    """E(v, h) of every pair, term by term from the definition, (B, 2^H)."""
    quadratic = ((v - model.b) ** 2 / (2 * model.var)).sum(1)[:, None]
    pairs = torch.einsum("ai,i,ij,bj->ab", v, 1 / model.var, model.W, h)
    return (quadratic - pairs - h @ model.c).detach()


def mixture(model):
    """The 2^H normal components of p(v): weights, means, variances."""
    h = states(len(model.c))
    mean = (model.b + h @ model.W.T).detach()
    log_mass = h @ model.c + ((mean**2 - model.b**2) / (2 * model.var)).sum(1)
    return log_mass.detach().softmax(0), mean, model.var.detach()


def test_free_energy_sums_over_hidden_states():
    model, v = machine(), points()
    wanted = (-joint_energy(model, v, states(3))).logsumexp(1)
    torch.testing.assert_close(-model.free_energies(v).detach(), wanted, **TIGHT)


def test_conditionals_are_those_of_the_joint_energy():
    model, v = machine(), points()
    joint = -joint_energy(model, v, states(3))
    p = joint.softmax(1) @ states(3)
    torch.testing.assert_close(model.hidden_probabilities(v).detach(), p, **TIGHT)
    h = states(3)[5:6]
    # log p(v | h) − log p(0 | h) of a normal density with the mean b + Wh.
    mean = model.visible_mean(h).detach()
    found = joint_energy(model, torch.zeros(1, 2).double(), h) - joint_energy(model, v, h)
    normal = ((v * mean - v**2 / 2) / model.var).sum(1, keepdim=True).detach()
    torch.testing.assert_close(found, normal, **TIGHT)


@torch.no_grad()
def test_log_z_is_the_integral_over_all_v():
    model = machine(1, 2)
    v = torch.linspace(-30, 30, 60_001, dtype=torch.float64)[:, None]
    integral = torch.trapezoid((-model.free_energies(v)).exp(), v[:, 0]).log().item()
    assert model.log_sum().item() == pytest.approx(integral, abs=1e-9)


@torch.no_grad()
def test_density_is_that_of_the_mixture():
    model, v = machine(), points()
    weights, mean, var = mixture(model)
    log_p = torch.distributions.Normal(mean, var.sqrt()).log_prob(v[:, None]).sum(2)
    wanted = (log_p + weights.log()).logsumexp(1)
    found = model.log_prob(v)
    torch.testing.assert_close(found.values, wanted, **TIGHT)
    assert (found.kind, found.measure) == ("exact", "density")


def test_a_density_above_one_does_not_condemn_log_z():
    narrow = machine(1, 23)
    with torch.no_grad():
        narrow.W.zero_()
        narrow.log_var.fill_(-9)
        narrow.base_var.fill_(1e-4)
        start, betas = narrow.b[None].detach(), torch.linspace(0, 1, 20)
        draw = torch.Generator().manual_seed(0)
        log_z = partition.ais(narrow, generator=draw, betas=betas.double())
        found = narrow.log_prob(start, log_partition=log_z)
    assert found.values > 3
    assert "log-p-positive" not in [note.code for note in found.notes]


def test_gradient_is_autograds_in_the_metric():
    model, data, chain = machine(), points(5), points(7).flip(0)
    found = model.contrast(model.phase(data), model.phase(chain), centred=False)
    loss = model.free_energies(data).mean() - model.free_energies(chain).mean()
    parameters = (model.W, model.b, model.c, model.log_var)
    W, b, c, log_var = torch.autograd.grad(loss, parameters)
    var = model.var.detach()
    value = model.difference(model.phase(data), model.phase(chain))
    torch.testing.assert_close(value, loss.detach(), **TIGHT)
    wanted = (W * var[:, None], b * var, c, 0.1 * log_var)
    for parameter, value in zip(parameters, wanted, strict=True):
        torch.testing.assert_close(found[parameter], value, **TIGHT)


def test_centred_gradient_is_that_of_the_centred_machine_turned_back():
    """A step in (W, b', c') of the machine around μ and λ, in the metric, seen in (W, b, c)."""
    model, data, chain = machine(), points(5), points(7).flip(0)
    d, m = model.phase(data), model.phase(chain)
    mu, lam, var = model.base_mean, d.p.mean(0), model.var.detach()
    W = model.W.detach().clone().requires_grad_()
    b0 = (model.b + model.W @ lam).detach().requires_grad_()
    c0 = (model.c + model.W.T @ (mu / var)).detach().requires_grad_()

    def energy(v):
        other = copy.deepcopy(model)
        values = {"W": W, "b": b0 - W @ lam, "c": c0 - W.T @ (mu / var), "log_var": model.log_var}
        # The quadratic term's b²/2σ² is a constant of v: only v-dependent terms have phases.
        return torch.func.functional_call(
            _Energies(other), {f"m.{n}": t for n, t in values.items()}, (v,)
        )

    loss = energy(data).mean() - energy(chain).mean()
    g_W, g_b, g_c = torch.autograd.grad(loss, [W, b0, c0])
    new_W = W - 0.1 * var[:, None] * g_W
    new_b, new_c = b0 - 0.1 * var * g_b - new_W @ lam, c0 - 0.1 * g_c - new_W.T @ (mu / var)
    found = model.contrast(d, m, centred=True)
    for parameter, wanted in ((model.W, new_W), (model.b, new_b), (model.c, new_c)):
        torch.testing.assert_close(parameter - 0.1 * found[parameter], wanted, **TIGHT)


class _Energies(torch.nn.Module):
    def __init__(self, m):
        super().__init__()
        self.m = m

    def forward(self, v):
        return self.m.free_energies(v)


@pytest.mark.parametrize("centred", [True, False])
def test_learning_does_not_depend_on_the_unit_of_v(centred):
    """The same machine in millimetres and in metres makes the same step."""
    model, data, chain = machine(), points(5), points(7).flip(0)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for tensor in (other.W, other.b, other.base_mean):
            tensor.mul_(1000)
        other.log_var.add_(2 * math.log(1000))
    a, b = (
        m.contrast(m.phase(scale * data), m.phase(scale * chain), centred=centred)
        for m, scale in ((model, 1), (other, 1000))
    )
    for name, scale in (("W", 1000), ("b", 1000), ("c", 1), ("log_var", 1)):
        wanted = scale * a[getattr(model, name)]
        torch.testing.assert_close(b[getattr(other, name)], wanted, rtol=1e-9, atol=1e-9)


@torch.no_grad()
@pytest.mark.parametrize(
    "sampler",
    [
        Gibbs(GibbsConfig(num_steps=40)),
        TemperedGibbs(TemperedGibbsConfig(num_steps=20, num_temperatures=4)),
    ],
    ids=["gibbs", "tempered"],
)
def test_samples_have_the_moments_of_the_mixture(sampler):
    model, num = machine(), 20_000
    x = model.sample(num, sampler=sampler, seed=0, batch_size=num)
    weights, mean, var = mixture(model)
    centre = weights @ mean
    square = weights @ (mean**2 + var)
    spread = (square - centre**2).sqrt()
    assert ((x.mean(0) - centre).abs() < 5 * spread / num**0.5).all()
    assert (x.std(0) / spread - 1).abs().max() < 0.03
    cross = (weights @ (mean[:, 0] * mean[:, 1])).item() - (centre[0] * centre[1]).item()
    assert torch.cov(x.T)[0, 1].item() == pytest.approx(cross, abs=0.05 * spread.prod().item())


@torch.no_grad()
def test_both_directions_of_annealing_are_unbiased(generator):
    model, num = machine(), 20_000
    log_z = model.log_sum().item()
    betas = torch.linspace(0, 1, 5, dtype=torch.float64)
    forward = partition.ais(model, generator=generator, num_chains=num, betas=betas)
    weights, mean, var = mixture(model)
    chosen = torch.multinomial(weights, num, replacement=True, generator=generator)
    noise = torch.randn(num, 2, generator=generator, dtype=torch.float64)
    start = mean[chosen] + var.sqrt() * noise
    backward = partition.reverse_ais(
        model, generator=generator, start=start, num_burn_in=0, betas=betas
    )
    for found, sign in ((forward, 1), (backward, -1)):
        w = (found.log_weights - sign * log_z).exp()
        assert w.std() > 0.2
        assert abs(w.mean().item() - 1) < 4 * w.std().item() / num**0.5


def test_a_machine_begins_as_independent_normal_units():
    model = GaussianRBM(GaussianRBMConfig(event=Real(shape=(3,)), num_hidden=2))
    x = torch.tensor([[0.0, 5.0, 1.0], [2.0, 5.0, 5.0]])
    model.init_from_data({"x": x}, DataInfo(fields={"x": model.event}))
    torch.testing.assert_close(model.base_mean, torch.tensor([1.0, 5.0, 3.0]))
    # The second place is constant: its variance is a small share of the mean one.
    torch.testing.assert_close(model.var.detach(), torch.tensor([1.0, 1e-4 * 5 / 3, 4.0]))
    assert not model.needs_data_init()


def test_a_machine_learns_what_independent_units_cannot():
    """Two clusters on a diagonal; independent normal units are 0.6 nats behind."""
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (2000, 1), generator=generator) * 2.0 - 1
    x = signs + 0.3 * torch.randn(2000, 2, generator=generator)
    torch.manual_seed(0)
    model = genzoo.create_model("gaussian-rbm", event=Real(shape=(2,)), num_hidden=3)
    config = genzoo.TrainerConfig(max_steps=400, threads=1, progress=False)
    stage = genzoo.Stage.from_dict({"objective": {"name": "pcd", "config": {"lr": 0.1}}})
    genzoo.Trainer(model, x, stage, config).fit()
    with torch.no_grad():
        found = model.log_prob(x).mean().value
    apart = -(x.std(0).log() + 0.5 * math.log(2 * math.pi) + 0.5).sum().item()
    assert found > apart + 0.6


def test_weights_of_nearly_constant_places_are_scaled_to_their_deviation():
    """Or chains leave the data there, and σ² follows them; other weights stay as they are."""
    torch.manual_seed(0)
    model = GaussianRBM(GaussianRBMConfig(event=Real(shape=(2,)), num_hidden=1024))
    before = model.W.detach().clone()
    x = torch.randn(500, 2) * torch.tensor([1.0, 0.001])
    config = TrainerConfig(max_steps=30, batch_size=50, seed=0, progress=False)
    Trainer(model, x, "pcd", config).fit()
    assert model.var[1] < 0.05**2
    fresh = GaussianRBM(model.config)
    fresh.W.data.copy_(before)
    fresh.init_from_data({"x": x}, DataInfo(fields={"x": model.event}))
    assert torch.equal(fresh.W[0], before[0])
    moved = 0.5 * torch.linalg.vector_norm(fresh.W[1])
    torch.testing.assert_close(moved, 5 * fresh.var[1].sqrt())


def test_chains_of_a_machine_of_grey_levels_are_judged():
    """Its states are real values, between the levels of the data and beyond them."""
    data = genzoo.load_dataset("digits", "test")
    model = genzoo.create_model("gaussian-rbm", data=data, num_hidden=4)
    found = genzoo.evaluate(model, data, ["chain-diagnostics"])
    assert any("effective" in name for name in found.figures)
