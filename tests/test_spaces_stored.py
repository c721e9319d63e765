"""Spaces in configs: their stored form, its bounds, and what data say field by field."""

import json
from dataclasses import dataclass, field

import pytest
import torch

import families
from genzoo import ConfigError, DataError, DataInfo
from genzoo.captions import Grammar
from genzoo.errors import PluginError, UnknownNameError
from genzoo.plugin import ConditionSpaces, Config, Space
from genzoo.spaces import Binary, Categorical, Label, Real, Text, Unit

LETTERS = tuple("abc")
FORMS = [
    (Binary(shape=(1, 2)), "binary", {"shape": [1, 2]}),
    (Unit(shape=(3,)), "unit", {"shape": [3]}),
    (Unit(shape=(1,), levels=256), "unit", {"shape": [1], "levels": 256}),
    (Real(shape=(2,)), "real", {"shape": [2]}),
    (
        Categorical(shape=(4,), num_categories=17),
        "categorical",
        {"shape": [4], "num_categories": 17},
    ),
    (
        Categorical(shape=(4,), num_categories=3, names=LETTERS),
        "categorical",
        {"shape": [4], "num_categories": 3, "names": list(LETTERS)},
    ),
    (
        Categorical(shape=(4,), num_categories=3, names=("a", "b", "")),
        "categorical",
        {"shape": [4], "num_categories": 3, "names": ["a", "b", ""]},
    ),
    (Label(num_classes=3), "label", {"num_classes": 3}),
    (Label(num_classes=3, names=LETTERS), "label", {"num_classes": 3, "names": list(LETTERS)}),
    (Text(), "text", {}),
    (Text(templates=("{label=a|b}",)), "text", {"templates": ["{label=a|b}"]}),
]


@dataclass(frozen=True, kw_only=True)
class Holder(Config):
    """Spaces as a model's config has them."""

    event: Space
    conditions: ConditionSpaces = field(default_factory=dict)
    only: Label | None = None


@pytest.mark.parametrize(("space", "name", "fields"), FORMS)
def test_a_space_is_stored_by_its_name_and_the_fields_that_are_given(space, name, fields):
    stored = {"name": name, "config": fields}
    assert space.to_dict() == stored
    for cls in (Space, type(space)):
        assert cls.from_dict(json.loads(json.dumps(stored))) == space
    assert type(space).from_fields(fields) == space
    made = Holder(event=space, conditions={"label": space})
    assert made.to_dict() == {"event": stored, "conditions": {"label": stored}, "only": None}
    assert Holder.from_dict(json.loads(json.dumps(made.to_dict()))) == made


def test_the_config_may_be_left_out_where_nothing_is_given():
    assert Space.from_dict({"name": "text"}) == Text()


@pytest.mark.parametrize(
    ("stored", "error", "said"),
    [
        ({"name": "unitt"}, UnknownNameError, r"space 'unitt'.*Did you mean 'unit'"),
        ({"name": "rbm"}, UnknownNameError, "space 'rbm'"),
        ({"name": 3}, ConfigError, r"name must be a text, got 3"),
        ({"name": ""}, ConfigError, "name must be a length in"),
        ({"name": "a" * 65}, ConfigError, "name must be a length in"),
        ({"config": {}}, ConfigError, r"stored as \{'name': …, 'config': \{…\}\}.*got \{'config'"),
        ({"shape": [3]}, ConfigError, r"is stored as .*got \{'shape': \[3\]\}"),
        ({"name": "unit", "shape": [3]}, ConfigError, r"no field 'shape' \(given \[3\]\)"),
        ({"name": "unit", "config": 3}, ConfigError, "config must map names to values, got 3"),
        ({"name": "unit", "config": {}}, ConfigError, "Unit needs a value for: shape"),
        ({"name": "unit", "config": {"shape": 3}}, ConfigError, "shape must be a list of values"),
        (
            {"name": "unit", "config": {"shape": [1], "level": 3}},
            ConfigError,
            "no field 'level'.*levels",
        ),
        (
            {"name": "binary", "config": {"shape": [1], "levels": 3}},
            ConfigError,
            "no field 'levels'",
        ),
        ([["name", "unit"]], ConfigError, r"is stored as .*got \[\['name', 'unit'\]\]"),
        ("unit", ConfigError, "is stored as .*got 'unit'"),
        (None, ConfigError, "is stored as .*got None"),
    ],
)
def test_what_is_not_a_stored_space_is_refused(stored, error, said):
    with pytest.raises(error, match=said):
        Space.from_dict(stored)


@pytest.mark.parametrize("value", ["unit", 3, None, [], ["unit"], Unit, {"name": "unit"}])
def test_a_config_takes_a_space_or_its_stored_form_alone(value):
    with pytest.raises(ConfigError):
        Holder(event=value)


def test_a_space_of_another_class_under_a_name_is_refused():
    with pytest.raises(ConfigError, match="The space 'unit' is not a Label"):
        Holder.from_dict({"event": FORMS[0][0], "only": FORMS[1][0].to_dict()})
    with pytest.raises(ConfigError, match=r"Holder.only must be a Label, got Unit\(shape=\(3,\)"):
        Holder(event=FORMS[0][0], only=FORMS[1][0])
    with pytest.raises(ConfigError, match="The space 'binary' is not a Unit"):
        Unit.from_dict({"name": "binary", "config": {"shape": [1]}})


def test_a_class_that_is_not_registered_cannot_be_stored():
    @dataclass(frozen=True, kw_only=True)
    class Own(Unit):
        """Registered by nobody."""

    with pytest.raises(PluginError, match=r"Own is not registered\. Give its package an entry"):
        Own(shape=(1,)).to_dict()


# Bounds.


@pytest.mark.parametrize("cls", [Binary, Unit, Real])
def test_a_shape_has_at_most_8_dimensions_and_2_to_the_26_values(cls):
    assert cls(shape=(1,) * 8).num_dims == 1
    assert cls(shape=(2**13, 2**13)).num_dims == 2**26
    for shape, said in (
        ((1,) * 9, r"shape must be a length in \[1, 8\]"),
        ((), r"shape must be a length in \[1, 8\]"),
        ((2**13, 2**13 + 1), r"shape must have at most 2\^26 values, got \(8192, 8193\)"),
        ((2**26 + 1,), r"shape\[0\] must be in \[1, 67108864\], got 67108865"),
        ((2**26,) * 8, r"at most 2\^26 values"),
        ((0,), r"shape\[0\] must be in"),
        ((-1,), r"shape\[0\] must be in"),
        ((True,), r"shape\[0\] must be a whole number, got True"),
        ((1.0,), r"shape\[0\] must be a whole number, got 1.0"),
    ):
        with pytest.raises(ConfigError, match=said):
            cls(shape=shape)


def test_levels_are_2_to_65536():
    assert [Unit(shape=(1,), levels=n).levels for n in (2, 2**16)] == [2, 2**16]
    for levels in (1, 0, -2, 2**16 + 1, 3.0):
        with pytest.raises(ConfigError, match=r"Unit\.levels must be"):
            Unit(shape=(1,), levels=levels)


def labels(num, names=()):
    return Label(num_classes=num, names=names)


def categories(num, names=()):
    return Categorical(shape=(1,), num_categories=num, names=names)


@pytest.mark.parametrize("make", [labels, categories])
def test_classes_are_1_to_2_to_the_20_and_each_has_one_name_or_none(make):
    assert make(1).num_dims == make(2**20).num_dims == 1
    for num in (0, -1, 2**20 + 1, 2.0):
        with pytest.raises(ConfigError, match=r"num_c\w+ must be"):
            make(num)
    many = tuple(f"{i:0256}" for i in range(10_000))
    assert make(10_000, many).value_names() == many
    for num, names, said in (
        (10_001, (*many, "one more"), r"names must be a length in \[0, 10000\]"),
        (2, ("a", "b" * 257), r"names\[1\] must be a length in \[[01], 256\]"),
        (2, ("a", 3), r"names\[1\] must be a text, got 3"),
        (3, ("a", "b"), "must have one name for each of 3, or none; got 2 names"),
        (1, ("a", "b"), "must have one name for each of 1, or none; got 2 names"),
        (3, ("a", "b", "a"), "has the name 'a' twice. Give each its own"),
        (10_000, (*many[:-1], many[0]), "twice"),
    ):
        with pytest.raises(ConfigError, match=said):
            make(num, names)


def test_one_empty_name_the_last_marks_padding():
    assert categories(2, ("a", "")).padding == 1
    for names, said in (
        (("", "a", "b"), r"index 0 of \['', 'a', 'b'\]\. One empty name"),
        (("a", "", "b"), "an empty name at index 1 .* must be the last of at least two"),
        (("a", "", ""), "an empty name at index 1 "),
        (("",), "an empty name at index 0 "),
    ):
        with pytest.raises(ConfigError, match=said):
            categories(len(names), names)
    with pytest.raises(ConfigError, match=r"Label\.names\[1\] must be a length in \[1, 256\]"):
        labels(2, ("a", ""))


def test_templates_are_100_texts_of_4096():
    most = ("a" * 4096,) * 100
    assert Text(templates=most).templates_of_texts() == most
    for templates in ((*most, "a"), ("a" * 4097,), ("",)):
        with pytest.raises(ConfigError, match="must be a length in"):
            Text(templates=templates)


def test_conditions_are_at_most_16_of_names_that_can_be_flags():
    event = Unit(shape=(1,))
    names = ["a", "a" * 32, "a_1", "x0"]
    assert list(Holder(event=event, conditions=dict.fromkeys(names, event)).conditions) == names
    most = {f"c{i}": Text() for i in range(16)}
    assert len(Holder(event=event, conditions=most).conditions) == 16
    with pytest.raises(ConfigError, match=r"conditions must be a length in \[0, 16\]"):
        Holder(event=event, conditions={**most, "more": Text()})
    for name in ("", "A", "1a", "_a", "a-b", "a b", "é", "a" * 33, "a\n"):
        with pytest.raises(ConfigError, match=r"conditions has the field .* A name has small let"):
            Holder(event=event, conditions={name: Text()})
    for wrong in ({3: Text()}, [("a", Text())], {"a": "text"}):
        with pytest.raises(ConfigError):
            Holder(event=event, conditions=wrong)


def test_a_model_says_which_spaces_it_is_made_for_and_which_conditions_it_takes():
    unit, label = Unit(shape=(4,)), Label(num_classes=3)
    make = families.VAE.Config
    with pytest.raises(ConfigError, match="VAE models real or unit data, not 4: zeros and ones"):
        families.VAE(make(event=Binary(shape=(4,))))
    with pytest.raises(ConfigError, match="VAE takes label conditions; text is texts"):
        families.VAE(make(event=unit, conditions={"label": label, "text": Text()}))
    with pytest.raises(ConfigError, match="VAE needs the condition label"):
        families.VAE(make(event=unit, conditions={}))


def test_a_condition_that_is_dropped_in_training_can_be_left_out():
    """A model that draws without an image would have nothing to put in its place."""

    @dataclass(frozen=True, kw_only=True)
    class Dropping(families.Cycle.Config):
        """Images, of which some are left out."""

        condition_dropout: float = 0.0

    images = Unit(shape=(1, 4, 4))
    config = {"event": images, "conditions": {"y": images}}
    assert not families.Cycle(Dropping(**config)).takes_null
    with pytest.raises(ConfigError, match=r"y is 1 × 4 × 4: values.*Give condition_dropout 0"):
        families.Cycle(Dropping(**config, condition_dropout=0.1))


# What data say.


def test_what_data_say_is_asked_for_field_by_field():
    x, label = Unit(shape=(2,)), Label(num_classes=3)
    info = DataInfo(fields={"x": x, "label": label}, range={"x": (0.0, 1.0)})
    assert (info["x"], info["label"]) == (x, label)
    assert "label" in info
    assert "text" not in info
    with pytest.raises(DataError, match=r"The data have no field 'text'\. They have x, label\."):
        info["text"]
    more = info.with_field("text", Text())
    assert (list(more.fields), list(info.fields)) == (["x", "label", "text"], ["x", "label"])
    assert more.with_field("x", Real(shape=(2,)))["x"] == Real(shape=(2,))
    assert list(more.only(("x", "text")).fields) == ["x", "text"]
    mean = torch.tensor([0.5, 0.25])
    assert torch.equal(info.with_mean(mean).mean["x"], mean)
    assert info.with_mean(mean).with_mean(None).mean == {}
    assert info.with_mean(mean).range == {"x": (0.0, 1.0)}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, r"has a field x; got \{\}"),
        ({"label": Label(num_classes=2)}, "has a field x; got"),
        ({"x": "unit"}, r"to its space, and has a field x; got \{'x': 'unit'\}"),
        ({"x": Unit}, "to its space, and has a field x"),
        ([Unit(shape=(1,))], r"to its space, and has a field x; got \[Unit"),
        (None, "to its space, and has a field x; got None"),
        ({"x": Unit(shape=(1,)), "X": Text()}, "has the field 'X'. A name has small letters"),
        ({"x": Unit(shape=(1,)), 3: Text()}, "has the field 3. A name has small letters"),
        (
            {"x": Unit(shape=(1,)), **{f"f{i}": Text() for i in range(16)}},
            r"DataInfo.fields must be a length in \[0, 16\]",
        ),
    ],
)
def test_what_cannot_be_fields_is_refused(fields, said):
    with pytest.raises(ConfigError, match=said):
        DataInfo(fields=fields)


def test_templates_of_a_space_are_those_of_a_grammar():
    grammar = Grammar(Text(templates=("{label=a|b}",)).templates_of_texts())
    assert grammar.slots == {"label": 2}
    assert Label(num_classes=2).templates_of_texts() == ()
