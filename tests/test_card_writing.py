"""A card says what its folder holds, shows text as text, and keeps what a person wrote."""

import re
import struct
import zlib
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from PIL import Image

import genzoo
from folders import machine, saved
from genzoo import ConfigError, Real, create_model
from genzoo.card import (
    draw_samples,
    read_figures,
    read_licence,
    write_card,
    write_figures,
)
from genzoo.card.escaping import code, escaped, fenced
from genzoo.card.managed_sections import refreshed, split
from genzoo.card.snippets import snippet_for
from genzoo.cli import main
from genzoo.errors import LoadError
from genzoo.model_files import CARD, SAMPLES
from genzoo.sample_metadata import SampleMetadata
from genzoo.text_safety import visible
from watched import peak, reset_peak

RECIPE = """
[model]
name = "rbm"

[data]
name = "digits"

[data.config]
binarize = "threshold"
"""
NASTY = (
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "![x](https://example.com/x.png)",
    "`code` **bold** | cell",
    "<!-- end of about -->",
    "a\n# heading\n---\nlicense: mit",
    "{{ 7 * 191 }}{% raw %}",
    "\x1b[2J\u202e\x00",
    "\\",
)

BLOCKS = ["about", "samples", "use", "training", "figures", "limits", "papers", "licence"]


@pytest.fixture
def folder(tmp_path):
    return saved(tmp_path / "model")


def text_of(folder):
    return (folder / CARD.name).read_text("utf-8")


def run(command, capsys, code=0):
    with pytest.raises(SystemExit) as left:
        main(command.split())
    out, err = capsys.readouterr()
    assert left.value.code == code, err
    return out + err


# What is in it


def test_a_card_has_all_its_parts(folder):
    (folder / "recipe.toml").write_text(RECIPE)
    draw_samples(machine(), folder, num=9, seed=3)
    write_card(folder, name="tiny", source="ada/tiny", license="MIT")
    text, data = text_of(folder), ModelCard.load(folder / CARD.name).data
    assert "# tiny" in text
    assert "A restricted Boltzmann machine of binary units" in text
    assert "| parameters | 34 |" in text
    assert f"![Samples of tiny]({SAMPLES.name})" in text
    assert "9 samples, drawn with sampler gibbs" in text
    assert "seed 3" in text
    assert 'GenModel.from_pretrained("ada/tiny")' in text
    assert "training split of `digits`, binarised at 0.5" in text
    assert RECIPE.strip() in text
    assert "Hinton. Training Products of Experts" in text
    assert all(escaped(limit) in text for limit in type(machine()).limits)
    assert (data.library_name, data.license, data.model_name) == ("genzoo", "mit", "tiny")
    assert data.pipeline_tag == "unconditional-image-generation"
    assert {"genzoo", "rbm"} <= set(data.tags)


def test_its_snippet_runs_and_draws_what_it_says(folder, monkeypatch):
    write_card(folder, source=folder.name)
    monkeypatch.chdir(folder.parent)
    (snippet,) = re.findall(r"```python\n(.*?)```", text_of(folder), re.DOTALL)
    scope = {}
    exec(compile(snippet, "card", "exec"), scope)  # noqa: S102 - it is what a card tells to run
    assert scope["x"].shape == (64, 1, 2, 3)
    assert Path("picture.png").stat().st_size > 0


def test_a_model_given_labels_has_a_snippet_and_a_picture_with_labels(tmp_path, monkeypatch):
    given = {"event": genzoo.Binary(shape=(1, 4, 4)), "latent_dim": 2, "hidden_dims": (4,)}
    label = {"label": genzoo.Label(num_classes=3)}
    model = genzoo.create_model("vae", **given, conditions=label)
    folder = saved(tmp_path / "labelled", model)
    assert draw_samples(model, folder, num=6, seed=0)
    write_card(folder)
    monkeypatch.chdir(tmp_path)
    (snippet,) = re.findall(r"```python\n(.*?)```", text_of(folder), re.DOTALL)
    assert "condition=[i % 3 for i in range(64)]" in snippet
    exec(compile(snippet, "card", "exec"), {})  # noqa: S102
    assert r"| given | label \(labels from 0 to 2\) |" in text_of(folder)


def test_a_model_of_points_has_no_task_that_a_hub_would_show_images_for(tmp_path):
    flat = genzoo.create_model("vae", event=genzoo.Binary(shape=(7,)), latent_dim=2)
    folder = saved(tmp_path / "flat", flat)
    write_card(folder)
    assert ModelCard.load(folder / CARD.name).data.pipeline_tag is None


def test_the_picture_says_itself_how_it_was_drawn(folder):
    assert draw_samples(machine(), folder, num=4, seed=1)
    with Image.open(folder / SAMPLES.name) as image:
        assert '"seed": 1' in image.info["genzoo"]


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_a_broken_picture_is_shown_by_no_card(folder, content):
    (folder / SAMPLES.name).write_bytes(content)
    write_card(folder)
    assert "![" not in text_of(folder)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_packed_texts_of_a_picture_are_not_unpacked(folder, monkeypatch):
    """Of each, a kilobyte makes a megabyte; how the picture was drawn stands there as it is."""
    draw_samples(machine(), folder, num=4, seed=1)
    drawn = SampleMetadata.read(folder / SAMPLES.name)
    data = (folder / SAMPLES.name).read_bytes()
    packed = zlib.compress(b"a" * 1_000_000)
    bomb = chunk(b"zTXt", b"k\0\0" + packed) + chunk(b"iTXt", b"k\0\1\0\0\0" + packed)
    (folder / SAMPLES.name).write_bytes(data[:33] + bomb * 30 + data[33:])
    before = reset_peak()
    assert SampleMetadata.read(folder / SAMPLES.name) == drawn
    assert drawn.seed == 1
    assert peak() - before < 5 * 2**20


@pytest.mark.parametrize("end", [8, 20, 33, 60])
def test_a_picture_that_ends_before_its_pixels_is_none(folder, end):
    draw_samples(machine(), folder, num=4, seed=1)
    data = (folder / SAMPLES.name).read_bytes()
    (folder / SAMPLES.name).write_bytes(data[:end])
    assert SampleMetadata.read(folder / SAMPLES.name) is None


# Text is text


@pytest.mark.parametrize("text", NASTY)
def test_what_was_typed_shows_as_text(text, folder):
    (folder / "recipe.toml").write_text(f"# {visible(' '.join(text.split()))}\n{RECIPE}")
    write_card(folder, name=text)
    write_card(folder, source=text)
    body = ModelCard.load(folder / CARD.name).text
    outside = re.sub(r"(`{3,})\w*\n.*?\n\1", "", body, flags=re.DOTALL)
    assert "<script" not in outside
    assert "](https:" not in outside
    assert "](javascript" not in outside
    assert "1337" not in outside
    assert "\n# heading" not in outside
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202a-\u202e]", body)
    names = [piece.block for piece in split(body) if piece.block]
    assert names == BLOCKS
    assert ModelCard.load(folder / CARD.name).data.license is None
    write_card(folder)
    assert [piece.block for piece in split(text_of(folder)) if piece.block] == names


def test_code_cannot_be_left():
    assert str(code("a`b")).startswith("<code>")
    block = str(fenced("```\n~~~\n<!-- end of use -->\n", "toml"))
    assert block.startswith("````toml\n")
    assert block.endswith("\n````")
    assert not re.search(r"^<!--", block, re.MULTILINE)


# What a person wrote stays


def test_what_stands_between_the_blocks_stays_and_a_block_taken_away_stays_away(folder):
    write_card(folder, license="mit")
    text = text_of(folder)
    (papers,) = [piece.text for piece in split(text) if piece.block == "papers"]
    mine = text.replace(papers, "My own words.") + "\nAnd more.\n"
    (folder / CARD.name).write_text(mine, "utf-8")
    write_card(folder, name="other", license="apache-2.0")
    text = text_of(folder)
    assert "My own words." in text
    assert text.endswith("And more.\n")
    assert "Hinton" not in text
    assert "# other" in text
    assert read_licence(folder) == "apache-2.0"


def test_figures_stay_when_the_rest_is_written_again(folder):
    rows = torch.rand(20, 1, 2, 3).round()
    write_figures(folder, genzoo.evaluate(machine(), rows, ["log-likelihood"]), name="m")
    before = [(figure.name, figure.value, dict(figure.facts)) for figure in read_figures(folder)]
    write_card(folder, name="renamed", license="mit")
    assert [(f.name, f.value, dict(f.facts)) for f in read_figures(folder)] == before
    assert ModelCard.load(folder / CARD.name).data.model_name == "renamed"


def test_a_card_written_twice_is_the_same(folder):
    write_card(folder, license="mit")
    first = text_of(folder)
    write_card(folder)
    assert text_of(folder) == first


def test_blocks_without_their_counterpart_are_text():
    text = "<!-- about, written by genzoo -->\nno end\n"
    assert refreshed(text, "<!-- about, written by genzoo -->\nnew\n<!-- end of about -->") == text


# Wrong on purpose


@pytest.mark.parametrize("licence", ["", "a b", "mit\nlibrary_name: x", "<b>", "x" * 65])
def test_what_is_no_licences_name_is_refused(licence, folder):
    with pytest.raises(ConfigError, match="not a short name of a licence"):
        write_card(folder, license=licence)
    assert not (folder / CARD.name).exists()


def test_a_card_of_no_model_is_refused(folder):
    (folder / "config.json").write_text("{}")
    with pytest.raises(LoadError):
        write_card(folder)


def test_the_command_draws_and_writes(folder, capsys):
    said = run(
        f"card {folder} --license mit --num 9 --sampler gibbs --sampler.num-steps 7", capsys
    )
    assert str(folder / CARD.name) in said
    assert "num\\_steps 7" in text_of(folder)
    before = (folder / SAMPLES.name).read_bytes()
    run(f"card {folder} --num 0 --name other", capsys)
    assert (folder / SAMPLES.name).read_bytes() == before
    assert "9 samples" in text_of(folder)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("card", "FOLDER"),
        ("card {folder} --num -1", "--num"),
        ("card {folder} --license a,b", "not a short name of a licence"),
        ("card {folder}/none", "There is no model folder"),
        ("card ada/tiny", "genzoo pull ada/tiny FOLDER"),
        ("card {folder} --sampler no-such", "no-such"),
    ],
)
def test_the_command_used_wrongly_says_how_it_is_meant(command, why, folder, capsys):
    assert why in run(command.format(folder=folder), capsys, code=2)


def test_a_sampler_and_its_config_are_imported_from_the_modules_that_define_them():
    model = create_model("rectified-flow", event=Real(shape=(2,)), hidden_dim=8)
    drawn = SampleMetadata(sampler="euler", sampler_config={"num_inference_steps": 10})
    lines = snippet_for(model, "user/flow", drawn).splitlines()
    imports = [line for line in lines if line.startswith("from genzoo_diffusion")]
    scope = {}
    for line in imports:
        exec(line, scope)  # noqa: S102 - these are imports
    (made,) = [line for line in lines if line.startswith("sampler = ")]
    exec(made, scope)  # noqa: S102
    assert len(imports) == 2
    assert scope["sampler"].config.num_inference_steps == 10
