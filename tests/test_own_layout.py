"""Layouts: tensors in files of their own, others next to them, and what becomes of all that."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from folders import CONFIG, WEIGHTS, change_config, contents, stop_after
from genzoo import Binary, GenModel, LoadError, create_model, saving
from genzoo.errors import ConfigFileError, DiskFullError, HubMissingError, WeightsError
from genzoo.hub import Reference
from genzoo.plugin import Layout
from genzoo.pretrained.inspecting import inspect
from genzoo.pretrained.pulling import pull
from genzoo.pretrained.pushing import push
from genzoo.training.folder import RunFolder
from hubs import REPOSITORY, asked, same

ENCODER, ITS_CONFIG, MARKER = (
    "encoder/model.safetensors",
    "encoder/config.json",
    "a_index.json",
)
PLACED = Layout(weights={ENCODER: "encoder."}, files={MARKER: "{}\n", ITS_CONFIG: '{"a": 1}\n'})
OTHER = Layout(weights=PLACED.weights, files={MARKER: "[]\n", ITS_CONFIG: "{}\n"})
OURS = {CONFIG, WEIGHTS, ENCODER, ITS_CONFIG, MARKER}


def coder(seed=0, layout=PLACED):
    """Return a small variational autoencoder of a layout."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = create_model("vae", event=Binary(shape=(6,)), hidden_dims=(3,), latent_dim=2)
    model.layout = lambda: layout
    return model


def saved(folder, **options):
    coder(**options).save_pretrained(folder)
    return Path(folder)


# Saved.


def test_each_tensor_lies_where_its_name_begins_for(tmp_path):
    model = coder()
    model.save_pretrained(tmp_path)
    placed, rest = load_file(tmp_path / ENCODER), load_file(tmp_path / WEIGHTS)
    assert set(contents(tmp_path)) == OURS
    assert placed.keys() == model.encoder.state_dict().keys()
    assert rest.keys() == {k for k in model.state_dict() if not k.startswith("encoder.")}
    assert (tmp_path / ITS_CONFIG).read_text() == '{"a": 1}\n'
    modes = {oct(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()}
    assert len(modes) == 1
    assert same(GenModel.from_pretrained(tmp_path), model)


def test_the_plain_layout_is_not_spoken_of(tmp_path):
    saved(tmp_path, layout=Layout())
    assert "layout" not in json.loads((tmp_path / CONFIG).read_text())
    assert set(contents(tmp_path)) == {CONFIG, WEIGHTS}


def test_saving_again_removes_the_files_of_another_layout_and_nothing_of_the_users(tmp_path):
    saved(tmp_path)
    (tmp_path / "encoder" / "notes.txt").write_text("mine")
    saved(tmp_path, layout=Layout())
    assert set(contents(tmp_path)) == {CONFIG, WEIGHTS, "encoder/notes.txt"}
    saved(tmp_path)
    (tmp_path / "encoder" / "notes.txt").unlink()
    saved(tmp_path, layout=Layout(weights={"decoder/x.safetensors": "decoder."}))
    assert set(contents(tmp_path)) == {CONFIG, WEIGHTS, "decoder/x.safetensors"}
    assert not (tmp_path / "encoder").exists()


def test_a_run_that_replaces_another_removes_its_layout_too(tmp_path):
    saved(tmp_path)
    RunFolder(tmp_path, overwrite=True).claim()
    assert contents(tmp_path) == {}


def test_a_save_that_fails_midway_leaves_the_old_folder(tmp_path, monkeypatch):
    before = contents(saved(tmp_path, layout=Layout(weights={ENCODER: "encoder."})))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, "write_text", full)
    with pytest.raises(DiskFullError):
        saved(tmp_path, seed=1)
    assert contents(tmp_path) == before


def theirs(folder):
    """Return what another library, which knows the folder by its marker, finds there."""
    found = contents(folder)
    return {k: v for k, v in found.items() if k not in (CONFIG, WEIGHTS) and MARKER in found}


@pytest.mark.parametrize(("old", "new"), [(PLACED, OTHER), (PLACED, Layout()), (Layout(), OTHER)])
def test_a_save_that_stops_among_its_moves_leaves_no_mixture(old, new, tmp_path):
    sound = [theirs(saved(tmp_path / "old", layout=old))]
    sound += [theirs(saved(tmp_path / "new", layout=new, seed=1)), {}]
    for num in range(20):
        folder = saved(tmp_path / str(num), layout=old)
        if stop_after(num, partial(saved, folder, seed=1, layout=new)):
            break
        assert theirs(folder) in sound
        if num == 0:
            assert same(GenModel.from_pretrained(folder), coder())
            continue
        with pytest.raises(LoadError, match="has no config"):
            GenModel.from_pretrained(folder)
    assert num > 2
    assert same(GenModel.from_pretrained(folder), coder(seed=1))


def test_a_folder_that_is_a_link_out_is_not_written_into(tmp_path):
    outside, folder = tmp_path / "outside", tmp_path / "model"
    outside.mkdir()
    folder.mkdir()
    (folder / "encoder").symlink_to(outside)
    with pytest.raises(LoadError, match="is a link, to"):
        saved(folder)
    assert contents(outside) == {}
    assert contents(folder) == {}


def test_a_link_in_the_place_of_an_old_layouts_folder_is_not_followed(tmp_path):
    outside, folder = tmp_path / "outside", saved(tmp_path / "model")
    (folder / "encoder").rename(outside)
    (folder / "encoder").symlink_to(outside)
    with pytest.raises(LoadError, match="is a link, to"):
        saved(folder, layout=Layout())
    assert len(contents(outside)) == 2


@pytest.mark.parametrize(
    "layout",
    [
        Layout(weights={"../x.safetensors": "encoder."}),
        Layout(weights={"encoder/x.bin": "encoder."}),
        Layout(weights={"model.safetensors": "encoder."}),
        Layout(weights={ENCODER: "encoder"}),
        Layout(weights={ENCODER: "encoder.", "b/x.safetensors": "encoder.hidden."}),
        Layout(files={"modeling.py": ""}),
        Layout(files={"config.json": "{}"}),
        Layout(files={"a.json": "{}", "a.json/b.json": "{}"}),
    ],
)
def test_a_layout_that_would_not_be_loaded_is_not_saved(layout, tmp_path):
    with pytest.raises(ConfigFileError):
        saved(tmp_path, layout=layout)
    assert contents(tmp_path) == {}


# Loaded.


def test_what_loading_does_not_read_need_not_be_there(tmp_path):
    saved(tmp_path)
    (tmp_path / ITS_CONFIG).write_text("no json")
    (tmp_path / MARKER).unlink()
    assert same(GenModel.from_pretrained(tmp_path), coder())


def test_a_tensor_in_another_file_than_the_layout_says_is_refused(tmp_path):
    placed = load_file(saved(tmp_path) / ENCODER)
    moved = {"encoder.output.bias": placed.pop("output.bias")}
    save_file(placed, tmp_path / ENCODER)
    save_file(load_file(tmp_path / WEIGHTS) | moved, tmp_path / WEIGHTS)
    with pytest.raises(WeightsError, match=r"'encoder\.output\.bias' must be in another file"):
        GenModel.from_pretrained(tmp_path)


def test_a_folder_without_the_file_of_some_tensors_is_refused(tmp_path):
    (saved(tmp_path) / ENCODER).rename(tmp_path / "encoder" / "model.bin")
    with pytest.raises(WeightsError, match=r"no encoder/model\.safetensors.*model\.bin may run"):
        GenModel.from_pretrained(tmp_path)


# On the Hub.


def test_it_is_pushed_loaded_inspected_and_pulled_whole(hub, tmp_path):
    folder = saved(tmp_path / "model")
    push(folder, REPOSITORY)
    assert set(hub.files(REPOSITORY)) >= OURS
    found = inspect(REPOSITORY), inspect(str(folder))
    sizes = {one.weights.num_bytes() for one in found}
    assert sizes == {sum(t.nbytes for t in coder().state_dict().values())}
    assert not [r for r in asked(hub, method="GET", path=ENCODER) if "range" not in r.headers]
    assert same(GenModel.from_pretrained(REPOSITORY), coder())
    assert not asked(hub, path=f"main/{ITS_CONFIG}")
    pulled = pull(Reference(REPOSITORY), tmp_path / "pulled")
    assert contents(pulled) == contents(folder)
    commit = hub.head(REPOSITORY)
    count = len(hub.requests)
    assert same(GenModel.from_pretrained(REPOSITORY, revision=commit), coder())
    assert len(hub.requests) == count


def test_a_push_removes_in_its_commit_what_an_earlier_layout_had(hub, tmp_path):
    push(saved(tmp_path), REPOSITORY)
    hub.put(REPOSITORY, {**hub.files(REPOSITORY), "encoder/theirs.txt": b"x"})
    before = len(hub.commits(REPOSITORY))
    push(saved(tmp_path, layout=Layout()), REPOSITORY)
    assert len(hub.commits(REPOSITORY)) == before + 1
    assert not set(hub.files(REPOSITORY)) & {ENCODER, ITS_CONFIG, MARKER}
    assert "encoder/theirs.txt" in hub.files(REPOSITORY)
    assert same(GenModel.from_pretrained(REPOSITORY), coder())


def test_a_pull_over_another_layout_removes_its_files(hub, tmp_path):
    push(saved(tmp_path / "plain", layout=Layout()), REPOSITORY)
    folder = saved(tmp_path / "model", seed=1)
    pull(Reference(REPOSITORY), folder, overwrite=True)
    assert contents(folder) == contents(tmp_path / "plain")


def test_what_lacks_a_file_of_its_layout_is_neither_pushed_nor_pulled(hub, tmp_path):
    folder = saved(tmp_path / "model")
    push(folder, REPOSITORY)
    files = hub.files(REPOSITORY)
    del files[ITS_CONFIG]
    hub.put("ada/other", files)
    with pytest.raises(HubMissingError, match=r"has no encoder/config\.json"):
        pull(Reference("ada/other"), tmp_path / "pulled")
    (folder / ITS_CONFIG).unlink()
    with pytest.raises(ConfigFileError, match=r"has no encoder/config\.json"):
        push(folder, REPOSITORY)


def test_a_file_of_a_layout_that_is_too_large_is_not_fetched(hub, tmp_path):
    saved(tmp_path / "model")
    (tmp_path / "model" / ITS_CONFIG).write_bytes(b" " * (2**25 + 1))
    hub.put(REPOSITORY, contents(tmp_path / "model"))
    with pytest.raises(LoadError, match="33,554,432 are allowed"):
        pull(Reference(REPOSITORY), tmp_path / "pulled")


def test_a_layout_of_too_many_files_is_refused_before_they_are_looked_at(tmp_path):
    names = [f"a/{i}.json" for i in range(101)]
    change_config(saved(tmp_path), lambda values: values["layout"].update(files=names))
    with pytest.raises(ConfigFileError, match="101 others; 1 to 100 are allowed"):
        GenModel.from_pretrained(tmp_path)


def test_a_malformed_layout_is_named_with_the_file_that_holds_it(tmp_path):
    change_config(saved(tmp_path), lambda values: values.update(layout=["a"]))
    with pytest.raises(ConfigFileError, match=rf"{CONFIG}: layout must hold weights and files"):
        GenModel.from_pretrained(tmp_path)
