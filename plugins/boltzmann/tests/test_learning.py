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
