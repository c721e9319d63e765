"""Of two processes one gets the signal, and both leave after the same step, with a checkpoint."""

import os
import signal

import pytest
import torch.nn.functional as F
from accelerate import Accelerator

import families
import genzoo
from genzoo import launching
from genzoo.errors import NotFiniteError, TrainingInterrupted
from genzoo.objective import Loss, Objective
from genzoo.training import averaging, checkpoint, loop, updater

DATA = families.rows(32, 3, seed=5)
SENT = 3
"""The update in which the signal comes; it is told to the other process in the next one."""


class Signalled(Objective):
    """Least squares, which send this process a signal in an update."""

    Config = families.None_

    def __init__(self, model, sent):
        super().__init__(model)
        self.sent = sent

    def losses(self, batch, step):
        if step.index == self.sent:
            os.kill(os.getpid(), signal.SIGTERM)
        yield Loss(((self.model.net(batch["x"]) - 1) ** 2).sum(1).mean())


class Other:
    """The other process: it computes what this one does, and leaves from some update on.

    Arguments:
        leaves: The update.
        told: What this process said of itself in each update.
    """

    def __init__(self, leaves):
        self.leaves, self.told = leaves, []

    def mean_of_told(self, values):
        """Return the mean of what both say: the loss, and whether a process leaves."""
        theirs = values.clone()
        theirs[1] = float(len(self.told) >= self.leaves)
        self.told.append(values[1].item())
        return lambda: (values + theirs) / 2


@pytest.fixture
def two(monkeypatch):
    """Return a function that puts this process next to another one."""

    def joined_by(leaves):
        other = Other(leaves)
        monkeypatch.setattr(launching, "size_of", lambda: 2)
        monkeypatch.setattr(Accelerator, "num_processes", 2)
        monkeypatch.setattr(updater, "start_mean", other.mean_of_told)
        # Gradients of the other process are the same ones.
        monkeypatch.setattr(averaging, "start_mean", lambda values: lambda: values)
        monkeypatch.setattr(averaging, "overlapping", lambda parameters: lambda loss: loss)
        return other

    return joined_by


@pytest.mark.parametrize(("here", "there"), [(SENT, 99), (99, SENT + 1), (SENT, SENT + 1)])
@pytest.mark.parametrize("every", [0, 1])
def test_both_leave_after_the_update_in_which_they_told_each_other(
    here, there, every, two, tmp_path
):
    other = two(there)
    model = families.linear()
    config = genzoo.TrainerConfig(max_steps=9, batch_size=8, save_steps=every)
    with pytest.raises(TrainingInterrupted, match=f"after step {SENT + 2}; it is saved") as caught:
        genzoo.Trainer(model, DATA, Signalled(model, here), config, output_dir=tmp_path).fit()
    assert caught.value.signum == signal.SIGTERM
    assert other.told == [0.0] * (SENT + 1) + [float(here == SENT)]
    _, kept, _ = checkpoint.load_newest(tmp_path / "checkpoints")
    assert kept.step == SENT + 2


def test_a_process_that_is_asked_to_leave_before_its_first_update_waits_for_the_other(
    two, tmp_path, monkeypatch
):
    """It alone would leave with nothing done, and the other would wait for it for ever."""
    other = two(99)
    model = families.linear()
    config = genzoo.TrainerConfig(max_steps=9, batch_size=8)
    trainer = genzoo.Trainer(model, DATA, Signalled(model, 99), config, output_dir=tmp_path)
    original = loop.make_players

    def hit(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments)

    monkeypatch.setattr(loop, "make_players", hit)
    with pytest.raises(TrainingInterrupted, match="after step 1; it is saved"):
        trainer.fit()
    assert other.told == [1.0]


class Spoiled(Signalled):
    """Least squares, of which the gradient of the weights is not finite in an update."""

    def losses(self, batch, step):
        weight = self.model.net.weight
        if step.index == self.sent:
            weight = weight.clone()
            weight.register_hook(lambda gradient: gradient * float("nan"))
        yield Loss(((F.linear(batch["x"], weight, self.model.net.bias) - 1) ** 2).sum(1).mean())


def test_what_is_not_finite_is_seen_by_both_where_only_the_other_leaves(two, tmp_path):
    """Who leaves looks at all gradients, and the other usually at offsets and scales alone."""
    two(SENT)
    model = families.linear()
    config = genzoo.TrainerConfig(max_steps=9, batch_size=8, save_steps=3)
    trainer = genzoo.Trainer(model, DATA, Spoiled(model, SENT), config, output_dir=tmp_path)
    with pytest.raises(NotFiniteError, match=rf"not finite at step {SENT + 1}.*step-000000003"):
        trainer.fit()
