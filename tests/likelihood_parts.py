"""The modules of benchmarks/likelihood_table.py, and what its tests share."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import genzoo
from genzoo.log_prob import LogProb
from likelihoods import log_prob_of
from sound_models import Gaussian

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
NAMES = ("rows", "subjects", "training", "judging", "baselines", "results")


def load():
    """Return the modules by name, and the script as ``table``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        found = {name: importlib.import_module(f"likelihood.{name}") for name in NAMES}
        return SimpleNamespace(table=importlib.import_module("likelihood_table"), **found)


parts = load()


def mass(values, kind="exact", **fields):
    values = torch.as_tensor(values, dtype=torch.float64)
    return LogProb(values=values, kind=kind, measure="mass", **fields)


def binary(x):
    info = genzoo.DataInfo(fields={"x": genzoo.Binary(shape=tuple(x.shape[1:]))})
    return genzoo.ArrayDataset(x, info, "zeros and ones")


class Steps(Gaussian):
    """The density 2 (1 − q) below one half and 2 q above it: the mass q of a 1, exactly."""

    event_spaces = (genzoo.Unit,)
    q = 0.3

    def log_prob(self, x, *, condition=None, generator=None, num_samples=None):
        p = torch.where(x < 0.5, 1 - self.q, self.q).double()
        return log_prob_of((2 * p).log().sum(1), "exact", "density")
