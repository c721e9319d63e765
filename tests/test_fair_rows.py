"""What looks at some of the rows, outside of evaluation, looks at a part that is fair to labels.

The rows are sorted: the first half has the label 0, the other half the label 1.
"""

import json
import shutil

import numpy as np
import pytest
import torch

import families
import genzoo
from genzoo import Binary, Trainer, TrainerConfig, Unit, cli, create_model, registry
from genzoo.cli import explore, quickstart_figure
from genzoo.data import from_array, load_dataset
from genzoo.errors import CheckpointError
from genzoo.testing.cases import equal_states
from genzoo.training import pictures

LABEL = torch.arange(200) // 100
ROWS = from_array(families.rows(200, 3), "rows", label=LABEL)


def labels_of(x):
    """The labels of rows, by what they hold: a model without conditions is given no others."""
    return LABEL[torch.cdist(x, ROWS.x).argmin(1)]


class Counting(families.Linear):
    """Keeps the labels of the batch that it starts from."""

    def __init__(self, config):
        super().__init__(config)
        self.register_buffer("labels", torch.full((40,), -1))

    def needs_data_init(self):
        return bool((self.labels < 0).all())

    def init_from_data(self, batch, info):
        self.labels.copy_(labels_of(batch["x"]))


@pytest.fixture
def counting(monkeypatch):
    """Registers the model for a test alone, and lets it start from 40 rows."""
    monkeypatch.setattr("genzoo.training.initialization.INIT_ROWS", 40)
    before = dict(registry._local)
    yield registry.register("models", "toy-counting")(Counting)
    registry._local.clear()
    registry._local.update(before)


def train(folder=None, *, seed=0, resume=False, **values):
    torch.manual_seed(0)
    model = Counting(families.ToyConfig(event=Unit(shape=(3,))))
    given = {"max_steps": 4, "batch_size": 4, "progress": False, "seed": seed, **values}
    return Trainer(model, ROWS, config=TrainerConfig(**given), output_dir=folder).fit(
        resume=resume
    )


def test_a_model_starts_from_every_label_and_the_runs_seed_draws_the_rows(counting):
    found = [train(seed=seed).labels for seed in (0, 0, 1)]
    assert [torch.bincount(labels).tolist() for labels in found] == [[20, 20]] * 3
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_pictures_show_every_label_and_the_same_rows_each_time_and_after_a_resume(
    tmp_path, counting, monkeypatch
):
    seen = []
    monkeypatch.setattr(pictures, "draw", lambda model, rows, *given: seen.append(rows) or {})
    straight = train(tmp_path / "a", sample_steps=1, save_steps=2)
    assert len(seen) == 4
    assert torch.bincount(labels_of(seen[0]["x"])).tolist() == [32, 32]
    shutil.rmtree(tmp_path / "a" / "checkpoints" / "stage-000-step-000000004")
    resumed = train(tmp_path / "a", sample_steps=1, save_steps=2, resume=True)
    assert len(seen) == 6
    assert all(torch.equal(rows["x"], seen[0]["x"]) for rows in seen)
    assert equal_states(straight.state_dict(), resumed.state_dict()) == []


def test_a_limited_run_goes_on_bit_for_bit_and_never_on_other_rows(tmp_path):
    def run(limit_seed=0, *, resume=False):
        torch.manual_seed(0)
        model = create_model("rbm", event=Binary(shape=(1, 8, 8)), num_hidden=4)
        data = load_dataset("digits", binarize="static", limit=50, limit_seed=limit_seed)
        config = TrainerConfig(max_steps=4, batch_size=10, save_steps=2, progress=False)
        return Trainer(model, data, config=config, output_dir=tmp_path).fit(resume=resume)

    straight = run()
    shutil.rmtree(tmp_path / "checkpoints" / "stage-000-step-000000004")
    assert equal_states(straight.state_dict(), run(resume=True).state_dict()) == []
    with pytest.raises(CheckpointError, match=r"seed 0\).* is 'digits/train \(50 .* seed 1\)"):
        run(1, resume=True)


@pytest.fixture
def sorted_images(tmp_path):
    x = LABEL.view(200, 1, 1, 1).float().expand(200, 1, 8, 8)
    np.savez(tmp_path / "sorted.npz", x=x.numpy(), label=LABEL.numpy())
    return tmp_path / "sorted.npz"


def test_explored_examples_are_of_every_label_and_drawn_by_a_seed(
    tmp_path, sorted_images, monkeypatch
):
    create_model("vae", event=Binary(shape=(1, 8, 8)), latent_dim=2).save_pretrained(
        tmp_path / "vae"
    )
    seen, draw = [], explore.draw_rows

    def draw_rows(data, num, *, seed):
        rows = draw(data, num, seed=seed)
        seen.append(rows["x"])
        return rows

    monkeypatch.setattr(explore, "draw_rows", draw_rows)
    for flags in ("interpolation", "interpolation --seed 1", "traversal", "traversal --seed 2"):
        line = f"explore {tmp_path}/vae --data {sorted_images} --output {tmp_path}/x.png"
        with pytest.raises(SystemExit) as left:
            cli.main(f"{line} --num 3 --view {flags}".split())
        assert left.value.code == 0
    values = [x[:, 0, 0, 0].tolist() for x in seen]
    assert sum(values[0]) == sum(values[1]) == 10
    assert values[0] != values[1]
    assert [len(x) for x in seen] == [20, 20, 1, 1]


def test_a_gallery_shows_every_label(tmp_path, sorted_images, monkeypatch):
    seen = []

    def rows(name, model, x):
        seen.append(x)
        yield from [[("one", quickstart_figure.grid(x))]] * 2

    monkeypatch.setattr(quickstart_figure, "_rows", rows)
    quickstart_figure.draw({"a": None}, load_dataset(str(sorted_images)), tmp_path / "x.png")
    assert seen[0][:, 0, 0, 0].sum() == 18


def test_a_card_keeps_the_limits_seed_and_evaluation_of_a_run_leaves_both_out(tmp_path, capsys):
    """A run's own limit is of its training; a limit that is given stands in the provenance."""
    data = load_dataset("digits", binarize="static", limit=50, limit_seed=3)
    model = create_model("rbm", event=Binary(shape=(1, 8, 8)), num_hidden=4)
    config = TrainerConfig(max_steps=1, batch_size=10, progress=False)
    Trainer(model, data, config=config, output_dir=tmp_path / "run").fit()
    recipe = genzoo.Recipe.read(tmp_path / "run" / "recipe.toml")
    assert recipe.data.config == {"binarize": "static", "limit": 50, "limit_seed": 3}
    for flags, config, num in (
        ("", {"binarize": "static"}, 297),
        (
            "--data.limit 40 --data.limit-seed 5",
            {"binarize": "static", "limit": 40, "limit_seed": 5},
            40,
        ),
    ):
        line = f"evaluate {tmp_path}/run --metrics log-likelihood --json {tmp_path}/e.json"
        with pytest.raises(SystemExit) as left:
            cli.main(f"{line} {flags}".split())
        assert left.value.code == 0
        provenance = json.loads((tmp_path / "e.json").read_text())["provenance"]
        assert (provenance["data_config"], provenance["examples"]) == (config, num)
