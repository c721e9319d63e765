"""Clients that are not ours: what genzoo pushes reaches each one, what each pushes loads here.

That they, too, are content with the Hub of the tests is what its likeness to the real one rests
on: it must lack nothing that one of them asks for.
"""

import pytest

from clients import ClientError, hf, node, python
from folders import contents, machine, saved
from genzoo import GenModel
from hubs import REPOSITORY, asked, same


class HF:
    """The hf command."""

    xet = True

    @staticmethod
    def push(environment, folder):
        hf(environment, "repos", "create", REPOSITORY)
        hf(environment, "upload", REPOSITORY, folder, ".", "--commit-message", "theirs")

    @staticmethod
    def pull(environment, folder, revision="main"):
        to = ("--revision", revision, "--local-dir", folder)
        hf(environment, "download", REPOSITORY, *to)


class Older:
    """huggingface_hub 0.36, on requests in place of httpx."""

    xet = True

    @staticmethod
    def push(environment, folder):
        python("older", environment, _OLDER_PUSH, REPOSITORY, folder)

    @staticmethod
    def pull(environment, folder, revision="main"):
        python("older", environment, _OLDER_PULL, REPOSITORY, folder, revision)


class JavaScript:
    """@huggingface/hub. Its Xet speaks HTTP to a storage, which the tests' Hub has not: hf_xet's
    folders are for hf_xet alone. So a Hub with Xet, too, gives and takes whole files with it."""

    xet = False

    @staticmethod
    def push(environment, folder):
        node(
            environment,
            _NODE_PUSH,
            repo=REPOSITORY,
            folder=folder,
            names=sorted(contents(folder)),
        )

    @staticmethod
    def pull(environment, folder, revision="main"):
        node(environment, _NODE_PULL, repo=REPOSITORY, folder=folder, revision=revision)


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
    repository, folder, revision = sys.argv[1:]
    shutil.copytree(huggingface_hub.snapshot_download(repository, revision=revision), folder)
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
    const { repo, folder, revision } = given;
    const there = { ...at, repo, revision };
    for await (const { type, path } of hub.listFiles({ ...there, recursive: true })) {
        if (type !== "file") continue;
        const file = await hub.downloadFile({ ...there, path, xet: false });
        await mkdir(dirname(join(folder, path)), { recursive: true });
        await writeFile(join(folder, path), Buffer.from(await file.arrayBuffer()));
    }
"""


def pulled(tmp_path):
    """Return what was pulled, without what the hf command notes down next to it."""
    found = contents(tmp_path / "pulled")
    return {name: data for name, data in found.items() if not name.startswith(".cache")}


plain = pytest.mark.parametrize("either_hub", ["lfs"], indirect=True)
every_client = pytest.mark.parametrize("client", [HF, Older, JavaScript])


@every_client
def test_what_genzoo_pushes_arrives_with_equal_bytes(
    client, either_hub, client_environment, tmp_path
):
    model = machine(num_hidden=3000)
    model.push_to_hub(REPOSITORY)
    either_hub.put(REPOSITORY, {"more/notes.txt": b"in a folder"})
    client.pull(client_environment, tmp_path / "pulled")
    assert bool(asked(either_hub, path="/xet-read-token/")) == (client.xet and either_hub.xet)
    assert pulled(tmp_path) == either_hub.files(REPOSITORY)
    assert same(GenModel.from_pretrained(tmp_path / "pulled"), model)


@every_client
def test_what_it_pushes_loads_bit_equal(client, either_hub, client_environment, tmp_path):
    model = machine(num_hidden=3000)
    folder = saved(tmp_path / "model", model)
    (folder / "more").mkdir()
    (folder / "more" / "notes.txt").write_text("in a folder")
    client.push(client_environment, folder)
    assert bool(asked(either_hub, path="/xet-write-token/")) == (client.xet and either_hub.xet)
    assert contents(folder).items() <= either_hub.files(REPOSITORY).items()
    assert either_hub.commits(REPOSITORY)[0].title == "theirs"
    assert same(GenModel.from_pretrained(REPOSITORY), model)


# A slash of a branch's name is left unquoted by JavaScript's client, and so reads as a folder's.
@plain
@pytest.mark.parametrize(
    ("client", "revision"),
    [
        *((client, name) for client in (HF, Older, JavaScript) for name in ("v1", "refs/pr/1")),
        *((client, "feature/x") for client in (HF, Older)),
    ],
)
def test_a_revision_is_what_it_was(client, revision, either_hub, client_environment, tmp_path):
    old = either_hub.put(REPOSITORY, {"w.bin": b"old" * 5000, "notes.txt": b"old"})
    repository = either_hub.repository(REPOSITORY)
    where = {
        "v1": repository.tags,
        "feature/x": repository.branches,
        "refs/pr/1": repository.pulls,
    }
    where[revision][revision.removeprefix("refs/pr/")] = repository.commit_of(old)
    either_hub.put(REPOSITORY, {"w.bin": b"new" * 5000, "notes.txt": b"new"})
    client.pull(client_environment, tmp_path / "pulled", revision)
    assert pulled(tmp_path) == {"w.bin": b"old" * 5000, "notes.txt": b"old"}


@plain
@every_client
def test_a_listing_is_read_to_its_last_page(client, either_hub, client_environment, tmp_path):
    files = {f"folder {n % 3}/ü{n}.txt": b"%d" % n for n in range(10)}
    either_hub.put(REPOSITORY, files)
    either_hub.page_size = 4
    client.pull(client_environment, tmp_path / "pulled")
    assert pulled(tmp_path) == files


@plain
@every_client
@pytest.mark.parametrize(
    ("kind", "token", "says"),
    [
        ("private", "hf_bob", "(?i)not found"),
        ("gated", "hf_bob", "restricted|requires approval"),
        ("public", "hf_wrong", "Invalid credentials in Authorization header"),
    ],
    ids=["private", "gated", "wrong token"],
)
def test_what_is_not_for_its_user_is_refused(
    kind, token, says, client, either_hub, client_environment, tmp_path
):
    options = {"private": kind == "private", "gated": kind == "gated"}
    either_hub.put(REPOSITORY, {"notes.txt": b"ada's"}, **options)
    with pytest.raises(ClientError, match=says):
        client.pull(client_environment | {"HF_TOKEN": token}, tmp_path / "pulled")
    assert pulled(tmp_path) == {}
    client.pull(client_environment, tmp_path / "pulled")
    assert pulled(tmp_path) == {"notes.txt": b"ada's"}
