"""Samplers against the enumerated distribution."""

import pytest
import torch

import genzoo
from genzoo_boltzmann import samplers
from genzoo_boltzmann.samplers import Gibbs, GibbsConfig, TemperedGibbs, TemperedGibbsConfig
from machines import (
    expected_variation,
    frequencies,
    machine,
    probabilities,
    total_variation,
    two_modes,
)

NUM = 50_000


def _sampled(rbm, sampler):
    return rbm.sample(NUM, sampler=sampler, seed=0, batch_size=NUM)


@pytest.mark.parametrize(
    "sampler",
    [
        Gibbs(GibbsConfig(num_steps=60)),
        TemperedGibbs(TemperedGibbsConfig(num_steps=30, num_temperatures=4)),
    ],
    ids=["gibbs", "tempered"],
)
def test_samples_follow_the_model(sampler):
    rbm = machine()
    p = probabilities(rbm)
    distance = total_variation(frequencies(_sampled(rbm, sampler)), p)
    # Twice what exact draws have on average; uniform draws are at 0.5.
    assert distance < 2 * expected_variation(p, NUM)


def test_tempering_crosses_what_gibbs_cannot():
    """From all-off, Gibbs stays in one of two modes; replicas at other temperatures leave it."""
    rbm = two_modes()
    p = probabilities(rbm)
    assert p[0].item() == pytest.approx(p[-1].item(), rel=1e-6)
    assert p[0] > 0.45
    start = torch.zeros(2000, 6)

    def on(sampler):
        x = rbm.sample(2000, sampler=sampler, start=start, seed=0, batch_size=2000)
        return x.flatten(1).mean(1).round().mean().item()

    assert on(Gibbs(GibbsConfig(num_steps=50))) < 0.01
    tempered = TemperedGibbs(TemperedGibbsConfig(num_steps=50, num_temperatures=12))
    assert on(tempered) == pytest.approx(0.5, abs=0.1)


def test_trajectory_has_a_state_a_sweep_and_ends_in_the_sample(generator):
    rbm, sampler = machine(), Gibbs(GibbsConfig(num_steps=7))
    states = list(sampler.trajectory(rbm, 3, generator=generator))
    assert [tuple(v.shape) for v in states] == [(3, 6)] * 7
    again = sampler.sample_state(rbm, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(states[-1], again)


def test_other_models_are_refused():
    class Other(torch.nn.Module):
        pass

    with pytest.raises(
        genzoo.CapabilityError, match="needs a model that is a Machine; Other is not"
    ):
        Gibbs().sample_state(Other(), 1, generator=torch.Generator())


def test_exchanges_under_autocast_are_those_of_full_precision(monkeypatch):
    """Sweeps may be in a shorter type; whether replicas exchange is a matter of large sums."""
    seen = []
    exchange = samplers._exchange

    def noted(path, *args):
        seen.append(path.field(args[0].flatten(0, 1)).dtype)
        return exchange(path, *args)

    monkeypatch.setattr(samplers, "_exchange", noted)
    config = TemperedGibbsConfig(num_steps=2, num_temperatures=3)
    with torch.autocast("cpu", torch.bfloat16):
        generator = torch.Generator().manual_seed(0)
        list(TemperedGibbs(config).trajectory(machine().float(), 2, generator=generator))
    assert seen == [torch.float32] * 2


def test_a_seeds_samples_come_from_a_thousand_sweeps():
    """A seed gives the same samples only while these values stay as they are."""
    assert Gibbs().num_states(machine()) == GibbsConfig().num_steps == 1000
    assert TemperedGibbs().num_states(machine()) == TemperedGibbsConfig().num_steps == 1000
    assert TemperedGibbsConfig().num_temperatures == 20
