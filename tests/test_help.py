"""The help of each command names every flag, what it is and its default."""

import ast
import dataclasses
import inspect
import logging
import os
import re
import textwrap

import numpy as np
import pytest

from genzoo import registry
from genzoo.cli import arguments, main
from genzoo.cli.arguments import Peeked
from genzoo.cli.command_table import COMMANDS
from genzoo.cli.commands import resolved
from genzoo.cli.flag_table import flags_of
from genzoo.cli.trainer_groups import heading_of
from genzoo.config import field_types
from genzoo.training import TrainerConfig


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger("genzoo"), "handlers", [])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    np.savez("bits.npz", train=np.eye(6, dtype=np.uint8))


def helped(line, capsys):
    """Return a help text as one line; no line is wider than the terminal."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main([*line.split(), "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= int(os.environ["COLUMNS"])
    assert not re.search(r"\{|\w\|\w|None|typing|dataclass|<class", text)
    return " ".join(text.split())


def docs_of(config):
    """Return what the source says of each field of a dataclass."""
    found = {}
    for cls in reversed(config.__mro__[:-1]):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
        for field, doc in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr):
                found[field.target.id] = " ".join(doc.value.value.split())
    shown = [f.name for f in dataclasses.fields(config) if "Suppress" not in str(f.type)]
    return {name: found[name] for name in shown}


KINDS = r"(whole number|number|one of|text|names|switch|2 numbers|folder|file|path)"


def flag(prefix, name):
    return f"--{prefix}.{name.replace('_', '-')}"


def names_in(prefix, config, *without):
    return {flag(prefix, name) for name in field_types(config).keys() - set(without)}


@pytest.mark.parametrize("objective", ["cd", "pcd"])
def test_every_field_has_a_flag_with_its_help_and_default(objective, capsys):
    configs = {
        "model": registry.load("models", "rbm").Config,
        "objective": registry.load("objectives", objective).Config,
        "data": registry.load("datasets", "arrays").Config,
        "trainer": TrainerConfig,
        "trainer.optimizers.model": registry.load("optimizers", "sgd").Config,
    }
    without = {"model": ["event"], "trainer": ["optimizers", "lr_scheduler"]}
    line = f"train rbm --data bits.npz --objective {objective}"
    found = resolved("train", Peeked("rbm", {"data": "bits.npz", "objective": objective}))
    choices = {"--trainer.optimizers.model", "--trainer.lr-scheduler"}
    wanted = set.union(*(names_in(p, c, *without.get(p, ())) for p, c in configs.items()))
    assert {one.name for one in flags_of(found) if "." in one.name} == wanted | choices
    text = helped(line, capsys)
    for prefix, config in configs.items():
        docs = docs_of(config)
        for name in field_types(config).keys() - set(without.get(prefix, ())):
            _, _, rest = text.partition(f" {flag(prefix, name)}")
            assert re.match(rf"(, --\S+)?  ?{KINDS}", rest), (name, rest[:80])
            said = rest.partition(docs[name])[0]
            assert "default: " in said or "switch" in said or "default" in docs[name], name


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "list"])
def test_the_help_of_a_command_tells_of_each_flag(command, capsys):
    text, docs = helped(command, capsys), docs_of(COMMANDS[command])
    assert all(f" {one.name}" in text for one in flags_of(COMMANDS[command]))
    assert [doc for doc in docs.values() if doc not in text] == []
    assert command in helped("", capsys)


def test_the_help_names_the_values_that_hold_where_none_is_given(capsys):
    text = helped("train rbm --data bits.npz", capsys)
    rbm = registry.load("models", "rbm")
    prescribed = rbm.default_stages(rbm.example()[0])[0].trainer
    for name in ("max_steps", "batch_size", "lr_scheduler"):
        _, _, rest = text.partition(f" {flag('trainer', name)} ")
        assert f"default: {prescribed[name]} " in rest[:200]


def test_the_spaces_of_a_model_follow_from_the_data_and_conditions_are_named(capsys):
    text = helped("train vae --data digits", capsys)
    assert "--model.event" not in text
    assert "--model.conditions names of fields; default: none Fields of the data" in text
    assert "--model.conditions" not in helped("train rbm --data digits", capsys)


@pytest.mark.parametrize("config", list(COMMANDS.values()))
def test_switches_are_just_the_fields_that_are_true_or_false(config):
    hints = {f.name: f.type for f in dataclasses.fields(config)}
    switches = {one.name for one in flags_of(config) if one.num_values == 0}
    wanted = {f"--{name.replace('_', '-')}" for name, kind in hints.items() if kind == "bool"}
    assert switches == wanted


def test_a_flag_is_called_as_its_field_says():
    names = {one.name for one in flags_of(arguments.EvaluateArguments)}
    assert {"--data-y", "--max-examples", "MODEL"} <= names
    assert "--data-y-name" not in names


@pytest.mark.parametrize("model", ["rbm", "ddpm", "gan"])
def test_values_are_taken_as_the_command_line_takes_them(model):
    for one in flags_of(resolved("train", Peeked(model, {"data": "digits"}))):
        if one.num_values:
            assert one.takes(example(one)), one.name
            anything = re.fullmatch(r"a text|a path|(\d )?texts", one.in_words) is not None
            assert one.takes(["x"] * len(example(one))) == anything, one.name


def example(one):
    """Return texts that a flag takes."""
    if one.choices:
        return [one.choices[0]]
    return ["1"] * min(one.num_values, 3)


@pytest.mark.parametrize("columns", ["80", "120", "200"])
def test_the_help_fits_the_terminal_and_every_flag_has_one_line_of_its_own(
    columns, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", columns)
    text = helped("sample", capsys)
    assert "--seed whole number from 0 The seed" in text
    assert "--label text; can be repeated Short for" in text


def test_the_trainer_has_each_of_its_flags_under_one_heading(capsys):
    fields = [*field_types(TrainerConfig).keys() - {"optimizers"}, "lr_scheduler__name"]
    assert [name for name in fields if heading_of(name) == "other values"] == []
    text = helped("train rbm --data bits.npz", capsys)
    heads = [text.index(f"--trainer.*: {heading_of(name)}") for name in ("seed", "eval_steps")]
    assert heads == sorted(heads)
    assert text.count("--trainer.*: held-out rows") == 1
