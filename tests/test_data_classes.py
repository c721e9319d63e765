"""Labels of any form: integers, texts, bools, with missing ones."""

import numpy as np
import pytest

from genzoo.data.columns.classes import all_names, are_classes, classes_of
from genzoo.errors import DataError

WHERE = "The column 'kind' of a.csv"


@pytest.mark.parametrize(
    ("values", "index", "names"),
    [
        ([2, 0, -1], [2, 0, -1], ()),
        (np.array([3, 1], np.uint8), [3, 1], ()),
        (np.array([[1], [0]]), [1, 0], ()),
        ([1.0, np.nan, 0.0], [1, -1, 0], ()),
        ([1, None, 0], [1, -1, 0], ()),
        (["b10", "b2", "a"], [2, 1, 0], ("a", "b2", "b10")),
        (
            np.array(["dog", None, "cat", float("nan")], dtype=object),
            [1, -1, 0, -1],
            ("cat", "dog"),
        ),
        ([b"x", "y"], [0, 1], ("x", "y")),
        ([True, False], [1, 0], ("False", "True")),
        (np.array([True, None], dtype=object), [1, -1], ("False", "True")),
        ([None, None], [-1, -1], ()),
        (np.array([2**62], np.uint64), [2**62], ()),
    ],
)
def test_labels_become_class_indices(values, index, names):
    given = np.array(values, dtype=object) if any(v is None for v in values) else values
    found = classes_of(given, WHERE)
    assert (found.index.tolist(), found.names) == (index, names)
    assert found.index.dtype == np.int64
    assert found.num_without == index.count(-1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 2.5], r"has 2\.5 in row 1, which is not a label"),
        ([0, 1, -2], r"has -2 in row 2"),
        ([np.nan, np.inf], r"has inf in row 1"),
        (np.array([None, 1, "a"], dtype=object), r"has 'a' in row 2"),
        (np.array([2**63 + 1], np.uint64), r"has 9223372036854775809 in row 0"),
        (np.array([1 + 2j]), r"has \(1\+2j\) in row 0"),
        (np.array(["2020-01-01"], "datetime64[D]"), r"has datetime.date\(2020, 1, 1\) in row 0"),
        (np.eye(3), r"has the shape \(3, 3\): one label for each row.*argmax\(1\)"),
    ],
)
def test_what_is_not_a_label_is_named_with_its_row(values, message):
    with pytest.raises(DataError, match=f"^The column 'kind' of a.csv {message}"):
        classes_of(values, WHERE)
    assert not are_classes(values)


def test_names_that_are_known_say_the_numbers_of_texts():
    for values in ([1, 0], ["dog", "cat"]):
        found = classes_of(values, WHERE, names=("cat", "dog"))
        assert (found.index.tolist(), found.names) == ([1, 0], ("cat", "dog"))
    with pytest.raises(DataError, match=r"has an unknown class. Did you mean 'dog'\?.*cat, dog"):
        classes_of(["dogs", "cat"], WHERE, names=("cat", "dog"))
    with pytest.raises(DataError, match=r"has the class 2; there are 2 classes"):
        classes_of([0, 2], WHERE, names=("cat", "dog"))


def test_two_splits_have_the_classes_of_both():
    first, second = classes_of(["b", "d"], WHERE), classes_of([None, "a", "d"], WHERE)
    names = all_names([first, second])
    assert names == ("a", "b", "d")
    assert first.numbered_as(names, WHERE).index.tolist() == [1, 2]
    assert second.numbered_as(names, WHERE).index.tolist() == [-1, 0, 2]
