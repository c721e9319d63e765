"""Trackers get the numbers, the pictures and the config of a run."""

from types import SimpleNamespace

import pytest
from PIL import Image

import families
import genzoo
from fitting import DATA
from genzoo.training.callbacks import TrainerState
from genzoo.training.config import TrainerConfig
from genzoo.training.trackers import Trackers


class Recorder:
    """A tracker that takes pictures, as Accelerate's for Weights & Biases does."""

    def __init__(self):
        self.config, self.pictures = {}, []

    def store_init_configuration(self, values):
        self.config = values

    def log_images(self, values, step):
        self.pictures.append((step, values))


class Plain:
    """A tracker without pictures."""

    def store_init_configuration(self, values):
        pass


def test_trackers_get_numbers_pictures_and_the_config_with_steps_over_all_stages():
    sent, recorder = [], Recorder()
    accelerator = SimpleNamespace(
        trackers=[recorder, Plain()], log=lambda values, step: sent.append((step, values))
    )
    configs = [TrainerConfig(max_steps=n) for n in (10, 20)]
    recipe = {"model": {"name": "toy", "config": {"dims": [2, 3], "none": None, "flag": True}}}
    trackers = Trackers(accelerator, configs, recipe)
    assert recorder.config == {
        "model.name": "toy",
        "model.config.dims": "[2, 3]",
        "model.config.flag": True,
    }
    state = TrainerState(stage=1, step=5)
    trackers.on_step(state, {"stage": 1, "step": 5, "model/loss": 0.5, "model/kl": None})
    trackers.on_evaluate(state, {"loss": 0.25})
    picture = Image.new("L", (4, 4))
    trackers.on_sample(state, {"samples": picture})
    assert sent == [(15, {"model/loss": 0.5}), (15, {"eval/loss": 0.25})]
    assert recorder.pictures == [(15, {"samples": [picture]})]


def fit(folder, tracker):
    config = TrainerConfig(
        max_steps=4, batch_size=8, logging_steps=2, report_to=(tracker,), progress=False
    )
    genzoo.Trainer(families.linear(), DATA, config=config, output_dir=folder).fit()


def test_tensorboard_has_scalars_pictures_and_the_config(tmp_path):
    reason = "the extra trackers is not installed"
    reading = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason=reason
    )
    fit(tmp_path, "tensorboard")
    found = reading.EventAccumulator(str(tmp_path / "genzoo")).Reload()
    assert [event.step for event in found.Scalars("model/loss")] == [2, 4]
    assert [event.step for event in found.Images("samples")] == [4]
    assert list((tmp_path / "genzoo").glob("*/hparams.yml"))


def test_trackio_has_scalars_pictures_and_the_config(tmp_path):
    utils = pytest.importorskip("trackio.utils", reason="the extra trackers is not installed")
    fit(tmp_path / "run", "trackio")
    stored = (utils.TRACKIO_DIR / "genzoo.db").read_bytes()
    assert b'"model.name":"toy-linear"' in stored
    assert b'"model/loss":' in stored
    assert list(utils.TRACKIO_DIR.rglob("*.png"))
