"""Image models of others as extractors: what their files say is data, and changes nothing else."""

import importlib
import json
import os
import pickle
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import fuzz_subjects
import hostile_encoders
from genzoo import LoadError
from genzoo.errors import ConfigFileError
from genzoo.evaluation import transformers_features
from genzoo.evaluation.features import load_extractor
from genzoo.evaluation.image_kinds import KINDS
from hostile import Bomb

CONFIG, PREPARED, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
KERNEL = hostile_encoders.KERNEL


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of each kind, as transformers saves it."""
    made = {kind: tmp_path_factory.mktemp(kind) for kind in KINDS}
    for kind, folder in made.items():
        fuzz_subjects.save_image_model(kind, folder)
    return made


@pytest.fixture
def copied(folders, tmp_path):
    """A copy of a folder, to be spoilt."""
    return lambda kind="vit": fuzz_subjects.copied(folders[kind], tmp_path / "model")


def says(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def images(num=2):
    return torch.rand(num, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_those_of_transformers(folders, kind):
    net = transformers.AutoModel.from_pretrained(folders[kind]).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folders[kind])
    given = processor(images=images(), return_tensors="pt", do_rescale=False)
    with torch.no_grad():
        expected = net(**given).pooler_output.flatten(1).double()
    torch.testing.assert_close(load_extractor(str(folders[kind]))(images()), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_transformers_own(kind):
    theirs = getattr(transformers, KINDS[kind].config)()
    for name, value in KINDS[kind].allowed.fields().to_dict().items():
        found = getattr(theirs, name)
        assert (list(found) if isinstance(value, list) else found) == value, name


def test_a_repository_is_fetched_by_what_is_needed_of_it(hub, folders):
    files = {path.name: path.read_bytes() for path in folders["vit"].iterdir()}
    hub.put("ada/vit", {**files, "pytorch_model.bin": b"x", "other.safetensors": b"x"})
    here = load_extractor(str(folders["vit"]))
    there = load_extractor("ada/vit")
    assert torch.equal(there(images()), here(images()))
    assert there.sha256 == here.sha256
    asked = " ".join(map(str, hub.requests))
    assert WEIGHTS in asked
    assert "pytorch_model" not in asked
    assert "other" not in asked


def test_a_repository_of_several_files_is_read_by_its_index(hub, folders):
    state = load_file(folders["vit"] / WEIGHTS)
    halves = [dict(list(state.items())[::2]), dict(list(state.items())[1::2])]
    names = [f"model-{i}.safetensors" for i in range(2)]
    files = {name: (folders["vit"] / name).read_bytes() for name in (CONFIG, PREPARED)}
    for name, half in zip(names, halves, strict=True):
        save_file(half, folders["vit"].parent / name, {"format": "pt"})
        files[name] = (folders["vit"].parent / name).read_bytes()
    where = {key: name for name, half in zip(names, halves, strict=True) for key in half}
    files["model.safetensors.index.json"] = json.dumps({"weight_map": where}).encode()
    hub.put("ada/vit", files)
    expected = load_extractor(str(folders["vit"]))(images())
    assert torch.equal(load_extractor("ada/vit")(images()), expected)


# What is refused.


@pytest.mark.parametrize(
    "values",
    [
        *hostile_encoders._SPELT,
        {"transformers_weights": "other.safetensors"},
        {"quantization_config": {"load_in_8bit": True}},
        {"num_attention_heads": 0},
        {"num_attention_heads": 3},
        {"num_hidden_layers": 10**7},
        {"num_hidden_layers": 2},
        {"hidden_size": 2**16},
        {"hidden_act": "os.system"},
        {"image_size": 10**6},
        {"image_size": 15},
        {"image_size": [16, 16]},
        {"patch_size": 1, "image_size": 1024},
        {"patch_size": 0},
        {"patch_size": 32},
        {"num_channels": 1},
        {"layer_norm_eps": None},
        {"qkv_bias": 1},
        {"pooler_act": "os.system"},
        {"model_type": "gpt2"},
        {"model_type": None},
        {"is_decoder": True},
    ],
    ids=str,
)
def test_a_hostile_config_is_refused(copied, values):
    folder = copied()
    says(folder / CONFIG, **values)
    with pytest.raises(LoadError):
        load_extractor(str(folder))


@pytest.mark.parametrize(
    "values",
    [
        {"image_processor_type": "os.system"},
        {"image_processor_type": "AutoImageProcessor"},
        {"image_processor_type": ["ViTImageProcessor"]},
        {"image_processor_type": "TimmWrapperImageProcessor"},
        {"size": {"height": 10**6, "width": 10**6}},
        {"size": {"height": 0, "width": 16}},
        {"size": {"evil": 1}},
        {"size": "16"},
        {"crop_size": -1},
        {"resample": 99},
        {"resample": "os.system"},
        {"image_mean": [0.5]},
        {"image_mean": "x"},
        {"image_std": [0, 0, 0]},
        {"image_std": [1e-300] * 3},
        {"do_pad": True},
        {"data_format": "channels_last"},
        {"device": "cuda"},
        {"return_tensors": "np"},
        {"preprocess": 1},
        {"__call__": 1},
        {"crop_pct": 1e-9},
    ],
    ids=str,
)
def test_hostile_preparation_is_refused(copied, values):
    folder = copied()
    says(folder / PREPARED, **values)
    with pytest.raises(LoadError):
        load_extractor(str(folder))


@pytest.mark.parametrize("file", [CONFIG, PREPARED])
@pytest.mark.parametrize("raw", hostile_encoders._RAW.values(), ids=list(hostile_encoders._RAW))
def test_what_is_no_config_is_refused(copied, file, raw):
    folder = copied()
    (folder / file).write_bytes(raw)
    with pytest.raises(LoadError):
        load_extractor(str(folder))


@pytest.mark.parametrize("file", [CONFIG, PREPARED, WEIGHTS])
def test_a_pipe_and_a_link_out_are_refused(copied, tmp_path, file):
    folder = copied()
    (folder / file).rename(tmp_path / "outside")
    (folder / file).symlink_to(tmp_path / "outside")
    with pytest.raises(LoadError, match="is a link out of its folder"):
        load_extractor(str(folder))
    (folder / file).unlink()
    os.mkfifo(folder / file)
    with pytest.raises(LoadError, match="is not a file"):
        load_extractor(str(folder))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(copied, value):
    folder = copied()
    state = load_file(folder / WEIGHTS)
    state["encoder.layer.0.output.dense.bias" if value > 0 else next(iter(state))].fill_(value)
    save_file(state, folder / WEIGHTS, {"format": "pt"})
    with pytest.raises(LoadError, match="NaN or infinity"):
        load_extractor(str(folder))


def test_sizes_that_do_not_go_together_are_a_refusal_when_images_come(copied):
    folder = copied()
    says(folder / PREPARED, size={"height": 24, "width": 24})
    extract = load_extractor(str(folder))
    with pytest.raises(LoadError, match="cannot be loaded"):
        extract(images())


# What is not read.


def test_what_lies_next_to_it_and_what_is_ignored_changes_nothing(copied):
    folder = copied()
    before = load_extractor(str(folder))
    for name, raw in hostile_encoders._NEXT.items():
        (folder / name).write_bytes(raw)
    (folder / "processor_config.json").write_bytes(b'{"image_processor": {"size": 1}}')
    (folder / "image_processing_evil.py").write_bytes(pickle.dumps(Bomb()))
    says(folder / CONFIG, num_labels=10**7, id2label=None, return_dict=False, torch_dtype="evil")
    after = load_extractor(str(folder))
    assert torch.equal(after(images()), before(images()))
    assert after.sha256 == before.sha256


def test_transformers_is_given_no_folder_but_one_of_checked_values(folders, monkeypatch):
    given = []
    for name in ("ViTModel", "AutoImageProcessor"):
        cls = getattr(transformers, name)
        real = cls.from_pretrained.__func__

        def noting(c, at, *a, real=real, **k):
            given.append(at and {p.name: p.read_text() for p in Path(at).iterdir()})
            return real(c, at, *a, **k)

        monkeypatch.setattr(cls, "from_pretrained", classmethod(noting))
    transformers_features.load_image_model(str(folders["vit"]), "cpu")
    weights, processor = given
    assert weights is None
    assert processor.keys() == {PREPARED}
    assert json.loads(processor[PREPARED])["image_processor_type"] == "ViTImageProcessor"


def test_an_image_model_of_another_kind_is_named():
    with pytest.raises(ConfigFileError, match=r"has the kind 'beit'.*: clip_vision_model"):
        transformers_features.kind_of({"model_type": "beit"}, "It")


@pytest.mark.parametrize("theirs", [True, False])
@pytest.mark.parametrize("hub", [True, False])
def test_progress_bars_are_on_and_off_as_before(folders, monkeypatch, theirs, hub):
    """transformers switches the bars of huggingface_hub together with its own."""
    bars = importlib.import_module("huggingface_hub.utils.tqdm")
    monkeypatch.setattr(bars, "HF_HUB_DISABLE_PROGRESS_BARS", None)
    monkeypatch.setattr(bars, "progress_bar_states", {"_global": hub})
    monkeypatch.setattr(transformers.utils.logging, "_tqdm_active", theirs)
    transformers_features.load_image_model(str(folders["vit"]), "cpu")
    assert transformers.utils.logging.is_progress_bar_enabled() is theirs
    assert bars.are_progress_bars_disabled() is not hub
