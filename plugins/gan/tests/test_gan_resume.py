"""Going on from a checkpoint is exact, whatever a critic keeps."""

import shutil

import pytest
import torch

from genzoo import Component, Stage, Trainer, TrainerConfig, registry
from genzoo.testing import Case
from genzoo.training import checkpoint

CASES = {
    "spectral": ("gan", "hinge", {"spectral_norm": True}),
    "packed": ("conditional-gan", "non-saturating", {"packing": 2, "r1": 1.0}),
    "clipped": ("bigan", "wasserstein", {"critic_steps": 2, "spectral_norm": True}),
    "ahead": ("bigan", "unrolled", {"unrolled_steps": 2, "packing": 2}),
    "penalised": ("gan", "wasserstein-gp", {"packing": 4}),
}


def train(folder, model, objective, config, *, resume=False):
    cls = registry.load("models", model)
    made_config, _ = cls.example()
    torch.manual_seed(0)
    made = cls(cls.Config.from_dict({**made_config.to_dict(), "batch_norm": True}))
    settings = TrainerConfig(
        max_steps=6, batch_size=8, progress=False, save_steps=2, save_total_limit=9, ema_decay=0.5
    )
    stage = Stage(objective=Component(name=objective, config=config))
    Trainer(made, Case(model, cls).data(), stage, settings, output_dir=folder).fit(resume=resume)
    return made.state_dict()


@pytest.mark.parametrize("case", CASES)
def test_resuming_is_exact(case, tmp_path):
    straight = train(tmp_path, *CASES[case])
    first, *later = checkpoint.list_checkpoints(tmp_path / "checkpoints")
    kept = checkpoint.read(first).tensors
    assert any("critic" in name for part in kept.values() for name in part)
    for path in later:
        shutil.rmtree(path)
    resumed = train(tmp_path, *CASES[case], resume=True)
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
