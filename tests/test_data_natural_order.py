"""Names in the order that people expect."""

import random

from genzoo.data.natural_order import natural_key


def test_numbers_in_names_are_sorted_by_their_value():
    names = ["", "1", "2", "10", "a", "a2", "a10", "a10b3", "a10b20", "b1"]
    for seed in range(20):
        shuffled = random.Random(seed).sample(names, len(names))
        assert sorted(shuffled, key=natural_key) == names


def test_case_and_leading_zeros_decide_last():
    assert sorted(["b", "B", "a", "C", "A"], key=natural_key) == ["A", "a", "B", "b", "C"]
    assert sorted(["01", "2", "1", "002"], key=natural_key) == ["01", "1", "002", "2"]


def test_numbers_of_any_length_are_sorted():
    """int() refuses over 4,300 digits, and superscripts are digits to str.isdigit."""
    long = "9" * 5000
    assert sorted(["1" + long, long, "5", "²"], key=natural_key) == ["5", long, "1" + long, "²"]
