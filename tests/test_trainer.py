"""The one loop against loops written by hand."""

import copy
import json
import math

import pytest
import torch

import families
import genzoo
from fitting import DATA, difference, fit
from genzoo.component import Component
from genzoo.training.batches import BatchPartition, Stream, batches
from genzoo.training.config import resolve
from genzoo.training.players import _factor


def by_hand(make_optimizer, steps=5, batch_size=8, seed=0, change=lambda model: None):
    """The same training, written out."""
    model = families.linear()
    optimizer = make_optimizer(model.parameters())
    stream = Stream(len(DATA), genzoo.seeds.derive_seed(seed, 0))
    for index in range(steps):
        x = DATA[stream.indices(range(index * batch_size, (index + 1) * batch_size))]
        optimizer.zero_grad()
        ((model.net(x) - 1) ** 2).sum(1).mean().backward()
        change(model)
        optimizer.step()
    return model


def halves(parameters):
    """PyTorch's default decay, of the matrix alone."""
    weight, bias = parameters
    return [{"params": [weight]}, {"params": [bias], "weight_decay": 0.0}]


@pytest.mark.parametrize(
    ("values", "make"),
    [
        ({}, lambda p: torch.optim.Adam(p, lr=1e-3, fused=True)),
        (
            {"name": "sgd", "config": {"lr": 0.1, "momentum": 0.9}},
            lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        ),
        ({"name": "rmsprop", "config": {"lr": 0.01}}, lambda p: torch.optim.RMSprop(p, lr=0.01)),
        (
            {"name": "adamw", "config": {"betas": [0.5, 0.9]}},
            lambda p: torch.optim.AdamW(halves(p), lr=1e-3, betas=(0.5, 0.9), fused=True),
        ),
    ],
)
def test_equals_a_loop_written_by_hand(values, make):
    found = fit(optimizers={"model": values})
    assert difference(found, by_hand(make)) == 0


def test_micro_batches_make_the_whole_batch():
    whole, parts = fit(max_steps=20), fit(max_steps=20, num_micro_batches=4)
    assert 0 < difference(whole, parts) < 1e-6  # Other order of summation, float32.


def test_clipping_is_by_the_players_norm():
    def clip(model):
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)

    sgd = {"model": {"name": "sgd", "config": {"lr": 0.1}}}
    found = fit(optimizers=sgd, max_grad_norm=0.1)
    expected = by_hand(lambda p: torch.optim.SGD(p, lr=0.1), change=clip)
    assert difference(found, expected) < 1e-7
    assert difference(found, fit(optimizers=sgd)) > 1e-3


def test_schedules_are_their_formulas():
    def factor(index, **values):
        return _factor(resolve(genzoo.TrainerConfig(max_steps=110, **values), {}))(index)

    assert [factor(i, warmup_steps=10) for i in (0, 4, 9, 10, 60)] == [0.1, 0.5, 1.0, 1.0, 1.0]
    linear = [factor(i, warmup_steps=10, lr_scheduler="linear") for i in (10, 60, 110)]
    assert linear == [1.0, 0.5, 0.0]
    halves = {"warmup_steps": 10, "lr_scheduler": "constant-then-linear"}
    found = [factor(i, **halves) for i in (4, 9, 10, 35, 59, 60, 61, 85, 109, 110, 500)]
    assert found == pytest.approx([0.5, 1, 1, 1, 1, 1, 0.98, 0.5, 0.02, 0, 0])
    cosine = factor(35, warmup_steps=10, lr_scheduler="cosine")
    assert cosine == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))


def test_averaged_weights_are_what_is_left_in_the_model():
    """w̄ ← 0.9 w̄ + 0.1 w, started at the weights after the first update."""
    average = None
    for steps in range(1, 5):
        weights = fit(max_steps=steps, lr_scheduler="constant").net.weight.detach()
        average = weights.clone() if average is None else 0.9 * average + 0.1 * weights
    found = fit(max_steps=4, ema_decay=0.9)
    torch.testing.assert_close(found.net.weight.detach(), average, atol=1e-7, rtol=0)


def test_average_of_half_precision_weights_is_kept_in_float32():
    from genzoo.training.ema import Average

    model = families.linear().to(torch.bfloat16)
    average = Average(model, 0.9999)
    average.update(model)
    with torch.no_grad():
        model.net.weight.add_(1.0)
    before = average.model.net.weight.clone()
    for _ in range(10):
        average.update(model)
    assert before.dtype == torch.float32
    moved = (average.model.net.weight - before) / (1 - 0.9999**10)
    torch.testing.assert_close(moved, torch.ones(3, 3), atol=0.02, rtol=0)


def test_stage_values_give_way_to_the_users():
    momentum = {"a": {"config": {"lr": 1.0, "momentum": 0.5}}}
    stage = {"max_steps": 7, "batch_size": 3, "optimizers": momentum}
    user = genzoo.TrainerConfig(batch_size=9, optimizers={"a": {"config": {"lr": 2.0}}})
    found = resolve(user, stage, {"a": Component(name="sgd")})
    assert (found.max_steps, found.batch_size, found.lr_scheduler.name) == (7, 9, "constant")
    sgd = {"name": "sgd", "config": {"lr": 2.0, "momentum": 0.5}}
    assert found.optimizers["a"].to_dict() == sgd


def test_every_example_comes_once_an_epoch_whatever_the_slots():
    stream = Stream(12, seed=1)
    epoch = torch.cat([stream.indices(range(i, i + 4)) for i in range(0, 12, 4)])
    assert sorted(epoch.tolist()) == list(range(12))
    assert not torch.equal(epoch, stream.indices(range(12, 24)))
    across = stream.indices(range(10, 14))
    assert torch.equal(across, torch.cat([epoch[10:], stream.indices(range(12, 14))]))


def test_slots_of_processes_are_those_of_micro_batches():
    """Two processes with one micro-batch see what one process with two sees."""
    one = BatchPartition(8, micro_batches=2, num_processes=1, rank=0)
    two = [BatchPartition(8, micro_batches=1, num_processes=2, rank=rank) for rank in (0, 1)]
    assert one.slots() == [0, 1]
    assert [shares.slots() for shares in two] == [[0], [1]]
    for slot in (0, 1):
        assert one.rows(3, slot) == two[slot].rows(3, slot)


def test_batch_that_cannot_be_shared_equally_is_refused():
    with pytest.raises(genzoo.ConfigError, match="multiple of 3"):
        fit(num_micro_batches=3)


def test_worker_processes_read_the_same_batches():
    data = genzoo.load_dataset("digits", binarize="dynamic")
    shares = BatchPartition(16, 2, 1, 0)
    here, there = (
        [
            b["x"]
            for update in batches(data, shares, seed=3, first=2, last=5, num_workers=n)
            for b in update
        ]
        for n in (0, 1)
    )
    assert len(here) == 6
    assert all(torch.equal(a, b) for a, b in zip(here, there, strict=True))


def test_default_generator_is_seeded_for_each_move_and_left_alone():
    """Dropout and torch.distributions draw from it: the same seed, the same training."""
    data = families.VAE.example()[1]
    rows = families.rows

    def train(seed, disturb):
        torch.manual_seed(disturb)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            model = genzoo.create_model("toy-vae", event=genzoo.Unit(shape=(4,)))
        fields = {"x": genzoo.Unit(shape=(4,)), "label": genzoo.Label(num_classes=3)}
        info = genzoo.DataInfo(fields=fields)
        dataset = genzoo.ArrayDataset(data["x"], info, "rows", data["label"])
        before = torch.get_rng_state()
        config = genzoo.TrainerConfig(max_steps=3, batch_size=4, seed=seed)
        genzoo.Trainer(model, dataset, config=config).fit()
        assert torch.equal(before, torch.get_rng_state())
        return model

    assert rows is families.rows
    assert difference(train(0, disturb=1), train(0, disturb=2)) == 0
    assert difference(train(0, disturb=1), train(1, disturb=1)) > 0


def test_two_trainers_in_one_process_do_not_disturb_each_other():
    from accelerate.state import AcceleratorState, PartialState

    first = fit(mixed_precision="bf16")
    assert not AcceleratorState._shared_state
    assert not PartialState._shared_state
    second = fit()
    assert difference(second, by_hand(lambda p: torch.optim.Adam(p, lr=1e-3, fused=True))) == 0
    assert difference(first, second) > 0  # bf16 was on in the first, and in the first alone.


def test_an_accelerator_of_the_users_is_left_alone():
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, GradientState

    mine = Accelerator(cpu=True)
    try:
        fit()
        assert AcceleratorState._shared_state
        assert mine.device.type == "cpu"
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()


def test_stages_train_their_part_in_turn():
    model = families.BeliefNet(families.BeliefNet.example()[0])
    start = copy.deepcopy(model)
    fit(model, data=families.BeliefNet.example()[1]["x"])
    assert not torch.equal(model.layers[0].weight, start.layers[0].weight)
    assert not torch.equal(model.layers[1].weight, start.layers[1].weight)
    assert torch.equal(model.up.bias, start.up.bias)
    assert model.up.weight is model.layers[0].weight
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_metrics_are_logged_as_json_lines(tmp_path):
    model = families.linear()
    config = genzoo.TrainerConfig(
        max_steps=6, batch_size=8, logging_steps=2, optimizers={"model": {"config": {"lr": 0.05}}}
    )
    genzoo.Trainer(model, DATA, config=config, output_dir=tmp_path / "run").fit()
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    assert [line["step"] for line in lines] == [2, 4, 6]
    assert lines[-1].keys() >= {
        "stage",
        "model/loss",
        "model/grad_norm",
        "model/lr",
        "examples_per_second",
    }
    assert lines[0]["model/loss"] > lines[-1]["model/loss"] > 0


def test_sample_pictures_come_at_intervals_from_fixed_seeds(tmp_path):
    data = genzoo.load_dataset("digits", binarize="threshold")

    def pictures(name):
        torch.manual_seed(0)
        model = genzoo.create_model("rbm", event=genzoo.Binary(shape=(1, 8, 8)), num_hidden=4)
        config = genzoo.TrainerConfig(max_steps=4, sample_steps=2, batch_size=10)
        genzoo.Trainer(model, data, config=config, output_dir=tmp_path / name).fit()
        return {p.name: p.read_bytes() for p in (tmp_path / name / "samples").iterdir()}

    first = pictures("a")
    assert sorted(first) == ["stage-000-step-000000002.png", "stage-000-step-000000004.png"]
    assert pictures("b") == first


def test_automatic_threads_are_tried_on_a_copy_and_recorded(tmp_path, caplog):
    caplog.set_level("INFO", logger="genzoo")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        model = families.linear()
        config = genzoo.TrainerConfig(max_steps=5, batch_size=8, threads="auto")
        genzoo.Trainer(model, DATA, config=config, output_dir=tmp_path / "run").fit()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    chosen = genzoo.Recipe.read(tmp_path / "run" / "recipe.toml").trainer.threads
    assert chosen in (1, 2)
    assert f"training with {chosen}" in caplog.text
    assert difference(model, by_hand(lambda p: torch.optim.Adam(p, lr=1e-3, fused=True))) < 1e-6


def test_compile_asks_each_child_network_and_no_other(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(self))
    data = families.GAN.example()[1]["x"]
    model = genzoo.create_model("toy-gan", event=genzoo.Real(shape=(4,)))
    fit(model, data=data, compile=True)
    assert model.generator in compiled
    assert model not in compiled
    assert {type(module).__name__ for module in compiled} == {"Sequential", "Linear"}


def test_second_run_of_a_trainer_is_refused_because_its_recipe_would_be_wrong():
    settings = genzoo.TrainerConfig(max_steps=1, batch_size=8, progress=False)
    once = genzoo.Trainer(families.linear(), DATA, None, settings)
    once.fit()
    with pytest.raises(genzoo.errors.TrainingError, match="Make another Trainer"):
        once.fit()


def test_data_of_another_shape_or_kind_are_refused_with_both_named():
    with pytest.raises(genzoo.DataError, match=r"\(4,\), not \(3,\)"):
        fit(data=families.rows(8, 4))
    rbm = genzoo.create_model("rbm", event=genzoo.Binary(shape=(3,)))
    with pytest.raises(genzoo.DataError, match=r"255.*Divide by 255"):
        fit(rbm, data=255 * DATA.round())


def test_an_objective_that_needs_more_than_the_model_has_is_refused():
    with pytest.raises(genzoo.CapabilityError, match="needs a model that is a Machine"):
        fit(objective="cd")
