"""Models pushed: in one commit, over nobody else's, with nothing left behind."""

import pytest

from folders import CONFIG, machine, saved
from genzoo import GenModel
from genzoo.cli import main
from genzoo.errors import (
    HubAccessError,
    HubConflictError,
    HubError,
    HubMissingError,
    HubNetworkError,
    LoadError,
    OutputExistsError,
)
from genzoo.hub import retry
from genzoo.hub.reference import Reference
from genzoo.pretrained.pulling import pull
from genzoo.pretrained.pushing import push
from hub_server import Fault
from hubs import REPOSITORY, WEIGHTS, asked, same

REDIRECT = Fault(status=302, after=True)
OURS = {CONFIG, WEIGHTS, "README.md", "samples.png"}


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr(retry.time, "sleep", lambda seconds: None)


@pytest.fixture
def folder(tmp_path):
    return saved(tmp_path / "model")


def test_a_model_is_pushed_and_loaded_back_bit_equal(hub):
    model = machine()
    address = model.push_to_hub(REPOSITORY)
    assert hub.head(REPOSITORY) in address
    assert same(GenModel.from_pretrained(REPOSITORY), model)
    assert set(hub.files(REPOSITORY)) >= {CONFIG, WEIGHTS, "README.md"}


def test_a_push_is_one_commit(hub, folder):
    push(folder, REPOSITORY)
    before = len(hub.commits(REPOSITORY))
    push(saved(folder, machine(seed=1)), REPOSITORY, message="better weights")
    found = hub.commits(REPOSITORY)
    assert len(found) == before + 1
    assert found[0].title == "better weights"


def test_the_card_says_where_the_model_is_and_what_its_licence_is(hub, folder):
    push(folder, REPOSITORY, license="mit")
    card = hub.files(REPOSITORY)["README.md"].decode()
    assert f'GenModel.from_pretrained("{REPOSITORY}")' in card
    assert "license: mit" in card
    assert (folder / "README.md").read_text() == card


def test_nothing_but_the_model_is_pushed(hub, folder):
    for name in ("notes.txt", ".env", "optimizer.pt", "metrics.jsonl", "environment.json"):
        (folder / name).write_text("secret")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "step.safetensors").write_text("secret")
    (folder / "recipe.toml").write_text("")
    push(folder, REPOSITORY)
    assert set(hub.files(REPOSITORY)) - {".gitattributes"} == {*OURS, "recipe.toml"}


@pytest.mark.parametrize("name", ["README.md", "recipe.toml", "samples.png"])
def test_what_a_link_leads_to_outside_is_not_published(name, hub, folder, tmp_path):
    (tmp_path / "token").write_text("hf_secret")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / "token")
    with pytest.raises(LoadError, match="a link out of its folder"):
        push(folder, REPOSITORY)
    assert not asked(hub, path="/api/")


def test_files_that_are_no_longer_the_models_go_and_other_peoples_stay(hub, folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("genzoo.saving.MAX_SHARD_SIZE", 100)
        push(saved(folder, machine()), REPOSITORY)
    assert "model.safetensors.index.json" in hub.files(REPOSITORY)
    hub.put(REPOSITORY, {"paper.pdf": b"pdf", "pytorch_model.bin": b"theirs"})
    push(saved(folder, machine(seed=1)), REPOSITORY, samples=0)
    there = set(hub.files(REPOSITORY)) - {".gitattributes"}
    assert there == {*OURS, "paper.pdf", "pytorch_model.bin"}
    assert same(GenModel.from_pretrained(REPOSITORY), machine(seed=1))


def test_two_who_push_at_once_do_not_overwrite_each_other(hub, folder):
    push(folder, REPOSITORY)

    def other(request):
        if request.method == "POST" and "/preupload/" in request.path:
            hub.on_request = None
            hub.put(REPOSITORY, {WEIGHTS: b"the other one's"})

    hub.on_request = other
    with pytest.raises(HubConflictError, match="somebody else pushed"):
        push(saved(folder, machine(seed=1)), REPOSITORY)
    assert hub.files(REPOSITORY)[WEIGHTS] == b"the other one's"


@pytest.mark.parametrize("path", ["/api/repos/create", "/commit/", "/preupload/"])
def test_a_busy_hub_is_asked_again(path, hub, folder):
    hub.fault(Fault(status=503), method="POST", path=path, times=2)
    push(folder, REPOSITORY)
    assert same(GenModel.from_pretrained(REPOSITORY), machine())


def test_a_commit_that_arrived_though_its_answer_did_not_is_no_conflict(hub, folder):
    push(folder, REPOSITORY)
    hub.fault(Fault(status=503, after=True), method="POST", path="/commit/", times=1)
    address = push(saved(folder, machine(seed=1)), REPOSITORY)
    assert hub.head(REPOSITORY) in address


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b"", b"<html>"])
@pytest.mark.parametrize("path", ["/api/repos/create", "/preupload/", "/batch", "/commit/"])
def test_a_hub_that_answers_a_push_with_something_else_is_told_in_words(path, body, hub, folder):
    hub.fault(Fault(status=200, body=body), method="POST", path=path, times=100)
    with pytest.raises(HubError, match=f"(repository|push to) {REPOSITORY}") as caught:
        push(folder, REPOSITORY, samples=0)
    assert type(caught.value) is HubError
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("answer", [Fault(status=200, body=b"{}", after=True), REDIRECT])
def test_a_commit_that_arrived_though_its_answer_is_none_is_found(answer, hub, folder):
    hub.fault(answer, method="POST", path="/commit/", times=1)
    address = push(folder, REPOSITORY)
    assert hub.head(REPOSITORY) in address
    assert len(hub.commits(REPOSITORY)) == 2


def test_a_hub_that_does_not_say_who_one_is_is_told(hub, folder, capsys):
    hub.fault(Fault(status=200, body=b"{}"), path="/whoami", times=100)
    with pytest.raises(SystemExit):
        main(["publish", str(folder)])
    assert "does not say who you are. Name yourself: --namespace" in capsys.readouterr().err


def test_a_hub_that_stays_busy_leaves_what_was_there(hub, folder):
    push(folder, REPOSITORY)
    head = hub.head(REPOSITORY)
    hub.fault(Fault(status=503), method="POST", path="/commit/", times=100)
    with pytest.raises(HubNetworkError):
        push(saved(folder, machine(seed=1)), REPOSITORY)
    assert hub.head(REPOSITORY) == head


def test_another_users_name_is_refused(hub, folder):
    with pytest.raises(HubAccessError, match="rights"):
        push(folder, "bob/tiny")


def test_a_branch_is_made_and_main_is_left_alone(hub, folder):
    push(folder, REPOSITORY)
    main = hub.head(REPOSITORY)
    push(saved(folder, machine(seed=1)), REPOSITORY, revision="better")
    assert hub.head(REPOSITORY) == main
    assert same(GenModel.from_pretrained(REPOSITORY, revision="better"), machine(seed=1))


def test_a_private_repository_stays_so(hub, folder):
    push(folder, REPOSITORY, private=True)
    assert same(GenModel.from_pretrained(REPOSITORY), machine())
    with pytest.raises(HubMissingError, match="private"):
        GenModel.from_pretrained(REPOSITORY, token="hf_bob")


def test_a_folder_that_is_no_sound_model_is_not_pushed(hub, folder):
    (folder / WEIGHTS).write_bytes(b"damaged")
    with pytest.raises(LoadError):
        push(folder, REPOSITORY)
    assert not asked(hub, path="/api/")


def test_a_hub_without_xet_is_named_with_what_to_do(hub, folder, monkeypatch):
    """The client is told of Xet by what is installed, not by the Hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", False)
    (folder / "samples.png").write_bytes(bytes(range(256)) * 100)
    with pytest.raises(HubNetworkError, match="HF_HUB_DISABLE_XET=1"):
        push(folder, REPOSITORY)


# Pulling


def test_a_model_is_pulled_with_all_that_lies_beside_it(hub, folder, tmp_path):
    (folder / "recipe.toml").write_text("[model]\n")
    push(folder, REPOSITORY)
    hub.put(REPOSITORY, {"code.py": b"import os", "deep/config.json": b"{}"})
    pulled = pull(Reference(REPOSITORY), tmp_path / "pulled")
    assert {p.name for p in pulled.iterdir()} == {*OURS, "recipe.toml"}
    assert not any(path.is_symlink() for path in pulled.iterdir())
    assert same(GenModel.from_pretrained(pulled), machine())


def test_a_folder_that_holds_something_is_not_pulled_over(hub, folder, tmp_path):
    push(folder, REPOSITORY)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        pull(Reference(REPOSITORY), tmp_path / "mine")
    pull(Reference(REPOSITORY), tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"


def test_what_was_pulled_pushes_back_as_it_was(hub, folder, tmp_path):
    push(folder, REPOSITORY)
    head = hub.head(REPOSITORY)
    push(pull(Reference(REPOSITORY), tmp_path / "pulled"), REPOSITORY)
    assert hub.head(REPOSITORY) == head
