"""Packages whose spaces are broken: the folder that needs one is refused, and others load."""

import json

import pytest

from folders import CONFIG, change_config, saved
from genzoo import GenModel, Unit, registry
from genzoo.errors import GenzooError
from genzoo.plugin import Space

FAULTS = {
    "lost-class": ("Yours = 1", "does not exist: reinstall it"),
    "wrong-base-class": ("class Mine: pass", "must be a subclass of Space"),
    "missing-dependency": ("import fake_absent", "pip install 'fake-bad'"),
    "abstract": (
        "from genzoo.spaces import Shaped\nclass Mine(Shaped): pass",
        "abstract",
    ),
    "no-config": (
        "import genzoo as g\nclass Mine(g.Unit):\n  def __post_init__(self): 1 / 0",
        "division by zero",
    ),
}
"""What a package's module holds, and what is said of a model folder that names its space."""


def broken(install, code):
    install("fake-bad", "[genzoo.spaces]\nmine = fake_bad:Mine\n", {"fake_bad": code})
    return {"name": "mine", "config": {"shape": [1, 2, 3]}}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_folder_that_needs_a_broken_space_is_refused_and_others_load(fault, install, tmp_path):
    code, says = FAULTS[fault]
    event = broken(install, code)
    sound, folder = saved(tmp_path / "sound"), saved(tmp_path / "model")
    change_config(folder, lambda found: found["config"].update(event=event))
    with pytest.raises(GenzooError, match=says):
        GenModel.from_pretrained(folder)
    assert GenModel.from_pretrained(sound).event_shape == (1, 2, 3)
    assert json.loads((folder / CONFIG).read_text())["config"]["event"] == event


def test_a_name_that_two_packages_claim_is_an_error_and_ours_stays_known(install):
    install(
        "fake-bad", "[genzoo.spaces]\nunit = fake_bad:Mine\n", {"fake_bad": "raise SystemError"}
    )
    with pytest.raises(GenzooError, match="claimed by fake-bad and genzoo"):
        Space.from_dict({"name": "unit", "config": {"shape": [2]}})
    assert registry.load("spaces", "binary").__name__ == "Binary"
    assert Unit(shape=(2,)).shape == (2,)


def test_a_space_that_is_not_registered_is_not_stored():
    class Lone(Unit):
        """A space of this test alone."""

    with pytest.raises(GenzooError, match="is not registered"):
        Lone(shape=(2,)).to_dict()
