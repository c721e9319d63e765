"""Interrupted and resumed is the identical run, bit for bit; broken on purpose, it is not."""

import json
import platform
import shutil

import pytest
import torch

import families
import genzoo
from genzoo.errors import CheckpointError, OutputExistsError
from genzoo.training import checkpoint
from genzoo.training.state import StageState


def game(folder, *, steps=12, **values):
    """A game of two players with BatchNorm, dropout's like, a schedule and an average."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = genzoo.create_model("toy-gan", event=genzoo.Real(shape=(4,)))
    config = genzoo.TrainerConfig(
        **{
            "max_steps": steps,
            "batch_size": 4,
            "lr_scheduler": "linear",
            "warmup_steps": 3,
            "ema_decay": 0.8,
            "save_steps": 4,
            "save_total_limit": 5,
            "logging_steps": 1,
        }
        | values
    )
    return genzoo.Trainer(model, families.GAN.example()[1]["x"], config=config, output_dir=folder)


def chains(folder, **values):
    """A machine with persistent chains."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = genzoo.create_model("rbm", event=genzoo.Binary(shape=(1, 8, 8)), num_hidden=6)
    config = genzoo.TrainerConfig(
        **{
            "max_steps": 12,
            "batch_size": 10,
            "save_steps": 4,
            "save_total_limit": 5,
            "logging_steps": 1,
            "optimizers": {"model": {"config": {"momentum": 0.5}}},
        }
        | values
    )
    data = genzoo.load_dataset("digits", binarize="dynamic")
    return genzoo.Trainer(model, data, config=config, output_dir=folder)


def forget_after(folder, step, stage=0):
    """Remove what a run saved after a step, as if it had been stopped there."""
    for path in checkpoint.list_checkpoints(folder / "checkpoints"):
        if path.name > f"stage-{stage:03d}-step-{step:09d}":
            shutil.rmtree(path)
    for name in ("config.json", "model.safetensors"):
        (folder / name).unlink()


def straight_and_resumed(make, tmp_path):
    straight = make(tmp_path / "straight").fit()
    make(tmp_path / "stopped").fit()
    forget_after(tmp_path / "stopped", 4)
    return straight.state_dict(), make(tmp_path / "stopped").fit(resume=True).state_dict()


def equal(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("make", [game, chains])
def test_resumed_equals_straight(make, tmp_path):
    assert equal(*straight_and_resumed(make, tmp_path))


def test_the_log_goes_on_where_it_was(tmp_path):
    straight_and_resumed(game, tmp_path)

    def losses(name):
        lines = map(json.loads, (tmp_path / name / "metrics.jsonl").open())
        return [(line["step"], line["critic/loss"], line["critic/lr"]) for line in lines]

    assert losses("straight") == losses("stopped")
    assert [step for step, *_ in losses("straight")] == list(range(1, 13))


def test_a_schedule_of_two_halves_goes_on_in_the_half_that_it_was_in(tmp_path):
    """Stopped after 4 of 12 updates, before the knee, and after 8, behind it.

    The critic makes two moves in an update; its learning rate follows the updates.
    """
    for step in (4, 8):
        folder, values = tmp_path / str(step), {"lr_scheduler": "constant-then-linear"}
        game(folder, warmup_steps=0, **values).fit()
        forget_after(folder, step)
        game(folder, warmup_steps=0, **values).fit(resume=True)
        rates = [json.loads(line)["critic/lr"] for line in (folder / "metrics.jsonl").open()]
        expected = [min(1.0, 2 * (1 - i / 12)) for i in range(1, 13)]  # Of the next update.
        assert rates == pytest.approx([0.01 * factor for factor in expected], abs=1e-12)


FORGOTTEN = {
    "model": lambda t, v: t["model"].update(
        {k: torch.zeros_like(x) for k, x in t["model"].items()}
    ),
    "critic": lambda t, v: [x.mul_(0) for x in t["objective"].values()],
    "average": lambda t, v: [x.mul_(0) for n, x in t["average"].items() if "weight" in n],
    "average's counter": lambda t, v: t["average"]["n_averaged"].mul_(0),
    "optimiser": lambda t, v: [x.mul_(0) for x in t["optimizer-critic"].values()],
    "schedule": lambda t, v: v["schedules"]["generator"]["items"].__setitem__(
        slice(None),
        [[k, 0 if k == "last_epoch" else x] for k, x in v["schedules"]["generator"]["items"]],
    ),
}


@pytest.mark.parametrize("part", FORGOTTEN)
def test_whatever_is_forgotten_shows(part, tmp_path, monkeypatch):
    """The negative control: each part of the state, spoilt while loading, changes the result."""
    load = StageState.load

    def spoilt(self, tensors, values):
        FORGOTTEN[part](tensors, values)
        load(self, tensors, values)

    monkeypatch.setattr(StageState, "load", spoilt)
    assert not equal(*straight_and_resumed(game, tmp_path))


def test_forgotten_chains_show(tmp_path, monkeypatch):
    monkeypatch.setattr(StageState, "_load_process_state", lambda *arguments: None)
    assert not equal(*straight_and_resumed(chains, tmp_path))


def test_a_forgotten_position_in_the_data_shows(tmp_path, monkeypatch):
    from genzoo.training import loop

    batches = loop.batches
    monkeypatch.setattr(
        loop,
        "batches",
        lambda *a, first, last, **k: batches(*a, first=0, last=last - first, **k),
    )
    assert not equal(*straight_and_resumed(chains, tmp_path))


@pytest.mark.parametrize(("stage", "step"), [(0, 4), (0, 8), (1, 4)])
def test_stages_resume_wherever_they_were_stopped(stage, step, tmp_path):
    def make(folder):
        model = families.BeliefNet(families.BeliefNet.example()[0])
        with torch.no_grad():
            for i, parameter in enumerate(model.parameters()):
                parameter.copy_(families.rows(*parameter.shape, seed=i))
        config = genzoo.TrainerConfig(
            max_steps=8, batch_size=4, save_steps=4, save_total_limit=9, ema_decay=0.5
        )
        data = families.BeliefNet.example()[1]["x"]
        return genzoo.Trainer(model, data, config=config, output_dir=folder)

    straight = make(tmp_path / "straight").fit()
    make(tmp_path / "stopped").fit()
    forget_after(tmp_path / "stopped", step, stage)
    resumed = make(tmp_path / "stopped").fit(resume=True)
    assert equal(straight.state_dict(), resumed.state_dict())


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    first = game(tmp_path).fit().state_dict()
    assert equal(first, game(tmp_path).fit(resume=True).state_dict())
    assert equal(first, genzoo.GenModel.from_pretrained(tmp_path).state_dict())


def test_another_run_is_not_gone_on_with(tmp_path):
    game(tmp_path).fit()
    with pytest.raises(CheckpointError, match=r"trainer\[0\]\.warmup_steps was 3, is 4"):
        game(tmp_path, warmup_steps=4).fit(resume=True)


def test_what_does_not_touch_the_mathematics_may_change(tmp_path):
    first = game(tmp_path).fit().state_dict()
    forget_after(tmp_path, 4)
    resumed = game(tmp_path, save_steps=3, logging_steps=2, save_total_limit=2).fit(resume=True)
    assert equal(first, resumed.state_dict())


def test_an_occupied_folder_is_refused_unless_told(tmp_path):
    first = game(tmp_path).fit().state_dict()
    with pytest.raises(OutputExistsError, match=r"--resume.*--overwrite"):
        game(tmp_path).fit()
    again = game(tmp_path)
    again.folder = type(again.folder)(tmp_path, overwrite=True)
    told = ("evaluation.json", "evaluation-2.json", "report.html", "README.md")
    for name in (*told, "mine.txt"):
        (tmp_path / name).write_text("of the earlier run", "utf-8")
    assert equal(first, again.fit().state_dict())
    assert not any((tmp_path / name).exists() for name in told)
    assert (tmp_path / "mine.txt").exists()


def test_a_run_says_where_it_is_made(tmp_path):
    game(tmp_path).fit()
    found = json.loads((tmp_path / "environment.json").read_text("utf-8"))
    assert found["torch"] == torch.__version__
    assert (found["device"], found["processes"]) == ("cpu", "1")
    assert platform.node() not in found.values()


def test_resume_without_a_run_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="Leave --resume out"):
        game(tmp_path / "nothing").fit(resume=True)


def test_a_damaged_newest_checkpoint_is_passed_over_and_said_so(tmp_path, caplog):
    caplog.set_level("INFO", logger="genzoo")
    straight = game(tmp_path / "straight").fit().state_dict()
    game(tmp_path / "stopped").fit()
    newest = checkpoint.list_checkpoints(tmp_path / "stopped" / "checkpoints")[-1]
    with (newest / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")
    resumed = game(tmp_path / "stopped").fit(resume=True)
    assert f"Skipped the checkpoint {newest.name} (model.safetensors is damaged)" in caplog.text
    assert equal(straight, resumed.state_dict())


def test_chains_that_belong_to_a_process_refuse_another_number_of_them(tmp_path):
    """Chains named by their slot follow it; see test_processes."""
    chains(tmp_path).fit()
    forget_after(tmp_path, 8)
    path = checkpoint.list_checkpoints(tmp_path / "checkpoints")[-1]
    found = checkpoint.read(path)
    shutil.rmtree(path)
    checkpoint.save(
        checkpoint.Checkpoint(
            found.stage,
            found.step,
            {**found.tensors, "process-0": {"chains": found.tensors["process-0"]["chains_0"]}},
            {**found.values, "num_processes": 2},
            found.versions,
        ),
        tmp_path / "checkpoints",
        keep=9,
    )
    with pytest.raises(CheckpointError, match="had 2 processes"):
        chains(tmp_path).fit(resume=True)
