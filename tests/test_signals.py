"""Ctrl-C and SIGTERM save and leave, whenever they come; what was saved goes on identically."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

import families
import genzoo
from genzoo.errors import TrainingInterrupted
from genzoo.objective import Loss, Objective
from genzoo.training import checkpoint, initialization, loop, start
from genzoo.training.pictures import Pictures

DATA = families.rows(32, 3, seed=5)


class Interrupted(Objective):
    """Least squares that send this process a signal while a step is under way."""

    Config = families.None_

    def __init__(self, model, signum=None, at=None):
        super().__init__(model)
        self.signum, self.at = signum, at

    def losses(self, batch, step):
        loss = ((self.model.net(batch["x"]) - 1) ** 2).sum(1).mean()
        if step.index == self.at:
            os.kill(os.getpid(), self.signum)
        yield Loss(loss)


def trainer(folder, signum=None, at=None, steps=8):
    model = families.linear()
    config = genzoo.TrainerConfig(max_steps=steps, batch_size=8, save_steps=0, ema_decay=0.5)
    return genzoo.Trainer(model, DATA, Interrupted(model, signum, at), config, output_dir=folder)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", [0, 3, 7])
def test_a_signal_in_a_step_saves_after_it_and_goes_on_identically(signum, at, tmp_path):
    straight = trainer(tmp_path / "straight").fit()
    before = signal.getsignal(signum)
    with pytest.raises(TrainingInterrupted, match=f"after step {at + 1}; it is saved") as caught:
        trainer(tmp_path / "stopped", signum, at).fit()
    assert caught.value.signum == signum
    assert signal.getsignal(signum) is before
    assert not (tmp_path / "stopped" / "config.json").exists()
    resumed = trainer(tmp_path / "stopped").fit(resume=True)
    pairs = zip(straight.state_dict().values(), resumed.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("owner", "moment"),
    [
        (checkpoint, "save"),
        (Pictures, "draw"),
        (start, "make_players"),
        (loop, "make_players"),
        (loop, "batches"),
        (initialization, "same_everywhere"),
    ],
)
def test_a_signal_at_any_other_moment_saves_too(owner, moment, tmp_path, monkeypatch):
    """While saving, drawing pictures, before the first step, reading data."""
    original = getattr(owner, moment)

    def hit(*arguments, **options):
        monkeypatch.setattr(owner, moment, original)
        os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments, **options)

    monkeypatch.setattr(owner, moment, hit)
    model = families.linear()
    config = genzoo.TrainerConfig(max_steps=8, batch_size=8, save_steps=2, sample_steps=2)
    with pytest.raises(TrainingInterrupted):
        genzoo.Trainer(model, DATA, config=config, output_dir=tmp_path / "run").fit()
    assert checkpoint.load_newest(tmp_path / "run" / "checkpoints") is not None


def test_a_second_ctrl_c_stops_at_once():
    class Twice(Interrupted):
        def losses(self, batch, step):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            yield from super().losses(batch, step)

    model = families.linear()
    with pytest.raises(KeyboardInterrupt):
        genzoo.Trainer(model, DATA, Twice(model)).fit()


def test_without_a_folder_it_leaves_and_says_nothing_of_saving():
    with pytest.raises(TrainingInterrupted) as caught:
        trainer(None, signal.SIGTERM, 2).fit()
    assert "saved" not in str(caught.value)
    assert "has the weights of this step" in str(caught.value)


def test_a_notebook_shows_the_sentence_of_a_stop_without_a_traceback(tmp_path):
    with pytest.raises(TrainingInterrupted, match=r"fit\(resume=True\)") as caught:
        trainer(tmp_path / "run", signal.SIGINT, 2).fit()
    assert caught.value._render_traceback_() == [str(caught.value)]


def test_outside_the_main_thread_nothing_is_listened_to():
    import threading

    trained = []
    thread = threading.Thread(target=lambda: trained.append(trainer(None).fit()))
    thread.start()
    thread.join()
    assert len(trained) == 1


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_command_leaves_with_the_signals_code_and_one_line(signum, code, tmp_path):
    command = [sys.executable, "-m", "genzoo", "train", "rbm", "--data", "digits"]
    command += ["--data.binarize", "threshold", "--output", str(tmp_path / "run")]
    command += [
        "--trainer.max-steps",
        "100000000",
        "--trainer.logging-steps",
        "1",
        "--trainer.threads",
        "1",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "run" / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.stat().st_size):
        time.sleep(0.01)
    process.send_signal(signum)
    _, error = process.communicate(timeout=60)
    assert process.returncode == code
    assert len(error.splitlines()) == 1
    assert "it is saved in" in error
    assert "--resume" in error
    assert checkpoint.load_newest(tmp_path / "run" / "checkpoints") is not None
