"""A text encoder of others is data: nothing that its files say, or lies next to them, is followed.

Each case goes through the tests' Hub, as a model's config names it. The whole list, with memory,
time and an audit hook, is in the core's `test_hostile.py`.
"""

import base64
import hashlib
import json

import pytest
import torch
import transformers
from safetensors.torch import load, save
from tokenizers.normalizers import Precompiled

import fuzz_subjects
import hostile_encoders
from genzoo import GenzooError, LoadError
from genzoo.plugin import (
    AllowedFields,
    ConfigFileError,
    ForeignFields,
    HubComponent,
    MissingDependencyError,
    loading,
    read_file,
    read_object,
)
from genzoo_diffusion import pretrained_text
from genzoo_diffusion.charsmaps import charsmap
from genzoo_diffusion.pretrained_text import PretrainedTextConfig, PretrainedTextEncoder
from genzoo_diffusion.text_kinds import CLASSES, describe
from genzoo_diffusion.text_tokenizers import SETTINGS_OF
from published_configs import CONFIGS, TOKENIZERS

CPU = torch.device("cpu")
REPOSITORY = "ada/encoder"
WEIGHTS = "model.safetensors"
WIDTH = {"clip": "hidden_size", "t5": "d_model", "bert": "hidden_size"}
TEXTS = ["a boot ab", "", "<evil>"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of each kind, as transformers saves it."""
    made = {kind: tmp_path_factory.mktemp(kind) for kind in fuzz_subjects.ENCODERS}
    for kind, folder in made.items():
        fuzz_subjects.save_encoder(kind, folder)
    return made


def states(hub, kind, folder, texts=TEXTS):
    """Return the states of texts by an encoder that the Hub has, all files of it in the cache."""
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    commit = hub.put(REPOSITORY, files)
    component = HubComponent(
        repo=REPOSITORY, commit=commit, sha256=hashlib.sha256(files[WEIGHTS]).hexdigest()
    )
    component.folder(list(files))  # As a cache is that another library has used too.
    given = {"component": component, "kind": kind.removeprefix("whole-"), "max_length": 12}
    return PretrainedTextEncoder(PretrainedTextConfig(**given, width=8))(texts, CPU).sequence


def changed(folders, tmp_path, kind, change):
    fuzz_subjects.copied(folders[kind], tmp_path / "encoder")
    change(tmp_path / "encoder")
    return tmp_path / "encoder"


# What was seen to go wrong.

SEEN = [
    "clip: config.json with {'attn_implementation': 'evil/kernel@main:fn'}",
    "clip: config.json with {'_attn_implementation': 'evil/kernel@main:fn'}",
    "bert: config.json with {'attn_implementation': {'': 'evil/kernel@main:fn'}}",
    "t5: config.json with {'_attn_implementation_internal': 'evil/kernel@main:fn'}",
    "whole-clip: within text_config {'attn_implementation': 'evil/kernel@main:fn'}",
    "t5: tokenizer_config.json with {'extra_ids': 10000000}",
    "bert: config.json is 30 MB of brackets",
    "bert: tokenizer_config.json is 30 MB of brackets",
    "bert: tokenizer.json is 30 MB of brackets",
    "bert: config.json with {'transformers_weights': 'other.safetensors'}",
    "clip: config.json with {'num_attention_heads': 0}",
    "bert: config.json with {'num_attention_heads': 0}",
    "t5: config.json with {'num_heads': 0}",
    "bert: tokens beyond the embedding",
    "clip: tokens beyond the embedding",
    "t5: an added token beyond the embedding",
    "t5: a map of characters with a trie of leaves to nowhere",
    "t5: a map of characters of one byte",
    "bert: weights with NaN",
    "t5: weights with NaN",
    "clip: weights with infinity",
]


@pytest.mark.parametrize("name", SEEN)
def test_what_was_seen_to_go_wrong_is_refused(hub, folders, tmp_path, name):
    kind, change = hostile_encoders.CASES[name]
    folder = changed(folders, tmp_path, kind, change)
    with pytest.raises(LoadError) as caught:
        states(hub, kind, folder)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1000


@pytest.mark.parametrize("kind", ["clip", "t5", "bert"])
def test_files_next_to_it_change_no_state(hub, folders, tmp_path, kind):
    sound = states(hub, kind, folders[kind])
    everything = [c for k, c in hostile_encoders.HARMLESS.values() if k == kind]
    folder = changed(folders, tmp_path, kind, lambda f: [change(f) for change in everything])
    assert len([*folder.iterdir()]) > len([*folders[kind].iterdir()]) + 5
    assert torch.equal(states(hub, kind, folder), sound)


def test_weights_are_those_of_the_checksum_and_no_others(hub, folders, tmp_path):
    def put(folder):
        state = load((folder / WEIGHTS).read_bytes())
        other = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
        (folder / "other.safetensors").write_bytes(save(other, {"format": "pt"}))
        config = json.loads((folder / "config.json").read_text())
        config["transformers_weights"] = "other.safetensors"
        (folder / "config.json").write_text(json.dumps(config))

    with pytest.raises(LoadError, match="the field 'transformers_weights' is not supported"):
        states(hub, "bert", changed(folders, tmp_path, "bert", put))


def test_the_attention_is_the_one_that_is_set_here(hub, folders, monkeypatch):
    seen = []
    make = pretrained_text.make_transformers_model

    def noting(*args, **kwargs):
        seen.append(make(*args, **kwargs))
        return seen[-1]

    monkeypatch.setattr(pretrained_text, "make_transformers_model", noting)
    for kind in ("clip", "t5", "bert"):
        states(hub, kind, folders[kind])
    # Older versions have T5 in plain products alone.
    wanted = ["sdpa" if model._supports_sdpa else "eager" for model, _ in seen]
    assert [model.config._attn_implementation for model, _ in seen] == wanted
    assert wanted[::2] == ["sdpa"] * 2


@pytest.mark.parametrize("kind", ["clip", "t5", "bert"])
def test_transformers_is_given_no_folder(hub, folders, monkeypatch, kind):
    given = []
    for name in {CLASSES[kind].model, CLASSES[kind].config}:
        cls = getattr(transformers, name)
        real = cls.from_pretrained.__func__
        monkeypatch.setattr(
            cls,
            "from_pretrained",
            classmethod(
                lambda c, at, *a, real=real, **k: given.append(at) or real(c, at, *a, **k)
            ),
        )
    states(hub, kind, folders[kind])
    assert given == [None]


@pytest.mark.parametrize("kind", ["clip", "t5", "bert"])
def test_defaults_are_transformers_own(kind):
    classes = CLASSES[kind]
    theirs = getattr(transformers, classes.config)()
    ours = classes.allowed.fields()
    assert ours.to_dict() == {name: getattr(theirs, name) for name in ours.to_dict()}


def test_a_vocabulary_is_in_proportion_to_the_weights():
    pretrained_text._check_tokens(30_522, 4_000_000, "It")
    pretrained_text._check_tokens(501_153, 4 * 501_153 * 768, "It")
    with pytest.raises(ConfigFileError, match="has 500,000 tokens; weights of 2,000,000 bytes"):
        pretrained_text._check_tokens(500_000, 2_000_000, "It")


# Maps of characters.


def trie(letter, leaf, cells=256):
    """Return a map of one letter to the text at a place: of cells as SentencePiece has them."""
    array = [0] * cells
    array[ord(letter)] = ord(letter) | 1 << 8 | 1 << 10  # It has a leaf, at the offset 1.
    array[ord(letter) ^ 1] = 2**31 | leaf
    packed = b"".join(cell.to_bytes(4, "little") for cell in array)
    return len(packed).to_bytes(4, "little") + packed


def whole(raw):
    return {
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Strip"},
                {
                    "type": "Precompiled",
                    "precompiled_charsmap": base64.b64encode(raw).decode(),
                },
            ],
        }
    }


def test_a_sound_map_of_characters_is_taken_and_used(hub, folders, tmp_path):
    raw = trie("B", 2) + b"x\0b\0"
    assert charsmap(whole(raw)) == raw
    assert Precompiled(raw).normalize_str("Boot") == "boot"
    sound = states(hub, "t5", folders["t5"], ["a boot", "a Boot"])
    assert not torch.equal(*sound)

    def put(folder):
        found = json.loads((folder / "tokenizer.json").read_text())
        (folder / "tokenizer.json").write_text(json.dumps(found | whole(raw)))

    mapped = states(hub, "t5", changed(folders, tmp_path, "t5", put), ["a boot", "a Boot"])
    assert torch.equal(*mapped)
    assert torch.equal(mapped[0], sound[0])


@pytest.mark.parametrize(
    "raw",
    [
        trie("B", 4) + b"x\0b\0",  # A leaf just past the text.
        trie("B", 2, cells=255) + b"x\0b\0",
        trie("B", 2)[:-4] + b"x\0b\0",
        trie("B", 2) + b"x\0b",
        trie("B", 2) + b"x" * 257 + b"\0",
        trie("B", 2) + b"\xff\0",
    ],
)
def test_a_map_that_leads_out_of_itself_is_refused(raw):
    with pytest.raises(ConfigFileError, match="precompiled_charsmap"):
        charsmap(whole(raw))


def test_the_library_gives_up_on_such_a_map_by_what_is_no_exception():
    bad = Precompiled(trie("B", 10**6) + b"x\0b\0")
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - it is the type that is shown
        bad.normalize_str("Boot")
    assert not isinstance(caught.value, Exception)
    with pytest.raises(LoadError, match="It cannot be loaded"), loading("It"):
        bad.normalize_str("Boot")


def test_what_a_tokenizer_gives_up_on_while_it_encodes_is_a_refusal(hub, folders, monkeypatch):
    monkeypatch.setattr("genzoo_diffusion.text_tokenizers.charsmap", lambda whole: bad)
    bad = trie("B", 10**6) + b"x\0b\0"
    assert states(hub, "t5", folders["t5"], ["a boot"]).shape == (1, 12, 8)
    with pytest.raises(LoadError, match="The text encoder ada/encoder cannot be loaded"):
        states(hub, "t5", folders["t5"], ["a Boot"])


# What refuses.


class Fields(ForeignFields):
    """None."""


def test_what_is_allowed_is_named_and_bounded(tmp_path):
    allowed = AllowedFields(fields=Fields, inert={"a": (False, {})}, ignored=frozenset({"b"}))
    assert allowed.passed({"a": False, "b": [1]}, "It") == {}
    assert allowed.passed({"a": {}}, "It") == {}
    for wrong in ({"a": 0}, {"a": None}, {"a": []}, {"c": 1}, {"": 1}):
        with pytest.raises(ConfigFileError, match=r"^It: "):
            allowed.passed(wrong, "It")


@pytest.mark.parametrize("error", [AttributeError, NameError, RecursionError, MemoryError])
def test_whatever_a_library_raises_is_a_refusal(error):
    with pytest.raises(LoadError, match="It cannot be loaded: no way"), loading("It"):
        raise error("no\nway")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupt_is_not(error):
    with pytest.raises(error), loading("It"):
        raise error


@pytest.mark.parametrize("error", [ConfigFileError, MissingDependencyError])
def test_our_own_errors_pass(error):
    with pytest.raises(GenzooError) as caught, loading("It"):
        raise error("as it is")
    assert str(caught.value) == "as it is"


def test_only_a_file_of_the_folder_is_read(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1}')
    assert read_object(tmp_path / "a.json") == {"a": 1}
    with pytest.raises(ConfigFileError, match="larger than 7 bytes"):
        read_object(tmp_path / "a.json", 7)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.json").symlink_to(tmp_path / "a.json")
    with pytest.raises(LoadError, match="is a link out of its folder"):
        read_object(tmp_path / "in" / "b.json")
    with pytest.raises(ConfigFileError, match="is not a file"):
        read_file(tmp_path / "in")


# What published encoders say is taken.


@pytest.mark.parametrize("name", CONFIGS)
def test_what_published_encoders_say_is_taken(name):
    config, width = CONFIGS[name]
    assert describe(config, "It").width == width


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_what_published_tokenizers_say_is_taken(kind):
    SETTINGS_OF[kind].passed(TOKENIZERS[kind], "It")
