"""The conformance suite over flows: a transformer given labels and texts, and grey levels."""

import pytest
import torch

import genzoo
from genzoo import Label, Real, Text, Unit, registry
from genzoo.testing import CHECKS
from genzoo.testing.suites import run_one
from genzoo_diffusion.rectified_flow import RectifiedFlow, RectifiedFlowConfig

TEXTS = ("one", "two", "a two")
# A text of the data needs words, which this check does not give.
TAKEN = [check for check in CHECKS if check.__name__ != "check_spaces"]


class OfTexts(RectifiedFlow):
    """A flow whose example is a transformer, and whose divergence is estimated.

    Its last layer is not 0, as a new transformer's is: reflow would learn nothing from that.
    """

    def __init__(self, config):
        super().__init__(config)
        torch.nn.init.normal_(self.network.output.weight)

    @classmethod
    def example(cls):
        config = RectifiedFlowConfig(
            event=Real(shape=(2,)),
            network="transformer",
            hidden_dim=8,
            num_layers=1,
            num_heads=2,
            patch_size=1,
            conditions={"label": Label(num_classes=3), "text": Text()},
            text={"vocabulary": ["a", "one", "two"], "width": 8, "num_layers": 1, "num_heads": 2},
            likelihood_steps=2,
            max_exact_dims=1,
        )
        x = torch.randn(12, 2, generator=torch.Generator().manual_seed(0))
        texts = [TEXTS[i % 3] for i in range(12)]
        return config, {"x": x, "label": torch.arange(12) % 3, "text": texts}


class OfLevels(RectifiedFlow):
    """A flow of two values with four grey levels, whose network returns x̂_0."""

    @classmethod
    def example(cls):
        config = RectifiedFlowConfig(
            event=Unit(shape=(2,), levels=4),
            hidden_dim=8,
            num_blocks=1,
            prediction_type="sample",
            likelihood_steps=5,
        )
        x = torch.randint(4, (12, 2), generator=torch.Generator().manual_seed(0)) / 3
        return config, {"x": x}


@pytest.fixture
def registered(monkeypatch):
    """The models under names, for one test."""
    monkeypatch.setattr(registry, "_local", dict(registry._local))
    genzoo.register("models", "fake-of-texts")(OfTexts)
    genzoo.register("models", "fake-of-levels")(OfLevels)


def parameters():
    """Return each check, the longest of which `make test` leaves to the model of levels."""
    for name in ("fake-of-texts", "fake-of-levels"):
        for check in TAKEN:
            long = name == "fake-of-texts" and check.__name__ == "check_likelihood_kind"
            marks = [pytest.mark.full] if long else []
            yield pytest.param(name, check, marks=marks, id=f"{name}-{check.__name__}")


@pytest.mark.parametrize(("name", "check"), parameters())
def test_flows_pass_the_suite(name, check, registered):
    run_one(check, name)
