"""Stages whose data are the codes of models that were trained before."""

import dataclasses

import pytest
import torch
from torch import nn

import families
import stacks
from families_common import drawn_by
from genzoo import (
    Binary,
    Component,
    DataError,
    DataInfo,
    Label,
    Real,
    Stage,
    Unit,
    create_model,
    register,
)
from genzoo.data import from_array
from genzoo.plugin import ConditionSpaces, Config, GenerativeModel, ModelSpec
from genzoo.spaces import Space
from genzoo.testing.cases import equal_states
from genzoo.training.inputs import Inputs, check_inputs
from genzoo.values import is_trusted
from stacks import GREYS, SECOND, VALUES, Seen, X, shown, stack, trained

# What is fed.


def test_what_a_stage_learns_from_are_draws_and_no_probabilities_and_others_at_each_step():
    found = list(shown(stack(), ("first",), batch_size=32).values())
    assert len(found) == 4
    for h in found:
        Binary(shape=(5,)).require(h, "The stage")
    orders = [h.sum(0) for h in found]  # Each update has all rows: only the draws can differ.
    assert not all(torch.equal(order, orders[0]) for order in orders[1:])


def test_draws_have_the_probabilities_of_the_hidden_units_given_the_data():
    """Each share of 4,000 draws is within five standard errors, 0.04, of p(h | v)."""
    model = stack()
    nn.init.normal_(model.first.W, std=2.0)
    rows = X[:6].repeat_interleave(4000, 0)
    h = Inputs(SECOND, model).coded({"x": rows}, 0)["x"]
    p = model.first.hidden_given(X[:6]).probs
    assert p.amin() < 0.1
    assert p.amax() > 0.9
    torch.testing.assert_close(h.view(6, 4000, -1).mean(1), p, rtol=0, atol=0.04)


def test_what_is_shown_in_training_has_them_too():
    """8,000 rows in all: the mean over the data of p(h | v), within five standard errors."""
    model = stack()
    nn.init.normal_(model.first.W, std=2.0)
    h = torch.cat(list(shown(model, ("first",), max_steps=250, batch_size=32).values()))
    p = model.first.hidden_given(X).probs.mean(0)
    torch.testing.assert_close(h.mean(0), p, rtol=0, atol=5 * 0.5 / 8000**0.5)


@register("models", "toy-upon-vae")
class UponVAE(families.Linear):
    """Holds a VAE, and a model of its codes."""

    def __init__(self, config):
        super().__init__(config)
        vae = {"event": config.event.to_dict(), "latent_dim": 2, "hidden_dims": ()}
        self.vae = ModelSpec(name="vae", config=vae).build()
        linear = {"event": self.vae.codes.to_dict()}
        self.upon = ModelSpec(name="toy-linear", config=linear).build()


def upon_vae():
    torch.manual_seed(0)
    return create_model("toy-upon-vae", event=Unit(shape=(4,)))


def test_of_real_codes_the_mean_is_fed():
    model = upon_vae()
    found = shown(model, ("vae",), "upon", batch_size=32, max_steps=2, data=GREYS)
    expected = model.vae.encode(GREYS)
    for z in found.values():
        order = torch.cdist(z, expected).argmin(1)
        assert torch.equal(order.sort().values, torch.arange(32))
        torch.testing.assert_close(z, expected[order], rtol=1e-6, atol=1e-6)
    assert len(found) == 2


def test_inputs_follow_one_another():
    """The second machine's codes of draws of the first one's."""
    model = stack()
    model.third = stacks.machine(model.second.codes, 2)
    found = shown(model, ("first", "second"), "third")
    assert {tuple(h.shape) for h in found.values()} == {(8, 3)}
    for h in found.values():
        model.second.codes.require(h, "The stage")


def test_an_input_is_in_eval_mode_without_gradients_and_is_not_changed():
    model = upon_vae().train()
    model.vae.encoder.register_forward_hook(
        lambda module, *_: modes.append((module.training, torch.is_grad_enabled()))
    )
    modes, before = [], {n: t.clone() for n, t in model.vae.state_dict().items()}
    shown(model, ("vae",), "upon", data=GREYS)
    assert set(modes) == {(False, False)}
    assert not equal_states(before, model.vae.state_dict())


def test_a_stage_is_fed_by_the_averaged_weights_of_the_one_before():
    model = stack()
    seen, read = [], []
    forward = type(model.first).draw_codes

    class Watching(type(model.first)):
        def draw_codes(self, x, **options):
            seen.append(self.W.detach().clone())
            read.append(not is_trusted())
            return forward(self, x, **options)

    model.first.__class__ = Watching
    trained(model)
    assert (
        len(seen) == 1 + VALUES["max_steps"]
    )  # The rows of the initialisation, and each update's.
    assert all(torch.equal(W, model.first.W) for W in seen)
    assert (
        read == [True] + [False] * VALUES["max_steps"]
    )  # An update does not wait for the device.
    plain = stack()
    trained(plain, ema_decay=None)
    assert not torch.equal(model.first.W, plain.first.W)


# Where data are read.


def test_a_model_starts_from_the_mean_of_codes_and_knows_what_they_are(monkeypatch):
    model, given = stack(), []
    init = type(model.second).init_from_data

    def noted(self, batch, info):
        given.append((batch, info))
        init(self, batch, info)

    monkeypatch.setattr(type(model.second), "init_from_data", noted)
    data = from_array(X, "rows", label=torch.arange(32) % 3)
    trained(model, data=data)
    _, (batch, info) = given
    assert info["x"] == Binary(shape=(5,))
    torch.testing.assert_close(info.mean["x"], batch["x"].mean(0))
    assert info.range == info.mixture == {}
    torch.testing.assert_close(model.second.base_rates, info.mean["x"].clamp(1e-3, 1 - 1e-3))


def test_many_rows_are_coded_in_blocks():
    """2,500 rows are 1,024 + 1,024 + 452; each block's draws come from the one generator."""
    model = stack()
    rows = families.rows(2500, 4, binary=True)
    h = Inputs(SECOND, model).coded({"x": rows}, 3)["x"]
    assert h.shape == (2500, 5)
    first = Inputs(SECOND, model).coded({"x": rows[:1024]}, 3)["x"]
    assert torch.equal(h[:1024], first)
    assert not torch.equal(h[1024:2048], h[:1024])


def test_pictures_are_drawn_of_the_model_of_the_stage(tmp_path):
    trained(stack(), folder=tmp_path / "run", sample_steps=2)
    names = sorted(path.name for path in (tmp_path / "run" / "samples").iterdir())
    assert names == [
        f"stage-00{stage}-step-00000000{step}.png" for stage in (0, 1) for step in (2, 4)
    ]


def test_the_trial_of_threads_has_codes_too(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    model = trained(stack(), SECOND, threads="auto", max_steps=2)
    assert not model.second.needs_data_init()
    assert model.first.needs_data_init()


class Sum(families.Fixed):
    def trajectory(self, model, num, *, start=None, condition=None, generator):
        Seen.shown.append(condition["x"])
        yield model.net(condition["x"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeConfig(Config):
    """A distribution over three labels given codes."""

    event: Space = dataclasses.field(default_factory=lambda: Label(num_classes=3))
    conditions: ConditionSpaces = dataclasses.field(
        default_factory=lambda: {"x": Binary(shape=(5,))}
    )


class Probe(families.Linear):
    Config = ProbeConfig
    event_spaces, condition_spaces, event_field = (Label,), (Binary,), "label"
    default_sampler = drawn_by(Sum)

    def __init__(self, config):
        GenerativeModel.__init__(self, config)
        self.net = nn.Linear(5, 3)

    def to_data(self, state):
        return state.argmax(1)


def test_codes_can_be_the_condition_of_a_model_of_labels(tmp_path):
    """So they are in its pictures, too."""
    model, data = stack(), from_array(X, "rows", label=torch.arange(32) % 3)
    model.probe = Probe(ProbeConfig())
    stage = Stage(objective=Component(name="toy-seen"), model="probe", inputs=("first",))
    Seen.shown.clear()
    trained(model, stage, tmp_path / "run", data=data, sample_steps=2)
    seen = [x if isinstance(x, torch.Tensor) else x[2] for x in Seen.shown]
    assert len(seen) == VALUES["max_steps"] + 2
    for h in seen:
        Binary(shape=(5,)).require(h, "The stage")


@register("models", "toy-labelled-upon")
class LabelledUpon(GenerativeModel):
    """A VAE with labels, and a model of its codes, with the data's labels too."""

    Config = families.LabelledConfig
    event_spaces, condition_spaces = (Unit,), (Label,)
    default_stages = classmethod(lambda cls, config: ())
    default_sampler = drawn_by(Sum)

    def __init__(self, config):
        super().__init__(config)
        labels = {"label": config.conditions["label"].to_dict()}
        vae = {"event": config.event.to_dict(), "latent_dim": 2, "hidden_dims": (3,)}
        self.vae = ModelSpec(name="vae", config={**vae, "conditions": labels}).build()
        real = Real(shape=(2,)).to_dict()
        self.upon = ModelSpec(name="toy-vae", config={"event": real}).build()

    @classmethod
    def example(cls):
        batch = {"x": families.rows(8, 4), "label": torch.arange(8) % 3}
        return families.LabelledConfig(event=Unit(shape=(4,))), batch


def test_conditions_go_to_the_inputs_and_to_the_model():
    config, batch = LabelledUpon.example()
    model = LabelledUpon(config)
    data = from_array(batch["x"], "rows", label=batch["label"])
    stage = Stage(objective=Component(name="toy-elbo"), model="upon", inputs=("vae",))
    trained(model, stage, data=data)
    z = Inputs(stage, model).coded(batch, 0)["x"]
    assert torch.equal(z, model.vae.eval().encode(batch["x"], condition=batch["label"]))
    many = {name: rows.repeat(*[200, 1][: rows.ndim]) for name, rows in batch.items()}
    found = Inputs(stage, model).coded(many, 0)["x"]  # More than are encoded at once.
    torch.testing.assert_close(found, z.repeat(200, 1), rtol=1e-5, atol=1e-6)
    with pytest.raises(DataError, match=r"VAE needs the field label of the data"):
        check_inputs(stage, model, DataInfo(fields={"x": Unit(shape=(4,))}))
