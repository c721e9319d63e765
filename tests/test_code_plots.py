"""Codes as points of a plane, coloured by class."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image

import genzoo
from genzoo import code_plots
from genzoo.cli import main
from genzoo.code_plots import MOST_CLASSES, in_plane, scatter


def test_codes_of_two_values_are_shown_as_they_are():
    z = torch.randn(7, 2)
    assert torch.equal(in_plane(z).points, z.double())
    assert in_plane(z).axes == ("dimension 0 of the code", "dimension 1 of the code")


def test_more_values_are_projected_to_the_directions_of_most_variance():
    generator = torch.Generator().manual_seed(0)
    turn, _ = torch.linalg.qr(torch.randn(5, 5, generator=generator, dtype=torch.float64))
    scales = torch.tensor([0.1, 3.0, 0.2, 2.0, 0.0], dtype=torch.float64)
    latent = torch.randn(400, 5, generator=generator, dtype=torch.float64) * scales
    plane = in_plane((latent @ turn.T).view(400, 5, 1))
    for i, column in enumerate((1, 3)):
        wanted = latent[:, column] - latent[:, column].mean()
        assert abs(torch.corrcoef(torch.stack([plane.points[:, i], wanted]))[0, 1]) > 0.999
    shares = latent.var(0) / latent.var(0).sum()
    assert f"1 ({100 * shares[1]:.0f} % of the variance)" in plane.axes[0]
    assert f"2 ({100 * shares[3]:.0f} % of the variance)" in plane.axes[1]
    assert "5 values" in plane.title
    # Rows in another order are the same points: no sign depends on the arithmetic.
    again = in_plane((latent @ turn.T).flip(0))
    torch.testing.assert_close(again.points.flip(0), plane.points)


@pytest.mark.parametrize("shape", [(1, 4), (3, 4), (5, 1)])
def test_few_rows_and_codes_of_one_value_are_shown(shape):
    assert in_plane(torch.randn(shape)).points.shape == (shape[0], 2)
    assert in_plane(torch.ones(shape)).points.isfinite().all()


def groups(labels, names=()):
    found = list(code_plots._groups(len(labels), torch.tensor(labels), names))
    return {group.name: (group.rows.tolist(), group.colour, group.marker) for group in found}


def test_each_class_has_a_look_of_its_own_and_rows_without_a_label_are_grey():
    found = groups([2, -1, 0, 2], ("shoe", "bag", "a" * 40))
    assert {name: rows for name, (rows, _, _) in found.items()} == {
        "no label": [1],
        "shoe": [2],
        "a" * 23 + "…": [0, 3],
    }
    assert found["no label"][1] == code_plots._GREY
    looks = [look for _, *look in groups(list(range(MOST_CLASSES))).values()]
    assert len({tuple(look) for look in looks}) == MOST_CLASSES
    assert [code_plots._GREY] * 2 not in looks


def test_of_very_many_classes_the_most_frequent_have_colours():
    labels = [*range(100), *range(70, 90)]
    found = groups(labels)
    assert len(found) == MOST_CLASSES + 1
    assert found["80 other classes"][1] == code_plots._GREY
    assert found["75"][0] == [75, 75 + 30]
    assert sorted(row for rows, _, _ in found.values() for row in rows) == list(range(120))


@pytest.mark.parametrize("labels", [None, torch.tensor([0, -1, 1])])
def test_the_picture_has_a_legend_in_the_colours_of_the_classes(labels):
    image = np.asarray(scatter(in_plane(torch.eye(3)[:, :2]), labels))
    second = (image == (0xD5, 0x5E, 0x00)).all(-1).any()
    assert second == (labels is not None)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger("genzoo"), "handlers", [])
    monkeypatch.chdir(tmp_path)
    event, label = genzoo.Binary(shape=(1, 8, 8)), genzoo.Label(num_classes=10)
    genzoo.create_model("rbm", event=event, num_hidden=6).save_pretrained("rbm")
    config = {"event": event, "latent_dim": 2, "hidden_dims": (4,)}
    genzoo.create_model("vae", **config, conditions={"label": label}).save_pretrained("vae")


def said(line, capsys, code=0):
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(line.split())
    found = capsys.readouterr()
    assert left.value.code == code, found
    return found.out + found.err


DATA = "--data digits --data.binarize threshold"


@pytest.mark.parametrize("model", ["rbm", "vae"])
def test_explore_shows_the_codes_of_each_example_with_its_label(
    model, folder, capsys, monkeypatch
):
    seen = []

    def kept(plane, labels, names):
        seen.append((plane, labels, names))
        return scatter(plane, labels, names)

    monkeypatch.setattr("genzoo.cli.explore.scatter", kept)
    out = said(f"explore {model} --view codes --output x.png {DATA}", capsys)
    assert Image.open("x.png").format == "PNG"
    assert "297" in out
    assert "coloured by label" in out
    data = genzoo.load_dataset("digits", "test", binarize="threshold")
    rows = data.head(297)
    loaded = genzoo.GenModel.from_pretrained(model)
    with torch.no_grad():
        z = loaded.encode(rows["x"], condition=loaded.conditions_of(rows))
    ((plane, labels, _),) = seen
    assert torch.equal(labels, rows["label"])
    torch.testing.assert_close(plane.points, in_plane(z).points, atol=1e-5, rtol=1e-4)


def test_data_without_labels_have_one_colour_and_few_labels_leave_grey(folder, capsys):
    np.savez("plain.npz", x=np.eye(64, dtype=np.uint8).reshape(64, 1, 8, 8))
    out = said("explore rbm --view codes --output x.png --data plain.npz", capsys)
    assert "the data have no labels" in out
    few = f"{DATA} --data.labelled 20 --split train --max-examples 50"
    assert "50 codes" in said(f"explore rbm --view codes --output x.png {few}", capsys)


@pytest.mark.parametrize("view", ["manifold", "traversal"])
def test_codes_that_are_not_normal_have_no_plane_of_normal_values(view, folder, capsys):
    error = said(f"explore rbm --view {view} --output x.png {DATA}", capsys, code=2)
    assert "codes of RBM are 6: zeros and ones" in error
    assert "--view codes" in error


@pytest.mark.parametrize("view", ["manifold", "interpolation"])
def test_no_line_leads_from_category_to_category(view, folder, capsys):
    """The view that is named instead is one that the model has."""
    event = genzoo.Binary(shape=(1, 8, 8))
    model = genzoo.create_model("discrete-vae", event=event, latent_dim=2, num_categories=3)
    model.save_pretrained("categories")
    error = said(f"explore categories --view {view} --output x.png {DATA}", capsys, code=2)
    assert "whole numbers from 0 to 2" in error
    assert "Use --view codes or filters." in error
