"""The help of each command names every flag, what it is and its default."""

import ast
import dataclasses
import inspect
import logging
import textwrap

import numpy as np
import pytest

from genzoo import registry
from genzoo.cli import arguments, main
from genzoo.cli.arguments import Peeked
from genzoo.cli.commands import COMMANDS, resolved
from genzoo.cli.flag_table import flags_of
from genzoo.config import field_types
from genzoo.training import TrainerConfig


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger("genzoo"), "handlers", [])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    np.savez("bits.npz", train=np.eye(6, dtype=np.uint8))


def helped(line, capsys):
    """Return a help text as one line without its frames."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main([*line.split(), "--help"])
    assert left.value.code == 0
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


def docs_of(config):
    """Return what the source says of each field of a dataclass."""
    found = {}
    for cls in reversed(config.__mro__[:-1]):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
        for field, doc in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr):
                found[field.target.id] = " ".join(doc.value.value.split())
    return {field.name: found[field.name] for field in dataclasses.fields(config)}


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
            assert rest[:200].startswith((" {", " [", ", --")) or rest[1:3].isupper(), name
            assert f"{docs[name]} (default: " in rest, name


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
        assert f"(default: {prescribed[name]})" in rest[:200]


def test_the_spaces_of_a_model_follow_from_the_data_and_conditions_are_named(capsys):
    text = helped("train vae --data digits", capsys)
    assert "--model.event" not in text
    assert "--model.conditions [STR [STR ...]] Fields of the data that condition" in text
    assert "--model.conditions" not in helped("train rbm --data digits", capsys)


@pytest.mark.parametrize(
    "config", [cls for name, cls in vars(arguments).items() if name.endswith("Arguments")]
)
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
            anything = one.in_words in ("a value", "values")
            assert one.takes(["x"] * len(example(one))) == anything, one.name


def example(one):
    """Return texts that a flag takes."""
    if one.choices:
        return [one.choices[0]]
    return ["1"] * min(one.num_values, 3)
