"""Optimisers and schedules that a function makes, and Muon: as by hand, resumed, and refused."""

import math
import time

import pytest
import torch
from torch.optim import lr_scheduler as schedules

import families
import genzoo
from fitting import DATA, difference
from genzoo.errors import CheckpointError, MissingDependencyError, TrainingError
from genzoo.stage import Recipe
from test_minutes import Clock
from test_resume import equal, forget_after, straight_and_resumed
from test_trainer import by_hand

VALUES = {"max_steps": 5, "batch_size": 8, "progress": False, "logging_steps": 1}


def trainer(model=None, folder=None, *, values=None, **functions):
    model = families.linear() if model is None else model
    config = genzoo.TrainerConfig(**VALUES | (values or {}))
    return genzoo.Trainer(model, DATA, config=config, output_dir=folder, **functions)


def nadam(parameters):
    return torch.optim.NAdam(parameters, lr=0.01)


def falling(optimizer, steps):
    return schedules.PolynomialLR(optimizer, total_iters=steps)


def cycle(optimizer, steps):
    return schedules.OneCycleLR(optimizer, 0.1, total_steps=steps + 1)


def game(folder=None, **functions):
    """Two players: one with a function of two parameter groups and a schedule, one with Muon."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = genzoo.create_model("toy-gan", event=genzoo.Real(shape=(4,)))
    config = genzoo.TrainerConfig(
        max_steps=12,
        batch_size=4,
        save_steps=4,
        save_total_limit=5,
        progress=False,
        optimizers={"critic": {"name": "muon", "config": {"lr": 0.05}}},
    )
    functions = functions or {
        "optimizer": {"generator": nadam},
        "lr_scheduler": {
            "generator": lambda o, n: schedules.OneCycleLR(o, 0.1, total_steps=n + 1)
        },
    }
    data = families.GAN.example()[1]["x"]
    return genzoo.Trainer(model, data, config=config, output_dir=folder, **functions)


def test_a_run_with_functions_equals_a_loop_written_by_hand():
    made = []

    def make(parameters):
        made.append(nadam(parameters))
        return made[-1]

    run = trainer(optimizer=make, lr_scheduler=falling)
    found = run.fit()
    assert difference(found, by_hand(nadam)) > 1e-4
    expected = by_hand(make, change=lambda _: set_rate(made[-1]))
    assert difference(found, expected) == 0
    logged = [row["model/lr"] for row in run.history]
    assert logged == pytest.approx([0.008, 0.006, 0.004, 0.002, 0], abs=1e-12)


def set_rate(optimizer):
    """PyTorch computes the polynomial step by step: 1 − t / 5 from 1 − (t − 1) / 5."""
    group = optimizer.param_groups[0]
    step = group.setdefault("made", 0)
    if step:
        group["lr"] *= ((1.0 - step / 5) / (1.0 - (step - 1) / 5)) ** 1.0
    group["made"] += 1


def test_a_stages_warm_up_is_part_of_our_schedule_and_applies_to_a_functions_optimiser():
    run = trainer(values={"warmup_steps": 4, "max_steps": 3}, optimizer=nadam)
    run.fit()
    assert [row["model/lr"] for row in run.history] == pytest.approx([0.005, 0.0075, 0.01])


def test_muon_is_muon_for_the_matrix_and_adamw_for_the_rest():
    values = {"lr": 0.05, "adamw_lr": 0.02, "weight_decay": 0.1, "betas": (0.8, 0.9)}
    found = trainer(values={"optimizers": {"model": {"name": "muon", "config": values}}}).fit()

    class Both:
        def __init__(self, parameters):
            weight, bias = parameters
            assert weight.ndim == 2 > bias.ndim
            matrix = torch.optim.Muon([weight], lr=0.05, momentum=0.95, weight_decay=0.1)
            rest = torch.optim.AdamW([bias], lr=0.02, betas=(0.8, 0.9), weight_decay=0, fused=True)
            self.parts = [matrix, rest]

        def zero_grad(self):
            for part in self.parts:
                part.zero_grad()

        def step(self):
            for part in self.parts:
                part.step()

    assert difference(found, by_hand(Both)) == 0


def test_filters_go_to_adamw_with_decay_and_biases_without():
    shapes = [(2, 3), (2, 1, 3, 3), (2,)]
    parameters = [torch.nn.Parameter(torch.zeros(shape)) for shape in shapes]
    made = genzoo.registry.load("optimizers", "muon")().build(parameters)
    found = [(tuple(g["params"][0].shape), g["lr"], g["weight_decay"]) for g in made.param_groups]
    rates, decays = (0.02, 3e-4, 3e-4), (0.01, 0.01, 0.0)
    assert found == list(zip(shapes, rates, decays, strict=True))


def test_muon_needs_a_matrix_and_a_new_pytorch(monkeypatch):
    make = genzoo.registry.load("optimizers", "muon")().build
    filters = [torch.nn.Parameter(torch.zeros(2, 2, 3, 3))]
    with pytest.raises(genzoo.ConfigError, match="matrices; this player has none"):
        make(filters)
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(MissingDependencyError, match=r"2\.9 or newer.*torch>=2\.9.*adamw"):
        make([torch.nn.Parameter(torch.zeros(2, 2))])


def test_resumed_equals_straight(tmp_path):
    assert equal(*straight_and_resumed(game, tmp_path))


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ({"lr_scheduler": {"generator": cycle}}, r"generator\.optimizer was .*NAdam.* is None"),
        ({"optimizer": {"generator": nadam}}, r"generator\.lr_scheduler was .*OneCycleLR"),
        (
            {
                "optimizer": {"generator": lambda p: torch.optim.NAdam(p, betas=(0.5, 0.9))},
                "lr_scheduler": {"generator": cycle},
            },
            r"generator\.optimizer\.values\[0\]\.betas\[0\] was 0\.9, is 0\.5",
        ),
    ],
)
def test_resuming_needs_the_same_functions(functions, message, tmp_path):
    game(tmp_path).fit()
    before = (tmp_path / "environment.json").stat().st_mtime_ns
    with pytest.raises(CheckpointError, match=message):
        game(tmp_path, **functions).fit(resume=True)
    assert (tmp_path / "environment.json").stat().st_mtime_ns == before


def test_a_finished_run_goes_on_with_a_functions_optimiser_and_not_with_its_schedule(tmp_path):
    def run(folder, steps, **functions):
        return trainer(None, folder, values={"max_steps": steps}, optimizer=nadam, **functions)

    straight = run(None, 8).fit()
    run(tmp_path / "a", 5).fit()
    assert difference(run(tmp_path / "a", 8).fit(resume=True), straight) == 0
    run(tmp_path / "b", 5, lr_scheduler=falling).fit()
    with pytest.raises(CheckpointError, match="cannot follow another number of updates"):
        run(tmp_path / "b", 8, lr_scheduler=falling).fit(resume=True)


def test_the_recipe_names_what_was_made_and_needs_the_functions_again(tmp_path):
    data = genzoo.load_dataset("digits", binarize="threshold", limit=20)

    def run(folder):
        torch.manual_seed(genzoo.seeds.derive_seed(0, "model"))
        model = genzoo.create_model("rbm", data=data, num_hidden=3)
        config = genzoo.TrainerConfig(**VALUES)
        return genzoo.Trainer(model, data, config=config, output_dir=folder, optimizer=nadam)

    first = run(tmp_path).fit()
    recipe = Recipe.read(tmp_path / "recipe.toml")
    assert "torch.optim.nadam.NAdam(params=3, lr=0.01" in recipe.factories["optimizer"]
    with pytest.raises(genzoo.ConfigError, match=r"optimizer .*NAdam.*train\(recipe, optimizer"):
        genzoo.train(recipe)
    assert difference(genzoo.train(recipe, optimizer=nadam), first) == 0
    assert "factories" not in trainer().recipe().to_toml()


class Modes(torch.optim.SGD):
    """As schedule-free optimisers."""

    def train(self):
        """Train."""

    def eval(self):
        """Evaluate."""


OTHER = torch.nn.Parameter(torch.zeros(3))
BAD = {
    "none": (lambda p: None, "NoneType for the player 'model'"),
    "schedule": (lambda p: falling(nadam(p), 5), "returned a PolynomialLR"),
    "closure": (lambda p: torch.optim.LBFGS(p), "LBFGS.* needs a closure"),
    "modes": (lambda p: Modes(p), r"train\(\) and eval\(\) modes"),
    "others": (lambda p: nadam([*p, OTHER]), "1 parameters that do not belong"),
    "missing": (lambda p: nadam(p[:1]), r"left out model\.net\.bias"),
    "tensor": (lambda p: torch.optim.Adam(p, lr=torch.tensor(0.1)), "cannot hold"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_optimiser_that_cannot_be_used_is_refused_before_anything_is_written(name, tmp_path):
    function, message = BAD[name]
    with pytest.raises(TrainingError, match=message):
        trainer(None, tmp_path / "run", optimizer=function).fit()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda o, n: None, "lr_scheduler returned a NoneType"),
        (lambda o, n: schedules.ReduceLROnPlateau(o), "ReduceLROnPlateau.* without a figure"),
        (lambda o, n: falling(nadam([OTHER]), n), "of another optimizer"),
        (lambda o, n: schedules.CosineAnnealingLR(o, math.inf), "cannot hold"),
    ],
)
def test_a_schedule_that_cannot_be_used_is_refused(function, message):
    with pytest.raises(TrainingError, match=message):
        trainer(lr_scheduler=function).fit()


def test_what_is_not_a_function_or_is_decided_twice_is_refused():
    with pytest.raises(genzoo.ConfigError, match=r"optimizer must be a function.* got a NAdam"):
        trainer(optimizer=nadam([OTHER]))
    with pytest.raises(
        genzoo.ConfigError, match=r"lr_scheduler must take .* than \(o\)\. Give lambda"
    ):
        trainer(lr_scheduler=lambda o: None)
    with pytest.raises(genzoo.ConfigError, match=r"lr_scheduler must be a function.* got a str"):
        trainer(lr_scheduler={"model": "cosine"})
    with pytest.raises(genzoo.ConfigError, match=r"optimizer: no player 'modle'. .*'?model"):
        trainer(optimizer={"modle": nadam}).fit()
    own = {"optimizers": {"model": {"config": {"lr": 0.1}}}}
    with pytest.raises(genzoo.ConfigError, match=r"have optimizers\.model, which a function"):
        trainer(values=own, optimizer=nadam)
    trainer(values=own, optimizer={"other": nadam})
    both = {"lr_scheduler": "cosine", "warmup_steps": 2}
    with pytest.raises(genzoo.ConfigError, match="have lr_scheduler, warmup_steps"):
        trainer(values=both, lr_scheduler=falling)


class Rough(torch.optim.SGD):
    """An optimiser whose state PyTorch's load_state_dict casts, or that JSON cannot hold."""

    state_of = staticmethod(lambda p: p.detach().bfloat16())

    def step(self, closure=None):
        super().step()
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["rough"] = self.state_of(p)


def test_a_state_that_is_not_put_back_as_it_was_is_refused(tmp_path, monkeypatch):
    def run():
        return trainer(None, tmp_path, values={"save_steps": 2}, optimizer=lambda p: Rough(p))

    run().fit()
    forget_after(tmp_path, 4)
    with pytest.raises(CheckpointError, match=r"Rough.* does not load the state that it saved"):
        run().fit(resume=True)
    monkeypatch.setattr(Rough, "state_of", staticmethod(lambda p: object()))
    with pytest.raises(CheckpointError, match=r"cannot hold.*object"):
        trainer(None, tmp_path / "b", optimizer=lambda p: Rough(p)).fit()


def test_a_function_may_name_parts_of_the_model_also_with_minutes(monkeypatch):
    monkeypatch.setattr(time, "perf_counter", Clock(15.0))  # 15 updates take 15 seconds.
    model = families.linear()

    def make(_):
        return torch.optim.SGD(
            [{"params": [model.net.weight], "lr": 0.1}, {"params": [model.net.bias]}]
        )

    run = trainer(model, values={"max_steps": None, "minutes": 0.1}, optimizer=make)
    run.fit()
    assert run.plan.config.max_steps == 6
