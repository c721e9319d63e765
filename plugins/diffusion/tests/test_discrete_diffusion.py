"""The discrete diffusion: networks, schedules, refusals, conditions, training."""

import math

import pytest
import torch

import genzoo
from genzoo import Binary, Categorical, ConfigError, DataError, GenModel, Label, Text, Trainer
from genzoo.plugin import ArrayDataset, DataInfo, NotFiniteSampleError, Step
from genzoo_diffusion.discrete_diffusion import DiscreteDiffusion, DiscreteDiffusionConfig
from genzoo_diffusion.discrete_networks import from_patches, to_patches
from genzoo_diffusion.discrete_objectives import ContinuousTimeBound, DiscreteTimeBound
from genzoo_diffusion.discrete_schedule import KeepSchedule

IMAGE, ROW = Binary(shape=(2, 8, 8)), Categorical(shape=(6,), num_categories=4)
TINY = {
    "flat": {"network": "flat", "hidden_dim": 8, "num_blocks": 1},
    "image": {"network": "image", "channels": (8, 8), "embedding_dim": 4},
    "transformer": {"network": "transformer", "hidden_dim": 8, "num_layers": 1, "num_heads": 2},
}


def model(event=ROW, network="transformer", **fields):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = DiscreteDiffusionConfig(event=event, **{**TINY[network], **fields})
        return DiscreteDiffusion(config)


def rows(event, num=4, seed=0):
    return event.reference(num, torch.Generator().manual_seed(seed))[0]


# Networks


@pytest.mark.parametrize("kernel", ["absorbing", "uniform"])
@pytest.mark.parametrize(
    ("event", "network", "fields"),
    [
        (ROW, "flat", {}),
        (ROW, "transformer", {}),
        (IMAGE, "flat", {}),
        (IMAGE, "image", {}),
        (IMAGE, "image", {"patch_size": 2}),
        (IMAGE, "transformer", {"patch_size": 4}),
    ],
)
def test_each_network_gives_logits_of_each_place_and_every_parameter_learns(
    kernel, event, network, fields
):
    found = model(event, network, kernel=kernel, conditions={"y": Label(num_classes=3)}, **fields)
    x = found.state(rows(event, 3))
    t, signal = torch.tensor([0.1, 0.5, 0.9]), found.signal(torch.arange(3), 3)
    # The last layer of a transformer starts at zero, and so do gradients before it.
    for parameter in found.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    logits = found.predict(x, t, signal)
    assert logits.shape == (*x.shape, event.num_values)
    logits.square().sum().backward()
    for name, parameter in found.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name


def test_patches_are_squares_and_come_back():
    x = torch.arange(2 * 3 * 4 * 6).view(2, 3, 4, 6)
    patches = to_patches(x, 2)
    assert patches.shape == (2, 6, 12)
    assert sorted(patches[0, 0].tolist()) == sorted(x[0, :, :2, :2].flatten().tolist())
    back = from_patches(patches.unsqueeze(-1), (3, 4, 6), 2)
    assert torch.equal(back.squeeze(-1), x)
    row = torch.arange(10).view(2, 5)
    assert torch.equal(from_patches(to_patches(row, 1).unsqueeze(-1), (5,), 1).squeeze(-1), row)


@pytest.mark.parametrize("network", ["flat", "image", "transformer"])
def test_only_the_uniform_kernel_tells_its_network_the_time(network):
    for kernel, depends in (("absorbing", False), ("uniform", True)):
        found = model(IMAGE, network, kernel=kernel)
        for parameter in found.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        x, signal = found.state(rows(IMAGE, 2)), found.signal(None, 2)
        early, late = (found.predict(x, torch.full((2,), t), signal) for t in (0.1, 0.9))
        assert torch.equal(early, late) != depends


# Schedules


@pytest.mark.parametrize("name", ["log-linear", "linear", "cosine"])
@pytest.mark.parametrize("end", [0.0, 0.01])
def test_a_schedule_falls_from_one_to_its_end_by_its_slope(name, end):
    schedule = KeepSchedule(name, 5.0, end)
    t = torch.linspace(0, 1, 2001, dtype=torch.float64)
    alpha = schedule.alpha(t)
    assert alpha[0].item() == pytest.approx(1, abs=1e-12)
    assert alpha[-1].item() == pytest.approx(end, abs=1e-12)
    assert bool((alpha.diff() < 0).all())
    middle = schedule.slope((t[1:] + t[:-1]) / 2)
    torch.testing.assert_close(-alpha.diff() / t.diff(), middle, atol=1e-4, rtol=1e-4)


def test_schedules_are_those_of_the_papers():
    t = torch.tensor([0.25], dtype=torch.float64)
    assert KeepSchedule("log-linear", 5.0).alpha(t).item() == 0.75
    assert KeepSchedule("cosine", 5.0).alpha(t).item() == pytest.approx(1 - math.sin(math.pi / 8))
    kept = (math.exp(-1.25) - math.exp(-5)) / (1 - math.exp(-5))
    assert KeepSchedule("linear", 5.0).alpha(t).item() == pytest.approx(kept)


# Defaults


def test_the_default_network_fits_the_data():
    def fitted(event, **given):
        info = DataInfo(fields={"x": event})
        config = DiscreteDiffusion.configure(info, **given)
        return config.network, config.patch_size

    assert fitted(Binary(shape=(1, 28, 28))) == ("image", 2)
    assert fitted(Categorical(shape=(3, 32, 32), num_categories=8)) == ("image", 2)
    assert fitted(Binary(shape=(1, 8, 8))) == ("transformer", 2)
    assert fitted(Binary(shape=(1, 30, 30))) == ("transformer", 5)
    assert fitted(ROW) == ("transformer", 1)
    assert fitted(Binary(shape=(1, 28, 28)), network="transformer") == ("transformer", 4)
    assert fitted(Binary(shape=(1, 28, 28)), network="flat") == ("flat", 1)
    assert fitted(Binary(shape=(1, 28, 28)), patch_size=1) == ("image", 1)


# Refusals


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"alpha_end": 0.001}, "leaves a share of the places unchanged"),
        ({"kernel": "uniform", "alpha_end": 0.02}, "at most 0.01"),
        ({"network": "image"}, "images"),
        ({"network": "transformer", "hidden_dim": 10, "num_heads": 4}, "must divide hidden_dim"),
        ({"network": "transformer", "patch_size": 2}, "must divide the sides of images"),
        ({"num_timesteps": 0}, "num_timesteps"),
        ({"kernel": "gaussian"}, "kernel"),
    ],
)
def test_a_config_that_does_not_fit_is_refused_in_one_sentence(fields, said):
    with pytest.raises(ConfigError, match=said):
        DiscreteDiffusionConfig(event=ROW, **fields)


def test_patches_that_do_not_divide_an_image_are_refused():
    with pytest.raises(ConfigError, match="patch_size = 3 must divide"):
        DiscreteDiffusionConfig(event=IMAGE, network="transformer", patch_size=3)


def test_more_categories_than_the_model_has_are_refused():
    found = model()
    with pytest.raises(DataError, match="row 1 holds 4"):
        found.log_prob(torch.tensor([[0] * 6, [4] * 6]))
    event = Categorical(shape=(6,), num_categories=7)
    data = ArrayDataset(torch.full((20, 6), 6), DataInfo(fields={"x": event}), "sevens")
    with pytest.raises(DataError, match="7 categories, not 4"):
        Trainer(found, data).fit()


@pytest.mark.parametrize("steps", [0, -1])
def test_no_steps_are_refused(steps):
    sampler = genzoo.registry.load("samplers", "discrete-ancestral")
    with pytest.raises(ConfigError, match="num_inference_steps"):
        sampler(sampler.Config(num_inference_steps=steps))
    found, x = model(), rows(ROW, 2)
    with pytest.raises(ConfigError, match="num_inference_steps must be at least 1"):
        found.inpaint(x, x == 0, generator=torch.Generator(), num_inference_steps=steps)


def test_damaged_weights_do_not_draw_categories():
    found = model()
    with torch.no_grad():
        found.network.output.bias.fill_(math.nan)
    sampler = genzoo.registry.load("samplers", "discrete-ancestral")()
    with pytest.raises(NotFiniteSampleError, match="category"):
        sampler.sample_state(found, 2, generator=torch.Generator().manual_seed(0))


# Conditions and texts


def test_conditions_and_guidance_change_the_law():
    found = model(conditions={"y": Label(num_classes=2)}, hidden_dim=16)
    with torch.no_grad():
        for parameter in found.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    ancestral = genzoo.registry.load("samplers", "discrete-ancestral")
    drawn = {
        scale: found.sample(
            500,
            condition=1,
            sampler=ancestral(ancestral.Config(num_inference_steps=6, guidance_scale=scale)),
            seed=0,
        )
        for scale in (0.0, 1.0, 3.0)
    }
    free = found.sample(500, sampler=ancestral(ancestral.Config(num_inference_steps=6)), seed=0)
    assert torch.equal(drawn[0.0], free)  # No condition at all.
    assert not torch.equal(drawn[1.0], drawn[3.0])


def test_guidance_of_texts_with_an_end_is_finite():
    """Logits of what an end rules out are −∞ in both branches, and −∞ − (−∞) is not a number."""
    event = Categorical(shape=(4,), num_categories=3, names=("a", "b", ""))
    found = model(event, conditions={"y": Label(num_classes=2)})
    ancestral = genzoo.registry.load("samplers", "discrete-ancestral")
    sampler = ancestral(ancestral.Config(num_inference_steps=4, guidance_scale=2.0))
    event.check(found.sample(50, condition=1, sampler=sampler, seed=0))


def test_a_text_conditions_the_transformer_by_attention():
    fields = {
        "conditions": {"text": Text()},
        "text": {"vocabulary": ["one", "two"], "width": 8, "num_layers": 1, "num_heads": 2},
    }
    for network, event in (("transformer", ROW), ("flat", ROW), ("image", IMAGE)):
        found = model(event, network, **fields)
        with torch.no_grad():
            for parameter in found.network.parameters():
                torch.nn.init.normal_(parameter, std=0.3)
        x, t = found.state(rows(event, 2)), torch.zeros(2)
        one, two = (found.predict(x, t, found.signal(text, 2)) for text in ("one", "two"))
        assert not torch.allclose(one, two)


def test_what_is_inpainted_keeps_the_known_and_ends_where_it_must():
    event = Categorical(shape=(5,), num_categories=3, names=("a", "b", ""))
    found = model(event)
    x = torch.tensor([[0, 1, 2, 2, 2], [1, 1, 1, 0, 2]])
    mask = torch.tensor([[True, False, False, True, True], [True, True, False, False, True]])
    filled = found.inpaint(
        x.masked_fill(mask, 77), mask, generator=torch.Generator().manual_seed(0)
    )
    event.check(filled)
    assert torch.equal(filled[~mask], x[~mask])
    assert filled[0, 3:].tolist() == [2, 2]
    assert bool((filled[1, :2] < 2).all())


# Training


@pytest.mark.parametrize("kernel", ["absorbing", "uniform"])
@pytest.mark.parametrize("objective", [ContinuousTimeBound, DiscreteTimeBound])
def test_an_objective_is_the_bound_without_bias(kernel, objective):
    """The mean of 6,000 rows against log_prob with many states; 4.5 errors of both."""
    found = model(
        Categorical(shape=(3,), num_categories=3), "flat", kernel=kernel, num_timesteps=5
    )
    if objective is ContinuousTimeBound:
        found = model(Categorical(shape=(3,), num_categories=3), "flat", kernel=kernel)
    x, values = torch.tensor([[0, 2, 1]]).expand(6000, -1), []
    step = Step(0, 1, 0, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for _ in range(5):
            (loss,) = objective(found).losses({"x": x}, step)
            values.append(loss.value.item())
        truth = found.log_prob(
            x[:500], num_samples=200, generator=torch.Generator().manual_seed(1)
        )
    values = torch.tensor(values)
    error = math.hypot(values.std().item() / math.sqrt(5), truth.mean().std_error)
    assert abs(values.mean().item() + truth.mean().value) < 4.5 * error + 1e-3
    assert loss.metrics["bits_per_dimension"].item() == pytest.approx(
        values[-1].item() / (3 * math.log(2)), rel=1e-5
    )


def test_training_learns_what_places_say_of_each_other():
    """Two equal letters: log ½ a row at best; independent places have 2 log ½."""
    event = Categorical(shape=(2,), num_categories=2)
    x = torch.randint(2, (400, 1), generator=torch.Generator().manual_seed(0)).expand(-1, 2)
    data = ArrayDataset(x.clone(), DataInfo(fields={"x": event}), "pairs")
    found = model(event)
    trainer = {"max_steps": 150, "batch_size": 100}
    stage = genzoo.Stage(
        objective=genzoo.Component(name="continuous-time-bound", config={"lr": 0.02}),
        trainer=trainer,
    )
    config = genzoo.TrainerConfig(seed=0, threads=1, progress=False, sample_steps=0)
    Trainer(found, data, (stage,), config).fit()
    bound = found.log_prob(x[:100], num_samples=50, generator=torch.Generator().manual_seed(0))
    assert bound.mean().value > 1.1 * math.log(0.5)
    sampled = found.sample(200, seed=0)
    assert (sampled[:, 0] == sampled[:, 1]).float().mean() > 0.95


def test_a_model_comes_back_from_its_folder(tmp_path):
    found = model(conditions={"y": Label(num_classes=2)})
    found.save_pretrained(tmp_path)
    again = GenModel.from_pretrained(tmp_path)
    assert again.config == found.config
    assert torch.equal(again.sample(3, seed=0), found.sample(3, seed=0))
