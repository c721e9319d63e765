"""Learning, judged exactly."""

import math

import pytest
import torch

import genzoo
from genzoo_boltzmann.rbm import RBM
from likelihoods import mean_log_prob


@pytest.mark.parametrize("objective", ["cd", "pcd"])
def test_bars_and_stripes_are_learned(objective):
    """KL(data ‖ model) = −H − E log p, exact; the smoke figure for 4 × 4 is 0.3 nats.

    Here 3 × 3: 14 patterns, H = 2.599302; an independent model stands at 3.6 nats.
    """
    data = genzoo.load_dataset("bars-and-stripes", side=3)
    rbm = RBM(RBM.configure(data.info, num_hidden=16))
    torch.manual_seed(0)
    torch.nn.init.normal_(rbm.W, std=0.01)
    stage = genzoo.Stage.from_dict(
        {"objective": {"name": objective, "config": {"num_steps": 5, "lr": 0.2}}}
    )
    config = genzoo.TrainerConfig(max_steps=3000, batch_size=48, lr_scheduler="linear", threads=1)
    genzoo.Trainer(rbm, data, stage, config).fit()
    x = data.head(100)["x"]
    kl = -2.599302 - mean_log_prob(rbm, x).value
    assert 0 <= kl < 0.3


def test_quickstart_beats_independent_pixels_by_far():
    data = genzoo.load_dataset("digits", binarize="threshold")
    test = genzoo.load_dataset("digits", "test", binarize="threshold")
    rbm = genzoo.create_model("rbm", event=genzoo.Binary(shape=(1, 8, 8)), num_hidden=16)
    config = genzoo.TrainerConfig(max_steps=1500, batch_size=50, threads=1)
    genzoo.Trainer(rbm, data, config=config).fit()
    figures = genzoo.evaluate(rbm, test).figures
    assert figures["log-likelihood"].kind == "exact"
    assert figures["log-likelihood"].value > figures["independent-pixels"].value + 2
    assert math.isfinite(figures["log-likelihood"].std_error)


def test_a_deep_machine_learns_bars_and_stripes_and_annealing_agrees():
    """The recipe of PyDeep: 2 × 2 bars and stripes, 4-16-4 units; independent units: 1.04 nats."""
    data = genzoo.load_dataset("bars-and-stripes", side=2)
    torch.manual_seed(0)
    model = genzoo.create_model("dbm", data=data, hidden_dims=(16, 4))
    with torch.no_grad():
        for W in model.W:
            W.mul_(10)
    values = {"lr": 0.8, "num_chains": 100}
    stage = genzoo.Stage.from_dict({"objective": {"name": "pcd", "config": values}})
    config = genzoo.TrainerConfig(
        max_steps=800, batch_size=32, lr_scheduler="linear", threads=1, progress=False
    )
    genzoo.Trainer(model, data, stage, config).fit()
    with torch.no_grad():
        found = model.log_prob(data.head(100)["x"]).mean()
        betas = torch.linspace(0, 1, 200, dtype=torch.float64)
        log_z = model.log_partition_function("ais", betas=betas).estimate
        exact = model.log_partition_function("exact").estimate.value
    assert found.kind == "exact"
    assert -1.732868 - found.value < 0.3
    assert abs(log_z.value - exact) < 4 * log_z.std_error < 0.1
