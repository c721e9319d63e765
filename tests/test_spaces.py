"""Spaces: each against its definition, and what follows from it for rows."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.distributions import StudentT

from genzoo import ConditionError, DataError, registry, seeds
from genzoo.spaces import Binary, Categorical, Label, Real, Text, Unit
from genzoo.values import trusted
from space_rows import check_rows, rows_of, same

NAMES = ("shoe", "boot", "hat")
PADDED = ((3, ("a", "b", "")), (4, ("a", "b", "c", "")))
SMALL = [
    Binary(shape=(2, 2)),
    Binary(shape=(1,)),
    Unit(shape=(3,), levels=3),
    Unit(shape=(1,), levels=2),
    Categorical(shape=(2,), num_categories=4),
    Categorical(shape=(3,), num_categories=1),
    Label(num_classes=3, names=NAMES),
    Categorical(shape=(1, 2), num_categories=3, names=("a", "b", "")),
    Categorical(shape=(4,), num_categories=2, names=("a", "")),
]
ENDLESS = [Unit(shape=(2, 3)), Real(shape=(4,)), Real(shape=(1,))]
TEXT = Text(templates=("a {label=shoe|boot|hat}",))
SPACES = [*SMALL, *ENDLESS, TEXT]


def named(spaces):
    return pytest.mark.parametrize("space", spaces, ids=lambda s: f"{type(s).__name__} {s}")


def test_every_registered_space_of_genzoo_is_tested_here():
    entries = [entry for entry in registry.entries("spaces") if entry.distribution == "genzoo"]
    known = {registry.load("spaces", entry.name) for entry in entries}
    assert known == {type(space) for space in SPACES}


# Reference draws.


@named([*SMALL, *ENDLESS])
def test_reference_draws_are_in_the_space_and_follow_from_the_generator(space):
    rows, log_q = space.reference(50, seeds.generator(1))
    space.require(rows, "It")
    assert rows.shape == (50, *space.event_shape)
    assert rows.is_floating_point() == space.dtype.is_floating_point
    assert (log_q.shape, log_q.dtype) == ((50,), torch.float64)
    again, other = (space.reference(50, seeds.generator(seed)) for seed in (1, 2))
    assert torch.equal(again[0], rows)
    assert torch.equal(again[1], log_q)
    if space.count != 1:
        assert not torch.equal(other[0], rows)


@named(SMALL)
def test_masses_of_reference_draws_sum_to_one_and_are_the_frequencies(space):
    """Each frequency is within 5 standard errors, √(p(1 − p)/n)."""
    num = 300 * space.count
    rows, log_q = space.reference(num, seeds.generator(0))
    states = space.enumerate().reshape(space.count, -1)
    equal = (rows.reshape(num, 1, -1) == states).all(-1)
    assert equal.sum(1).tolist() == [1] * num
    masses = torch.stack([log_q[equal[:, k]].exp().unique() for k in range(space.count)])
    assert masses.shape == (space.count, 1)
    assert masses.sum().item() == pytest.approx(1)
    p = masses.flatten()
    assert ((equal.double().mean(0) - p).abs() <= 5 * (p * (1 - p) / num).sqrt()).all()


def test_numbers_from_0_to_1_are_uniform_with_a_density_of_one():
    """The greatest distance of n draws' distribution is above 2 / √n once in 3,000 times."""
    rows, log_q = Unit(shape=(4000,)).reference(3, seeds.generator(0))
    assert log_q.tolist() == [0.0] * 3
    drawn = rows.flatten().sort().values.double()
    assert (drawn - (torch.arange(12_000) + 0.5) / 12_000).abs().max() < 2 / 12_000**0.5


def student_cdf(t):
    """The closed form for three degrees of freedom."""
    u = t / math.sqrt(3)
    return 0.5 + (u / (1 + u.square()) + u.atan()) / math.pi


def test_reals_are_drawn_from_students_t_whose_density_is_known():
    space = Real(shape=(2, 3))
    rows, log_q = space.reference(4000, seeds.generator(0))
    expected = StudentT(torch.tensor(3.0).double()).log_prob(rows).flatten(1).sum(1)
    torch.testing.assert_close(log_q, expected)
    u = student_cdf(rows.flatten()).sort().values
    assert (u - (torch.arange(24_000) + 0.5) / 24_000).abs().max() < 2 / 24_000**0.5


def test_reals_around_rows_have_their_mean_and_a_little_more_than_their_spread():
    space, given = Real(shape=(2,)), torch.tensor([[1.0, -9.0], [3.0, -9.0], [5.0, -9.0]])
    rows, log_q = space.reference_around(given.requires_grad_(), 4000, seeds.generator(0))
    assert not rows.requires_grad
    assert not log_q.requires_grad
    scale = torch.tensor([2.4, 1.2e-3]).double()
    student = StudentT(torch.tensor(3.0).double(), torch.tensor([3.0, -9.0]).double(), scale)
    torch.testing.assert_close(log_q, student.log_prob(rows).sum(1), atol=1e-6, rtol=0)
    u = student_cdf((rows - student.loc) / scale)
    for column in u.T:
        distance = column.sort().values - (torch.arange(4000) + 0.5) / 4000
        assert distance.abs().max() < 2 / 4000**0.5


@pytest.mark.parametrize("space", [Real(shape=(2,)), Unit(shape=(2,))], ids=str)
def test_a_density_has_an_integral_of_one_by_draws_of_the_reference(space):
    """∏ of normal densities about 1/2 of width 0.1, which is 0 outside of [0, 1] to 6e-7."""
    rows, log_q = space.reference(40_000, seeds.generator(0))
    log_p = torch.distributions.Normal(0.5, 0.1).log_prob(rows.double()).sum(1)
    weights = (log_p - log_q).exp()
    assert abs(weights.mean() - 1) < 5 * weights.std() / 200


def test_texts_have_no_reference():
    with pytest.raises(DataError, match="no distribution that gives every text"):
        TEXT.reference(3, seeds.generator(0))


# All values.


@named(SMALL)
def test_all_values_are_listed_once_the_first_place_the_slowest(space):
    states = space.enumerate()
    space.require(states, "It")
    assert states.dtype == space.dtype
    assert states.shape == (space.count, *space.event_shape)
    listed = [tuple(row) for row in states.reshape(space.count, -1).tolist()]
    assert listed == sorted(set(listed))
    assert len(listed) == space.count


def test_there_are_as_many_values_as_the_definition_says():
    assert [space.count for space in SMALL] == [16, 2, 27, 2, 16, 1, 3, 1 + 2 + 4, 5]
    assert [space.count for space in (*ENDLESS, TEXT)] == [None] * 4


@pytest.mark.parametrize(
    ("space", "count"),
    [
        (Binary(shape=(20,)), 2**20),
        (Binary(shape=(21,)), None),
        (Unit(shape=(2,), levels=1024), 2**20),
        (Unit(shape=(2,), levels=1025), None),
        (Categorical(shape=(1,), num_categories=2**20), 2**20),
        (Categorical(shape=(8192, 8192), num_categories=2**20 - 1), None),
        (Categorical(shape=(19,), num_categories=3, names=("a", "b", "")), 2**20 - 1),
        (Categorical(shape=(20,), num_categories=3, names=("a", "b", "")), None),
        (Categorical(shape=(8191,), num_categories=2, names=("a", "")), 8192),
        (Categorical(shape=(8192,), num_categories=2, names=("a", "")), None),
        (Categorical(shape=(2**26,), num_categories=2, names=("a", "")), None),
    ],
    ids=str,
)
def test_of_more_than_a_million_values_none_is_counted_or_listed(space, count):
    assert space.count == count
    if count is None:
        with pytest.raises(DataError, match="there are too many to list"):
            space.enumerate()


@named([*ENDLESS, TEXT])
def test_values_without_an_end_are_not_listed(space):
    with pytest.raises(DataError, match="these values cannot be listed"):
        space.enumerate()


@named(SPACES)
def test_what_is_discrete_and_how_many_dimensions_there_are(space):
    assert space.is_discrete == (space in SMALL or space is TEXT)
    assert space.num_dims == math.prod(space.event_shape)


# Not given.


NULLS = {Label: torch.tensor(-1), Categorical: torch.tensor([-1, -1])}


@pytest.mark.parametrize("space", [SMALL[4], SMALL[6], TEXT], ids=str)
def test_rows_that_are_not_given(space):
    assert same(space.null, "" if space is TEXT else NULLS[type(space)])
    rows, dropped = rows_of(space), torch.tensor([True, False, False, True, False, True])
    before = rows_of(space)
    assert space.is_null(rows).tolist() == [False] * 6
    found = space.with_null(rows, dropped)
    assert same(rows, before)
    assert torch.equal(space.is_null(found), dropped)
    kept = [1, 2, 4]
    assert same(space.take(found, kept), space.take(rows, kept))
    assert same(space.take(found, [0])[0], space.null)


def test_a_row_of_which_some_places_are_not_given_is_not_null():
    rows = torch.tensor([[-1, 2], [-1, -1], [0, 0]])
    assert SMALL[4].is_null(rows).tolist() == [False, True, False]
    assert SMALL[4].is_null(rows[:0]).tolist() == []
    assert SMALL[6].is_null(torch.tensor([], dtype=torch.long)).tolist() == []


@pytest.mark.parametrize("space", [SMALL[0], SMALL[2], *ENDLESS], ids=str)
def test_numbers_always_are_given(space):
    assert space.null is None
    assert space.is_null(rows_of(space)).tolist() == [False] * 6
    with pytest.raises(DataError, match="there is no value for"):
        space.with_null(rows_of(space), torch.ones(6, dtype=torch.bool))


def test_a_check_of_rows_that_may_be_null_names_the_bad_row_among_all():
    space = Label(num_classes=3)
    space.nullable(torch.tensor([-1, 2, -1]), "It")
    space.nullable(torch.tensor([-1, -1]), "It")
    with pytest.raises(ConditionError, match=r"It takes labels from 0 to 2; label 3 is 7\. Numb"):
        space.nullable(torch.tensor([-1, 0, -1, 7, 8]), "It", noun="label", error=ConditionError)
    with pytest.raises(DataError, match=r"; row 2 is 7\. Number"):
        space.nullable(torch.tensor([-1, -1, 7]), "It")
    words = Categorical(shape=(2,), num_categories=3)
    with pytest.raises(DataError, match=r"; row 1 holds 5\. Give class indices"):
        words.nullable(torch.tensor([[-1, -1], [0, 5]]), "It")
    with pytest.raises(DataError, match=r"; row 0 holds -1\. Give class indices"):
        words.nullable(torch.tensor([[-1, 0], [-1, -1]]), "It")
    space.nullable(torch.tensor([], dtype=torch.long), "It")
    with trusted():
        space.nullable(torch.tensor([7]), "It")
    with pytest.raises(DataError, match=r"row 0 is -2\. Number the labels from 0\.$"):
        space.nullable(torch.tensor([-2, -1]), "It")
    with pytest.raises(DataError, match=r"row 1 is -1\. Leave out the rows without a label"):
        space.require(torch.tensor([0, -1]), "It")
    TEXT.nullable(["", "a"], "It")
    with pytest.raises(DataError, match="It takes texts; row 1 is empty"):
        TEXT.require(["a", ""], "It")
    with pytest.raises(DataError, match=r"row 1 holds 0\.5"):
        Binary(shape=(1,)).nullable(torch.tensor([[0.0], [0.5]]), "It")


# Rows.


@named(SPACES)
def test_rows_are_taken_repeated_padded_and_put_together(space):
    check_rows(space, rows_of(space))


@named([*SMALL, *ENDLESS])
def test_what_people_hold_is_cast_into_canonical_form(space):
    rows = rows_of(space)
    for held in (rows, rows.numpy(), rows.tolist()):
        found = space.cast(held)
        assert found.is_floating_point() == space.dtype.is_floating_point
        assert torch.equal(found.to(space.dtype), rows.to(space.dtype))
    one = space.cast(rows[0].tolist())
    assert space.is_one(one)
    assert one.dtype == space.dtype
    assert torch.equal(one, rows[0].to(space.dtype))
    placed = space.place(rows, torch.device("cpu"), torch.float64)
    assert placed.dtype == (torch.float64 if rows.is_floating_point() else torch.int64)


def test_numbers_keep_their_digits_and_whole_ones_become_real():
    third = torch.tensor([1 / 3], dtype=torch.float64)
    for held in (third, third.numpy()):
        assert torch.equal(Real(shape=(1,)).cast(held), third)
    for whole in ([1], np.array([1]), torch.tensor([True])):
        found = Unit(shape=(1,)).cast(whole)
        assert (found.dtype, found.tolist()) == (torch.float32, [1.0])


def test_labels_are_numbers_or_names():
    space = Label(num_classes=3, names=NAMES)
    assert space.cast("boot").tolist() == 1
    assert space.cast(["hat", 0, "shoe"]).tolist() == [2, 0, 0]
    assert space.cast(np.array([2, 1], np.uint8)).tolist() == [2, 1]
    assert space.cast(np.array([2, 0], np.uint64)).tolist() == [2, 0]
    for wrong, message in (
        (1.0, "A label is a whole number; got values of torch.float32"),
        (2**70, "cannot be read as a label"),
        (np.array([2**64 - 1], np.uint64), r"as a label: 2\^63 and more is too large"),
        (None, "None cannot be read as a label"),
        ([[0], [1, 2]], "cannot be read as a label"),
    ):
        with pytest.raises(DataError, match=message):
            space.cast(wrong)


def test_what_is_not_of_a_space_is_not_cast():
    for space, wrong, message in (
        (Categorical(shape=(2,), num_categories=3), [0.5, 1], "A category is a whole number"),
        (Real(shape=(2,)), ["a", "b"], r"\['a', 'b'\] cannot be read as 2: finite numbers"),
        (Unit(shape=(1,)), [1j], "was asked for; got values of torch.complex64"),
        (TEXT, 3, "A text, or a list of texts, was asked for; got 3"),
        (TEXT, ["a", 3], r"got \['a', 3\]"),
    ):
        with pytest.raises(DataError, match=message):
            space.cast(wrong)
    assert (TEXT.cast("a"), TEXT.cast(("a", "b"))) == ("a", ["a", "b"])


def test_texts_are_a_list_of_texts():
    TEXT.require(["a", "b"], "It")
    with pytest.raises(DataError, match=r"It got 0 rows; at least 1 is needed\. A mean"):
        TEXT.require([], "It", at_least=1)
    with trusted():
        TEXT.require([""], "It")
    for wrong in ("a", ["a", 1], torch.zeros(2), None):
        with pytest.raises(DataError, match="It takes rows as a list of texts; got"):
            TEXT.require(wrong, "It")


# What fits a model.


def accepted(space, other):
    reason = space.accepts(other)
    assert reason is None or reason
    return reason is None


def test_no_space_takes_one_of_another_class():
    for space in SPACES:
        for other in SPACES:
            if type(space) is not type(other):
                assert str(other) in space.accepts(other)


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_each_space_takes_itself_and_no_other_shape(space):
    assert accepted(space, space)
    if space.event_shape:
        other = replace(space, shape=(5, *space.shape))
        assert f"shape {other.shape}, not {space.shape}" in space.accepts(other)
        assert not accepted(other, space)


def test_the_table_of_what_is_accepted():
    unit, bytes_ = Unit(shape=(2,)), Unit(shape=(2,), levels=256)
    assert accepted(unit, bytes_)
    assert "not the 256 levels" in bytes_.accepts(unit)
    assert not accepted(bytes_, Unit(shape=(2,), levels=17))
    ten, seven = Label(num_classes=10), Label(num_classes=7)
    assert accepted(ten, seven)
    assert seven.accepts(ten) == "they have 10 classes, not 7"
    assert accepted(Label(num_classes=3, names=NAMES), Label(num_classes=3, names=tuple("abc")))
    assert accepted(Label(num_classes=3), Label(num_classes=3, names=NAMES))
    many, few = (Categorical(shape=(2,), num_categories=k) for k in (4, 2))
    assert accepted(many, few)
    assert few.accepts(many) == "they have 4 categories, not 2"
    named = Categorical(shape=(2,), num_categories=2, names=("a", "b"))
    assert accepted(few, named)
    assert accepted(named, few)
    words, other = (Categorical(shape=(2,), num_categories=k, names=n) for k, n in PADDED)
    assert accepted(words, words)
    assert accepted(Categorical(shape=(2,), num_categories=4), words)
    assert accepted(words, Categorical(shape=(2,), num_categories=2))
    plain = Categorical(shape=(2,), num_categories=3)
    assert words.accepts(plain) == "they have no padding, and 2 is padding"
    assert other.accepts(words) == "their padding is 2, not 3"
    assert words.accepts(other) == "they have 4 categories, not 3"
    assert accepted(Text(), TEXT)
    assert accepted(TEXT, Text())


# Padding.


def test_the_last_name_is_padding_if_it_is_empty():
    assert [s.padding for s in SMALL if isinstance(s, Categorical)] == [None, None, 2, 1]
    assert Categorical(shape=(1,), num_categories=2, names=("a", "b")).padding is None


def test_what_follows_padding_is_made_padding_in_row_major_order():
    space = Categorical(shape=(2, 2), num_categories=3, names=("a", "b", ""))
    rows = torch.tensor([[[0, 1], [1, 0]], [[0, 2], [1, 0]], [[2, 1], [2, 2]], [[1, 1], [0, 2]]])
    kept = rows.clone()
    found = space.ended(rows)
    assert found.tolist() == [
        [[0, 1], [1, 0]],
        [[0, 2], [2, 2]],
        [[2, 2], [2, 2]],
        [[1, 1], [0, 2]],
    ]
    assert torch.equal(rows, kept)
    assert found.dtype == torch.int64
    space.require(found, "It")
    assert space.ended(rows[:0]).shape == (0, 2, 2)
    plain = Categorical(shape=(2, 2), num_categories=3)
    assert plain.ended(rows) is rows


def test_the_rows_with_padding_are_those_that_stay_as_they_are_when_ended():
    space = Categorical(shape=(3,), num_categories=4, names=("a", "b", "c", ""))
    rows = Categorical(shape=(3,), num_categories=4).enumerate()
    alike = (space.ended(rows) == rows).all(1)
    assert torch.equal(space.enumerate(), rows[alike])
    for row, good in zip(rows, alike, strict=True):
        if good:
            space.check(row[None])
        else:
            with pytest.raises(DataError, match="after its end"):
                space.check(row[None])


def test_what_is_missing_is_a_letter_up_to_the_last_letter_and_then_padding():
    space = Categorical(shape=(2, 2), num_categories=3, names=("a", "b", ""))
    rows = torch.tensor([[9, 1, 9, 9], [9, 9, 1, 2], [9, 9, 2, 9], [2, 9, 1, 9], [9, 9, 9, 9]])
    wanted = torch.tensor([[0, 1, 2, 2], [0, 0, 1, 2], [2, 2, 2, 2], [2, 2, 1, 2], [2, 2, 2, 2]])
    for dtype in (torch.int64, torch.uint8):
        given = rows.to(dtype).view(-1, 2, 2)
        found = space.fill_missing(given, given == 9)
        assert found.dtype == dtype
        assert torch.equal(found.flatten(1).long(), wanted)
    nan = rows.double().where(rows != 9, math.nan).view(-1, 2, 2)
    assert torch.equal(space.fill_missing(nan, nan.isnan()).flatten(1), wanted.double())
    plain = Categorical(shape=(4,), num_categories=3)
    assert torch.equal(plain.fill_missing(rows, rows == 9), rows.where(rows != 9, 0))


def test_a_letter_after_the_end_of_a_row_is_refused():
    space = Categorical(shape=(4,), num_categories=3, names=("a", "b", ""))
    rows = torch.tensor([[0, 1, 0, 2], [1, 2, 2, 0], [2, 1, 1, 1]])
    said = (
        r"^row 1 holds 0 at place 3, after its end at place 1\. Fill what follows the end with 2, "
        r"as the space's ended\(rows\) does\.$"
    )
    for dtype in (torch.int64, torch.uint8, torch.float32):
        with pytest.raises(DataError, match=said):
            space.check(rows.to(dtype))
    with pytest.raises(DataError, match=r"^row 0 holds 3\. Give class indices"):
        space.check(torch.tensor([[2, 3, 2, 2]]))
    many = Categorical(
        shape=(2,), num_categories=301, names=(*[chr(0x4E00 + i) for i in range(300)], "")
    )
    many.check(torch.tensor([[44, 0]], dtype=torch.uint8))
    with pytest.raises(DataError, match=r"It takes whole.*is padding; row 2 holds 1 at place 1"):
        space.nullable(torch.tensor([[-1] * 4, [2] * 4, [2, 1, 2, 2]]), "It")


# What a check says.


@pytest.mark.parametrize(
    ("space", "rows", "said"),
    [
        (Binary(shape=(2,)), [[0, 1], [1, 255.0]], r"^row 1 holds 255\. Divide by 255\? Then"),
        (Unit(shape=(2,)), [[0, 1], [2, 3.0], [9, 9]], r"^row 1 holds 2\. Divide by 255\?$"),
        (
            Unit(shape=(1,), levels=3),
            [[0], [0.5], [0.7]],
            r"^row 2 holds 0\.7\. Round them: \(x \* 2\)",
        ),
        (Real(shape=(1,)), [[0], [math.inf]], r"^row 1 holds inf\. Remove or fill such rows\.$"),
        (SMALL[4], [[0, 3], [4, 0]], r"^row 1 holds 4\. Give class indices, counted from 0\.$"),
        (Label(num_classes=3), [0, 3, 9], r"^row 1 is 3\. .*or make the model with 4 classes\.$"),
        (Label(num_classes=3), [0.5], r"^row 0 is 0\.5\. Number the labels from 0\.$"),
        (Label(num_classes=1), [0, 1], r"^row 1 is 1\. .*or make the model with 2 classes\.$"),
        (Label(num_classes=3), [2**20 - 1], r"make the model with 1048576 classes\.$"),
        (Label(num_classes=3), [2**20], r"^row 0 is 1048576\. Number the labels from 0\.$"),
    ],
    ids=str,
)
def test_a_check_gives_the_first_bad_row_the_value_and_the_remedy(space, rows, said):
    with pytest.raises(DataError, match=said):
        space.check(torch.tensor(rows))
    with pytest.raises(DataError, match=said.replace("row", "code")):
        space.check(torch.tensor(rows), noun="code")
