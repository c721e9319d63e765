"""Commands take a repository wherever they take a folder; push, pull and publish move models."""

import logging
import tomllib
from pathlib import Path

import pytest
import torch

import genzoo
from folders import change_config, saved
from genzoo.cli import folders, main
from hubs import REPOSITORY, WEIGHTS, asked, put


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty folder; no handler of an earlier test, and no folder that it has fetched."""
    monkeypatch.setattr(logging.getLogger("genzoo"), "handlers", [])
    monkeypatch.chdir(tmp_path)
    folders.repository_of.cache_clear()
    return tmp_path


@pytest.fixture
def digits(hub, home):
    """A machine of digits on the Hub, trained for a moment, with its recipe."""
    data = genzoo.load_dataset("digits", binarize="threshold")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = genzoo.create_model("rbm", event=data.info["x"], num_hidden=8)
    config = genzoo.TrainerConfig(max_steps=3, batch_size=50, threads=1)
    genzoo.Trainer(model, data, config=config, output_dir="run").fit()
    put(hub, "run")
    return model


def run(line, capsys, code=0):
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(line.split())
    said = capsys.readouterr()
    assert left.value.code == code, said.err
    return said.err if code else said.out


def test_samples_are_drawn_from_a_repository(hub, digits, capsys):
    run(f"sample {REPOSITORY} --num 4 --output x.png --seed 0", capsys)
    assert Path("x.png").stat().st_size


def test_a_repository_is_judged_on_the_data_of_its_recipe(hub, digits, capsys):
    out = run(f"evaluate {REPOSITORY} --metrics independent-pixels --max-examples 50", capsys)
    assert "independent-pixels" in out
    assert len(asked(hub, path="/api/models/")) == 1


def test_a_repository_cannot_name_a_file_of_this_machine_as_its_data(hub, digits, capsys):
    recipe = Path("run/recipe.toml").read_text().replace('name = "digits"', 'name = "/etc/x.npz"')
    hub.put(REPOSITORY, {"recipe.toml": recipe.encode()})
    said = run(f"evaluate {REPOSITORY}", capsys, code=2)
    assert "Which data?" in said


@pytest.mark.parametrize(
    "config",
    [
        'folder = "{home}/idx"',
        'folder = "idx"',
        'labels = ["{home}/idx"]',
        'table = {{"{home}/idx" = 1}}',
        'table = {{x = [{{y = "idx"}}]}}',
    ],
)
@pytest.mark.parametrize("table", ["data", "data_y"])
def test_a_repository_names_no_file_of_this_machine_in_any_field(
    config, table, hub, digits, home, capsys, monkeypatch
):
    """Registered data may read from a folder that their config names: not from a stranger's."""
    (home / "idx").mkdir()
    other = '[data]\nname = "digits"\n' if table == "data_y" else ""
    named = f'[{table}]\nname = "mnist"\n[{table}.config]\n{config.format(home=home)}\n'
    hub.put(REPOSITORY, {"recipe.toml": f'[model]\nname = "rbm"\n{other}{named}'.encode()})
    opened = []
    monkeypatch.setattr("genzoo.data.idx.read_folder", lambda *args: opened.append(args))
    for line in (f"evaluate {REPOSITORY} --metrics pixels", f"evaluate {REPOSITORY} --help"):
        run(line, capsys, code=2 * ("help" not in line))
    assert opened == []


def test_a_repository_names_choices_and_numbers_of_registered_data(hub, digits, capsys):
    out = run(f"evaluate {REPOSITORY} --help", capsys)
    assert "threshold; default: threshold" in " ".join(out.replace("│", " ").split())


@pytest.mark.parametrize("command", ["evaluate", "explore", "translate"])
def test_help_fetches_no_weights(command, hub, digits, capsys):
    hub.requests.clear()
    out = run(f"{command} {REPOSITORY} --help", capsys)
    assert "--data.binarize" in out
    assert len(asked(hub, path="/api/models/")) == 1
    fetched = {r.path.rpartition("/")[2] for r in hub.requests if "/resolve/" in r.path}
    assert fetched == {"recipe.toml"}


def test_help_of_a_repository_without_a_recipe_fetches_nothing(hub, home, capsys):
    put(hub, saved("model"))
    assert "--data" in run(f"evaluate {REPOSITORY} --help", capsys)
    assert not asked(hub, path="/resolve/")


def test_a_recipe_that_is_hard_to_read_is_refused_at_once(hub, digits, capsys):
    hub.put(REPOSITORY, {"recipe.toml": f"[{'.'.join('a' * 50_000)}]".encode()})
    assert "are nested over" in run(f"evaluate {REPOSITORY}", capsys, code=2)
    hub.put(REPOSITORY, {"recipe.toml": b"#" * (2**20 + 1)})
    folders.repository_of.cache_clear()
    assert "1,048,577 bytes; 1,048,576 are allowed" in run(
        f"evaluate {REPOSITORY}", capsys, code=2
    )


def test_a_switch_before_the_repository_does_not_hide_it(hub, digits, capsys):
    out = run(
        f"evaluate --no-card {REPOSITORY} --data.limit 20 --metrics pixel-mmd", capsys, code=2
    )
    assert "Unknown metric" in out
    out = run(f"evaluate --data.no-captions {REPOSITORY} --metrics independent-pixels", capsys)
    assert "independent-pixels" in out


def test_a_card_is_not_written_into_the_cache(hub, digits, capsys):
    said = run(f"evaluate {REPOSITORY} --card", capsys, code=2)
    assert f"genzoo pull {REPOSITORY} FOLDER" in said


def test_a_revision_is_a_flag(hub, digits, capsys):
    said = run(f"sample {REPOSITORY} --revision v9 --num 1 --output x.png", capsys, code=2)
    assert "no such revision" in said


def test_a_repository_has_a_report(hub, digits, capsys):
    run(f"report {REPOSITORY}", capsys)
    assert Path("report.html").stat().st_size


def test_push_pull_and_inspect(hub, home, capsys):
    saved("model")
    out = run(f"push model {REPOSITORY} --license mit --private", capsys)
    assert f"model is in {REPOSITORY}" in out
    assert run(f"pull {REPOSITORY} back", capsys) == f"{REPOSITORY} is in back.\n"
    assert Path("back", WEIGHTS).read_bytes() == Path("model", WEIGHTS).read_bytes()
    assert "licence       mit" in run("inspect back", capsys)


def test_a_repository_is_inspected_without_its_weights(hub, digits, capsys):
    hub.requests.clear()
    out = run(f"inspect {REPOSITORY}", capsys)
    for text in ("rbm", "LogProb", "genzoo", "MB, float32", "none stated", "commit"):
        assert text in out
    hub_requests = [r for r in asked(hub, method="GET") if WEIGHTS in r.path]
    assert hub_requests
    assert all(r.range for r in hub_requests)


def test_a_repository_whose_plugin_is_missing_is_inspected_all_the_same(hub, home, capsys):
    folder = saved("model")
    change_config(folder, lambda found: found.update(model="nowhere"))
    put(hub, folder)
    out = run(f"inspect {REPOSITORY}", capsys)
    assert "not installed" in out
    assert "runs its code" in out


def test_what_strangers_wrote_is_no_order_to_the_terminal(hub, home, capsys):
    folder = saved("model")
    (folder / "README.md").write_text('---\nlicense: "mit\\e[2J"\n---\n', "utf-8")
    put(hub, folder)
    out = run(f"inspect {REPOSITORY}", capsys)
    assert "\x1b" not in out
    assert "mit␛[2J" in out


def test_publish_pushes_each_folder_under_its_own_name(hub, home, capsys):
    for name in ("first", "second"):
        saved(Path("cards", name))
    out = run("publish cards/first cards/second", capsys)
    assert "cards/first is in ada/first" in out
    assert WEIGHTS in hub.files("ada/second")
    said = run("publish cards/first --namespace bob", capsys, code=2)
    assert "rights" in said


def test_publish_looks_at_all_folders_before_it_pushes_one(hub, home, capsys):
    saved("first")
    assert "no model folder" in run("publish first none", capsys, code=2)
    assert not asked(hub, path="/api/repos/create")


def test_a_missing_folder_that_reads_like_a_repository_is_named_as_both(hub, home, capsys):
    said = run("inspect runs/digits", capsys, code=2)
    assert "no such repository" in said
    assert "A folder with this name does not exist here either" in said


def test_a_push_without_a_repository_says_what_it_needs(home, capsys):
    assert "genzoo push needs USER/NAME." in run("push model", capsys, code=2)


def test_training_starts_from_a_repository_and_the_recipe_names_its_commit(hub, digits, capsys):
    data = "--data digits --data.binarize threshold"
    run(f"train --from {REPOSITORY} {data} --output fine --trainer.max-steps 2", capsys)
    recipe = tomllib.loads(Path("fine/recipe.toml").read_text())
    assert recipe["pretrained"] == REPOSITORY
    assert len(recipe["revision"]) == 40
    run("train --recipe fine/recipe.toml --output again", capsys)
    fine, again = (genzoo.GenModel.from_pretrained(name) for name in ("fine", "again"))
    assert torch.equal(fine.W, again.W)
    assert not torch.equal(fine.W, digits.W)
