"""A config is a closed schema: what it holds has been checked, whichever code made it."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from genzoo import ConfigError
from genzoo.config import abridged, differences, field_types, required_fields, shown
from genzoo.plugin import Bounds, Config

HUGE = 10**5000


@dataclass(frozen=True, kw_only=True)
class Inner(Config):
    """One inside another."""

    rate: Annotated[float, Bounds(0.0, 1.0)] = 0.5


@dataclass(frozen=True, kw_only=True)
class Outer(Config):
    """A field of every type."""

    width: Annotated[int, Bounds(1, 100)]
    rate: Annotated[float, Bounds(0.0, 1.0)] = 0.1
    free: float = 0.0
    title: Annotated[str, Bounds(0, 8)] = ""
    flag: bool = False
    mode: Literal["linear", "cosine"] | None = None
    limit: Annotated[int | None, Bounds(1, 10)] = None
    threads: int | Literal["auto"] = 1
    shape: Annotated[tuple[Annotated[int, Bounds(1, 9)], ...], Bounds(0, 3)] = ()
    pair: tuple[float, float] = (0.9, 0.999)
    inner: Inner = field(default_factory=Inner)
    many: tuple[Inner, ...] = ()
    widths: Annotated[tuple[int, ...], Bounds(1, 2, "widths")] = (3,)
    players: Mapping[str, Mapping[str, Annotated[float, Bounds(0.0)]]] = field(
        default_factory=dict
    )
    anything: Mapping[str, Any] = field(default_factory=dict)


def refused(**values):
    """Return the message with which the values are refused, by constructor and file alike."""
    with pytest.raises(ConfigError) as made:
        Outer(**{"width": 1, **values})
    with pytest.raises(ConfigError) as read:
        Outer.from_dict({"width": 1, **values})
    assert str(made.value) == str(read.value)
    assert len(str(made.value)) < 300
    assert "\n" not in str(made.value)
    return str(made.value)


def test_bounds_may_say_what_a_tuple_holds():
    assert refused(widths=()) == "Outer.widths: give 1 to 2 widths, got ()."
    assert refused(widths=(1, 2, 3)) == "Outer.widths: give 1 to 2 widths, got (1, 2, 3)."
    assert Outer(width=1, widths=(1, 2)).widths == (1, 2)


@pytest.mark.parametrize(
    ("values", "where", "shown"),
    [
        ({"width": 0}, "Outer.width", "[1, 100], got 0"),
        ({"width": 101}, "Outer.width", "got 101"),
        ({"width": HUGE}, "Outer.width", "bits"),
        ({"width": -HUGE}, "Outer.width", "bits"),
        ({"rate": 1.0000001}, "Outer.rate", "[0.0, 1.0]"),
        ({"rate": -1}, "Outer.rate", "got -1"),
        ({"free": HUGE}, "Outer.free", "finite"),
        ({"title": "x" * 9}, "Outer.title", "a length in [0, 8]"),
        ({"title": "x" * 10**6}, "Outer.title", "..."),
        ({"limit": 0}, "Outer.limit", "[1, 10]"),
        ({"shape": (1, 2, 3, 4)}, "Outer.shape", "a length in [0, 3]"),
        ({"shape": (1, 10)}, "Outer.shape[1]", "[1, 9]"),
        ({"inner": {"rate": 2}}, "Inner.rate", "got 2"),
        ({"players": {"critic": {"lr": -1.0}}}, "Outer.players.critic.lr", "got -1.0"),
    ],
)
def test_a_value_out_of_bounds_is_named_with_its_bounds(values, where, shown):
    message = refused(**values)
    assert message.startswith(f"{where} ")
    assert shown in message


def test_bounds_are_closed():
    for width in (1, 100):
        assert Outer(width=width).width == width
    for rate in (0.0, 1.0):
        assert Outer(width=1, rate=rate).rate == rate


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_what_is_not_finite_is_no_number(value):
    assert "finite" in refused(free=value)
    assert "finite" in refused(rate=value)
    assert "Outer.pair[1]" in refused(pair=[0.5, value])
    refused(width=value)


@pytest.mark.parametrize(
    ("values", "needs"),
    [
        ({"width": 1.0}, "a whole number"),
        ({"width": True}, "a whole number"),
        ({"width": "1"}, "a whole number"),
        ({"width": None}, "a whole number"),
        ({"width": [HUGE]}, "bits"),
        ({"free": True}, "a number"),
        ({"free": "0.5"}, "a number"),
        ({"free": None}, "a number"),
        ({"title": 3}, "a text"),
        ({"title": b"x"}, "a text"),
        ({"flag": 1}, "true or false"),
        ({"flag": "true"}, "true or false"),
        ({"threads": "all"}, "Known: auto"),
        ({"threads": True}, "a whole number"),
        ({"shape": 3}, "a list"),
        ({"shape": "12"}, "a list"),
        ({"shape": {"0": 1}}, "a list"),
        ({"shape": [1.0]}, "a whole number"),
        ({"pair": [0.9]}, "2 values"),
        ({"pair": [0.9, 0.9, 0.9]}, "2 values"),
        ({"inner": 3}, "a Inner"),
        ({"inner": None}, "a Inner"),
        ({"many": [{"rate": 0.5}, 3]}, "Outer.many[1]"),
        ({"players": [1]}, "names to values"),
        ({"players": {1: {}}}, "names to values"),
        ({"players": {"critic": 1}}, "Outer.players.critic"),
        ({"anything": 1}, "names to values"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(values, needs):
    assert needs in refused(**values)


def test_a_misspelt_choice_offers_the_near_one():
    message = refused(mode="cosin")
    assert "Outer.mode" in message
    assert "Did you mean 'cosine'?" in message


def test_a_misspelt_key_offers_the_near_one():
    with pytest.raises(ConfigError, match=r"Outer has no field 'widht' \(given 3\).*'width'"):
        Outer.from_dict({"widht": 3})


def test_an_unknown_key_is_refused_at_any_depth():
    for values in ({"inner": {"ratio": 1}}, {"many": [{"rate": 0.1}, {"ratio": 1}]}):
        assert "Inner has no field 'ratio'" in refused(**values)
    with pytest.raises(ConfigError, match="has no field '_title'"):
        Outer.from_dict({"width": 1, "_title": "x"})
    with pytest.raises(ConfigError, match="has no field 3"):
        Outer.from_dict({"width": 1, 3: "x"})


def test_a_missing_key_is_named():
    with pytest.raises(ConfigError, match="Outer needs a value for: width"):
        Outer.from_dict({"rate": 0.5})
    assert required_fields(Outer) == ["width"]


@pytest.mark.parametrize("values", [None, 3, "width", ["width"], [("width", 1)]])
def test_only_named_values_make_a_config(values):
    with pytest.raises(ConfigError, match="named values"):
        Outer.from_dict(values)


def test_lists_become_tuples_and_whole_numbers_floats():
    config = Outer.from_dict({"width": 2, "shape": [1, 2], "pair": [0, 1], "many": [{"rate": 1}]})
    assert config.shape == (1, 2)
    assert [type(value) for value in config.pair] == [float, float]
    assert config.many == (Inner(rate=1.0),)
    assert type(config.many[0].rate) is float
    assert type(Outer(width=1, free=np.float64(0.5)).free) is float


def test_none_stands_where_it_is_allowed():
    config = Outer(width=1, mode=None, limit=None)
    assert (config.mode, config.limit) == (None, None)


def test_a_config_is_frozen_and_keeps_no_hold_of_the_mapping_it_was_given():
    given_values = {"critic": {"lr": 0.1}}
    config = Outer(width=1, players=given_values)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.width = 2
    given_values["critic"]["lr"] = 9.0
    given_values["other"] = {}
    assert config.players == {"critic": {"lr": 0.1}}


def test_replacing_a_field_checks_it_again():
    config = Outer(width=1)
    assert dataclasses.replace(config, width=2).width == 2
    with pytest.raises(ConfigError):
        dataclasses.replace(config, width=0)


def test_differences_are_the_fields_of_the_new_one():
    assert differences(Outer(width=2, rate=0.1), Outer(width=1)) == {"width": 2}


def test_the_types_of_the_fields_carry_their_bounds():
    assert field_types(Inner) == {"rate": Annotated[float, Bounds(0.0, 1.0)]}


floats = st.floats(allow_nan=False, allow_infinity=False)
rates = st.floats(0, 1)
configs = st.builds(
    Outer,
    width=st.integers(1, 100),
    rate=rates,
    free=floats,
    title=st.text(max_size=8),
    flag=st.booleans(),
    mode=st.sampled_from([None, "linear", "cosine"]),
    limit=st.none() | st.integers(1, 10),
    threads=st.integers() | st.just("auto"),
    shape=st.lists(st.integers(1, 9), max_size=3),
    pair=st.tuples(floats, floats),
    inner=st.builds(Inner, rate=rates),
    many=st.lists(st.builds(Inner, rate=rates), max_size=2),
    players=st.dictionaries(st.text(), st.dictionaries(st.text(), rates), max_size=2),
    anything=st.dictionaries(st.text(), st.integers() | st.lists(st.text()), max_size=2),
)


@settings(deadline=None, max_examples=50)
@given(configs)
def test_every_config_comes_back_equal_from_json(config):
    again = Outer.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert again.to_dict() == config.to_dict()
    assert type(again.inner) is Inner


def test_a_long_text_is_abridged_and_one_of_just_the_length_is_not():
    assert abridged({"a": ["x" * 400]}) == {"a": ["x" * 400]}
    assert abridged({"a": ["x" * 401]}) == {"a": ["x" * 400 + "… of 401 characters"]}


def test_a_number_is_written_out_up_to_256_bits():
    most = 2**256 - 1
    assert "bits" not in shown(most)
    assert shown(most + 1) == "a whole number of 257 bits"
    assert shown(-most - 1) == "a whole number of 257 bits"
