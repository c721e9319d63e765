"""The mean of gradients over processes, with another process that is computed here.

`test_processes.py` compares real processes with one.
"""

import pytest
import torch
from torch import nn

from genzoo.errors import TrainingError
from genzoo.training import averaging
from genzoo.training.averaging import GradientAverage


class Other:
    """Another process, whose values are those of this one times a factor.

    Arguments:
        factor: The factor of its gradients.
        shares: Which of its parameters have a gradient; None means the same as here.
    """

    def __init__(self, factor=0.0, shares=None):
        self.factor, self.shares, self.sent = factor, shares, []

    def start_mean(self, values):
        self.sent.append((values.dtype, len(values)))
        theirs = values * self.factor
        if len(self.sent) == 1:
            theirs = values if self.shares is None else torch.tensor(self.shares)
        return lambda: (values + theirs) / 2


@pytest.fixture
def with_other(monkeypatch):
    """Return a function that puts another process next to this one."""

    def put(other):
        monkeypatch.setattr(averaging, "start_mean", other.start_mean)
        monkeypatch.setattr(averaging, "overlapping", lambda parameters: lambda loss: 1 * loss)
        return other

    return put


def parameters(*values, dtype=torch.float32):
    """Return parameters of two numbers; None gives one without a gradient."""
    found = [nn.Parameter(torch.zeros(2, dtype=dtype)) for _ in values]
    for parameter, value in zip(found, values, strict=True):
        if value is not None:
            parameter.grad = torch.full((2,), value, dtype=dtype)
    return found


def average_of(own, **options):
    names = [f"p{i}" for i in range(len(own))]
    return GradientAverage(names, own, **{"finds_unused": False, **options})


def grads_of(own):
    return [None if p.grad is None else p.grad.tolist() for p in own]


def test_gradients_are_averaged_with_one_message_for_each_type(with_other):
    other = with_other(Other(factor=3.0))
    own = [*parameters(1.0, 2.0), *parameters(4.0, dtype=torch.float64)]
    average_of(own).finish()
    assert grads_of(own) == [[2.0, 2.0], [4.0, 4.0], [8.0, 8.0]]
    assert other.sent == [(torch.float32, 3), (torch.float32, 4), (torch.float64, 2)]


def test_a_gradient_that_one_process_lacks_is_0_there_and_one_that_all_lack_stays_away(with_other):
    with_other(Other(factor=3.0, shares=[1.0, 1.0, 0.0]))
    own = parameters(1.0, None, None)
    average_of(own).finish()
    assert grads_of(own) == [[2.0, 2.0], [0.0, 0.0], None]


def test_after_a_first_update_with_all_gradients_the_backward_pass_sends_them(with_other):
    other = with_other(Other())
    own = parameters(1.0, 2.0)
    average, loss = average_of(own), torch.zeros(())
    assert average.through(loss, last=True, given=False) is loss
    average.finish()
    average.next_update()
    sent = len(other.sent)
    assert average.through(loss, last=False, given=False) is loss
    assert average.through(loss, last=True, given=False) is not loss
    average.finish()
    assert len(other.sent) == sent
    own[1].grad = None
    average.through(loss, last=True, given=False)
    with pytest.raises(TrainingError, match="p1 had a gradient in the first update and has none"):
        average.finish()


@pytest.mark.parametrize("finds_unused", [False, True])
def test_where_gradients_are_missing_at_first_or_it_is_asked_for_each_update_looks(
    finds_unused, with_other
):
    other = with_other(Other())
    own = parameters(1.0, 2.0 if finds_unused else None)
    average, loss = average_of(own, finds_unused=finds_unused), torch.zeros(())
    average.finish()
    average.next_update()
    own[0].grad = None
    assert average.through(loss, last=True, given=False) is loss
    other.sent.clear()
    average.finish()
    assert other.sent[0] == (torch.float32, 2)


@pytest.mark.parametrize("late", [False, True])
def test_gradients_without_autograd_are_sent_after_the_backward_pass(late, with_other):
    other = with_other(Other(factor=3.0))
    own = parameters(1.0, 2.0)
    average, loss = average_of(own), torch.zeros(())
    average.through(loss, last=True, given=not late)
    average.finish()
    average.next_update()
    other.sent.clear()
    other.sent.append("the message about which there are")
    for parameter, value in zip(own, (1.0, 2.0), strict=True):
        parameter.grad = torch.full((2,), value)
    assert average.through(loss, last=True, given=True) is loss
    average.finish()
    assert grads_of(own) == [[2.0, 2.0], [4.0, 4.0]]
    assert other.sent[1:] == [(torch.float32, 4)]
