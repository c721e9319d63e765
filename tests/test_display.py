"""What models, configs, pictures and curves show of themselves in a console and in a notebook."""

import dataclasses
import io

import numpy as np
import pytest
import torch
from PIL import Image

import families
import genzoo
from genzoo import plotting, registry
from genzoo.capabilities import SupportsEncode
from genzoo.errors import DataError
from genzoo.plugin import Component, GenerativeModel
from genzoo.spaces import Categorical, Text
from genzoo.testing import Case, CheckFailed
from genzoo.testing.likelihoods import check_likelihood
from genzoo.training.curves import plot_history
from genzoo.training.history import History


def made(name, **values):
    cls = registry.load("models", name)
    return cls(dataclasses.replace(cls.example()[0], **values))


# Models


def test_a_model_is_one_line_in_a_console_and_a_tree_when_printed():
    model = made("vae")
    line = repr(model)
    assert line.startswith("VAE(vae; 1 × 3 × 3: zeros and ones; given label: labels from 0 to 2; ")
    assert "205 parameters" in line
    assert "log-prob (lower bound), encode, decode" in line
    assert "\n" not in line
    assert str(model) == torch.nn.Module.__repr__(model)
    assert "Linear(in_features=12, out_features=6, bias=True)" in str(model)


def test_the_tree_of_a_model_in_a_model_is_whole_and_its_line_is_short_again_afterwards():
    outer, inner = torch.nn.Module(), made("vae")
    outer.inner = inner
    assert repr(outer).count("\n") == 2
    model = made("vae")
    model.inner = inner
    assert str(model).count("Linear(in_features=12") == 2
    assert repr(inner).startswith("VAE(vae; ")


@pytest.mark.parametrize("name", ["rbm", "vae", "conditional-gan"])
def test_a_notebook_shows_what_a_model_is_and_can(name):
    model = made(name)
    page = model._repr_html_()
    num = sum(parameter.numel() for parameter in model.parameters())
    shown = [model.event.describe(), f"{num:,} (float32, cpu)", "sample"]
    if isinstance(model, SupportsEncode):
        shown.append(model.codes.describe())
    shown += [space.describe() for space in model.conditions.values()]
    for text in shown:
        assert f">{text}" in page
    assert "<summary>modules</summary>" in page


def test_a_model_says_whether_its_likelihood_is_exact():
    cls = registry.load("models", "rbm")
    event = genzoo.Binary(shape=(30,))
    small, large = (cls(cls.Config(event=event, num_hidden=n)) for n in (3, 23))
    assert (small.log_prob_kind, large.log_prob_kind) == ("exact", "stochastic estimate")
    assert "log-prob (stochastic estimate)" in repr(large)


def test_a_model_that_states_another_kind_than_it_returns_fails_its_check(monkeypatch):
    case = Case("rbm", registry.load("models", "rbm"))
    check_likelihood(case)
    monkeypatch.setattr(case.cls, "log_prob_kind", "lower bound")
    with pytest.raises(CheckFailed, match="log_prob_kind says 'lower bound'; it is 'exact'"):
        check_likelihood(case)


def test_hostile_names_are_escaped():
    evil = "<script>alert(1)</script>\u202e"
    hostile = type(evil, (families.Linear,), {"__doc__": evil, "papers": (evil,)})
    space = genzoo.Label(num_classes=1, names=(evil,))
    model = hostile(families.linear().config)
    model.__dict__["conditions"] = {}
    type(model).conditions = property(lambda self: {evil: space})
    page = model._repr_html_()
    assert "<script>" not in page
    assert "\u202e" not in page + repr(model)
    assert page.count("&lt;script&gt;") >= 4


def test_an_unregistered_model_shows_itself_too():
    class Own(families.Linear):
        pass

    assert repr(Own(families.linear().config)).startswith("Own(3: values in [0, 1]; ")
    assert isinstance(Own(families.linear().config), GenerativeModel)


# Values


def test_a_sampler_names_its_values():
    sampler = registry.make("samplers", Component(name="gibbs", config={"num_steps": 3}))
    assert repr(sampler).startswith("Gibbs(num_steps=3")


def test_a_config_shows_what_is_set_before_the_defaults():
    page = genzoo.TrainerConfig(max_steps=7, report_to=("<b>",))._repr_html_()
    head, _, rest = page.partition("<details>")
    assert ">max_steps<" in head
    assert ">7<" in head
    assert "&lt;b&gt;" in head
    assert "<b>" not in page
    assert "batch_size = None" in rest
    assert "batch_size" not in head


def test_a_recipe_shows_its_toml():
    recipe = genzoo.Recipe(model="rbm", data=Component(name="<digits>"))
    assert "name = &quot;&lt;digits&gt;&quot;" in recipe._repr_html_()


# Pictures


def pixels(image):
    return np.asarray(image).tolist()


def test_pictures_of_rows_are_those_that_are_written():
    x = torch.rand(9, 1, 4, 4)
    assert pixels(genzoo.show(x)) == pixels(plotting.picture(x))
    assert pixels(genzoo.show(x.numpy())) == pixels(plotting.picture(x))
    assert pixels(genzoo.show(x, genzoo.Unit(shape=(1, 4, 4)))) == pixels(plotting.picture(x))
    assert isinstance(genzoo.show(torch.randn(5, 2)), Image.Image)


def test_a_list_of_states_is_a_trajectory():
    states = [torch.rand(3, 1, 4, 4) for _ in range(4)]
    assert pixels(genzoo.show(states)) == pixels(plotting.trajectories(states))


def test_bytes_of_images_are_not_all_white():
    x = torch.tensor([[0, 51, 255, 102]], dtype=torch.uint8)
    assert pixels(genzoo.show(x)) == pixels(plotting.picture(x / 255))
    ones = torch.tensor([[0, 1, 1, 0]], dtype=torch.uint8)
    assert pixels(genzoo.show(ones)) == pixels(plotting.picture(ones.float()))


def test_what_is_not_a_picture_by_itself_needs_its_space():
    letters = Categorical(shape=(3,), num_categories=2, names=("a", "b"))
    assert isinstance(genzoo.show(torch.ones(2, 3).long(), letters), Image.Image)
    assert isinstance(genzoo.show(["one", "two"], Text()), Image.Image)
    with pytest.raises(DataError, match="no rows"):
        genzoo.show(torch.rand(0, 2))
    with pytest.raises(DataError, match="not images"):
        genzoo.show(torch.rand(2, 5, 3, 3))


# Curves


ROWS = [{"stage": 0, "step": t, "model/loss": 1.0 / t, "eval/kl": None} for t in range(1, 31)]


def test_a_figure_is_a_picture_without_pyplot():
    figure = plot_history([*ROWS, {"stage": 0, "step": 31, "eval/loss": 2.0, "eval/kl": 3.0}])
    picture = Image.open(io.BytesIO(figure._repr_png_()))
    assert picture.format == "PNG"
    assert picture.width > picture.height


def test_the_history_is_a_table_of_its_last_rows():
    history = History(ROWS)
    page = history._repr_html_()
    assert page.count("<tr>") == 1 + 10
    assert "30 rows" in page
    assert "<td>0.03333</td>" in page
    assert "not finite" in page
    assert history.to_frame()["model/loss"].tolist() == [row["model/loss"] for row in ROWS]
