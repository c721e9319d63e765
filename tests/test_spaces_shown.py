"""Spaces as people meet them: read from flags, shown, said in words, turned into one another."""

import math
from fractions import Fraction

import pytest
import torch

from genzoo import ConditionError, DataError
from genzoo.showing import (
    are_points,
    are_their_images,
    can_be_shown,
    is_image,
    picture_of,
    save_picture,
)
from genzoo.spaces import Binary, Categorical, Label, Real, Text, Unit
from genzoo.spaces.indices import index_of

HIDDEN = "red\x1b[31m\u202edoor\u200b"
SEEN = "red␛[31m\\u202edoor\\u200b"
PLAIN, NAMED = Label(num_classes=12), Label(num_classes=3, names=("shoe", "ankle boot", "hat"))
NUMBERS = Label(num_classes=3, names=("10", "1", "0"))
MARKED = Label(num_classes=2, names=("index:1", "name:x"))
LETTERS = Categorical(shape=(3,), num_categories=3, names=("a", "b", "-"))
ENDED = Categorical(shape=(3,), num_categories=3, names=("a", "b", ""))
WORDS = Categorical(shape=(2,), num_categories=2, names=("yes", "no"))


# From a flag.


@pytest.mark.parametrize(
    ("space", "text", "index"),
    [
        (PLAIN, "0", 0),
        (PLAIN, "11", 11),
        (PLAIN, "007", 7),
        (PLAIN, "index:11", 11),
        (NAMED, "2", 2),
        (NAMED, "ankle boot", 1),
        (NAMED, "name:hat", 2),
        (NUMBERS, "1", 1),
        (NUMBERS, "2", 2),
        (NUMBERS, "name:10", 0),
        (NUMBERS, "name:0", 2),
        (NUMBERS, "index:0", 0),
        (MARKED, "index:1", 0),
        (MARKED, "name:x", 1),
        (MARKED, "index:0", 0),
        (MARKED, "name:name:x", 1),
    ],
)
def test_a_label_is_an_index_or_a_name(space, text, index):
    found = space.parse(text)
    assert (found.shape, found.dtype, found.item()) == ((), torch.int64, index)
    assert index_of(text, space.names, space.num_classes) == index


@pytest.mark.parametrize(
    ("space", "text", "said"),
    [
        (PLAIN, "12", "The index '12' is not in 0 to 11"),
        (PLAIN, "index:12", "The index '12' is not in 0 to 11"),
        (PLAIN, "-1", "'-1' is neither an index from 0 to 11 nor a name. The classes have no nam"),
        (PLAIN, "1.0", "'1.0' is neither an index"),
        (PLAIN, "²", "'²' is neither an index"),
        (PLAIN, "٣", "'٣' is neither an index"),
        (PLAIN, "index:٣", "The index '٣' is not in"),
        (PLAIN, "", "'' is neither an index"),
        (PLAIN, "9" * 30, "is neither an index"),
        (PLAIN, "name:3", "'3' is neither an index from 0 to 11 nor a name"),
        (NAMED, "boot", "'boot' is neither an index from 0 to 2 nor a name.*ankle boot"),
        (NAMED, "name:2", "'2' is neither an index from 0 to 2 nor a name"),
        (NAMED, "index:hat", "The index 'hat' is not in 0 to 2"),
        (NUMBERS, "0", "'0' is the name of index 2 and may be the index 0 too. Give name:0 or in"),
        (NUMBERS, "10", "'10' is the name of index 0 and may be the index 10 too. Give name:10"),
    ],
)
def test_what_names_no_label_or_two_is_refused(space, text, said):
    with pytest.raises(ConditionError, match=said):
        space.parse(text)


def test_a_row_of_numbers_is_read_with_commas_or_spaces():
    assert Unit(shape=(2, 2)).parse("0, 0.5,1 0.25").tolist() == [[0.0, 0.5], [1.0, 0.25]]
    assert Real(shape=(1,)).parse("-1e3").tolist() == [-1000]
    found = Categorical(shape=(2,), num_categories=3).parse("2 0")
    assert (found.tolist(), found.dtype) == ([2, 0], torch.int64)
    for space, text, said in (
        (Unit(shape=(2,)), "1", r"'1' was given for 2: values in \[0, 1\]\. Give 2 numbers, with"),
        (Unit(shape=(1,)), "x", "Give 1 number\\."),
        (Unit(shape=(1,)), "", "Give 1 number"),
        (Unit(shape=(1,)), "255", r"A condition takes values.*condition 0 holds 255\. Divide by"),
        (Unit(shape=(1,)), "nan", "holds nan"),
        (Binary(shape=(1,)), "0.5", "condition 0 holds 0.5"),
        (Real(shape=(1,)), "1e300", "holds inf"),
        (Categorical(shape=(2,), num_categories=3), "1.5 0", "condition 0 holds 1.5"),
        (Categorical(shape=(2,), num_categories=3), "3 0", "condition 0 holds 3"),
    ):
        with pytest.raises(ConditionError, match=said):
            space.parse(text)


def test_at_most_65536_numbers_are_read():
    most = ",".join(["0"] * 2**16)
    assert Binary(shape=(2**16,)).parse(most).tolist() == [0.0] * 2**16
    with pytest.raises(ConditionError, match="Give 65537 numbers"):
        Binary(shape=(2**16 + 1,)).parse(f"{most},0")


def test_a_row_of_an_alphabet_is_read_as_it_is_shown():
    rows = LETTERS.enumerate()
    assert torch.equal(torch.stack([LETTERS.parse(text) for text in LETTERS.lines(rows)]), rows)
    assert LETTERS.parse("a, b, -").tolist() == [0, 1, 2]
    assert LETTERS.parse("0 1 2").tolist() == [0, 1, 2]
    assert WORDS.parse("no yes").tolist() == [1, 0]
    assert WORDS.parse("1,yes").tolist() == [1, 0]
    for space, text in ((LETTERS, "abc"), (LETTERS, "ab"), (WORDS, "noyes"), (WORDS, "no 2")):
        with pytest.raises(ConditionError):
            space.parse(text)
    with pytest.raises(ConditionError, match=r"'yn' was given for 2: whole numbers.*Give 2 num"):
        WORDS.parse("yn")


def test_a_text_is_padded_to_a_row():
    rows = ENDED.enumerate()
    assert torch.equal(torch.stack([ENDED.parse(text) for text in ENDED.lines(rows)]), rows)
    assert ENDED.parse("").tolist() == [2, 2, 2]
    assert ENDED.parse("b, a").tolist() == ENDED.parse("1 0").tolist() == [1, 0, 2]
    assert ENDED.parse("1, index:2").tolist() == [1, 2, 2]
    said = Categorical(shape=(4,), num_categories=3, names=("yes", "no", ""))
    assert said.parse("no, yes").tolist() == [1, 0, 2, 2]
    for text, wrong in (
        ("abba", r"'abba' is neither an index from 0 to 2 nor a name"),
        ("a b b a", r"'a b b a' was given for 3: .*padding\. Give at most 3 of the names"),
        ("abc", "'abc' is neither"),
        ("2 0", "condition 0 holds 0 at place 1, after its end at place 0"),
    ):
        with pytest.raises(ConditionError, match=wrong):
            ENDED.parse(text)


def test_letters_that_are_digits_or_separators_are_read_as_letters():
    for names in (("1", "0", " ", ","), ("1", "0", " ", ",", "")):
        space = Categorical(shape=(4,), num_categories=len(names), names=names)
        rows = torch.tensor([[0, 1, 1, 0], [2, 0, 3, 2], [3, 3, 2, 2]])
        assert space.lines(rows) == ["1001", " 1, ", ",,  "]
        assert torch.equal(torch.stack([space.parse(line) for line in space.lines(rows)]), rows)


def test_line_breaks_and_tabs_are_shown_by_their_symbols_and_read_back():
    space = Categorical(shape=(4,), num_categories=4, names=("\n", "\t", "\r", "a"))
    row = torch.tensor([[3, 2, 0, 1]])
    assert space.lines(row) == ["a␍␊␉"]
    assert space.parse("a␍␊␉").tolist() == space.parse("a\r\n\t").tolist() == row[0].tolist()


def test_a_text_is_a_text():
    assert Text().parse("3") == "3"


# Vectors, images and lines.


def test_vectors_are_the_numbers_or_one_of_k_at_each_place():
    x = torch.tensor([[[0.0, 0.5]], [[1.0, 0.25]]])
    assert Unit(shape=(1, 2)).vectors(x).tolist() == [[0.0, 0.5], [1.0, 0.25]]
    assert Real(shape=(1,)).vectors(torch.tensor([[3.0], [4.0]])).tolist() == [[3.0], [4.0]]
    found = Categorical(shape=(2,), num_categories=3).vectors(torch.tensor([[2, 0], [1, 1]]))
    assert found.tolist() == [[0, 0, 1, 1, 0, 0], [0, 1, 0, 0, 1, 0]]
    assert PLAIN.vectors(torch.tensor([11])).tolist() == [[0.0] * 11 + [1.0]]
    assert found.dtype == PLAIN.vectors(torch.tensor([0])).dtype == torch.float32
    assert Text().vectors(["a"]) is None


def test_categories_are_grey_levels_unless_they_have_names():
    space = Categorical(shape=(1, 2, 2), num_categories=5)
    found = space.images(torch.tensor([[[[0, 1], [2, 4]]]]))
    assert found.tolist() == [[[[0.0, 0.25], [0.5, 1.0]]]]
    assert (space.lines(torch.zeros(1, 1, 2, 2).long()), can_be_shown(space)) == (None, True)
    two = Categorical(shape=(2,), num_categories=2)
    assert two.images(torch.tensor([[0, 1]])).tolist() == [[0.0, 1.0]]
    one = Categorical(shape=(1,), num_categories=1)
    assert one.images(torch.tensor([[0], [0]])).tolist() == [[0.0], [0.0]]
    assert (LETTERS.images(LETTERS.enumerate()), is_image(LETTERS)) == (None, False)
    x = torch.rand(2, 3, 4, 4)
    assert torch.equal(Unit(shape=(3, 4, 4)).images(x), x)
    assert is_image(Unit(shape=(3, 4, 4)))


def test_lines_are_names_or_numbers_or_texts():
    index = torch.tensor([2, 0, -1])
    assert NAMED.lines(index) == ["hat", "shoe", "-1"]
    assert PLAIN.lines(index) == ["2", "0", "-1"]
    assert LETTERS.lines(torch.tensor([[0, 1, 2], [-1, 0, 0]])) == ["ab-", "·aa"]
    assert ENDED.lines(torch.tensor([[0, 1, 2], [2, 2, 2], [1, 0, 0]])) == ["ab", "", "baa"]
    assert Text().lines(["a b", ""]) == ["a b", ""]
    assert Unit(shape=(2,)).lines(torch.rand(3, 2)) is None


def test_what_hides_in_names_and_texts_is_made_visible():
    label = Label(num_classes=1, names=(HIDDEN,))
    letter = Categorical(shape=(1,), num_categories=1, names=(HIDDEN,))
    assert label.lines(torch.tensor([0])) == [SEEN]
    assert label.name_of(0) == SEEN
    assert letter.lines(torch.tensor([[0]])) == [SEEN]
    assert Text().lines([HIDDEN]) == [SEEN]
    number = Label(num_classes=2, names=("a", "0"))
    with pytest.raises(ConditionError) as caught:
        label.parse(HIDDEN[:-1])
    assert "\x1b" not in str(caught.value)
    with pytest.raises(ConditionError, match="Give name:0 or index:0"):
        number.parse("0")


@pytest.mark.parametrize(
    ("space", "rows"),
    [
        (NAMED, torch.tensor([0, 1])),
        (LETTERS, torch.tensor([[0, 1, 2], [0, 0, 0]])),
        (Text(), ["a", "b"]),
        (Categorical(shape=(1, 4, 4), num_categories=5), torch.zeros(2, 1, 4, 4).long()),
        (Real(shape=(2,)), torch.tensor([[0.5, 1.0], [0.0, -2.0]])),
    ],
    ids=str,
)
def test_rows_of_every_space_have_a_picture(space, rows, tmp_path):
    image = picture_of(space, rows)
    assert min(image.size) > 1
    save_picture(space, rows, tmp_path / "rows.png")
    assert (tmp_path / "rows.png").stat().st_size > 0


def test_numbers_are_their_own_images_and_points_have_two():
    plain = [Binary(shape=(2,)), Unit(shape=(1, 4, 4)), Real(shape=(2,))]
    others = [NAMED, LETTERS, WORDS, Text(), Categorical(shape=(2,), num_categories=3)]
    assert all(map(are_their_images, plain))
    assert not any(map(are_their_images, others))
    assert [are_points(s) for s in (*plain, *others)] == [1, 0, 1, 0, 0, 0, 0, 1]


# In words, and from one to another.


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (Binary(shape=(1, 8, 8)), "1 × 8 × 8: zeros and ones"),
        (Unit(shape=(3,)), "3: values in [0, 1]"),
        (Unit(shape=(2,), levels=256), "2: the 256 levels 0, 1/255, ..., 1"),
        (Real(shape=(2,)), "2: finite numbers"),
        (Categorical(shape=(5,), num_categories=17), "5: whole numbers from 0 to 16"),
        (ENDED, "3: whole numbers from 0 to 2, of which 2 is padding"),
        (Label(num_classes=10), "labels from 0 to 9"),
        (Text(), "texts"),
    ],
)
def test_a_space_says_what_it_is(space, words):
    assert space.describe() == words


def test_levels_are_written_as_categories_and_as_zeros_and_ones():
    space = Unit(shape=(2,), levels=17)
    x = space.enumerate()
    categories, write = space.into("categorical")
    assert categories == Categorical(shape=(2,), num_categories=17)
    assert torch.equal(write(x), categories.enumerate())
    binary, write = space.into("binary")
    assert binary == Binary(shape=(2,))
    assert torch.equal(write(x), (x > 0.5).float())
    assert write(torch.tensor([[0.5, 0.51]])).tolist() == [[0.0, 1.0]]
    for name in ("unit", "binary"):
        own = space if name == "unit" else binary
        assert own.into(name)[0] == own
        assert own.into(name)[1](x) is x
    two, write = binary.into("categorical")
    assert two == Categorical(shape=(2,), num_categories=2)
    assert torch.equal(write(binary.enumerate()), two.enumerate())


@pytest.mark.parametrize(
    ("space", "name"),
    [
        (Unit(shape=(2,)), "categorical"),
        (Unit(shape=(2,)), "real"),
        (Real(shape=(2,)), "binary"),
        (Real(shape=(2,)), "categorical"),
        (Binary(shape=(2,)), "unit"),
        (LETTERS, "unit"),
        (NAMED, "text"),
        (Text(), "categorical"),
    ],
)
def test_values_that_have_no_such_form_are_refused(space, name):
    with pytest.raises(DataError, match=f"these values cannot be written as '{name}'"):
        space.into(name)


def test_values_are_rounded_to_the_nearest_of_some_levels_and_up_between_two():
    grey, nine, half = Unit(shape=(9,)), Unit(shape=(9,), levels=9), Fraction(1, 2)
    x = torch.linspace(0, 1, 9)[None]
    for space in (grey, nine):
        found, rounded = space.rounded(3)
        assert found == Unit(shape=(9,), levels=3)
        assert rounded(x).tolist() == [[0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1, 1]]
        found.require(rounded(x), "It")
    assert torch.equal(nine.rounded(9)[1](x), x)
    for own, levels in (
        (23, 12),
        (57, 29),
        (17, 8),
        (256, 8),
    ):  # The first two are off in float32.
        expected = [math.floor(Fraction(k * (levels - 1), own - 1) + half) for k in range(own)]
        x = torch.arange(own)[None] / (own - 1)
        rounded = Unit(shape=(own,), levels=own).rounded(levels)[1](x)
        assert torch.equal(rounded, torch.tensor([expected]) / (levels - 1))
    with pytest.raises(DataError, match="these values have fewer levels than 10"):
        nine.rounded(10)
    for space in (Real(shape=(2,)), Binary(shape=(2,)), LETTERS, Text()):
        with pytest.raises(DataError, match="cannot be rounded to 3 levels"):
            space.rounded(3)


def test_magnitudes_from_0_to_1_have_bounds():
    assert Unit(shape=(1,)).bounds == Binary(shape=(1,)).bounds == (0.0, 1.0)
    others = (Real(shape=(1,)), Categorical(shape=(1,), num_categories=2), PLAIN, Text())
    assert [space.bounds for space in others] == [None] * 4


def test_an_example_of_a_space_has_the_shape_that_is_asked_for():
    for cls in (Binary, Real):
        assert cls.example((2, 3)) == cls(shape=(2, 3))
    assert Unit.example((2, 3)) == Unit(shape=(2, 3), levels=4)
    assert Categorical.example((2,)) == Categorical(shape=(2,), num_categories=3)
    assert Label.example((2,)) == Label(num_classes=3)
    assert isinstance(Text.example((2,)), Text)


def test_bits_of_a_density_are_those_of_the_steps():
    assert Unit(shape=(3,), levels=256).bits_of_density == 8
    assert Unit(shape=(3,), levels=17).bits_of_density == math.log2(17)
    assert {s.bits_of_density for s in (Unit(shape=(3,)), Real(shape=(1,)), LETTERS)} == {0.0}
    assert Unit(shape=(3,), levels=17).relaxed() == Unit(shape=(3,))


def test_what_data_are_divided_by_is_said():
    real = Real(shape=(1,))
    for cls in (Unit, Binary):
        assert "Divide by 255? Give --data.scale 255" in cls.made_from(real, 0, 255)
        assert "Values reach 200. Divide by 255?" in cls.made_from(real, 0, 200)
        assert "Divide by 16? Give --data.scale 16" in cls.made_from(real, 0, 16)
        assert "Divide by 1.5? Give --data.scale 1.5" in cls.made_from(real, 0, 1.5)
        assert "Divide by 127? Give" in cls.made_from(real, 0, 127)
        assert all("Divide by 255? Give" in cls.made_from(real, 0, high) for high in (128, 254))
        assert cls.made_from(real, -1, 1) == cls.made_from(real, 0, math.inf) == ""
    assert "--data.binarize threshold" in Binary.made_from(Unit(shape=(1,)), 0, 1)
    letters = Categorical(shape=(1,), num_categories=5)
    assert Binary.made_from(letters, 0, 4) == Unit.made_from(letters, 0, 4) == ""
    for levels, flag in ((17, "--data.space categorical"), (None, "")):
        found = Categorical.made_from(Unit(shape=(1,), levels=levels), 0, 1)
        assert flag in found if flag else not found
    assert Unit.made_from(real, 0, 1) == Real.made_from(real, 0, 1) == ""
