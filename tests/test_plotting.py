"""Pictures of samples, pixel by pixel."""

import os
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import families
from genzoo import plotting
from genzoo.errors import DataError

EDGE = round(0.35 * 255)


def pixels(image, scale):
    """Return an image's pixels, having seen that each stands scale × scale times."""
    values = np.asarray(image)
    small = values[::scale, ::scale]
    assert np.array_equal(values, small.repeat(scale, 0).repeat(scale, 1))
    return small


@pytest.fixture
def unscaled(monkeypatch):
    monkeypatch.setattr(plotting, "_MIN_SIDE", 1)


def test_three_images_of_two_by_one_make_this_grid(unscaled):
    x = torch.tensor([[0.0, 1.0], [0.2, 0.4], [0.6, 0.8]]).view(3, 1, 2, 1)
    e = EDGE
    expected = [
        [e, e, e, e, e],
        [e, 0, e, 51, e],
        [e, 255, e, 102, e],
        [e, e, e, e, e],
        [e, 153, e, e, e],
        [e, 204, e, e, e],
        [e, e, e, e, e],
    ]
    image = plotting.grid(x)
    assert image.mode == "L"
    assert np.asarray(image).tolist() == expected


def test_columns_can_be_given(unscaled):
    x = torch.tensor([0.0, 0.2, 1.0]).view(3, 1, 1, 1)
    e = EDGE
    assert np.asarray(plotting.grid(x, columns=3)).tolist() == [
        [e] * 7,
        [e, 0, e, 51, e, 255, e],
        [e] * 7,
    ]


def test_trajectories_are_rows_and_states_are_columns(unscaled):
    first, last = torch.tensor([0.0, 0.2]), torch.tensor([0.6, 1.0])
    image = plotting.trajectories([x.view(2, 1, 1, 1) for x in (first, last)])
    e = EDGE
    assert np.asarray(image).tolist() == [
        [e] * 5,
        [e, 0, e, 153, e],
        [e] * 5,
        [e, 51, e, 255, e],
        [e] * 5,
    ]


def test_states_in_the_plane_are_paths_from_the_first_to_the_last():
    """A point moves from the top left to the bottom right, where it is blue, along a line."""
    states = [torch.tensor([[float(i), 2.0 - i]]) for i in range(3)]
    image = plotting.trajectories(states)
    assert image.size == (500, 500)
    values = np.asarray(image).astype(int)
    inside = slice(60, 440)  # Without the numbers at the axes.
    blue = (values[..., 2] - values[..., 0]) > 60
    row, column = (found.max() for found in np.nonzero(blue))
    assert min(row, column) > 400
    dark = (np.ptp(values, axis=2) == 0) & (values[..., 0] == 102)
    assert dark[:100, :120].any()
    middle = values[(row + 20) // 2 - 30 : (row + 20) // 2 + 30, inside, 0]
    assert (middle < 255).any(1).all()  # The line crosses every row of the middle.
    assert plotting.trajectories(states[:1]).size == (500, 500)


def test_colour_stays_colour(unscaled):
    x = torch.tensor([1.0, 0.2, 0.4]).view(1, 3, 1, 1)
    image = plotting.grid(x)
    assert image.mode == "RGB"
    values = np.asarray(image)
    assert values.shape == (3, 3, 3)
    assert values[1, 1].tolist() == [255, 51, 102]
    assert values[0, 0].tolist() == [EDGE] * 3


def test_values_beyond_the_unit_interval_are_cut(unscaled):
    x = torch.tensor([-5.0, 7.0]).view(2, 1, 1, 1)
    assert np.asarray(plotting.grid(x))[1].tolist() == [EDGE, 0, EDGE, 255, EDGE]


def test_small_grids_are_enlarged_pixel_by_pixel():
    image = plotting.grid(families.rows(4, 1, 8, 8))
    assert image.size == (19 * 17, 19 * 17)  # The least multiple of 19 from 320 on.
    pixels(image, 17)
    assert plotting.grid(torch.zeros(1, 1, 400, 330)).size == (332, 402)


def test_vectors_are_squares_where_they_are_else_rows():
    x = torch.arange(18.0).view(2, 9)
    assert torch.equal(plotting.as_images(x), x.view(2, 1, 3, 3))
    assert torch.equal(plotting.as_images(x[:, :7]), x[:, :7].reshape(2, 1, 1, 7))
    assert torch.equal(plotting.as_images(x.view(2, 3, 3)), x.view(2, 1, 3, 3))


@pytest.mark.parametrize("shape", [(2, 2, 3, 3), (2, 1, 2, 3, 3), (2,)])
def test_what_is_no_image_is_refused(shape, tmp_path):
    with pytest.raises(DataError, match="are not images"):
        plotting.save_picture(torch.zeros(shape), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_picture_is_saved_as_it_is(tmp_path):
    x = families.rows(4, 3, 5, 5).requires_grad_()
    path = tmp_path / "new" / "a.png"
    plotting.save_picture(x, path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert np.array_equal(np.asarray(image), np.asarray(plotting.grid(x)))
    assert os.listdir(path.parent) == ["a.png"]


def test_a_picture_that_fails_half_way_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    plotting.save_picture(families.rows(4, 9), path)
    before = path.read_bytes()

    def fail(self, file, **kwargs):
        assert file != path
        file.write_bytes(b"half")
        raise KeyError("stopped")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(KeyError):
        plotting.save_picture(families.rows(4, 9, seed=1), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.png"]


def test_points_in_the_plane_are_scattered_at_one_scale(tmp_path):
    """Of one point up and one to the right, the ink is three times as far apart in x as in y."""
    x = torch.tensor([[0.0, 1.0], [3.0, 0.0]])
    plotting.save_picture(x, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "RGB"
        values = np.asarray(image).astype(int)
    blue = (values[..., 2] - values[..., 0]) > 60
    top, left = np.nonzero(blue)
    up, right = np.argmin(top), np.argmax(left)
    assert left[up] < left[right]
    assert top[up] < top[right]
    assert left[right] - left[up] == pytest.approx(3 * (top[right] - top[up]), abs=8)


def test_points_of_each_title_have_a_plane_of_their_own():
    """The first two points are left in the picture, the other two right, at one scale."""
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    values = np.asarray(plotting.titled_rows(x, ["a", "$b"])).astype(int)
    assert values.shape[:2] == (220, 400)
    blue = (values[..., 2] - values[..., 0]) > 60
    left, right = (np.nonzero(part.any(0))[0] for part in np.split(blue, 2, axis=1))
    assert left.max() < 100 < right.min()
    untitled = np.asarray(plotting.titled_rows(x, ["", ""]))
    assert (np.asarray(values)[:15] != untitled[:15]).any()


def test_no_global_state_of_pyplot_is_made():
    before = "matplotlib.pyplot" in sys.modules
    image = plotting.to_image(plotting.new_figure(2, 1))
    assert image.size == (200, 100)
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_an_image_is_shown_pixel_by_pixel():
    figure = plotting.new_figure(2, 2)
    axes = figure.subplots()
    plotting.show(axes, plotting.grid(torch.rand(1, 1, 2, 2)), "A title")
    assert axes.get_title() == "A title"
    (shown,) = axes.get_images()
    assert shown.get_interpolation() == "nearest"
    assert shown.get_clim() == (0, 255)
