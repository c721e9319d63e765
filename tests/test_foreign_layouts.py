"""Foreign layouts: known by their marker, read as data, and refused like our own."""

import json

import pytest
import torch
from safetensors.torch import save_file

from folders import machine
from genzoo import GenModel, register
from genzoo.errors import (
    ConfigFileError,
    HubMissingError,
    LoadError,
    PluginError,
    UnknownNameError,
    WeightsError,
)
from genzoo.hub import Reference
from genzoo.layouts.foreign import ForeignFormat, TranslatedModel, check_path, marker_in
from genzoo.pretrained.inspecting import inspect
from genzoo.pretrained.pulling import pull
from hubs import asked, same

MARKER, REPOSITORY = "toy_index.json", "ada/foreign"

SPACE = {"name": "binary", "config": {"shape": [1, 2, 3]}}


@register("formats", MARKER)
class Toy(ForeignFormat):
    """Machines whose config lies in parts/sizes.json, and whose weights lie next to it."""

    def configs(self, marker):
        if marker.get("kind") != "machine":
            raise ConfigFileError(f"the kind {marker.get('kind')!r} is not supported")
        return marker.get("configs", ["parts/sizes.json"])

    def translate(self, found):
        marker = found[MARKER]
        config = {**found["parts/sizes.json"], "event": SPACE}
        model = marker.get("model", "rbm")
        weights = dict.fromkeys(marker.get("weights", ["parts/w.safetensors"]), "")
        return TranslatedModel(model=model, config=config, weights=weights)


def put_down(folder, weights_of=None, **marker):
    """Write a machine in the toy's layout."""
    (folder / "parts").mkdir(parents=True, exist_ok=True)
    (folder / MARKER).write_text(json.dumps({"kind": "machine", **marker}))
    (folder / "parts" / "sizes.json").write_text(json.dumps({"num_hidden": 4}))
    save_file((weights_of or machine()).state_dict(), folder / "parts" / "w.safetensors")
    return folder


def put(hub, folder):
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return hub.put(REPOSITORY, {p.relative_to(folder).as_posix(): p.read_bytes() for p in paths})


def test_a_foreign_folder_loads_bit_equal(tmp_path):
    loaded = GenModel.from_pretrained(put_down(tmp_path))
    assert same(loaded, machine())
    assert not loaded.training


def test_a_foreign_repository_loads_bit_equal_and_from_the_cache(hub, tmp_path):
    commit = put(hub, put_down(tmp_path))
    assert same(GenModel.from_pretrained(REPOSITORY), machine())
    count = len(hub.requests)
    assert same(GenModel.from_pretrained(REPOSITORY, revision=commit), machine())
    assert len(hub.requests) == count


def test_a_foreign_repository_is_inspected_without_its_weights(hub, tmp_path):
    commit = put(hub, put_down(tmp_path))
    for found in (inspect(REPOSITORY), inspect(str(tmp_path))):
        assert found.description["model"] == "rbm"
        assert found.description["config"]["num_hidden"] == 4
        assert found.weights.headers["W"][2] == (6, 4)
        assert found.commit in ("", commit)
    assert not [
        r for r in asked(hub, method="GET", path="w.safetensors") if "range" not in r.headers
    ]


def test_a_foreign_repository_is_not_copied_as_if_it_were_ours(hub, tmp_path):
    put(hub, put_down(tmp_path / "in"))
    with pytest.raises(LoadError, match="has another library's layout, which is not copied"):
        pull(Reference(REPOSITORY), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_that_do_not_fit_are_not_fetched(hub, tmp_path):
    put(hub, put_down(tmp_path, machine(num_hidden=5)))
    with pytest.raises(WeightsError, match="do not fit its config"):
        GenModel.from_pretrained(REPOSITORY)
    whole = [r for r in asked(hub, method="GET", path="w.safetensors") if "range" not in r.headers]
    assert not whole


def test_names_of_tensors_are_told_from_their_files(tmp_path):
    class Two(Toy):
        def translate(self, found):
            weights = {"parts/w.safetensors": "", "parts/rates.safetensors": "base_"}
            config = {"event": SPACE, "num_hidden": 4}
            return TranslatedModel(model="rbm", config=config, weights=weights)

    folder, state = put_down(tmp_path), machine().state_dict()
    rates = {"rates": state.pop("base_rates")}
    save_file(rates, folder / "parts" / "rates.safetensors")
    save_file(state, folder / "parts" / "w.safetensors")
    register("formats", MARKER)(Two)
    try:
        assert same(GenModel.from_pretrained(folder), machine())
    finally:
        register("formats", MARKER)(Toy)


def test_our_own_layout_outranks_a_marker(tmp_path):
    folder = put_down(tmp_path)
    machine(num_hidden=7).save_pretrained(folder)
    assert GenModel.from_pretrained(folder).config.num_hidden == 7
    assert marker_in(["config.json", MARKER], "config.json") is None
    assert marker_in([MARKER], "config.json") == MARKER


# Texts.


class Told(Toy):
    """The toy, with a text that says how many hidden units there are."""

    def texts(self, marker):
        return marker.get("texts", ["parts/hidden.txt", "parts/other.txt"])

    def translate(self, found):
        assert "parts/other.txt" not in found
        num = len(found["parts/hidden.txt"])
        config = {"event": SPACE, "num_hidden": num}
        return TranslatedModel(model="rbm", config=config, weights={"parts/w.safetensors": ""})


@pytest.fixture
def told():
    register("formats", MARKER)(Told)
    yield
    register("formats", MARKER)(Toy)


def test_texts_are_read_as_they_are_where_they_are_there(hub, tmp_path, told):
    folder = put_down(tmp_path)
    (folder / "parts" / "hidden.txt").write_text("é\nü[")
    assert same(GenModel.from_pretrained(folder), machine())
    put(hub, folder)
    assert same(GenModel.from_pretrained(REPOSITORY), machine())


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"\xff", "'utf-8' codec"), (b"a" * (2**22 + 1), "is larger than 4,194,304")],
)
def test_texts_are_utf_8_and_not_too_large(tmp_path, told, content, why):
    (put_down(tmp_path) / "parts" / "hidden.txt").write_bytes(content)
    with pytest.raises(ConfigFileError, match=why):
        GenModel.from_pretrained(tmp_path)


def test_a_text_leads_nowhere_else(tmp_path, told):
    with pytest.raises(ConfigFileError, match="is not a plain path"):
        GenModel.from_pretrained(put_down(tmp_path, texts=["../etc/passwd"]))
    folder = put_down(tmp_path / "in")
    (tmp_path / "out").write_text("abcd")
    (folder / "parts" / "hidden.txt").symlink_to(tmp_path / "out")
    with pytest.raises(LoadError, match="is a link out of its folder"):
        GenModel.from_pretrained(folder)


# Refusals.


@pytest.mark.parametrize(
    ("marker", "error", "why"),
    [
        ({"kind": "other"}, ConfigFileError, "the kind 'other' is not supported"),
        ({"model": "no-such"}, UnknownNameError, "no-such"),
        ({"model": "../x"}, ConfigFileError, "is not the name of a model"),
        ({"configs": ["../../etc/passwd"]}, ConfigFileError, "is not a plain path"),
        ({"configs": ["/etc/passwd"]}, ConfigFileError, "is not a plain path"),
        ({"configs": ["parts/../sizes.json"]}, ConfigFileError, "is not a plain path"),
        ({"configs": ["parts/none.json"]}, ConfigFileError, r"has no parts/none\.json"),
        ({"weights": ["../w.safetensors"]}, ConfigFileError, "is not a plain path"),
        ({"weights": ["w.safetensors"]}, WeightsError, r"has no w\.safetensors"),
        ({"weights": []}, WeightsError, "have the dtypes none"),
    ],
)
def test_a_marker_leads_nowhere_else(tmp_path, marker, error, why):
    with pytest.raises(error, match=why):
        GenModel.from_pretrained(put_down(tmp_path, **marker))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": NaN}', '{"a": 1, "a": 2}', "[" * 100_000])
@pytest.mark.parametrize("name", [MARKER, "parts/sizes.json"])
def test_malformed_configs_are_refused(tmp_path, name, text):
    (put_down(tmp_path) / name).write_text(text)
    with pytest.raises(ConfigFileError, match=r"cannot be read|must hold an object"):
        GenModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("values", [{"num_hidden": "x"}, {"no_such": 1}, {"num_hidden": -1}])
def test_a_config_that_is_none_of_the_models_is_refused(tmp_path, values):
    (put_down(tmp_path) / "parts" / "sizes.json").write_text(json.dumps(values))
    with pytest.raises(ConfigFileError, match="RBMConfig"):
        GenModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["parts", MARKER, "parts/sizes.json", "parts/w.safetensors"])
def test_a_link_out_of_the_folder_is_refused(tmp_path, name):
    inside, outside = put_down(tmp_path / "in"), tmp_path / "out"
    (inside / name).rename(outside)
    (inside / name).symlink_to(outside)
    with pytest.raises(LoadError, match="is a link out of its folder"):
        GenModel.from_pretrained(inside)


def test_other_files_than_safetensors_are_not_read(tmp_path):
    folder = put_down(tmp_path, weights=["parts/x.safetensors"])
    (folder / "parts" / "x.bin").write_bytes(b"cos\nsystem\n")
    with pytest.raises(WeightsError, match=r"x\.bin may run code when read"):
        GenModel.from_pretrained(folder)


def test_weights_of_two_types_are_refused(tmp_path):
    state = machine().state_dict()
    save_file({**state, "W": state["W"].half()}, put_down(tmp_path) / "parts/w.safetensors")
    with pytest.raises(WeightsError, match="have the dtypes float16, float32"):
        GenModel.from_pretrained(tmp_path)


def test_a_damaged_tensor_is_refused(tmp_path):
    state = machine().state_dict()
    state["W"][0, 0] = torch.nan
    save_file(state, put_down(tmp_path) / "parts/w.safetensors")
    with pytest.raises(WeightsError, match="NaN or infinity"):
        GenModel.from_pretrained(tmp_path)


def test_a_repository_without_a_needed_config_is_refused(hub, tmp_path):
    (put_down(tmp_path) / "parts" / "sizes.json").unlink()
    put(hub, tmp_path)
    with pytest.raises(HubMissingError, match=r"has no parts/sizes\.json"):
        GenModel.from_pretrained(REPOSITORY)


def test_a_format_is_registered_under_a_files_name():
    with pytest.raises(PluginError, match="is not a valid name"):
        register("formats", "../up.json")(Toy)
    with pytest.raises(PluginError, match="must be a subclass of ForeignFormat"):
        register("formats", "other.json")(int)


@pytest.mark.parametrize("name", ["a.json", "a/b.json", "A_b-c/d.e.f", "_a/b"])
def test_plain_paths_are_taken(name):
    assert check_path(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/..", "a/b/c", "a//b", "/a", "a/", ".a", "a\\b", 3]
)
def test_other_paths_are_not(name):
    with pytest.raises(ConfigFileError, match="is not a plain path"):
        check_path(name)


@pytest.mark.parametrize("what", ["configs", "texts", "translate"])
@pytest.mark.parametrize("error", [AttributeError, KeyError, RecursionError])
def test_what_a_layout_trips_over_is_a_refusal(tmp_path, monkeypatch, what, error):
    def trip(*_):
        raise error("no way")

    monkeypatch.setattr(Toy, what, trip)
    with pytest.raises(LoadError, match=rf"The layout of {MARKER} cannot be loaded: .?no way"):
        GenModel.from_pretrained(put_down(tmp_path))
