"""What strangers wrote is parsed within bounds: size, parts and depth, in every format."""

import json
import tomllib

import pytest
import yaml
from hypothesis import given, settings, strategies as st

from genzoo import parsing
from genzoo.parsing import MAX_DEPTH, check_yaml, strict_json, strict_toml

DEEP, BRACKETS = MAX_DEPTH + 1, 10**5


def lists(depth):
    return "[" * depth + "]" * depth


def tables(depth):
    return '{"a":' * (depth - 1) + "{}" + "}" * (depth - 1)


@pytest.fixture
def parsed(monkeypatch):
    """The texts that the standard library is given to parse."""
    texts, loads = [], tomllib.loads
    monkeypatch.setattr(parsing.tomllib, "loads", lambda text: texts.append(text) or loads(text))
    return texts


# JSON


@pytest.mark.parametrize("nested", [lists, tables])
def test_json_is_as_deep_as_is_allowed_and_no_deeper(nested):
    assert strict_json(nested(MAX_DEPTH)) == json.loads(nested(MAX_DEPTH))
    with pytest.raises(ValueError, match="nested over 30 deep"):
        strict_json(nested(DEEP))


@pytest.mark.parametrize("text", ["[" * BRACKETS, '{"a":' * BRACKETS, f"[1, {lists(900)}]"])
def test_json_that_the_library_gives_up_is_too_deep_too(text):
    with pytest.raises(ValueError, match="are nested over"):
        strict_json(text)


def test_brackets_in_texts_and_many_in_a_row_are_not_deep():
    many = ["[" * 100, *[[[]]] * 1000, {"{" * 100: 1}]
    assert strict_json(json.dumps(many)) == many


# TOML


@pytest.mark.parametrize(
    "text",
    [
        f"[{'.'.join('a' * 50_000)}]",
        f"[[{'.'.join('a' * 50_000)}]]",
        f"{'.'.join('a' * 50_000)} = 1",
        " \t. ".join("a" * 20_000) + " = 1",
        ".".join(['"a"'] * 20_000) + " = 1",
        ".".join(["'a'"] * 20_000) + " = 1",
        f"x = 1\ny = {{{'.'.join('a' * 20_000)} = 1}}",
    ],
)
def test_a_key_of_100_kb_is_refused_before_it_is_parsed(text, parsed):
    with pytest.raises(ValueError, match="are nested over"):
        strict_toml(text)
    assert parsed == []


@pytest.mark.parametrize(
    "text",
    [
        f"x = {lists(DEEP)}",
        f"x = {'[' * BRACKETS}",
        f"x = {'{a = ' * (BRACKETS // 3)}",
        f"[{'.'.join('a' * 20)}]\nx = {lists(20)}",
        f"[{'.'.join('a' * 20)}]\nx = {{{'.'.join('a' * 20)} = 1}}",
    ],
)
def test_toml_that_is_too_deep_is_refused(text):
    with pytest.raises(ValueError, match="are nested over"):
        strict_toml(text)


def test_toml_is_as_deep_as_is_allowed():
    for text in (f"x = {lists(MAX_DEPTH - 1)}", f"[{'.'.join('a' * (MAX_DEPTH - 1))}]"):
        assert strict_toml(text) == tomllib.loads(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("#" * 2**20 + "\n", "over 1,048,576 letters"),
        ("a = [" + "1," * 50_001 + "]", "over 50,000 parts"),
        ("".join(f"[t{i}]\n" for i in range(50_001)), "over 50,000 parts"),
        ("a = {" + ", ".join(f"k{i} = 1" for i in range(25_001)) + "}", "over 50,000 parts"),
        ("".join(f"[{'a.' * 28}k{i}]\n" for i in range(1800)), "over 50,000 parts"),
    ],
)
def test_toml_that_is_large_is_refused_before_it_is_parsed(text, why, parsed):
    with pytest.raises(ValueError, match=why):
        strict_toml(text)
    assert parsed == []


@pytest.mark.parametrize(
    "value",
    ['"{}"', "'{}'", '"""{}"""', "'''{}'''", '"""\n{}"\\""""', "'''\n{}'''''", '"{}" # {}'],
)
def test_what_stands_in_texts_and_comments_does_not_count(value):
    full = "a." * 100 + "," * 60_000 + "=" + "[" * 100
    text = f"x = {value.format(full, full)}\ny = 1\n"
    assert strict_toml(text) == tomllib.loads(text)


@given(st.text(st.sampled_from("a.=,[]{}\"'\\#\n "), max_size=30))
@settings(max_examples=500, deadline=None, derandomize=True)
def test_short_toml_is_taken_and_refused_as_by_the_library(text):
    try:
        wanted = tomllib.loads(text)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - in its own words
            strict_toml(text)
    else:
        assert strict_toml(text) == wanted


# YAML


@pytest.mark.parametrize("nested", [lists, tables])
def test_yaml_is_as_deep_as_is_allowed_and_no_deeper(nested):
    check_yaml(nested(MAX_DEPTH))
    with pytest.raises(ValueError, match="are nested over"):
        check_yaml(nested(DEEP))


@pytest.mark.parametrize(
    ("text", "kind", "why"),
    [
        ("a" * (2**18 + 1), ValueError, "over 262,144 letters"),
        (f"[{'1,' * 20_000}]", ValueError, "over 20,000 parts"),
        (f"a: 1{':1' * 100_000}", ValueError, "a number of over 64 digits"),
        (f"a: 1{':1' * 100_000}.5", ValueError, "a number of over 64 digits"),
        ("a: &a [*a]", yaml.YAMLError, r"\*a, a part of itself"),
        ("a: [", yaml.YAMLError, "flow node"),
    ],
)
def test_yaml_that_would_take_long_is_refused(text, kind, why):
    with pytest.raises(kind, match=why):
        check_yaml(text)


def test_long_words_and_short_numbers_are_no_long_numbers():
    check_yaml(f"a: x{'1' * 1000}\nb: {'1' * 64}\nc: 1:30:15\nd: 2026-07-01\n")
