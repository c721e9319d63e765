"""The space: what an angle is, and what is said of what is not one."""

import math

import pytest
import torch

import genzoo
from genzoo import ConditionError, ConfigError, DataError
from genzoo.plugin import Space
from genzoo_angle.angle import Angle, points, wrap

ONE, TWO = Angle(shape=(1,)), Angle(shape=(2,))
END = torch.tensor(math.pi).item()


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_it_is_stored_by_its_name():
    stored = {"name": "angle", "config": {"shape": [2, 3]}}
    assert Space.from_dict(stored) == Angle(shape=(2, 3))
    assert Angle(shape=(2, 3)).to_dict() == stored
    for shape in ((), (0,), (1,) * 9, (2**20 + 1,), (2**11, 2**10)):
        with pytest.raises(ConfigError, match="shape"):
            Angle(shape=shape)
    assert Angle(shape=(2**10, 2**10)).num_dims == 2**20


@pytest.mark.parametrize("value", [-math.pi, -END, -3.0, 0.0, 3.14159, math.nextafter(math.pi, 0)])
def test_angles_are_taken_up_to_pi(value):
    ONE.require(torch.tensor([[value]], dtype=torch.float64), "It")
    ONE.require(ONE.cast([[value]]), "It")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (END, r"row 1 holds 3\.14159274\. Give x mod 2π: \(x \+ π\) % \(2π\) − π"),
        (math.nextafter(END, 4), r"row 1 holds 3\.14159274\. Give x mod 2π"),
        (7.0, r"row 1 holds 7\. Give x mod 2π"),
        (-math.nextafter(END, 4), r"row 1 holds -3\.14159274\. Give x mod 2π"),
        (-1e30, r"row 1 holds -1e\+30\. Give x mod 2π"),
        (math.nan, r"row 1 holds nan\. Remove or fill such rows"),
        (math.inf, r"row 1 holds inf\. Remove or fill such rows"),
    ],
)
def test_the_first_row_that_is_no_angle_is_named_with_its_value_and_the_remedy(value, said):
    rows = torch.tensor([[0.0, 1.0], [1.0, value], [9.0, 9.0]], dtype=torch.float64)
    with pytest.raises(DataError, match=rf"It takes angles in \[-π, π\); {said}"):
        TWO.require(rows, "It")


def test_rows_of_another_shape_are_refused_and_whole_numbers_are_numbers():
    with pytest.raises(DataError, match=r"shape \(2,\) for each row.*got a tensor of shape \(3"):
        TWO.require(torch.zeros(3, 1), "It")
    ONE.require(torch.tensor([[True], [False]]), "It")
    with pytest.raises(DataError, match="row 0 holds 4"):
        ONE.require(torch.tensor([[4]], dtype=torch.uint8), "It")


def test_numbers_are_cast_and_what_are_none_is_refused():
    found = TWO.cast([[0, 1], [math.pi, -math.pi]])
    assert found.dtype == torch.float32
    assert found.tolist() == [[0, 1], [-END, -END]]
    assert TWO.cast("0, 90deg").tolist() == pytest.approx([0, math.pi / 2])
    for wrong in ([["a", "b"]], object(), [[1], [1, 2]]):
        with pytest.raises(DataError, match="cannot be read as angles"):
            TWO.cast(wrong)
    with pytest.raises(DataError, match="real numbers; got values of"):
        TWO.cast(torch.zeros(1, 2, dtype=torch.complex64))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_wrapped_angles_are_the_same_angles_and_in_the_space(dtype):
    x = torch.linspace(-20, 20, 4001, dtype=torch.float64).to(dtype)
    ends = torch.tensor([k * math.pi for k in range(-5, 6)], dtype=torch.float64).to(dtype)
    given = torch.cat([x, ends, torch.nextafter(ends.float(), ends.float() + 1).to(dtype)])
    found = wrap(given)
    ONE.require(found[:, None], "It")
    assert found.dtype == dtype
    tolerance = {torch.float64: 1e-12, torch.float32: 3e-7, torch.bfloat16: 2e-2}[dtype]
    turned = points(found.double()[:, None]) - points(given.double()[:, None])
    assert turned.abs().max() < tolerance


def test_the_reference_is_uniform_with_its_density():
    rows, log_density = TWO.reference(20_000, seeded())
    TWO.require(rows, "It")
    assert rows.dtype == torch.float32
    assert log_density.dtype == torch.float64
    assert log_density.unique().tolist() == [-2 * math.log(2 * math.pi)]
    # The mean of cos and of sin of N uniform angles has the deviation 1/√(2N); five of them.
    assert points(rows).mean(0).abs().max() < 5 / math.sqrt(40_000)
    assert torch.equal(rows, TWO.reference(20_000, seeded())[0])


def test_vectors_are_close_where_angles_are():
    near = ONE.vectors(torch.tensor([[3.14], [-3.14]]))
    assert near.shape == (2, 2)
    assert torch.dist(*near) < 0.01
    assert TWO.vectors(torch.zeros(3, 2)).tolist() == [[1, 0, 1, 0]] * 3


def test_one_angle_is_a_point_on_the_circle_two_are_one_in_the_plane_more_are_grey():
    rows = torch.tensor([[-math.pi / 2], [0.0]])
    torch.testing.assert_close(ONE.images(rows), torch.tensor([[0.0, -1], [1, 0]]))
    pair = torch.tensor([[1.0, -2.0]])
    assert torch.equal(TWO.images(pair), pair)
    grey = Angle(shape=(1, 2, 2)).images(torch.tensor([[[[-END, 0.0], [1, 3.1415]]]]))
    assert 0 <= grey.min() < grey.max() < 1


def test_it_says_what_it_is_and_what_it_takes():
    assert TWO.describe() == "2: angles in [-π, π)"
    assert ONE.accepts(Angle(shape=(1,))) is None
    assert ONE.accepts(TWO) == "they have shape (2,), not (1,)"
    assert ONE.accepts(genzoo.Real(shape=(1,))) == "they are finite numbers"
    assert (ONE.null, ONE.count, ONE.is_discrete, ONE.relaxed()) == (None, None, False, ONE)
    hint = Angle.made_from(genzoo.Real(shape=(1,)), 0, 7)
    assert "genzoo_angle.angle.wrap" in hint


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("1.5", [1.5]),
        ("-90deg", [-math.pi / 2]),
        ("-180deg", [-END]),
        ("180deg", [-END]),
        ("3.14159265358979", [-END]),
        ("1e-3", [0.001]),
    ],
)
def test_a_flag_is_in_radians_or_in_degrees(text, row):
    found = ONE.parse(text)
    assert found.tolist() == pytest.approx(row)
    ONE.require(found[None], "It")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("270deg", r"condition 0 holds 4\.71238898\. Give x mod 2π"),
        ("nan", "condition 0 holds nan. Remove or fill such conditions"),
        ("", r"'' was given for 1: angles in .* Give 1 angle, in radians \(1\.57\) or in degrees"),
        ("1 2", "'1 2' was given for"),
        ("north", "'north' was given for"),
        ("9" * 400, "condition 0 holds inf"),
    ],
)
def test_what_is_no_angle_of_a_flag_is_refused(text, said):
    with pytest.raises(ConditionError, match=said):
        ONE.parse(text)
