"""What takes no gradient keeps nothing for a backward pass."""

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from genzoo.plugin import Step
from genzoo_boltzmann import objectives, partition
from genzoo_boltzmann.samplers import Gibbs, TemperedGibbs
from likelihoods import mean_log_prob
from machines import machine, states

BETAS = torch.linspace(0, 1, 3, dtype=torch.float64)


def _losses(cls):
    def work(rbm, generator):
        batch, step = {"x": states(6)}, Step(0, 10, 0, generator)
        list(cls(rbm, cls.Config(num_steps=2)).losses(batch, step))

    return work


def _states(cls):
    return lambda rbm, generator: list(
        cls(cls.Config(num_steps=2)).trajectory(rbm, 2, generator=generator)
    )


def _log_z(method, **options):
    return lambda rbm, generator: method(
        rbm, generator=generator, num_chains=4, betas=BETAS, **options
    )


WORK = {
    "exact": lambda rbm, generator: partition.exact(rbm),
    "ais": _log_z(partition.ais),
    "reverse AIS": _log_z(partition.reverse_ais, num_burn_in=1),
    "halves": _log_z(partition.reverse_halves, rows=states(6)[:2], num_burn_in=1),
    "log-likelihood": lambda rbm, generator: mean_log_prob(rbm, states(6)),
    "a path": lambda rbm, generator: rbm.path().change(states(6), 0.0, 0.5),
    "cd": _losses(objectives.ContrastiveDivergence),
    "pcd": _losses(objectives.PersistentContrastiveDivergence),
    "gibbs": _states(Gibbs),
    "tempered-gibbs": _states(TemperedGibbs),
}


@pytest.mark.parametrize("name", WORK)
def test_no_tensor_is_saved(name, generator):
    rbm, saved = machine(), []
    with saved_tensors_hooks(lambda tensor: saved.append(tensor) or tensor, lambda tensor: tensor):
        WORK[name](rbm, generator)
        assert not saved
        rbm.free_energy(states(6)).sum()  # The negative control: this has a gradient.
    assert saved
