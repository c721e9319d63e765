"""Codes to look at, and the pictures that the command line makes of them."""

import pytest
import torch
from PIL import Image
from torch.distributions import Normal

import families  # noqa: F401 - registers the toy families
import genzoo
from genzoo.cli import main
from genzoo.errors import ConfigError
from genzoo.latents import interpolation, manifold, traversal


def test_lines_lead_from_one_code_to_the_other():
    z_from, z_to = torch.randn(3, 4), torch.randn(3, 4)
    codes = interpolation(z_from, z_to, 5)
    assert codes.shape == (3, 5, 4)
    torch.testing.assert_close(codes[:, 0], z_from)
    torch.testing.assert_close(codes[:, -1], z_to)
    torch.testing.assert_close(codes[:, 1], 0.75 * z_from + 0.25 * z_to)


def test_a_traversal_changes_one_value_at_a_time():
    z = torch.tensor([0.5, -1.0, 2.0])
    codes = traversal(z, 7, span=2.0)
    assert codes.shape == (3, 7, 3)
    for i in range(3):
        torch.testing.assert_close(codes[i, :, i], torch.linspace(-2, 2, 7))
        others = [j for j in range(3) if j != i]
        assert (codes[i][:, others] == z[others]).all()


def test_a_manifold_is_spaced_equally_in_probability():
    codes = manifold(4, 3, (2, 0)).view(4, 4, 3)
    p = Normal(0.0, 1.0).cdf(codes)
    expected = torch.tensor([0.125, 0.375, 0.625, 0.875])
    torch.testing.assert_close(p[0, :, 2], expected)
    torch.testing.assert_close(p[:, 0, 0], expected.flip(0))
    assert (codes[..., 1] == 0).all()
    with pytest.raises(ConfigError, match="dimensions 0 to 2"):
        manifold(4, 3, (0, 3))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = {"event": genzoo.Binary(shape=(1, 8, 8)), "latent_dim": 3}
    genzoo.create_model("vae", **config).save_pretrained("m")
    label = {"label": genzoo.Label(num_classes=10)}
    genzoo.create_model("vae", **config, conditions=label).save_pretrained("labelled")
    toy = genzoo.create_model("toy-autoregressive", event=genzoo.Binary(shape=(64,)))
    toy.save_pretrained("no-codes")
    return tmp_path


def run(line, code=0):
    with pytest.raises(SystemExit) as left:
        main(line.split())
    assert left.value.code == code


DATA = "--data digits --data.binarize threshold"


@pytest.mark.parametrize(
    ("what", "size"),
    [("manifold --num 4", (4, 4)), ("interpolation --num 5 --rows 3", (5, 3))],
)
@pytest.mark.parametrize("model", ["m", "labelled"])
def test_pictures_have_as_many_images_as_asked_for(folder, what, size, model):
    run(f"explore {model} --view {what} --output x.png {DATA}")
    width, height = Image.open("x.png").size
    small = width // (9 * size[0] + 1)
    assert (width, height) == (small * (9 * size[0] + 1), small * (9 * size[1] + 1))


def test_a_label_and_dimensions_are_used(folder):
    for label in (1, 2):
        run(f"explore labelled --num 4 --label {label} --output {label}.png {DATA}")
    run(f"explore labelled --num 4 --label 1 --dimensions 1 2 --output dims.png {DATA}")
    pictures = [Image.open(f"{name}.png").tobytes() for name in ("1", "2", "dims")]
    assert len(set(pictures)) == 3


def test_a_traversal_has_a_row_for_each_value_of_the_code(folder):
    run(f"explore m --view traversal --num 5 --rows 2 --output two.png {DATA}")
    run(f"explore m --view traversal --num 5 --output all.png {DATA}")
    two, every = Image.open("two.png"), Image.open("all.png")
    assert two.height / two.width == pytest.approx(19 / 46, rel=0.01)
    assert every.height / every.width == pytest.approx(28 / 46, rel=0.01)


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("explore no-codes --output x.png --data digits", "genzoo sample"),
        ("explore m --output x.npz --data digits", "must end in .png"),
        ("explore m --output x.png", "give --data"),
        ("explore m --dimensions 0 7 --output x.png " + DATA, "dimensions 0 to 2"),
    ],
)
def test_what_cannot_be_explored_says_so(folder, capsys, line, remedy):
    run(line, code=2)
    assert remedy in capsys.readouterr().err


def test_codes_that_are_maps_are_explored(folder):
    event = genzoo.Binary(shape=(1, 8, 8))
    genzoo.create_model("conv-rbm", event=event, filter_size=3).save_pretrained("maps")
    run(f"explore maps --view interpolation --num 5 --rows 3 --output lines.png {DATA}")
    width, height = Image.open("lines.png").size
    assert width / height == pytest.approx(46 / 28, rel=0.01)
