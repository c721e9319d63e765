"""A run shows its game: samples as pictures, and the critic's scores in the log and the report."""

import json

import pytest
import torch
from PIL import Image

from genzoo import Component, Stage, Trainer, TrainerConfig, load_dataset, registry
from genzoo.testing import run_command

PLAYERS = {
    "gan": "critic",
    "conditional-gan": "critic",
    "bigan": "critic",
    "semi-supervised-gan": "classifier",
}


@pytest.mark.parametrize("name", PLAYERS)
def test_a_run_shows_samples_and_scores(name, tmp_path):
    cls = registry.load("models", name)
    data = load_dataset("digits", labelled=50 if name == "semi-supervised-gan" else None)
    torch.manual_seed(0)
    model = cls(cls.configure(data.info, hidden_dims=(8,), latent_dim=2))
    settings = TrainerConfig(
        max_steps=4, batch_size=8, sample_steps=2, logging_steps=1, progress=False
    )
    stage = Stage(objective=Component(name=cls.default_stages(cls.example()[0])[0].objective.name))
    Trainer(model, data, stage, settings, output_dir=tmp_path / "run").fit()
    pictures = sorted((tmp_path / "run" / "samples").glob("*.png"))
    assert [path.stem[-1] for path in pictures] == ["2", "4"]
    first, last = (Image.open(path) for path in pictures)
    assert first.size == last.size
    assert first.tobytes() != last.tobytes()
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    for score in ("score_real", "score_fake"):
        values = [row[f"{PLAYERS[name]}/{score}"] for row in rows]
        assert len(set(values)) == 4
    with pytest.raises(SystemExit):
        run_command(["report", str(tmp_path / "run"), "--output", str(tmp_path / "report.html")])
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "score_real" in page
    assert "score_fake" in page
