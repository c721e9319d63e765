"""The tests' Hub, as the unmodified client meets it: files, commits, names and rights."""

import hashlib
from pathlib import Path

import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    ModelCard,
    get_hf_file_metadata,
    get_session,
    hf_hub_download,
    hf_hub_url,
    snapshot_download,
)
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from folders import contents
from hub_server.store import git_oid
from hubs import REPOSITORY, asked

LARGE, SMALL = bytes(range(256)) * 400, b"small\n"
FILES = {"w.bin": LARGE, "notes.txt": SMALL, "a/b/deep.safetensors": LARGE[1:], "a/empty": b""}


@pytest.fixture
def api():
    return HfApi()


@pytest.fixture
def folder(tmp_path):
    """A folder of the files."""
    for name, data in FILES.items():
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "folder"


def status(call, *arguments, **options):
    """Return the status with which the Hub refuses a call."""
    with pytest.raises(HfHubHTTPError) as caught:
        call(*arguments, **options)
    return caught.value.response.status_code


# Files


def test_a_folder_comes_back_with_equal_bytes(either_hub, api, folder):
    api.create_repo(REPOSITORY)
    made = api.upload_folder(repo_id=REPOSITORY, folder_path=folder, commit_message="all")
    assert either_hub.files(REPOSITORY).items() >= FILES.items()
    assert made.oid == either_hub.head(REPOSITORY)
    assert contents(Path(snapshot_download(REPOSITORY))).items() >= FILES.items()
    went_by_xet = {"/xet-write-token/", "/xet-read-token/"} & {
        f"/{part}/" for request in either_hub.requests for part in request.path.split("/")
    }
    assert bool(went_by_xet) == either_hub.xet
    assert bool(asked(either_hub, method="PUT", path="/lfs/")) != either_hub.xet


def test_what_is_there_is_not_committed_again(either_hub, api, folder):
    api.create_repo(REPOSITORY)
    first = api.upload_folder(repo_id=REPOSITORY, folder_path=folder)
    again = api.upload_folder(repo_id=REPOSITORY, folder_path=folder)
    assert again.oid == first.oid
    assert len(either_hub.commits(REPOSITORY)) == 2


def test_a_large_file_is_uploaded_in_parts(hub, api):
    hub.part_size = 40_000
    hub.put(REPOSITORY, {})
    api.upload_file(path_or_fileobj=LARGE, path_in_repo="w.bin", repo_id=REPOSITORY)
    assert hub.files(REPOSITORY) == {"w.bin": LARGE}
    sizes = [len(request.body) for request in asked(hub, method="PUT", path="/lfs/")]
    assert sorted(sizes) == [22_400, 40_000, 40_000]


def test_a_file_that_is_not_the_announced_one_is_refused(hub):
    address = hub.signed(f"/lfs/{hashlib.sha256(LARGE).hexdigest()}")
    assert get_session().put(address, content=LARGE[:-1]).status_code == 400
    assert get_session().put(address, content=LARGE).status_code == 200


def test_the_storage_wants_its_signature_and_no_token(hub):
    hub.put(REPOSITORY, {"w.bin": LARGE})
    address = hub.signed(f"/cdn/{hashlib.sha256(LARGE).hexdigest()}/w.bin")
    token = {"authorization": "Bearer hf_ada"}
    assert get_session().get(address).content == LARGE
    assert get_session().get(address, headers=token).status_code == 400
    assert get_session().get(address.replace("Signature=", "Signature=0")).status_code == 403


@pytest.mark.parametrize("name", ["w.bin", "notes.txt"])
def test_what_is_known_of_a_file_before_it_is_fetched(name, either_hub):
    sha, data = either_hub.put(REPOSITORY, FILES), FILES[name]
    found = get_hf_file_metadata(hf_hub_url(REPOSITORY, name))
    large = name == "w.bin"
    assert found.commit_hash == sha
    assert found.size == len(data)
    assert found.etag == (hashlib.sha256(data).hexdigest() if large else git_oid(data))
    assert (found.xet_file_data is not None) == (large and either_hub.xet)
    head = get_session().head(hf_hub_url(REPOSITORY, name), follow_redirects=False)
    assert head.content == b""
    assert head.headers["x-repo-commit"] == sha
    assert head.status_code == (302 if large else 200)
    assert head.headers.get("x-linked-size") == (str(len(data)) if large else None)


@pytest.mark.parametrize("name", ["w.bin", "notes.txt"])
@pytest.mark.parametrize(
    ("asks", "part"),
    [
        ("bytes=0-1", slice(0, 2)),
        ("bytes=3-", slice(3, None)),
        ("bytes=2-1000000", slice(2, None)),
        ("bytes=-2", slice(-2, None)),
    ],
)
def test_a_part_is_sent_where_a_part_is_asked_for(asks, part, name, hub):
    hub.put(REPOSITORY, FILES)
    url = hf_hub_url(REPOSITORY, name)
    response = get_session().get(url, headers={"range": asks}, follow_redirects=True)
    data = FILES[name][part]
    first = range(len(FILES[name]))[part].start
    assert response.status_code == 206
    assert response.content == data
    of = f"bytes {first}-{first + len(data) - 1}/{len(FILES[name])}"
    assert response.headers["content-range"] == of


def test_a_part_behind_the_end_is_refused(hub):
    hub.put(REPOSITORY, FILES)
    url, behind = hf_hub_url(REPOSITORY, "notes.txt"), {"range": f"bytes={len(SMALL)}-"}
    response = get_session().get(url, headers=behind)
    assert response.status_code == 416
    assert response.headers["content-range"] == f"bytes */{len(SMALL)}"


def test_folders_and_files_are_listed(either_hub, api):
    either_hub.put(REPOSITORY, FILES)
    top = {entry.path for entry in api.list_repo_tree(REPOSITORY)}
    assert top == {"a", "notes.txt", "w.bin"}
    inside = {entry.path for entry in api.list_repo_tree(REPOSITORY, "a", recursive=True)}
    assert inside == {"a/b", "a/b/deep.safetensors", "a/empty"}
    found = api.get_paths_info(REPOSITORY, ["w.bin", "none", "a"])
    assert {entry.path for entry in found} == {"w.bin", "a"}
    info = api.model_info(REPOSITORY, files_metadata=True)
    assert {file.rfilename: file.size for file in info.siblings} == {
        name: len(data) for name, data in FILES.items()
    }
    with pytest.raises(HfHubHTTPError) as caught:
        list(api.list_repo_tree(REPOSITORY, "none"))
    assert caught.value.response.headers["x-error-code"] == "EntryNotFound"


def test_a_file_of_a_folder_is_fetched_by_its_subfolder(either_hub):
    either_hub.put(REPOSITORY, FILES)
    path = hf_hub_download(REPOSITORY, "deep.safetensors", subfolder="a/b")
    assert Path(path).read_bytes() == FILES["a/b/deep.safetensors"]


def test_what_was_asked_is_in_the_log(hub, api):
    hub.put(REPOSITORY, FILES)
    api.model_info(REPOSITORY, files_metadata=True, token="hf_bob")
    (request,) = hub.requests
    assert (request.method, request.path) == ("GET", f"/api/models/{REPOSITORY}")
    assert (request.token, request.query, request.status) == ("hf_bob", {"blobs": "true"}, 200)
    api.create_tag(REPOSITORY, tag="v1", tag_message="first")
    assert hub.requests[1].json == {"tag": "v1", "message": "first"}
    assert get_session().get(f"{hub.url}/api/nonsense").status_code == 404
    assert [request.path for request in hub.unknown] == ["/api/nonsense"]


# Commits


def add(name, data):
    return CommitOperationAdd(path_in_repo=name, path_or_fileobj=data)


def test_a_commit_is_all_or_nothing(hub, api):
    hub.put(REPOSITORY, FILES)
    head, gone = hub.head(REPOSITORY), CommitOperationDelete("none.txt")
    assert status(api.create_commit, REPOSITORY, [add("x", b"x"), gone], commit_message="no")
    assert hub.head(REPOSITORY) == head
    changes = [add("x", b"x"), CommitOperationDelete("a/"), CommitOperationDelete("w.bin")]
    api.create_commit(REPOSITORY, changes, commit_message="title", commit_description="text")
    assert hub.files(REPOSITORY) == {"x": b"x", "notes.txt": SMALL}
    made = hub.commits(REPOSITORY)[0]
    assert (made.title, made.message, made.user, made.parent.sha) == ("title", "text", "ada", head)


@pytest.mark.parametrize("length", [40, 7])
def test_a_commit_upon_a_stale_parent_is_refused(length, hub, api):
    first = hub.put(REPOSITORY, {"a": b"1"})
    second = hub.put(REPOSITORY, {"a": b"2"})
    change, said = [add("a", b"3")], {"commit_message": "third"}
    stale, fresh = first[:length], second[:length]
    assert status(api.create_commit, REPOSITORY, change, parent_commit=stale, **said) == 412
    assert hub.files(REPOSITORY) == {"a": b"2"}
    api.create_commit(REPOSITORY, [add("a", b"3")], parent_commit=fresh, **said)
    assert hub.files(REPOSITORY) == {"a": b"3"}


def test_branches_and_tags_are_made_listed_and_deleted(hub, api):
    first = hub.put(REPOSITORY, {"a": b"1"})
    api.create_tag(REPOSITORY, tag="v1")
    api.create_branch(REPOSITORY, branch="feature/x")
    api.create_branch(REPOSITORY, branch="old", revision="v1")
    assert status(api.create_tag, REPOSITORY, tag="v1") == 409
    assert status(api.create_branch, REPOSITORY, branch="old") == 409
    api.create_commit(REPOSITORY, [add("a", b"2")], commit_message="x", revision="feature/x")
    assert hub.files(REPOSITORY) == hub.files(REPOSITORY, "v1") == {"a": b"1"}
    assert Path(hf_hub_download(REPOSITORY, "a", revision="feature/x")).read_bytes() == b"2"
    refs = api.list_repo_refs(REPOSITORY)
    assert {ref.name for ref in refs.branches} == {"main", "feature/x", "old"}
    assert [(ref.ref, ref.target_commit) for ref in refs.tags] == [("refs/tags/v1", first)]
    api.delete_tag(REPOSITORY, tag="v1")
    api.delete_branch(REPOSITORY, branch="old")
    for name in ("v1", "old", "0" * 40):
        with pytest.raises(RevisionNotFoundError):
            api.model_info(REPOSITORY, revision=name)
    assert status(api.delete_branch, REPOSITORY, branch="main") == 403


def test_a_pull_request_leaves_main_alone(hub, api):
    hub.put(REPOSITORY, {"a": b"1"})
    theirs = {"commit_message": "theirs", "token": "hf_bob"}
    assert status(api.create_commit, REPOSITORY, [add("a", b"2")], **theirs) == 403
    made = api.create_commit(REPOSITORY, [add("a", b"2")], create_pr=True, **theirs)
    assert made.pr_revision == "refs/pr/1"
    assert hub.files(REPOSITORY) == {"a": b"1"}
    assert Path(hf_hub_download(REPOSITORY, "a", revision="refs/pr/1")).read_bytes() == b"2"
    for quoted in ("refs/pr/1", "refs%2Fpr%2F1"):
        listed = get_session().get(f"{hub.url}/api/models/{REPOSITORY}/tree/{quoted}").json()
        assert [entry["oid"] for entry in listed] == [git_oid(b"2")]


def test_a_card_with_a_head_that_cannot_be_read_is_refused_before_the_commit(hub, api):
    hub.put(REPOSITORY, {})
    with pytest.raises(ValueError, match="Invalid metadata in README"):
        api.upload_file(
            path_or_fileobj=b"---\nmodel-index: 7\n---\n",
            path_in_repo="README.md",
            repo_id=REPOSITORY,
        )
    assert hub.files(REPOSITORY) == {}
    # In older clients a card's own push_to_hub asks huggingface.co whether it can be read.
    card = ModelCard("---\nlicense: mit\ntags: [x]\n---\nText.\n")
    api.upload_file(
        path_or_fileobj=str(card).encode(), path_in_repo="README.md", repo_id=REPOSITORY
    )
    info = api.model_info(REPOSITORY)
    assert info.card_data.license == "mit"
    assert {"x", "license:mit"} <= set(info.tags)


# Who may see and do what


@pytest.mark.parametrize(("token", "code"), [("hf_bob", 404), (False, 401)])
def test_a_private_repository_is_its_owners(token, code, either_hub, api):
    either_hub.put(REPOSITORY, FILES, private=True)
    for call in (api.model_info, snapshot_download):
        with pytest.raises(RepositoryNotFoundError) as caught:
            call(REPOSITORY, token=token)
        assert caught.value.response.status_code == code
    assert not api.file_exists(REPOSITORY, "w.bin", token=token)
    assert list(api.list_models(author="ada", token=token)) == []
    assert [model.id for model in api.list_models(author="ada")] == [REPOSITORY]
    assert contents(Path(snapshot_download(REPOSITORY))) == FILES


@pytest.mark.parametrize(("token", "code"), [("hf_bob", 403), (False, 401)])
def test_a_gated_repository_is_known_to_all_but_its_files(token, code, either_hub, api):
    either_hub.put(REPOSITORY, FILES, gated=True)
    assert api.model_info(REPOSITORY, token=token).gated == "auto"
    with pytest.raises(GatedRepoError) as caught:
        hf_hub_download(REPOSITORY, "w.bin", token=token)
    assert caught.value.response.status_code == code
    either_hub.repository(REPOSITORY).allowed.add("bob")
    assert Path(hf_hub_download(REPOSITORY, "w.bin", token="hf_bob")).read_bytes() == LARGE


def test_a_repository_is_made_changed_and_deleted_by_its_owner(hub, api):
    api.create_repo(REPOSITORY, private=True)
    assert list(hub.files(REPOSITORY)) == [".gitattributes"]
    assert status(api.create_repo, REPOSITORY) == 409
    assert api.create_repo(REPOSITORY, exist_ok=True).repo_id == REPOSITORY
    assert status(api.create_repo, "bob/x") == 403
    assert status(api.create_repo, "ada/x", token="hf_wrong") == 401
    api.update_repo_settings(REPOSITORY, private=False)
    assert api.model_info(REPOSITORY, token=False).private is False
    assert status(api.delete_repo, "ada/none") == 404
    api.delete_repo(REPOSITORY)
    assert not api.repo_exists(REPOSITORY)


def test_an_organisations_repository_is_its_members_and_some_tokens_only_read(hub, api):
    hub.organisations["team"] = {"ada"}
    api.create_repo("team/x", private=True)
    assert api.model_info("team/x").private
    assert not api.repo_exists("team/x", token="hf_bob")
    assert [one["name"] for one in api.whoami()["orgs"]] == ["team"]
    hub.read_only.add("hf_ada")
    assert status(api.create_repo, "team/y") == 403
    change = {"operations": [add("a", b"1")], "commit_message": "a"}
    assert status(api.create_commit, "team/x", **change) == 403


@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
def test_models_datasets_and_spaces_have_names_of_their_own(kind, hub, api):
    sdk = {"space_sdk": "static"} if kind == "space" else {}
    url = api.create_repo(REPOSITORY, repo_type=kind, **sdk)
    assert (url.repo_type, url.repo_id) == (kind, REPOSITORY)
    options = {"repo_id": REPOSITORY, "repo_type": kind}
    api.upload_file(path_or_fileobj=LARGE, path_in_repo="w.bin", **options)
    assert Path(hf_hub_download(filename="w.bin", **options)).read_bytes() == LARGE
    others = {"model", "dataset", "space"} - {kind}
    assert not any(api.repo_exists(REPOSITORY, repo_type=other) for other in others)
