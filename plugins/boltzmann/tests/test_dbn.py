"""The deep belief net against its definition, by sums over all states."""

import dataclasses
import math
import shutil

import pytest
import torch

import genzoo
from genzoo import Binary, DataInfo, GenModel, Trainer, TrainerConfig
from genzoo.plugin import CapabilityError, ConfigError, DataError, Estimate, Step
from genzoo_boltzmann import belief_bound, partition, stacking
from genzoo_boltzmann.ancestral import Ancestral, AncestralConfig
from genzoo_boltzmann.dbn import DBN, DBNConfig
from genzoo_boltzmann.log_partition import LogPartition
from genzoo_boltzmann.up_down import UpDown, UpDownConfig
from machines import machine, states

TIGHT = {"rtol": 1e-10, "atol": 1e-10}


def net(dims=(4, 3, 2, 3), scale=1.0, untied=True, seed=0):
    """A net of random weights in float64; its recognition weights are not those of p."""
    generator = torch.Generator().manual_seed(seed)
    config = DBNConfig(event=Binary(shape=(dims[0],)), hidden_dims=dims[1:])
    model = DBN(config).double()
    with torch.no_grad():
        for parameter in model.parameters():
            draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(scale * draw)
        model.untied.fill_(untied)
    return model


def pairs(below, above):
    """Every state of a layer with every state of the next, (2^D, 2^D', ·) each."""
    a, b = states(below), states(above)
    return a[:, None].expand(-1, len(b), -1), b[None].expand(len(a), -1, -1)


def log_bernoulli(h, logits):
    return torch.distributions.Bernoulli(logits=logits).log_prob(h).sum(-1)


def joint(model):
    """log p(v, h₁, …, h_{L−1}) of every state, one axis for each layer, from the definition."""
    *below, top = model.rbms
    h, hidden = pairs(*top.W.shape)
    energy = torch.einsum("...i,ij,...j", h, top.W, hidden) + h @ top.b + hidden @ top.c
    found = (energy - energy.logsumexp((0, 1))).logsumexp(1)
    for rbm in reversed(below):
        h, above = pairs(*rbm.W.shape)
        conditional = log_bernoulli(h, rbm.b + above @ rbm.W.T)
        found = conditional.reshape(*conditional.shape, *[1] * (found.ndim - 1)) + found
    return found


def posterior(model):
    """log q(h₁, …, h_{L−1} | v) of every state, likewise."""
    found = torch.zeros(len(states(len(model.rbms[0].b))), dtype=torch.float64)
    for level, rbm in enumerate(model.rbms[:-1]):
        R = model.recognition[level] if model.untied else rbm.W
        h, above = pairs(*rbm.W.shape)
        found = found[..., None] + log_bernoulli(above, rbm.c + h @ R).reshape(
            *[1] * level, *h.shape[:2]
        )
    return found


def elbo(model):
    """E_q[log p(v, h) − log q(h | v)] of every v."""
    q = posterior(model)
    return (q.exp() * (joint(model) - q)).flatten(1).sum(1)


@torch.no_grad()
@pytest.mark.parametrize("dims", [(4, 3, 2, 3), (5, 3, 4)])
def test_likelihood_is_the_sum_of_the_joint_distribution(dims):
    model = net(dims)
    found = model.log_prob(states(dims[0]))
    assert (found.kind, found.notes, model.log_prob_kind) == ("exact", (), "exact")
    wanted = joint(model).flatten(1).logsumexp(1)
    torch.testing.assert_close(found.values, wanted, **TIGHT)
    assert found.values.exp().sum().item() == pytest.approx(1, abs=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("untied", [False, True])
def test_bound_is_the_variational_one_within_its_errors(untied):
    model, v, num = net(untied=untied, scale=1.5), states(4), 50
    log_z = model.top.log_sum()
    generator = torch.Generator().manual_seed(1)
    rounds = [belief_bound.estimate(model, v, num, generator) for _ in range(200)]
    means, errors = (torch.stack(found) for found in zip(*rounds, strict=True))
    wanted = elbo(model)
    z = (means.mean(0) - log_z - wanted) / (means.std(0) / len(rounds) ** 0.5)
    assert z.abs().max() < 4
    torch.testing.assert_close(errors.mean(0), means.std(0), rtol=0.25, atol=0.0)
    exact = joint(model).flatten(1).logsumexp(1)
    assert (wanted < exact).all()
    assert (exact - wanted).max() > 0.5  # Otherwise it would say nothing.


@torch.no_grad()
def test_a_machine_that_starts_transposed_leaves_the_distribution_as_it_was(monkeypatch):
    rbm, more = machine(5, 3), 2
    config = DBNConfig(event=Binary(shape=(5,)), hidden_dims=(3, 5 + more))
    model = DBN(config).double()
    model.rbms[0].load_state_dict(rbm.state_dict())
    info = DataInfo(fields={"x": Binary(shape=(3,))})
    model.init_nested("rbms.1", {"x": states(3)}, info)
    torch.testing.assert_close(model.rbms[1].base_rates, torch.full_like(rbm.c, 0.5))
    assert 0 < model.rbms[1].W[:, 5:].abs().max() < 0.1
    model.rbms[1].W[:, 5:] = 0
    v = states(5)
    wanted = rbm.log_prob(v).values
    torch.testing.assert_close(model.log_prob(v).values, wanted, **TIGHT)
    torch.testing.assert_close(elbo(model), wanted, **TIGHT)


@torch.no_grad()
def test_a_machine_with_fewer_hidden_units_starts_from_its_data():
    model = net((5, 3, 4))
    before = model.rbms[1].W.clone()
    stacking.start(model.machines, 1, {"x": states(3)}, DataInfo(fields={"x": Binary(shape=(3,))}))
    assert torch.equal(model.rbms[1].W, before)
    torch.testing.assert_close(model.rbms[1].b, torch.zeros(3, dtype=torch.float64))


@torch.no_grad()
def test_untying_keeps_the_recognition_of_trained_machines():
    model, batch = net((4, 3, 4), untied=False), {"x": states(4)}
    for rbm in model.rbms:
        rbm.data_seen.fill_(True)
    before, weights = elbo(model), model.rbms[1].W.clone()
    model.init_from_data(batch, DataInfo(fields={"x": Binary(shape=(4,))}))
    torch.testing.assert_close(elbo(model), before, **TIGHT)
    assert torch.equal(model.rbms[1].W, weights)
    assert not model.needs_data_init()


def expected_gradients(model, objective, log_up, log_down):
    """Sum the gradients of the loss of each state from above and below, by their probabilities."""
    found = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    layers = [states(d) for d in (2, 2, 2)]
    rows = torch.cartesian_prod(*[torch.arange(4)] * 3)
    each = [h[rows[:, i]] for i, h in enumerate(layers)]
    for i, (up, down) in enumerate(
        zip(log_up.flatten().exp(), log_down.flatten().exp(), strict=True)
    ):
        for phase, weight in enumerate((up, down)):
            # The other phase is one state throughout, whose part has to be taken away.
            state = [h[i : i + 1] for h in each]
            rest = [h[:1] for h in each]
            loss = objective.loss(*((state, rest) if phase == 0 else (rest, state)))
            model.zero_grad()
            loss.value.backward()
            for name, p in model.named_parameters():
                total = torch.zeros_like(p) if p.grad is None else p.grad.clone()
                found[name] += weight * (total + loss.gradients.get(p, 0))
    loss = objective.loss(rest, rest)
    model.zero_grad()
    loss.value.backward()
    for name, p in model.named_parameters():
        total = torch.zeros_like(p) if p.grad is None else p.grad
        found[name] -= total + loss.gradients.get(p, 0)
    return found


def test_up_down_is_the_gradient_of_the_bound_and_of_the_posteriors_divergence():
    """With chains at the model, and data that are uniform over all v."""
    model = net((2, 2, 2, 2))
    objective = UpDown(model, UpDownConfig(centred=False))
    with torch.no_grad():
        log_up = posterior(model) - math.log(4)
        log_down = joint(model)
    found = expected_gradients(model, objective, log_up, log_down)
    generative = [*model.top.parameters()] + [p for r in model.rbms[:-1] for p in (r.W, r.b)]
    bound = (log_up.exp() * joint(model)).sum()
    sleep = (log_down.exp() * posterior(model)).sum()
    names = {p: name for name, p in model.named_parameters()}
    for parameter, gradient in zip(
        generative, torch.autograd.grad(-bound, generative), strict=True
    ):
        torch.testing.assert_close(found[names[parameter]], gradient, **TIGHT)
    recognition = [*model.recognition, *[r.c for r in model.rbms[:-1]]]
    gradients = torch.autograd.grad(-sleep, recognition)
    for parameter, gradient in zip(recognition, gradients, strict=True):
        torch.testing.assert_close(found[names[parameter]], gradient, **TIGHT)


def test_up_down_draws_up_from_data_and_down_from_chains_that_go_on(monkeypatch):
    model = net((4, 3, 3))
    objective = UpDown(model, UpDownConfig(num_steps=2))
    seen = []
    monkeypatch.setattr(objective, "loss", lambda up, down, logged: seen.append((up, down)))
    x = states(4)
    for index in range(2):
        step = Step(index, 2, 0, torch.Generator().manual_seed(index))
        list(objective.losses({"x": x}, step))
    for up, down in seen:
        assert torch.equal(up[0], x)
        assert [len(h) for h in (*up, *down)] == [16] * 4
    generator = torch.Generator().manual_seed(1)
    model.draw_up(x, generator)
    path, h = model.top.path(), seen[0][1][-1]
    for _ in range(2):
        h = path.sweep(h, generator)
    assert torch.equal(h, seen[1][1][-1])


@torch.no_grad()
@pytest.mark.parametrize("how", ["sampler", "layers"])
def test_samples_follow_the_net(how):
    model, num = net((3, 3, 2), scale=0.7), 20_000
    p = joint(model).flatten(1).logsumexp(1).exp()
    if how == "sampler":
        sampler = Ancestral(AncestralConfig(num_steps=20))
        v = model.sample(num, sampler=sampler, seed=0, batch_size=num)
    else:
        layers = model.draw_layers(
            num, generator=torch.Generator().manual_seed(0), num_inference_steps=20
        )
        assert [h.shape[1] for h in layers] == [3, 3, 2]
        v = layers[0]
    counts = torch.bincount((v @ torch.tensor([1.0, 2.0, 4.0]).double()).long(), minlength=8)
    chi2 = ((counts - num * p) ** 2 / (num * p)).sum()
    assert chi2 < 24.3  # 0.1 % with 7 degrees of freedom
    assert ((counts - num / 8) ** 2 / (num / 8)).sum() > 1000


@torch.no_grad()
def test_a_chain_may_start_at_examples():
    model = net((3, 3, 2))
    for rbm in model.rbms[:-1]:
        rbm.c.fill_(100.0)
    for R in model.recognition:
        R.zero_()
    start, seen = torch.zeros(5, 3), []
    path = type(model.top.path())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(path, "sweep", lambda self, h, generator, beta=1.0: seen.append(h) or h)
        states_of = Ancestral(AncestralConfig(num_steps=3)).trajectory(
            model, 5, start=start, generator=torch.Generator()
        )
        assert len(list(states_of)) == 3
    assert torch.equal(seen[0], torch.ones(5, 3).double())


def test_codes_go_up_and_down_by_means():
    model = net((3, 2, 4))
    x, z = states(3), states(4)
    p = (model.rbms[0].c + x @ model.recognition[0]).sigmoid()
    wanted = (model.rbms[1].c + p @ model.rbms[1].W).sigmoid()
    torch.testing.assert_close(model.encode(x), wanted)
    down = (model.rbms[1].b + z @ model.rbms[1].W.T).sigmoid()
    wanted = (model.rbms[0].b + down @ model.rbms[0].W.T).sigmoid()
    torch.testing.assert_close(model.decode(z), wanted)
    second = (model.rbms[0].W @ model.rbms[1].W).T.detach()
    torch.testing.assert_close(model.receptive_fields(2), second)
    torch.testing.assert_close(model.filters(), model.rbms[0].W.T.detach())


@torch.no_grad()
def test_a_net_too_large_to_sum_gives_its_bound_with_the_interval_of_log_z(monkeypatch):
    model, v = net(), states(4)
    monkeypatch.setattr(partition, "MAX_ENUMERATED", 4)
    assert model.log_prob_kind == "lower bound"
    bound = model.log_prob(v, generator=torch.Generator().manual_seed(0), num_samples=500)
    assert bound.kind == "lower bound"
    assert [note.code for note in bound.notes] == ["variational"]
    assert ((bound.values - elbo(model)) / bound.std_errors).abs().max() < 4
    assert model.log_prob(v, num_samples=1).std_errors is None
    with (
        torch.enable_grad(),
        pytest.raises(CapabilityError, match=r"5 units, too many to sum .*'up-down'"),
    ):
        model.log_prob(v)
    log_z = float(model.top.log_sum())
    estimate = Estimate(
        value=log_z,
        std_error=0.1,
        kind="stochastic estimate",
        unit="nats",
        num_samples=7,
        interval=(log_z - 1, log_z + 3),
    )
    given = LogPartition(estimate, torch.zeros(7))
    found = model.log_prob(v, generator=torch.Generator().manual_seed(0), log_partition=given)
    assert (found.kind, found.shared_error) == ("stochastic estimate", 0.1)
    assert found.interval == pytest.approx((-3, 1))


@torch.no_grad()
def test_reverse_chains_start_at_codes_of_rows(monkeypatch):
    model = net((4, 3, 3))
    monkeypatch.setattr(partition, "MAX_ENUMERATED", 2)
    assert model.num_held_out(6) == 3
    model.rbms[0].c.fill_(100.0)
    model.recognition[0].zero_()
    seen = []

    def noted(machine, *, start, generator, num_chains):
        seen.append((start, num_chains))
        return partition.exact(machine)

    monkeypatch.setattr(partition, "best", noted)
    monkeypatch.setattr(partition, "exact", lambda machine: LogPartition(ESTIMATE, torch.zeros(2)))
    found = model.log_prob(states(4), num_samples=6)
    assert "starts-judged" in [note.code for note in found.notes]
    found = model.log_prob(states(4), start=states(4), num_samples=6)
    assert "starts-judged" not in [note.code for note in found.notes]
    for start, num_chains in seen:
        assert torch.equal(start, torch.ones(3, 3).double())
        assert num_chains == 6


ESTIMATE = Estimate(
    value=3.0, std_error=0.1, kind="stochastic estimate", unit="nats", num_samples=2
)


# Training

X = torch.rand(40, 1, 2, 2, generator=torch.Generator().manual_seed(3)).round()
VALUES = {"max_steps": 4, "batch_size": 8, "save_steps": 2, "save_total_limit": 9, "threads": 1}


def trained(folder, *, seed=0, resume=False, **values):
    torch.manual_seed(seed)
    model = genzoo.create_model("dbn", event=Binary(shape=(1, 2, 2)), hidden_dims=(3, 4))
    config = TrainerConfig(**{**VALUES, "progress": False, **values})
    return Trainer(model, X, None, config, output_dir=folder).fit(resume=resume)


def equal(a, b):
    a, b = a.state_dict(), b.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_goes_on_bit_for_bit_in_every_stage(tmp_path):
    straight = trained(tmp_path / "straight")
    for last in ("stage-001-step-000000002", "stage-002-step-000000002"):
        folder = tmp_path / last
        shutil.copytree(tmp_path / "straight", folder)
        for path in (folder / "checkpoints").iterdir():
            if path.name > last:
                shutil.rmtree(path)
        assert equal(trained(folder, seed=1, resume=True), straight)
    assert equal(GenModel.from_pretrained(tmp_path / "straight"), straight)
    assert not equal(trained(None, seed=1), straight)


def test_stages_train_one_machine_each_and_then_all(tmp_path):
    trained(tmp_path / "run", save_steps=4)
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert [name[:9] for name in names] == ["stage-000", "stage-001", "stage-002"]
    model = trained(None, seed=0)
    first, second, last = type(model).default_stages(model.config)
    assert (first.model, first.inputs) == ("rbms.0", ())
    assert (second.model, second.inputs) == ("rbms.1", ("rbms.0",))
    assert (last.model, last.objective.name) == (None, "up-down")
    assert not torch.equal(model.recognition[0], model.rbms[0].W)
    assert bool(model.untied)


def test_defaults_start_every_machine_from_the_one_below():
    info = DataInfo(fields={"x": Binary(shape=(1, 8, 8))})
    assert DBN.configure(info).hidden_dims == (256, 256)
    first, second, last = DBN.default_stages(DBN.configure(info))
    rates = [stage.objective.config["lr"] for stage in (first, second, last)]
    assert rates == pytest.approx([0.35, 0.3 * 80 / 256, 0.3 * 0.35])
    # A machine that is too small to start from the one below learns like the first.
    _, second, third, _ = DBN.default_stages(DBN.configure(info, hidden_dims=(256, 63, 256)))
    rates = [stage.objective.config["lr"] for stage in (second, third)]
    assert rates == pytest.approx([80 / 256, 0.3 * 0.35])
    assert DBN.configure(DataInfo(fields={"x": Binary(shape=(784,))})).hidden_dims == (500, 784)
    assert DBN.configure(DataInfo(fields={"x": Binary(shape=(3072,))})).hidden_dims == (500, 2000)


# Bad input


def test_one_layer_is_an_rbm():
    with pytest.raises(ConfigError, match=r"at least two layers .*\[7\]\. .*use the model 'rbm'"):
        DBNConfig(event=Binary(shape=(2,)), hidden_dims=(7,))


def test_grey_data_are_refused():
    grey = torch.rand(9, 1, 2, 2)
    with pytest.raises(DataError, match="binarize"):
        genzoo.create_model("dbn", data=grey)
    with pytest.raises(DataError, match=r"row 0 holds 0\.\d+\. Binarise"):
        genzoo.create_model("dbn", event=Binary(shape=(1, 2, 2))).log_prob(grey)


def test_layers_that_do_not_fit_are_refused():
    model = net((4, 3, 2))
    stage = DBN.default_stages(model.config)[1]
    with pytest.raises(ConfigError, match=r"'rbms\.1' models 3: .* do not fit: they have shape"):
        Trainer(model, states(4).float(), dataclasses.replace(stage, inputs=()))


def test_the_sampler_and_the_objective_are_for_belief_nets():
    other = machine()
    with pytest.raises(CapabilityError, match="DBN"):
        Ancestral().sample_state(other, 1, generator=torch.Generator())
    with pytest.raises(CapabilityError, match="DBN"):
        UpDown(other)
