"""What rows may hold: each space against its definition, and what a refusal says."""

import math
import re
import sys

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

import families
import genzoo
from genzoo.errors import ConditionError, ConfigError, DataError
from genzoo.spaces import Binary, Categorical, Real, Unit
from genzoo.values import inpainting_mask, trusted
from sound_models import Exact

BIG = 3e5
CANDIDATES = (
    0.0,
    1.0,
    -0.0,
    0.5,
    0.25,
    1 / 3,
    2.0,
    -0.5,
    1e-30,
    1 - 6e-8,
    1 + 2e-7,
    255.0,
    BIG,
    -BIG,
)
INFINITE = (math.nan, math.inf, -math.inf)


def is_allowed(space, value):
    """Say it again, of one number."""
    if not math.isfinite(value):
        return False
    if isinstance(space, Binary):
        return value in (0, 1)
    if isinstance(space, Categorical):
        return value >= 0 and value == int(value) and value < space.num_categories
    inside = isinstance(space, Real) or 0 <= value <= 1
    steps = value * (space.levels - 1) if isinstance(space, Unit) and space.levels else 0
    return inside and abs(steps - round(steps)) <= 0.01


SHAPE = (3,)
SPACES = [Binary(shape=SHAPE), Real(shape=SHAPE)]
SPACES += [Unit(shape=SHAPE, levels=levels) for levels in (None, 5, 256)]
SPACES += [Categorical(shape=SHAPE, num_categories=num) for num in (3, 2**20)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("space", SPACES, ids=str)
def test_each_value_is_taken_or_refused_as_its_space_says(space, dtype):
    for value in (*CANDIDATES, *INFINITE):
        x = torch.zeros(5, 3, dtype=dtype)
        x[3, 1] = value
        if is_allowed(space, x[3, 1].item()):
            space.require(x, "It")
            continue
        with pytest.raises(DataError) as caught:
            space.require(x, "It")
        said = re.fullmatch(r"It takes .*; row 3 holds (\S+)\. [A-Z].*[.?]", str(caught.value))
        number = torch.tensor(float(said[1]), dtype=torch.float64).to(dtype)
        assert torch.equal(number, x[3, 1]) or math.isnan(value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_level_is_taken_and_nothing_half_way_between_two(dtype):
    """65,536 levels are the finest that float32 can tell apart."""
    for levels in (2, 256, 2**16):
        space = Unit(shape=(1,), levels=levels)
        x = (torch.arange(levels)[:, None] / (levels - 1)).to(dtype)
        space.require(x, "It")
        between = x[:-1] + 0.5 / (levels - 1)
        for wrong in (between[:1], between[levels // 2 - 1 :][:1], between[-1:]):
            with pytest.raises(DataError, match="make the model with the data's own levels"):
                space.require(wrong, "It")


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float16])
def test_zeros_and_ones_of_any_real_type_are_zeros_and_ones(dtype):
    x = torch.tensor([[0, 1], [1, 1]]).to(dtype)
    for cls in (Binary, Unit, Real):
        cls(shape=(2,)).require(x, "It")
    if dtype not in (torch.bool, torch.float16):
        with pytest.raises(DataError, match=r"row 1 holds 2\. Divide by 255\?"):
            Binary(shape=(2,)).require(x + torch.tensor([[0], [1]], dtype=dtype), "It")


def test_the_first_bad_row_is_named_whatever_the_size_of_a_row():
    """Rows are read in pieces of 2^17 values; a row may be larger than one, or than none."""
    for shape, num in (((2**17 + 1,), 4), ((64, 64), 100), ((1,), 2**18)):
        x = torch.zeros(num, *shape)
        row = num - 2
        x.view(num, -1)[row, -1] = 0.5
        x.view(num, -1)[row + 1, 0] = math.nan
        with pytest.raises(DataError, match=rf"row {row} holds 0\.5\."):
            Binary(shape=shape).require(x, "It")


REMEDIES = [
    (
        Binary(shape=(1,)),
        0.5,
        r"Binarise them: \(x > 0\.5\)\.float\(\), or load them with binarize=",
    ),
    (Binary(shape=(1,)), 1.5, r"holds 1\.5\. Binarise them: \(x > 0\.5\)"),
    (Binary(shape=(1,)), 255.0, r"Divide by 255\? Then binarise them"),
    (Unit(shape=(1,)), 255.0, r"Divide by 255\?$"),
    (Unit(shape=(1,)), 1.5, "Divide by the maximum, or clamp"),
    (Unit(shape=(1,)), -0.5, r"Are they in \[-1, 1\]\? Then give \(x \+ 1\) / 2"),
    (Unit(shape=(1,), levels=256), 0.5, r"Round them: \(x \* 255\)\.round\(\) / 255"),
    (Real(shape=(1,)), math.nan, "Remove or fill such rows"),
    (Categorical(shape=(1,), num_categories=3), math.inf, "Remove or fill such rows"),
    (Categorical(shape=(1,), num_categories=3), 3.0, "Give class indices, counted from 0"),
]


@pytest.mark.parametrize(("space", "value", "remedy"), REMEDIES)
def test_a_refusal_says_what_to_do(space, value, remedy):
    with pytest.raises(DataError, match=remedy):
        space.require(torch.tensor([[0.0], [value]]), "It")


def test_the_form_is_checked_before_the_values():
    space = Real(shape=(2, 3))
    with pytest.raises(DataError, match=r"It takes rows as a torch\.Tensor, got ndarray"):
        space.require(np.zeros((4, 2, 3)), "It")
    with pytest.raises(DataError, match=r"complex64\. Give their real parts"):
        space.require(torch.zeros(4, 2, 3, dtype=torch.complex64), "It")
    with pytest.raises(DataError, match=r"of shape \(4, 3, 2\)\. Reshape or resize them"):
        space.require(torch.zeros(4, 3, 2), "It")
    with pytest.raises(DataError, match=r"of shape \(2, 3\)\. Give one row as x\[None\]"):
        space.require(torch.zeros(2, 3), "It")
    with pytest.raises(DataError, match=r"got 0 rows, of shape \(0, 2, 3\); at least 1 is needed"):
        space.require(torch.zeros(0, 2, 3), "It", at_least=1)
    space.require(torch.zeros(0, 2, 3), "It")
    bad = torch.tensor([[0.0], [math.nan]])
    with pytest.raises(ConditionError, match="It takes finite numbers; condition 1 holds nan"):
        Real(shape=(1,)).require(bad, "It", noun="condition", error=ConditionError)


def test_on_the_meta_device_and_where_it_is_trusted_only_the_form_is_checked():
    space, bad = Binary(shape=(2,)), torch.full((3, 2), math.nan)
    space.require(bad.to("meta"), "It")
    with trusted():
        space.require(bad, "It")
        with pytest.raises(DataError, match="Reshape"):
            space.require(bad[:, :1], "It")
    with pytest.raises(DataError, match="row 0 holds nan"):
        space.require(bad, "It")


def test_trust_ends_where_an_error_does():
    with pytest.raises(ZeroDivisionError), trusted():
        raise ZeroDivisionError
    with pytest.raises(DataError):
        Real(shape=(1,)).require(torch.tensor([[math.nan]]), "It")


def test_rows_that_need_a_gradient_are_read_and_keep_it():
    x = torch.rand(3, 2, requires_grad=True)
    with pytest.raises(DataError, match=r"row 0 holds \S+\. Binarise them"):
        Binary(shape=(2,)).require(x, "It")
    Unit(shape=(2,)).require(x, "It")
    assert x.requires_grad
    assert x.grad_fn is None


def test_of_several_spaces_of_a_class_the_one_that_it_is_made_for_counts():
    bad = torch.tensor([[0.5, 1.5, 0.25]])
    real = families.Linear(families.ToyConfig(event=Real(shape=(3,))))
    real.check_rows(bad)
    unit = families.Linear(families.ToyConfig(event=Unit(shape=(3,), levels=5)))
    unit.check_rows(bad.clamp(0, 1))
    with pytest.raises(DataError, match=r"the 5 levels 0, 1/4, \.\.\., 1; row 0 holds 1\.5"):
        unit.check_rows(bad)
    with pytest.raises(
        ConfigError, match="Linear models real or unit data, not 3: zeros and ones"
    ):
        families.Linear(families.ToyConfig(event=Binary(shape=(3,))))


# What a model says of its rows


def test_a_model_checks_rows_by_its_own_space():
    model = families.linear()
    assert model.event == Unit(shape=(3,))
    exact = Exact(families.ToyConfig(event=Binary(shape=(4,))))
    assert exact.event == Binary(shape=(4,))
    with pytest.raises(DataError, match=r"^Exact takes zeros and ones; row 0 holds 0\.5"):
        exact.check_rows(torch.full((2, 4), 0.5))
    exact.check_rows(torch.full((2, 4), 0.5), space=Unit(shape=(4,)))
    moved = exact.double().checked_rows(torch.ones(2, 4, dtype=torch.uint8))
    assert moved.dtype == torch.float64


def test_class_indices_stay_whole_numbers():
    model = families.linear()
    x = torch.tensor([[0, 2, 1]])
    space = Categorical(shape=(3,), num_categories=3)
    assert model.checked_rows(x, space=space).dtype == torch.int64


def test_codes_are_finite_and_of_their_shape():
    model = families.linear()
    assert model.double().checked_codes(torch.zeros(2, 5), (5,)).dtype == torch.float64
    with pytest.raises(DataError, match=r"Linear\.decode takes shape \(5,\) for each code"):
        model.checked_codes(torch.zeros(2, 4), (5,))
    with pytest.raises(DataError, match=r"Linear\.decode takes finite numbers; code 1 holds inf"):
        model.checked_codes(torch.tensor([[0.0], [math.inf]]), (1,))


def test_what_is_filled_in_may_be_anything_and_comes_back_as_zero():
    exact = Exact(families.ToyConfig(event=Binary(shape=(4,))))
    x = torch.tensor([[1.0, math.nan, 0.0, 0.5]])
    mask = torch.tensor([False, True, False, True])
    checked, of_rows = exact.checked_inpainting(x, mask)
    assert checked.tolist() == [[1, 0, 0, 0]]
    assert of_rows.tolist() == [mask.tolist()]
    with pytest.raises(DataError, match=r"row 0 holds 0\.5"):
        exact.checked_inpainting(x, torch.tensor([False, True, False, False]))


def test_a_given_part_of_a_row_that_ends_is_checked():
    class Inpaints(Exact):
        event_spaces = (Categorical,)

    space = Categorical(shape=(4,), num_categories=3, names=("a", "b", ""))
    model = Inpaints(families.ToyConfig(event=space))
    rows = torch.tensor([[9, 1, 9, 9], [0, 2, 9, 9]])
    found, _ = model.checked_inpainting(rows, rows == 9)
    assert found.tolist() == [[0, 1, 2, 2], [0, 2, 2, 2]]
    rows[1, 3] = 1
    with pytest.raises(DataError, match="row 1 holds 1 at place 3, after its end at place 1"):
        model.checked_inpainting(rows, rows == 9)
    with pytest.raises(DataError, match="shape"):
        model.checked_inpainting(rows[:, :3], torch.tensor(True))


def test_a_mask_is_of_bool_and_fits_the_rows():
    x = torch.zeros(2, 4)
    with pytest.raises(DataError, match=r"got torch\.float32 and torch\.int64. Give mask\.bool"):
        inpainting_mask(torch.zeros(4, dtype=torch.long), x, "It")
    with pytest.raises(DataError, match=r"shape \(3,\), which does not broadcast"):
        inpainting_mask(torch.zeros(3, dtype=torch.bool), x, "It")


# Conditions


@pytest.mark.parametrize(("label", "row"), [(3, 0), (-1, 0), ([0, 1, 5], 2)])
def test_a_label_that_there_is_not_is_named(label, row):
    model = families.VAE(families.LabelledConfig(event=Unit(shape=(4,))))
    worst = label if isinstance(label, int) else max(label)
    said = f"VAE takes labels from 0 to 2; label {row} is {worst}. Number the labels from 0"
    if label == -1:
        said = (
            "VAE needs a label for each row; . of . have none, the first is row 0. Leave them out"
        )
    for ask in (
        lambda: model.sample(3, condition=label),
        lambda: model.decode(torch.zeros(3, 2), condition=label),
    ):
        with pytest.raises(ConditionError, match=said):
            ask()


def test_images_that_are_a_condition_are_of_the_second_domain():
    model = families.Cycle(families.Cycle.example()[0])
    assert model.conditions == {"y": Unit(shape=(1, 4, 4))}
    images = torch.rand(3, 1, 4, 4)
    images[1, 0, 2, 2] = 255
    with pytest.raises(ConditionError, match=r"in \[0, 1\]; y 1 holds 255\. Divide by 255"):
        model.sample(3, condition=images)
    with pytest.raises(ConditionError, match=r"takes shape \(1, 4, 4\) for each y,"):
        model.sample(1, condition=torch.rand(1, 5, 5))


# What it costs


READERS = ("item", "tolist", "__bool__", "__float__", "__int__", "numpy", "cpu")


class Reads(TorchFunctionMode):
    """Counts how often values are read from the device."""

    def __init__(self):
        super().__init__()
        self.reads = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.reads += func.__name__ in READERS
        return func(*args, **(kwargs or {}))


def test_training_reads_nothing_for_the_checks(monkeypatch):
    """A game's objective calls `decode`, which reads its codes where they come from outside."""
    read = []
    monkeypatch.setattr(
        sys.modules["genzoo.spaces.shaped"], "hold", lambda *_: read.append(1) or True
    )
    model = families.GAN(families.ToyConfig(event=Real(shape=(4,))))
    config = genzoo.TrainerConfig(max_steps=2, batch_size=4, progress=False)
    genzoo.Trainer(model, 3 * torch.rand(8, 4), config=config).fit()
    assert not read
    model.decode(torch.zeros(2, 2))
    assert read


def test_rows_are_read_once_and_the_weights_with_them():
    """One read of the device for the rows, one for the weights."""
    exact = Exact(families.ToyConfig(event=Binary(shape=(4,))))
    x = torch.zeros(1000, 4)
    with Reads() as seen:
        exact.check_rows(x)
    assert seen.reads == 2
    with trusted(), Reads() as seen:
        exact.check_rows(x)
    assert seen.reads == 0
