"""Components of other repositories: named for ever, fetched, checked, and kept apart."""

import copy
import hashlib

import pytest
import torch
from safetensors.torch import save
from torch import nn

from genzoo.errors import ConfigError, HubError, HubMissingError, LoadError, WeightsError
from genzoo.hub_component import FrozenModule, HubComponent

REPOSITORY = "ada/encoder"
FILES = {"model.safetensors": save({"w": torch.ones(3)}), "config.json": b"{}"}
SHA256 = hashlib.sha256(FILES["model.safetensors"]).hexdigest()
COMMIT = "0123456789" * 4


def component(**values):
    return HubComponent(**{"repo": REPOSITORY, "commit": COMMIT, "sha256": SHA256, **values})


# What is named.


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"repo": "../up"}, "is not a repository"),
        ({"repo": "/etc/passwd"}, "is not a repository"),
        ({"commit": "main"}, "is not a full commit"),
        ({"commit": COMMIT[:7]}, "is not a full commit"),
        ({"commit": "../" * 14}, "is not a revision"),
        ({"sha256": SHA256[:-1]}, "is not a SHA-256"),
        ({"sha256": ""}, "is not a SHA-256"),
    ],
)
def test_only_what_is_named_whole_is_taken(values, why):
    with pytest.raises(ConfigError, match=why):
        component(**values)


def test_a_branch_is_pinned_to_what_it_is_now(hub):
    commit = hub.put(REPOSITORY, FILES)
    pinned = HubComponent.pinned(REPOSITORY)
    assert pinned == component(commit=commit)
    hub.put(REPOSITORY, FILES | {"model.safetensors": save({"w": torch.zeros(3)})})
    assert HubComponent.pinned(REPOSITORY) != pinned
    assert HubComponent.pinned(REPOSITORY, revision=commit) == pinned


def test_what_has_no_safetensors_is_not_pinned(hub):
    hub.put(REPOSITORY, {"pytorch_model.bin": b"x", "config.json": b"{}"})
    with pytest.raises(WeightsError, match=r"has no single file model\.safetensors"):
        HubComponent.pinned(REPOSITORY)


# What is fetched.


def test_files_are_those_of_the_commit_and_fetched_once(hub):
    commit = hub.put(REPOSITORY, FILES)
    hub.put(REPOSITORY, dict.fromkeys(FILES, b"other"))
    folder = component(commit=commit).folder(["config.json"])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    asked = len(hub.requests)
    assert component(commit=commit).folder(["config.json"]) == folder
    assert len(hub.requests) == asked


def test_other_weights_than_the_configs_are_refused(hub):
    commit = hub.put(REPOSITORY, FILES)
    with pytest.raises(WeightsError, match=f"has the hash {SHA256}, not {'0' * 64}"):
        component(commit=commit, sha256="0" * 64).folder([])


def test_what_cannot_be_had_is_an_error(hub):
    commit = hub.put(REPOSITORY, FILES)
    with pytest.raises(HubMissingError, match=r"has no tokenizer\.json"):
        component(commit=commit).folder(["tokenizer.json"])
    with pytest.raises(HubError):
        component().folder([])


def test_a_file_beside_the_weights_is_bounded(hub, monkeypatch):
    monkeypatch.setattr("genzoo.hub_component.MAX_LAYOUT_BYTES", 1)
    commit = hub.put(REPOSITORY, FILES)
    with pytest.raises(LoadError, match="2 bytes; 1 are allowed"):
        component(commit=commit).folder(["config.json"])


# What is held.


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.own = nn.Linear(2, 2)
        self.made = 0
        self.frozen = FrozenModule(self.make)

    def make(self):
        self.made += 1
        return nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), nn.BatchNorm1d(2)).double()


def test_what_is_frozen_is_no_part_of_the_model():
    outer = Outer()
    names = set(outer.state_dict())
    assert outer.made == 0
    held = outer.frozen.module()
    assert set(outer.state_dict()) == names == {"own.weight", "own.bias"}
    assert len(list(outer.parameters())) == 2
    assert not list(outer.buffers())
    outer.train()
    assert not any(module.training for module in held.modules())
    assert not any(p.requires_grad for p in held.parameters())
    assert {p.dtype for p in held.parameters()} == {torch.float32}


def test_what_is_frozen_is_made_once_and_shared_by_copies():
    outer = Outer()
    early = copy.deepcopy(outer)
    held = outer.frozen.module()
    late = copy.deepcopy(outer)
    assert outer.frozen.module() is early.frozen.module() is late.frozen.module() is held
    assert outer.made == 1


def test_making_it_leaves_the_generators_alone():
    outer = Outer()
    before = torch.get_rng_state()
    outer.frozen.module()
    assert torch.equal(torch.get_rng_state(), before)
