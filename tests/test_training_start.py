"""What happens before the first update: what is built, in which order, and how often."""

import ast
from pathlib import Path

import pytest
import torch
from accelerate.utils import LoggerType

import families
import genzoo
from fitting import DATA
from genzoo import Stage, TrainerConfig, register
from genzoo.errors import (
    ConfigError,
    MissingDependencyError,
    OutputExistsError,
    TrainingError,
)
from genzoo.objective import Loss, Objective

FOLDER = Path(genzoo.__file__).parent / "training"


@register("objectives", "toy-counted")
class Counted(Objective):
    """Least squares that note when they are built, and when they are asked for losses."""

    Config = families.None_
    events: list[str] = []  # noqa: RUF012 - shared on purpose

    def __init__(self, model, config=None):
        super().__init__(model, config)
        self.events.append("built")

    def losses(self, batch, step):
        self.events.append("losses")
        yield Loss((self.model.net(batch["x"]) - 1).square().mean())


@pytest.fixture
def events(monkeypatch):
    monkeypatch.setattr(Counted, "events", [])
    return Counted.events


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def fit(model, stages, folder=None, *, data=DATA, resume=False, **values):
    given = {"max_steps": 3, "batch_size": 8, "progress": False, **values}
    trainer = genzoo.Trainer(model, data, stages, TrainerConfig(**given), output_dir=folder)
    return trainer.fit(resume=resume)


@pytest.mark.parametrize("threads", [1, "auto"])
def test_the_objective_is_built_once_before_the_first_update(
    threads, events, two_threads, tmp_path
):
    """Checks, and the trial of the number of threads, use the one that is trained."""
    fit(families.linear(), "toy-counted", tmp_path, threads=threads)
    assert events.count("built") == 1
    assert events[0] == "built"


def test_a_resumed_run_builds_it_once_too(events, tmp_path):
    fit(families.linear(), "toy-counted", tmp_path)
    events.clear()
    fit(families.linear(), "toy-counted", tmp_path, resume=True)
    assert events == ["built"]


def test_every_stage_is_checked_before_the_first_update_and_builds_anew_when_it_begins(events):
    fit(families.linear(), [Stage(objective="toy-counted")] * 2)
    assert events == ["built"] * 2 + ["losses"] * 3 + ["built"] + ["losses"] * 3


class Started(families.Linear):
    """A model that starts from the data."""

    def needs_data_init(self):
        return bool(self.net.bias.max() != 7)

    def init_from_data(self, batch, info):
        with torch.no_grad():
            self.net.bias.fill_(7)


@register("objectives", "toy-looking")
class Looking(Counted):
    """Notes the bias that its model has when it is built."""

    def __init__(self, model, config=None):
        super().__init__(model, config)
        self.events[-1] = float(model.net.bias.detach().max())


def test_an_objective_sees_the_model_that_was_initialised_from_data(events):
    model = families.linear()
    model.__class__ = Started
    fit(model, "toy-looking")
    assert events[0] == 7


def test_an_occupied_folder_is_refused_before_the_model_is_initialised(events, tmp_path):
    fit(families.linear(), "toy-counted", tmp_path)
    events.clear()
    model = families.linear()
    model.__class__ = Started
    with pytest.raises(OutputExistsError):
        fit(model, "toy-counted", tmp_path)
    assert model.needs_data_init()
    assert events == []


def test_the_trial_of_threads_trains_the_stages_part_alone(two_threads):
    """The other part has no gradient by this objective, which is an error where it is trained."""
    model = families.linear()
    model.idle = torch.nn.Linear(1, 1)
    before = {name: p.detach().clone() for name, p in model.idle.named_parameters()}
    fit(model, Stage(objective="toy-counted", part="net"), threads="auto")
    assert all(torch.equal(p, before[name]) for name, p in model.idle.named_parameters())


def test_a_wrong_value_of_a_later_stage_is_found_before_anything_is_written(events, tmp_path):
    wrong = {"optimizers": {"modle": {"config": {"lr": 0.1}}}}
    stages = [Stage(objective="toy-counted"), Stage(objective="toy-counted", trainer=wrong)]
    with pytest.raises(ConfigError, match="no player 'modle'"):
        fit(families.linear(), stages, tmp_path / "run")
    assert "losses" not in events
    assert not (tmp_path / "run").exists()


def test_nothing_in_training_imports_the_trainer_back_and_no_imports_form_a_circle():
    """Imports for type checkers count."""
    imports = {path.stem: _imports(path) for path in FOLDER.glob("*.py") if path.stem[0] != "_"}
    assert [name for name, others in imports.items() if "trainer" in others] == []
    while imports:
        leaves = [name for name, others in imports.items() if not others & imports.keys()]
        assert leaves, f"a circle of {sorted(imports)}"
        for name in leaves:
            del imports[name]


def _imports(path):
    """Return the modules of genzoo.training that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "genzoo.training":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("genzoo.training."):
            found.add(node.module.split(".")[2])
    return found


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_without_gradients_nothing_is_trained(off, tmp_path):
    trainer = genzoo.Trainer(families.linear(), DATA, "toy-counted", output_dir=tmp_path / "run")
    with off(), pytest.raises(TrainingError, match=rf"torch\.{off.__name__}\(\) disables here"):
        trainer.fit()
    assert not (tmp_path / "run").exists()


def test_a_tracker_that_is_not_there_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "accelerate.tracking.get_available_trackers", lambda: [LoggerType.TENSORBOARD]
    )

    def make(*names):
        config = TrainerConfig(report_to=names)
        return genzoo.Trainer(
            families.linear(), DATA, "toy-counted", config, output_dir=tmp_path / "run"
        )

    make("tensorboard")
    with pytest.raises(MissingDependencyError, match=r"'comet_ml' is not installed.*comet-ml"):
        make("tensorboard", "comet_ml")
    with pytest.raises(MissingDependencyError, match=r"pip install 'genzoo\[trackers\]'"):
        make("trackio")
    with pytest.raises(ConfigError, match=r"'tensorbord' is not a tracker.*'tensorboard'\?"):
        make("tensorbord")
    assert not (tmp_path / "run").exists()
