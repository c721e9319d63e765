"""What each client that is not ours does in its own way: its pipelines, its calls, its commits."""

import json

import pytest

from clients import ClientError, hf, node, python
from folders import CONFIG, machine
from genzoo import GenModel
from genzoo.errors import LoadError
from hubs import REPOSITORY, asked

plain = pytest.mark.parametrize("either_hub", ["lfs"], indirect=True)
PIPELINE = "ada/pipeline"
UNET = "unet/diffusion_pytorch_model.safetensors"


# diffusers

_DIFFUSERS = """
    import json, sys
    import torch
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    def same(first, second):
        first, second = first.state_dict(), second.state_dict()
        return first.keys() == second.keys() and all(
            torch.equal(first[name], second[name]) for name in first)

    repository, pipeline, ours, folder = sys.argv[1:]
    unet = UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, layers_per_block=1, norm_num_groups=4,
        block_out_channels=(8,), down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",))
    unet.push_to_hub(repository, commit_message="theirs")
    assert same(UNet2DModel.from_pretrained(repository), unet)
    DDPMPipeline(unet, DDPMScheduler(num_train_timesteps=1000)).push_to_hub(pipeline, private=True)
    loaded = DDPMPipeline.from_pretrained(pipeline)
    assert same(loaded.unet, unet)
    assert loaded.scheduler.config.num_train_timesteps == 1000
    loaded.save_pretrained(folder)
    print(json.dumps(UNet2DModel.load_config(ours)))
"""


def test_diffusers_pushes_and_gets_back_equal_weights(either_hub, client_environment, tmp_path):
    machine().push_to_hub(REPOSITORY)
    given = ("ada/unet", PIPELINE, REPOSITORY, tmp_path / "pipeline")
    printed = python("diffusers", client_environment, _DIFFUSERS, *given)
    assert json.loads(printed) == json.loads(either_hub.files(REPOSITORY)[CONFIG])
    assert (tmp_path / "pipeline" / UNET).read_bytes() == either_hub.files(PIPELINE)[UNET]
    assert either_hub.commits("ada/unet")[0].title == "theirs"
    assert either_hub.repository(PIPELINE).private
    assert bool(asked(either_hub, path="/xet-write-token/")) == either_hub.xet
    with pytest.raises(LoadError, match=r"config\.json"):
        GenModel.from_pretrained("ada/unet")
    assert type(GenModel.from_pretrained(PIPELINE)).__name__ == "DDPM"


# An older huggingface_hub

_OLDER = """
    import sys
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, hf_hub_download
    from huggingface_hub.utils import EntryNotFoundError, HfHubHTTPError

    repository, api = sys.argv[1], HfApi()
    added = [CommitOperationAdd("w.bin", b"old" * 5000), CommitOperationAdd("a/b", b"old")]
    first = api.create_commit(repository, added, commit_message="first")
    api.create_tag(repository, tag="v1")
    api.create_branch(repository, branch="feature/x")
    changes = [CommitOperationDelete("a/"), CommitOperationAdd("w.bin", b"new" * 5000)]
    api.create_commit(repository, changes, commit_message="second", parent_commit=first.oid)
    late = [CommitOperationAdd("late", b"late")]
    try:
        api.create_commit(repository, late, commit_message="late", parent_commit=first.oid)
    except HfHubHTTPError as error:
        assert error.response.status_code == 412, error
    else:
        raise AssertionError("a stale parent was accepted")
    for revision, text in (("v1", b"old"), ("feature/x", b"old"), ("main", b"new")):
        with open(hf_hub_download(repository, "w.bin", revision=revision), "rb") as file:
            assert file.read() == text * 5000, revision
    assert api.list_repo_files(repository) == ["w.bin"]
    assert api.file_exists(repository, "a/b", revision="v1")
    try:
        hf_hub_download(repository, "a/b")
    except EntryNotFoundError:
        pass
    else:
        raise AssertionError("a deleted file was found")
    refs = api.list_repo_refs(repository)
    assert {ref.name: ref.target_commit for ref in refs.tags} == {"v1": first.oid}
    assert {ref.name for ref in refs.branches} == {"main", "feature/x"}
    titles = [commit.title for commit in api.list_repo_commits(repository)]
    assert titles[:2] == ["second", "first"]
"""


def test_an_older_client_commits_upon_a_parent_and_names_revisions(either_hub, client_environment):
    either_hub.put(REPOSITORY, {})
    python("older", client_environment, _OLDER, REPOSITORY)
    assert either_hub.files(REPOSITORY) == {"w.bin": b"new" * 5000}
    assert either_hub.files(REPOSITORY, "v1") == {"w.bin": b"old" * 5000, "a/b": b"old"}


# JavaScript

_NODE = """
    import assert from "node:assert/strict";
    const there = { ...at, repo: given.repo, useXet: false };
    const blob = (text) => new Blob([text]);
    await hub.createRepo({ ...there, private: true });
    assert.equal((await hub.whoAmI(at)).name, "ada");
    const { commit: first } = await hub.commit({ ...there, title: "first", operations: [
        { operation: "addOrUpdate", path: "w.bin", content: blob("old".repeat(5000)) },
        { operation: "addOrUpdate", path: "a/b", content: blob("old") } ] });
    await hub.createBranch({ ...there, branch: "old" });
    await hub.commit({ ...there, title: "second", parentCommit: first.oid, operations: [
        { operation: "delete", path: "a/b" },
        { operation: "addOrUpdate", path: "w.bin", content: blob("new".repeat(5000)) } ] });
    const late = hub.uploadFile({ ...there, parentCommit: first.oid,
        file: { path: "late", content: blob("late") } });
    await assert.rejects(late, { statusCode: 412 });
    assert.equal(await hub.fileExists({ ...there, path: "a/b", revision: "old" }), true);
    assert.equal(await hub.fileExists({ ...there, path: "a/b" }), false);
    assert.equal(await hub.downloadFile({ ...there, path: "a/b" }), null);
    const file = await hub.downloadFile({ ...there, path: "w.bin", xet: false });
    assert.equal(file.size, 15000);
    assert.equal(await file.slice(14998, 15000).text(), "ew");
    const titles = [];
    for await (const { title } of hub.listCommits(there)) titles.push(title);
    assert.deepEqual(titles.slice(0, 2), ["second", "first"]);
    assert.equal((await hub.modelInfo({ ...there, name: given.repo })).private, true);
    await hub.createRepo({ ...there, repo: given.other });
    await hub.deleteRepo({ ...there, repo: given.other });
    assert.equal(await hub.repoExists({ ...there, repo: given.other }), false);
"""


def test_the_javascript_client_makes_commits_reads_ranges_and_deletes(
    either_hub, client_environment
):
    node(client_environment, _NODE, repo=REPOSITORY, other="ada/gone")
    old, new = (either_hub.files(REPOSITORY, name) for name in ("old", "main"))
    assert old.pop(".gitattributes") == new.pop(".gitattributes")
    assert old == {"w.bin": b"old" * 5000, "a/b": b"old"}
    assert new == {"w.bin": b"new" * 5000}
    assert any(request.range for request in asked(either_hub, path="w.bin"))


# The hf command


@plain
def test_the_hf_command_says_who_one_is_and_refuses_another_name(either_hub, client_environment):
    assert "ada" in hf(client_environment, "auth", "whoami")
    hf(client_environment, "repos", "create", REPOSITORY, "--private")
    assert either_hub.repository(REPOSITORY).private
    with pytest.raises(ClientError, match="409"):
        hf(client_environment, "repos", "create", REPOSITORY)
    with pytest.raises(ClientError, match="You don't have the rights"):
        hf(client_environment, "repos", "create", "bob/tiny")


@plain
def test_the_hf_command_uploads_to_a_branch_and_deletes(either_hub, client_environment, tmp_path):
    either_hub.put(REPOSITORY, {"old.txt": b"old"})
    (tmp_path / "new.bin").write_bytes(b"new" * 5000)
    hf(client_environment, "repos", "branch", "create", REPOSITORY, "feature/x")
    up = ("upload", REPOSITORY, tmp_path / "new.bin", "in/new.bin", "--revision", "feature/x")
    hf(client_environment, *up, "--delete", "*.txt")
    assert either_hub.files(REPOSITORY) == {"old.txt": b"old"}
    hf(client_environment, "repos", "tag", "create", REPOSITORY, "v1", "--revision", "feature/x")
    assert either_hub.files(REPOSITORY, "v1")["in/new.bin"] == b"new" * 5000
