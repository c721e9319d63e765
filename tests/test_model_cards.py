"""The zoo's own models: each folder is what its repository holds, and says what was measured."""

import json
import re
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from genzoo import GenModel
from genzoo.card import read_figures, write_card
from genzoo.cli import main
from genzoo.evaluation.verifying import FAILURES, verify
from genzoo.model_files import CARD, SAMPLES, is_pushed
from genzoo.stage import Recipe

HOME = Path(__file__).parents[1] / "model_cards"
FOLDERS = sorted(path.parent for path in HOME.glob("*/recipe.toml"))
DIGITS = [folder for folder in FOLDERS if folder.name.endswith("-digits")]


def slow(folders, *names):
    """Return the folders, of which some are for `make test-all`: another one is of their kind."""
    full = dict.fromkeys(names, pytest.mark.full)
    return [pytest.param(f, id=f.name, marks=full.get(f.name, ())) for f in folders]


each = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def files_of(folder):
    """Return the paths of a folder's files, in it."""
    return [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]


def recorded(folder):
    """Return the value and the error of each figure of the recorded evaluation."""
    figures = json.loads((folder / "evaluation.json").read_text("utf-8"))["figures"]
    return {name: (figure["value"], figure.get("std_error")) for name, figure in figures.items()}


def test_the_models_of_the_zoo_are_here():
    names = {folder.name for folder in FOLDERS}
    assert names >= {"rbm-digits", "rbm-fashion-mnist", "vae-digits", "vae-fashion-mnist"}
    assert names >= {"ddpm-fashion-mnist-text", "ddpm-shapes"}


@each
def test_a_card_is_what_the_code_writes_today(folder, tmp_path):
    """A renamed field shows here, whether the config, the picture or the figures hold it."""
    copy = shutil.copytree(folder, tmp_path / folder.name)
    write_card(copy)
    assert (copy / CARD.name).read_text("utf-8") == (folder / CARD.name).read_text("utf-8")


@each
def test_a_folder_holds_what_a_repository_does_and_is_small(folder):
    names = set(files_of(folder))
    layout = json.loads((folder / "config.json").read_text("utf-8")).get("layout", {})
    weights = list(layout.get("weights", {})) or ["model.safetensors"]
    standard = {CARD.name, SAMPLES.name, "recipe.toml", "config.json", "evaluation.json"}
    assert names == standard | set(weights) | set(layout.get("files", []))
    plain = names - set(weights) - set(layout.get("files", []))
    assert all(map(is_pushed, plain))
    sizes = {"rbm": 2, "vae": 2, "ddpm": 4, "discrete": 4, "rectified": 4}
    megabytes = sizes.get(folder.name.partition("-")[0], 3)
    assert sum((folder / name).stat().st_size for name in weights) <= megabytes * 1e6


@each
def test_a_model_is_the_one_of_its_recipe(folder):
    model, recipe = GenModel.from_pretrained(folder), Recipe.read(folder / "recipe.toml")
    assert json.loads((folder / "config.json").read_text("utf-8"))["model"] == recipe.model.name
    values = dict(recipe.model.config)
    assert list(model.conditions) == values.pop("conditions", list(model.needs))
    assert is_part(values, model.config.to_dict())


def is_part(values, whole):
    """Whether values, and those of tables, are the whole's too; or names, those of a table."""
    if isinstance(values, list) and isinstance(whole, dict):
        return values == list(whole)
    if not isinstance(values, dict):
        return values == whole
    return all(name in whole and is_part(value, whole[name]) for name, value in values.items())


@each
def test_the_figures_of_a_card_are_those_of_its_evaluation(folder):
    figures = read_figures(folder)
    assert figures
    stated = {figure.name: (figure.value, figure.facts.get("std_error")) for figure in figures}
    assert stated == recorded(folder)


@each
def test_the_hub_client_reads_the_same_figures(folder):
    results = ModelCard.load(folder / CARD.name).data.eval_results
    assert {r.metric_type: r.metric_value for r in results} == {
        name: value for name, (value, _) in recorded(folder).items()
    }


@each
def test_a_card_is_what_the_template_makes_of_its_folder(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / folder.name)
    write_card(copy)
    assert (copy / CARD.name).read_text("utf-8") == (folder / CARD.name).read_text("utf-8")


@pytest.mark.parametrize(
    "folder",
    slow(FOLDERS, "ddpm-fashion-mnist-text", "rectified-flow-fashion-mnist-text", "dbm-digits"),
)
def test_the_snippet_of_a_card_runs(folder, tmp_path, monkeypatch):
    (tmp_path / HOME.name).symlink_to(HOME)
    monkeypatch.chdir(tmp_path)
    text = (folder / CARD.name).read_text("utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert f'from_pretrained("model_cards/{folder.name}")' in snippet
    exec(compile(snippet, folder.name, "exec"), {})  # noqa: S102 - it is what a card tells to run
    assert (tmp_path / "picture.png").stat().st_size > 0


@pytest.mark.parametrize(
    "folder",
    slow(
        DIGITS,
        *("conv-rbm-digits", "dbm-digits", "dbn-digits", "rbm-digits", "fvsbn-digits"),
        *("nade-digits", "pixelcnn-digits", "transformer-digits", "discrete-diffusion-digits"),
        *("boltzmann-machine-digits", "gaussian-rbm-digits"),
    ),
)
def test_the_figures_of_digits_are_made_again(folder):
    """Those that depend on chance agree within their errors, where another machine draws."""
    verdicts = verify(GenModel.from_pretrained(folder), read_figures(folder))
    assert [str(v) for v in verdicts if v.judgement in FAILURES] == []


@each
def test_the_table_of_the_zoo_states_the_figures(folder):
    table = (HOME / "README.md").read_text("utf-8")
    (row,) = [line for line in table.splitlines() if line.startswith(f"| [{folder.name}]")]
    _, *cells = (cell.strip() for cell in row.strip("|").split("|"))
    figures = {name: value for name, (value, _) in recorded(folder).items()}
    for name, cell in zip(header(table), cells, strict=True):
        if name in figures:
            assert float(cell.replace("−", "-")) == pytest.approx(figures[name], abs=0.006)


def header(table):
    """Return what the columns behind the first are of."""
    (line,) = [line for line in table.splitlines() if line.startswith("| model")]
    return [cell.strip().strip("`") for cell in line.strip("|").split("|")][1:]


def test_all_are_published_at_once(hub, tmp_path, capsys):
    copies = [shutil.copytree(folder, tmp_path / folder.name) for folder in FOLDERS]
    with pytest.raises(SystemExit) as left:
        main(["publish", str(HOME / "README.md"), *map(str, copies), "--namespace", "ada"])
    assert left.value.code == 0, capsys.readouterr().err
    for copy in copies:
        assert set(hub.files(f"ada/{copy.name}")) >= set(files_of(copy))
        model = GenModel.from_pretrained(f"ada/{copy.name}", cache_dir=tmp_path / "cache")
        assert model.config == GenModel.from_pretrained(copy).config
