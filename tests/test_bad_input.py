"""Whatever is wrong ends in one line with the remedy and exit code 2; nothing is half-written."""

import contextlib
import json
import logging
import os
import resource
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

import genzoo
from genzoo.cli import main

RANDOM = np.random.default_rng(0)
BITS = (RANDOM.random((20, 6)) < 0.5).astype(np.uint8)
TRAIN = "train rbm --data bits.npz --output new"
ADAM = f"{TRAIN} --trainer.optimizers.model adam"
MADE = (
    "train rbm --data bits.npz --output run --model.num-hidden 4 --trainer.max-steps 3 "
    "--trainer.batch-size 8 --trainer.threads 1"
)
FALLING = "--trainer.lr-scheduler constant-then-linear"
LONG = "a" * 300


def write_data():
    """Write arrays that are right, and arrays that are wrong in one way each."""
    arrays = {
        "bits": BITS,
        "wide": np.concatenate([BITS, BITS], 1),
        "grey": RANDOM.random((20, 6)),
        "bytes": RANDOM.integers(0, 250, (20, 6)).astype(np.uint8),
        "negative": RANDOM.normal(size=(20, 6)),
        "empty": np.zeros((0, 6)),
        "flat": np.zeros(5),
        "nan": np.array([[0, 1], [0, np.nan]]),
        "objects": np.array([[object()]], dtype=object),
        "words": np.array([["a"]]),
    }
    for name, x in arrays.items():
        np.savez(f"{name}.npz", x=x)
    np.savez("nothing.npz")
    Path("truncated.npz").write_bytes(Path("bits.npz").read_bytes()[:100])
    Path("words.md").write_text("a", "utf-8")
    Path("words.txt").write_text("a", "utf-8")
    Path("folder").mkdir()
    Path("picture.png").mkdir()


def write_recipes():
    """Write recipes that are wrong in one way each."""
    good = Path("run", "recipe.toml").read_text("utf-8")
    wrong = {
        "malformed": "model = [",
        "incomplete": "[model]\nname = 'rbm'\n",
        "misspelt": good.replace("[model.config]", "[model.config]\nnum_hiden = 3"),
        "section": good.replace("[trainer]", "[trianer]"),
        "typed": good.replace("num_hidden = 4", "num_hidden = 'four'"),
        "player": good.replace(
            "[trainer.optimizers]", "[trainer.optimizers.critic.config]\nlr = 1.0"
        ),
        "optimiser": good.replace("[trainer.optimizers]", "[trainer.optimizers]\nmodel = 'sdg'"),
        "rate": good.replace(
            "[trainer.optimizers]", "[trainer.optimizers.model.config]\nlr = -1.0"
        ),
        "schedule": good.replace("[trainer]", "[trainer]\nlr_scheduler = 'adam'"),
        "part": good.replace('part = ""', 'part = "decoder"'),
        "model": good.replace('name = "rbm"', 'name = "rbmm"'),
    }
    for name, text in wrong.items():
        assert text != good
        Path(f"{name}.toml").write_text(text, "utf-8")


def write_folders():
    """Write model folders that are wrong in one way each."""

    def config(name, change):
        shutil.copytree("run", name)
        path = Path(name, "config.json")
        found = json.loads(path.read_text("utf-8"))
        change(found)
        path.write_text(json.dumps(found), "utf-8")

    config("huge", lambda found: found["config"].update(num_hidden=2**20))
    config("other", lambda found: found["config"].update(num_hidden=5))
    config("stranger", lambda found: found.update(model="vae-of-a-stranger"))
    config("unknown", lambda found: found["config"].update(code="import os"))
    config("future", lambda found: found.update(genzoo=99))
    config("unparsed", lambda found: None)
    Path("unparsed", "config.json").write_text("{", "utf-8")
    config("cut", lambda found: None)
    os.truncate("cut/model.safetensors", Path("cut/model.safetensors").stat().st_size - 10)
    config("weightless", lambda found: None)
    Path("weightless", "model.safetensors").unlink()
    config("lacking", lambda found: None)
    tensors = load_file("lacking/model.safetensors")
    save_file(
        {"extra" if k == "c" else k: t for k, t in tensors.items()}, "lacking/model.safetensors"
    )
    config("broken", lambda found: None)
    for path in Path("broken", "checkpoints").glob("*/manifest.json"):
        path.write_text("{", "utf-8")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a run, and with everything that can be wrong."""
    home = tmp_path_factory.mktemp("home")
    with contextlib.chdir(home):
        write_data()
        with pytest.raises(SystemExit) as left:
            main(MADE.split())
        assert left.value.code == 0
        write_recipes()
        write_folders()
    return home


@pytest.fixture(autouse=True)
def here(home, monkeypatch):
    monkeypatch.chdir(home)
    monkeypatch.setattr(logging.getLogger("genzoo"), "handlers", [])
    return home


def contents(folder):
    """Return every path below a folder with what it holds."""
    return {p: p.is_file() and p.read_bytes() for p in Path(folder).rglob("*")}


def complaint(line, capsys):
    """Run a command that must fail, and return its one line."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(line.split())
    out, error = capsys.readouterr()
    assert left.value.code == 2, error
    assert error.count("\n") == 1, error
    assert error.startswith("error: ")
    assert out == ""
    return error


CASES = {
    # names
    "trian": "Did you mean 'train'?",
    "list model": "Did you mean 'models'",
    "train rbmm --data bits.npz --output new": "Unknown model 'rbmm'. Did you mean 'rbm'",
    "train rbm --data digit --output new": "Did you mean 'digits'?",
    f"{TRAIN} --objective pdc": "Did you mean 'pcd'",
    "sample run --num 1 --output x.png --sampler gibs": "Did you mean 'gibbs'?",
    "evaluate run --metrics log-liklihood": "Did you mean 'log-likelihood'",
    "evaluate run --split tset": "no split 'tset'. Known: train",
    # flags
    f"{TRAIN} --model.num-hiden 3": "no flag --model.num-hiden. Did you mean --model.num-hidden?",
    f"{TRAIN} --dta bits.npz": "Did you mean --data",
    f"{TRAIN} --trainer.optimizers.critic.lr 1": "--trainer.optimizers.model.lr",
    f"{TRAIN} --objective cd --objective.num-chains 3": "no flag --objective.num-chains",
    f"{TRAIN} --trainer.max-steps 1 2": "'2' is one value too many",
    f"{TRAIN} --model.num-hidden": "--model.num-hidden needs a value",
    "sample run --num 1 --output x.png --sampler.num-steps 3": "Give --sampler NAME too",
    "sample run --num 1 --output x.npz --sampler gibbs --sampler.num-step 3": "mean --sampler.num",
    "evaluate folder --data.limit 3": "Give --data DATA too",
    "evaluate run --data.limt 3": "Did you mean --data.limit",
    "inspect run --jsn": "no flag --jsn",
    "quickstart --fsat": "Did you mean --fast?",
    # what is missing
    "train rbm --data bits.npz": "genzoo train needs --output",
    "train rbm --output new": "Which data? Give --data: arrays, bars-and-stripes, digits",
    "train --data bits.npz --output new": "Which model? Give its name first",
    "train --data bits.npz --trainer.max-steps 3 --output new": "Give the model's name first",
    "sample run": "genzoo sample needs --num",
    "inspect": "genzoo inspect needs MODEL",
    "evaluate": "genzoo evaluate needs MODEL",
    "evaluate huge/checkpoints": "has no config.json",
    # values
    f"{TRAIN} --model.num-hidden 0": "num_hidden must be in [1, 1048576], got 0",
    f"{TRAIN} --model.num-hidden many": "--model.num-hidden takes a whole number, got 'many'",
    f"{TRAIN} --model.event 7": "There is no flag --model.event",
    f"{TRAIN} --objective.lr x": "--objective.lr takes a number, got 'x'",
    f"{TRAIN} --objective.num-steps 0": "num_steps must be in [1, 1000000], got 0",
    f"{TRAIN} --trainer.optimizers.model.lr -1": "lr must be in [0.0, 1000.0], got -1.0",
    f"{TRAIN} --trainer.optimizers.model.lr nan": "lr must be finite, got nan",
    f"{ADAM} --trainer.optimizers.model.betas 0.9": "betas needs 2 values",
    f"{ADAM} --trainer.optimizers.model.betas 0.9 x": "takes 2 numbers",
    f"{TRAIN} --trainer.optimizers.model.betas 0.9 0.9": "no flag --trainer.optimizers",
    f"{TRAIN} --trainer.optimizers.model adma": "Did you mean 'adam' or 'adamw'? Known: adam, ",
    f"{TRAIN} --trainer.optimizers.model linear": "'linear' is one of the lr_schedulers",
    f"{TRAIN} --trainer.lr-scheduler linear --trainer.lr-scheduler.constant-share 1": "no flag",
    f"{TRAIN} {FALLING} --trainer.lr-scheduler.constant-share 1": (
        "constant_share must be in [0.0, 0.999], got 1.0"
    ),
    f"{TRAIN} --trainer.lr-scheduler linaer": "Did you mean 'linear'? Known: constant, ",
    f"{TRAIN} --trainer.ema-decay 2": "ema_decay must be in [0.0, 1.0], got 2.0",
    f"{TRAIN} --trainer.threads 0": "threads must be in [1, 4096], got 0",
    f"{TRAIN} --trainer.threads few": "takes a whole number or auto, got 'few'",
    f"{TRAIN} --trainer.batch-size 7 --trainer.num-micro-batches 2": "Use a multiple of 2",
    f"{TRAIN} --trainer.report-to wandbb": "wandbb",
    f"{TRAIN} --data.scale 0": "scale must be in [1e-30, 1e+30], got 0.0",
    f"{TRAIN} --data.binarize sharp": "Known: dynamic, static, threshold",
    "sample run --num 0 --output x.png": "--num must be in [1, 1000000000], got 0",
    "sample run --num 1 --output x.png --seed -1": "--seed must be in [0, ",
    "sample run --num 1 --output x.png --label 3": "takes no condition, got '3'. Leave it out",
    "sample run --num 1 --output x.png --label 3 --text a": "takes no condition, got '3'",
    "sample run --num 1 --output x.png --device gpu": "Device 'gpu' is not available",
    "evaluate run --max-examples 0": "--max-examples must be in [1, ",
    # data
    "train rbm --data grey.npz --output new": "Give --data.binarize threshold",
    "train rbm --data digits --output new": "Give --data.binarize threshold",
    "train rbm --data bytes.npz --output new": "--data.space unit or --data.space categorical",
    "train rbm --data negative.npz --output new": "models binary data; these are real, in [-",
    "train rbm --data empty.npz --output new": "is empty: its shape is (0, 6)",
    "train rbm --data nothing.npz --output new": "nothing.npz holds no array",
    "train rbm --data flat.npz --output new": "has shape (5,): one row for each example",
    "train rbm --data nan.npz --output new": "NaN or infinity, in 1 of 2 rows",
    "train rbm --data objects.npz --output new": "without Python objects",
    "train rbm --data words.npz --output new": "numbers are needed",
    "train rbm --data truncated.npz --output new": "'truncated.npz' cannot be read",
    "train rbm --data words.txt --output new": "has 1 character, fewer than the 64 of a block",
    "train rbm --data words.md --output new": "not a data file: use .npz, .npy, .safetensors",
    "train rbm --data folder --output new": "'folder' has no images",
    "train rbm --data images --output new": "./images is a folder of that name",
    "train rbm --data missing.npz --output new": "no file 'missing.npz'. Check the path",
    f"train rbm --data {LONG}.npz --output new": "name too long",
    "evaluate run --data wide.npz": "they have shape (12,), not (6,)",
    "evaluate run --data grey.npz": "models binary data; these are unit",
    # model folders
    "inspect missing": "no model folder 'missing'. Check the path",
    f"inspect {LONG}": "name too long",
    "inspect bits.npz": "no model folder 'bits.npz'",
    "sample folder --num 1 --output x.png": "'folder' has no config.json",
    "sample huge --num 1 --output x.png": "'W' is float32 (6, 4) in model.safetensors, and float32"
    " (6, 1048576) by the config",
    "evaluate other": "'W' is float32 (6, 4) in model.safetensors, and float32 (6, 5)",
    "sample lacking --num 1 --output x.png": "missing: 'c'; not the model's: 'extra'",
    "sample cut --num 1 --output x.png": "cut/model.safetensors is damaged",
    "inspect cut": "cut/model.safetensors is damaged",
    "inspect weightless": "has no model.safetensors",
    "sample stranger --num 1 --output x.png": "Unknown model 'vae-of-a-stranger'",
    "sample unknown --num 1 --output x.png": "has no field 'code'",
    "inspect future": "has format 99; this version of genzoo reads 1",
    "inspect unparsed": "unparsed/config.json cannot be read",
    # where to
    "sample run --num 1 --output x.jpg": "or in .txt for lines of text, got 'x.jpg'.",
    "sample run --num 1 --output x.txt": "zeros and ones are not text. Let --output end in .png",
    "sample run --num 1 --output x --trajectory x.png": "--output x is a folder, with which",
    "sample run --num 1 --output x.npz --shard-size 1": "--shard-size is for a folder of samples",
    "sample run --num 1 --output x --shard-size 0": "--shard-size must be in [1, 10",
    "sample run --num 1 --output run": "'run' has no samples.json, and holds",
    "sample run --num 1 --output x.npz --trajectory x.npz": "--trajectory must end in .png",
    "sample run --num 1 --output x.png --trajectory x.png": "are both x.png. Give them two names",
    "sample run --num 1 --output bits.npz/x.png": "'bits.npz/x.png' cannot be written",
    "sample run --num 1 --output picture.png": "'picture.png' cannot be written: Is a directory",
    "train rbm --data bits.npz --output bits.npz": "'bits.npz' is a file. Choose a folder",
    "train rbm --data bits.npz --output bits.npz/new": "cannot be written: Not a directory",
    f"train rbm --data bits.npz --output {LONG}": "name too long",
    MADE: "holds another run or model. Resume it (--resume), replace it (--overwrite)",
    "train rbm --data bits.npz --output huge": "'huge' holds another run",
    f"{MADE} --trainer.seed 4 --resume": "trainer[0].seed was 0, is 4",
    f"{MADE} --model.num-hidden 5 --resume": "model.num_hidden was 4, is 5",
    f"{MADE} --data wide.npz --resume": "model.event.config.shape[0] was 6, is 12",
    f"{MADE} --resume --overwrite": "Give one",
    f"{TRAIN} --resume": "'new' has no run to resume. Leave --resume out",
    # what would replace a good run looks at everything first
    f"{MADE} --overwrite --objective.num-steps 0": "num_steps must be in",
    f"{MADE} --overwrite --trainer.num-micro-batches 3": "Use a multiple of 3",
    f"{MADE} --overwrite --data grey.npz": "Give --data.binarize",
    # recipes
    "train --recipe missing.toml --output new": "no recipe 'missing.toml'. Check the path.",
    "train rbm --recipe run/recipe.toml --output new": "--recipe and NAME exclude each other",
    "train --recipe run/recipe.toml --data bits.npz --output new": "--recipe and --data",
    "train --recipe run/recipe.toml --trainer.max-steps 3 --output new": "change the file instead",
    "train --recipe malformed.toml --output new": "'malformed.toml' cannot be read: ",
    "train --recipe incomplete.toml --output new": "Recipe needs a value for: data",
    "train --recipe misspelt.toml --output new": "Did you mean 'num_hidden'?",
    "train --recipe section.toml --output new": "Did you mean 'trainer'?",
    "train --recipe typed.toml --output new": "num_hidden must be a whole number, got 'four'",
    "train --recipe player.toml --output new": "no player 'critic'. Known: model",
    "train --recipe optimiser.toml --output new": "Did you mean 'sgd'?",
    "train --recipe rate.toml --output new": "lr must be in [0.0, 1000.0], got -1.0",
    "train --recipe schedule.toml --output new": "'adam' is one of the optimizers: name it there",
    "train --recipe part.toml --output new": "no part 'decoder'",
    "train --recipe model.toml --output new": "Did you mean 'rbm'",
}


@pytest.mark.parametrize(("line", "needle"), CASES.items(), ids=lambda text: text[:60])
def test_it_ends_in_one_line_and_nothing_has_changed(line, needle, home, capsys):
    before = contents(home)
    error = complaint(line, capsys)
    assert needle in error
    assert len(error) < 800 + 2 * line.count(LONG) * len(LONG)
    assert contents(home) == before


def test_checkpoints_that_are_all_broken_are_named(home, capsys):
    before = contents(home)
    error = complaint(f"{MADE.replace('output run', 'output broken')} --resume", capsys)
    assert "stage-000-step-000000003" in error
    assert contents(home) == before


def test_the_same_line_with_right_values_passes(home, tmp_path, capsys):
    """The negative control: the run and the data are good."""
    with pytest.raises(SystemExit) as left:
        main(f"{MADE} --overwrite --output {tmp_path / 'run'}".split())
    assert left.value.code == 0


@contextlib.contextmanager
def disk_of(num_bytes):
    """Let no file grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def last_line(line, capsys):
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(line.split())
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error.splitlines()[-1]


@pytest.mark.parametrize(
    ("num_bytes", "where"), [(100, "recipe.toml"), (4000, "metrics.jsonl"), (8000, "stage-000")]
)
def test_a_full_disk_is_named_and_the_model_is_whole_or_not_there(
    num_bytes, where, tmp_path, capsys
):
    line = f"train rbm --data bits.npz --model.num-hidden 500 --output {tmp_path / 'run'}"
    line += " --trainer.max-steps 20"
    every = 1 if where == "metrics.jsonl" else 50
    with disk_of(num_bytes):
        error = last_line(f"{line} --trainer.logging-steps {every} --trainer.threads 1", capsys)
    assert error.startswith("error: No space left to write")
    assert where in error
    assert "Free some space" in error
    left = {p.name for p in (tmp_path / "run").rglob("*") if p.is_file() and p.suffix != ".png"}
    told = {"environment.json", "meanings.json", "metrics.jsonl", "status.json"}
    assert left <= {".lock", "recipe.toml"} | told
    assert ("recipe.toml" in left) == (num_bytes > 100)


@pytest.mark.parametrize("name", ["x.npz", "x.png"])
def test_a_full_disk_leaves_an_earlier_output_as_it_was(name, tmp_path, capsys):
    (tmp_path / name).write_bytes(b"earlier")
    with disk_of(50):
        error = last_line(f"sample run --num 9 --output {tmp_path / name}", capsys)
    assert error.startswith("error: No space left to write")
    assert contents(tmp_path) == {tmp_path / name: b"earlier"}


def test_a_full_disk_leaves_the_earlier_checkpoint_to_go_on_from(tmp_path, capsys):
    line = f"{MADE} --output {tmp_path / 'run'} --trainer.save-steps 1"
    with pytest.raises(SystemExit):
        main(line.split())
    whole = genzoo.GenModel.from_pretrained(tmp_path / "run").state_dict()
    shutil.rmtree(max((tmp_path / "run" / "checkpoints").iterdir()))
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "run" / name).unlink()
    with disk_of(500):
        assert "No space left" in last_line(f"{line} --resume", capsys)
    with pytest.raises(SystemExit) as left:
        main(f"{line} --resume".split())
    assert left.value.code == 0
    again = genzoo.GenModel.from_pretrained(tmp_path / "run").state_dict()
    assert all((whole[name] == again[name]).all() for name in whole)


def test_what_a_plugin_raises_is_no_one_liner(monkeypatch):
    """Bugs are not dressed up as bad input."""
    from genzoo.cli import inspect

    monkeypatch.setattr(inspect, "inspect", lambda folder, revision: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["inspect", "run"])


def test_a_reader_that_leaves_early_is_no_error(monkeypatch):
    def leave(text):
        raise BrokenPipeError

    monkeypatch.setattr(sys.stdout, "writelines", leave)
    monkeypatch.setattr(sys.stdout, "write", leave)
    monkeypatch.setattr(sys.stderr, "close", lambda: None)
    with pytest.raises(SystemExit) as left:
        main(["inspect", "run"])
    assert left.value.code == 141
