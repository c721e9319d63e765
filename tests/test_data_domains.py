"""Two domains: independent orders in training, aligned rows in tests."""

import numpy as np
import pytest
import torch
from PIL import Image

import families
from genzoo import (
    Component,
    DataError,
    Recipe,
    Trainer,
    TrainerConfig,
    create_model,
    evaluate,
    pair,
    train,
)
from genzoo.cli import main
from genzoo.data import from_array
from genzoo.spaces import Unit
from genzoo.training.batches import BatchPartition, batches


def numbered(num, first=0):
    """Return rows that hold their own number."""
    x = (first + torch.arange(num)).float().view(num, 1, 1, 1).expand(num, 1, 2, 2)
    return from_array(x, "numbers", space="real")


# Orders


def stream(data, steps, batch_size=4, seed=0, processes=1):
    """Return the numbers of x and of y that training sees, over all processes."""
    found = [[], []]
    feeds = [
        batches(data, BatchPartition(batch_size, 1, processes, r), seed=seed, first=0, last=steps)
        for r in range(processes)
    ]
    for ranks in zip(*feeds, strict=True):
        for (micro,) in ranks:
            for kept, key in zip(found, "xy", strict=True):
                kept += micro[key][:, 0, 0, 0].int().tolist()
    return found


def test_every_row_of_either_domain_comes_once_in_its_own_epoch():
    xs, ys = stream(pair(numbered(12), numbered(8)), steps=6)
    for epoch in range(2):
        assert sorted(xs[12 * epoch : 12 * epoch + 12]) == list(range(12))
    for epoch in range(3):
        assert sorted(ys[8 * epoch : 8 * epoch + 8]) == list(range(8))


def test_the_two_orders_are_independent():
    """Of 200 pairs of numbers out of 100, one is expected equal twice; a shared order gives 200.

    The correlation of the two orders has the standard error 200^-½ = .07.
    """
    xs, ys = stream(pair(numbered(100), numbered(100)), steps=50)
    assert sum(x == y for x, y in zip(xs, ys, strict=True)) < 10
    correlation = np.corrcoef(xs, ys)[0, 1]
    assert abs(correlation) < 0.28
    assert xs[:100] != xs[100:]
    assert ys[:100] != ys[100:]


def test_a_seed_decides_both_orders_and_processes_share_them():
    data = pair(numbered(20), numbered(10))
    assert stream(data, 5) == stream(data, 5)
    assert stream(data, 5)[1] != stream(data, 5, seed=1)[1]
    assert stream(data, 5) == stream(data, 5, processes=2)


def test_x_comes_in_the_order_that_it_has_alone():
    both = stream(pair(numbered(9), numbered(5)), 4)[0]
    alone = batches(
        pair(numbered(9), numbered(9)).x, BatchPartition(4, 1, 1, 0), seed=0, first=0, last=4
    )
    assert both == [int(v) for (micro,) in alone for v in micro["x"][:, 0, 0, 0]]


def test_rows_by_index_are_aligned_up_to_the_shorter_end():
    data = pair(numbered(9), numbered(5, first=100))
    assert len(data) == 5
    assert data.head(9)["y"][:, 0, 0, 0].tolist() == [100, 101, 102, 103, 104]


# Recipes and the command line


@pytest.fixture
def sources(tmp_path):
    """Return an array file and a folder of images, (1, 4, 4) both."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", x=rng.random((10, 1, 4, 4), dtype=np.float32))
    (tmp_path / "y").mkdir()
    for i in range(8):
        image = Image.fromarray(rng.integers(0, 256, (6, 6), dtype=np.uint8))
        image.save(tmp_path / "y" / f"{i}.png")
    return str(tmp_path / "x.npz"), str(tmp_path / "y")


def recipe_of(x, y):
    values = {
        "model": {"name": "toy-cycle"},
        "data": {"name": x},
        "data_y": {"name": y, "config": {"size": 4}},
        "trainer": {"max_steps": 2, "batch_size": 4, "progress": False},
    }
    return Recipe.from_dict(values)


def test_a_recipe_names_two_domains_and_comes_back_equal(sources, tmp_path):
    made = recipe_of(*sources)
    path = tmp_path / "recipe.toml"
    path.write_text(made.to_toml(), "utf-8")
    assert "[data_y]" in made.to_toml()
    assert Recipe.read(path) == made
    train(made, tmp_path / "run")
    written = Recipe.read(tmp_path / "run" / "recipe.toml")
    assert (written.data, written.data_y) == (made.data, made.data_y)


def test_the_command_line_names_two_domains(sources, tmp_path, capsys):
    x, y = sources
    line = f"train toy-cycle --data {x} --data-y {y} --data-y.size 4 --output {tmp_path}/run"
    with pytest.raises(SystemExit) as left:
        main([*line.split(), "--trainer.max-steps", "2", "--trainer.batch-size", "4"])
    assert left.value.code == 0
    written = Recipe.read(tmp_path / "run" / "recipe.toml")
    assert written.data == Component(name=x)
    assert written.data_y == Component(name=y, config={"size": 4})
    with pytest.raises(SystemExit) as left:
        main(["evaluate", f"{tmp_path}/run", "--json", f"{tmp_path}/figures.json"])
    assert left.value.code == 0, capsys.readouterr().err
    assert "source_y" in (tmp_path / "figures.json").read_text("utf-8")


def test_a_run_resumes_exactly_on_two_domains(sources, tmp_path):
    made = recipe_of(*sources)
    trainer = TrainerConfig(
        max_steps=6, batch_size=4, progress=False, save_steps=2, save_total_limit=3
    )
    made = Recipe.from_dict({**made.to_dict(), "trainer": trainer.to_dict()})
    straight = train(made, tmp_path / "straight").state_dict()
    train(made, tmp_path / "stopped")
    for number in (4, 6):
        kept = tmp_path / "stopped" / "checkpoints" / f"stage-000-step-{number:09d}"
        for file in kept.iterdir():
            file.unlink()
        kept.rmdir()
    resumed = train(made, tmp_path / "stopped", resume=True).state_dict()
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


# Refusals


def test_a_model_of_two_domains_refuses_data_of_one():
    model = families.Cycle(families.Cycle.example()[0])
    with pytest.raises(DataError, match=r"needs the field y of the data.*--data-y"):
        Trainer(model, torch.rand(5, 1, 4, 4))


def test_a_model_of_one_domain_refuses_data_of_two():
    both = pair(torch.rand(5, 3), torch.rand(5, 3))
    for use in (Trainer, evaluate):
        with pytest.raises(DataError, match=r"models one domain.*Leave --data-y out"):
            use(families.linear(), both)


def test_two_domains_are_no_domain_of_others():
    both = pair(torch.rand(5, 3), torch.rand(5, 3))
    with pytest.raises(DataError, match="already has two domains"):
        pair(both, torch.rand(5, 3))
    with pytest.raises(DataError, match="already has two domains"):
        pair(torch.rand(5, 3), both)


def test_a_recipe_beside_the_second_domains_flag_is_refused(sources, tmp_path, capsys):
    path = tmp_path / "recipe.toml"
    path.write_text(recipe_of(*sources).to_toml(), "utf-8")
    with pytest.raises(SystemExit):
        main(["train", "--recipe", str(path), "--data-y", "digits", "--output", f"{tmp_path}/r"])
    assert "--recipe and --data-y exclude each other" in capsys.readouterr().err


def test_a_model_takes_the_second_domain_as_its_condition():
    images = Unit(shape=(1, 4, 4))
    model = create_model("toy-cycle", event=images, conditions={"y": images})
    assert model.conditions == {"y": images}
