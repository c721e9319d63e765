"""Clients that are not ours: what genzoo pushes reaches each one, what each pushes loads here.

That they, too, are content with the Hub of the tests is what its likeness to the real one rests
on: it must lack nothing that one of them asks for.
"""

import pytest

from clients import hf, node, python
from folders import contents, machine, saved
from genzoo import GenModel
from hubs import REPOSITORY, asked, same

HARNESSES = "/api/agent-harnesses"
"""Asked for by the hf command, which is content with 404."""


@pytest.fixture(params=["lfs", "xet"])
def either_hub(request, hub):
    """The Hub, without Xet and with it."""
    yield request.getfixturevalue("xet_hub") if request.param == "xet" else hub
    assert {request.path for request in hub.unknown} <= {HARNESSES}


@pytest.fixture
def environment(either_hub, hub_environment):
    """The environment of a client, who is ada and whose home is empty."""
    return hub_environment | ({} if either_hub.xet else {"HF_HUB_DISABLE_XET": "1"})


class HF:
    """The hf command."""

    xet = True

    @staticmethod
    def push(environment, folder):
        hf(environment, "repos", "create", REPOSITORY)
        hf(environment, "upload", REPOSITORY, folder, ".", "--commit-message", "theirs")

    @staticmethod
    def pull(environment, folder):
        hf(environment, "download", REPOSITORY, "--local-dir", folder)


class Older:
    """huggingface_hub 0.36, on requests in place of httpx."""

    xet = True

    @staticmethod
    def push(environment, folder):
        python("older", environment, _OLDER_PUSH, REPOSITORY, folder)

    @staticmethod
    def pull(environment, folder):
        python("older", environment, _OLDER_PULL, REPOSITORY, folder)


class JavaScript:
    """@huggingface/hub. Its Xet speaks HTTP to a storage, which the tests' Hub has not: hf_xet's
    folders are for hf_xet alone. So a Hub with Xet, too, gives and takes whole files with it."""

    xet = False

    @staticmethod
    def push(environment, folder):
        node(
            environment, _NODE_PUSH, repo=REPOSITORY, folder=folder, names=sorted(contents(folder))
        )

    @staticmethod
    def pull(environment, folder):
        node(environment, _NODE_PULL, repo=REPOSITORY, folder=folder)


_OLDER_PUSH = """
    import sys
    import huggingface_hub
    assert huggingface_hub.__version__.startswith("0.36."), huggingface_hub.__version__
    repository, folder = sys.argv[1:]
    api = huggingface_hub.HfApi()
    api.create_repo(repository)
    api.upload_folder(repo_id=repository, folder_path=folder, commit_message="theirs")
"""
_OLDER_PULL = """
    import shutil, sys
    import huggingface_hub
    assert huggingface_hub.__version__.startswith("0.36."), huggingface_hub.__version__
    repository, folder = sys.argv[1:]
    shutil.copytree(huggingface_hub.snapshot_download(repository), folder)
"""
_NODE_PUSH = """
    const { repo, folder, names } = given;
    await hub.createRepo({ ...at, repo });
    const files = names.map(async (path) =>
        ({ path, content: new Blob([await readFile(join(folder, path))]) }));
    await hub.uploadFiles(
        { ...at, repo, files: await Promise.all(files), commitTitle: "theirs", useXet: false });
"""
_NODE_PULL = """
    const { repo, folder } = given;
    for await (const { type, path } of hub.listFiles({ ...at, repo, recursive: true })) {
        if (type !== "file") continue;
        const file = await hub.downloadFile({ ...at, repo, path, xet: false });
        await mkdir(dirname(join(folder, path)), { recursive: true });
        await writeFile(join(folder, path), Buffer.from(await file.arrayBuffer()));
    }
"""

every_client = pytest.mark.parametrize("client", [HF, Older, JavaScript])


@every_client
def test_what_genzoo_pushes_arrives_with_equal_bytes(client, either_hub, environment, tmp_path):
    model = machine(num_hidden=3000)
    model.push_to_hub(REPOSITORY)
    either_hub.put(REPOSITORY, {"more/notes.txt": b"in a folder"})
    client.pull(environment, tmp_path / "pulled")
    assert bool(asked(either_hub, path="/xet-read-token/")) == (client.xet and either_hub.xet)
    found = contents(tmp_path / "pulled")
    found = {name: data for name, data in found.items() if not name.startswith(".cache")}
    assert found == either_hub.files(REPOSITORY)
    assert same(GenModel.from_pretrained(tmp_path / "pulled"), model)


@every_client
def test_what_it_pushes_loads_bit_equal(client, either_hub, environment, tmp_path):
    model = machine(num_hidden=3000)
    folder = saved(tmp_path / "model", model)
    (folder / "more").mkdir()
    (folder / "more" / "notes.txt").write_text("in a folder")
    client.push(environment, folder)
    assert bool(asked(either_hub, path="/xet-write-token/")) == (client.xet and either_hub.xet)
    assert contents(folder).items() <= either_hub.files(REPOSITORY).items()
    assert either_hub.commits(REPOSITORY)[0].title == "theirs"
    assert same(GenModel.from_pretrained(REPOSITORY), model)
