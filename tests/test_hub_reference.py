"""Names of repositories, revisions and folders say what they seem to say, or are refused."""

import pytest

from escapes import ESCAPES
from genzoo import GenModel
from genzoo.errors import ConfigError
from genzoo.hub import names_repository
from genzoo.hub.reference import Reference, is_repository


@pytest.mark.parametrize("name", ["ada/vae", "a/b", "Ada-L/vae_digits.v2", "0x/1.5b"])
def test_a_user_and_a_name_are_a_repository(name):
    assert is_repository(name)
    assert Reference(name).repository == name


@pytest.mark.parametrize(
    "name",
    [
        *("vae", "a/b/c", "/b", "a/", "a//b", "../b", "a/..", "a/b.git", "a/b..c", "a/b--c"),
        *("a b/c", "a/b\n", "a\\b", "https://x.y/a/b", "~/b", "./b", "a/-b", "a/b.", "ä/b"),
        *("a" * 97 + "/b", "a/" + "b" * 97),
    ],
)
def test_what_is_no_user_and_name_is_no_repository(name):
    assert not is_repository(name)
    with pytest.raises(ConfigError, match="give user/name"):
        Reference(name)


@pytest.mark.parametrize("revision", ["main", "v1.0", "refs/pr/1", "feature/x-y", "a" * 40])
def test_branches_tags_pull_requests_and_commits_are_revisions(revision):
    assert Reference("a/b", revision).revision == revision


@pytest.mark.parametrize("text", ESCAPES)
def test_no_revision_leads_out(text):
    with pytest.raises(ConfigError, match="is not a revision"):
        Reference("a/b", text)


@pytest.mark.parametrize("text", ESCAPES)
def test_no_subfolder_leads_out(text):
    with pytest.raises(ConfigError, match="is not a folder of a repository"):
        Reference("a/b", subfolder=text)


@pytest.mark.parametrize("text", ESCAPES)
def test_loading_refuses_them_before_anything_is_asked(text, hub):
    with pytest.raises(ConfigError):
        GenModel.from_pretrained("ada/tiny", revision=text)
    with pytest.raises(ConfigError):
        GenModel.from_pretrained("ada/tiny", subfolder=text)
    assert hub.requests == []


@pytest.mark.parametrize("text", ESCAPES)
def test_a_folder_of_this_machine_has_no_subfolder_that_leads_out_either(text, tmp_path):
    with pytest.raises(ConfigError):
        GenModel.from_pretrained(tmp_path, subfolder=text)


def test_a_folder_that_is_here_is_not_looked_for_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert names_repository("ada/tiny")
    (tmp_path / "ada" / "tiny").mkdir(parents=True)
    assert not names_repository("ada/tiny")
    assert not names_repository(tmp_path / "none")


def test_a_folder_of_this_machine_has_no_revision(tmp_path):
    with pytest.raises(ConfigError, match="only repositories have a revision"):
        GenModel.from_pretrained(tmp_path, revision="main")


def test_a_reference_is_written_as_a_person_would():
    assert str(Reference("a/b")) == "a/b"
    assert str(Reference("a/b", "v1", "sub/x")) == "a/b/sub/x@v1"
