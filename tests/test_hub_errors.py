"""What can go wrong with a Hub comes to six errors, each with what to do about it."""

import errno
import json
import logging
import types

import pytest
from huggingface_hub.errors import LocalTokenNotFoundError

from genzoo import GenModel
from genzoo.errors import (
    GenzooError,
    HubAccessError,
    HubError,
    HubMissingError,
    HubNetworkError,
    HubOfflineError,
    HubSpaceError,
)
from genzoo.hub import retry
from genzoo.hub.errors import translated
from hub_server import Fault
from hubs import REPOSITORY, WEIGHTS, asked, put_machine, same


@pytest.fixture
def waits(monkeypatch):
    """The seconds that were waited for, which none of them is."""
    found = []
    monkeypatch.setattr(retry.time, "sleep", found.append)
    return found


def commit(**changes):
    """What a Hub answers of a repository with one file, of which something is changed."""
    file = {"rfilename": "config.json", "size": 3, "blobId": "0" * 40, **changes}
    return json.dumps({"id": REPOSITORY, "sha": "0" * 40, "siblings": [file]}).encode()


def refused(kind, match, repository=REPOSITORY, **options):
    with pytest.raises(kind, match=match) as caught:
        GenModel.from_pretrained(repository, **options)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, HubError)


def test_a_repository_that_is_not_there_may_be_private_and_no_folder_has_its_name(hub):
    refused(HubMissingError, "no such repository, or it is private.*A folder with this name")


def test_a_private_repository_reads_the_same_and_loads_with_a_token(hub, tmp_path):
    model, _ = put_machine(hub, tmp_path, private=True)
    refused(HubMissingError, "or it is private", token="hf_bob")
    refused(HubMissingError, "or it is private", token=False)
    assert same(GenModel.from_pretrained(REPOSITORY, token="hf_ada"), model)


def test_a_gated_repository_says_so(hub, tmp_path):
    put_machine(hub, tmp_path, gated=True)
    refused(HubAccessError, "is gated: its authors decide", token="hf_bob")


def test_a_wrong_token_is_told_from_a_missing_repository(hub, tmp_path):
    put_machine(hub, tmp_path)
    refused(HubAccessError, "hf auth login", token="hf_wrong")


def test_a_missing_token_is_named_with_the_remedy():
    found = translated(LocalTokenNotFoundError("Token is required to call the endpoint."), "it")
    assert type(found) is HubAccessError
    assert str(found) == "it: there is no token. Log in (hf auth login) or set HF_TOKEN."


def test_a_hub_that_cannot_be_reached_is_said_at_once(hub, waits, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    refused(HubNetworkError, "cannot be reached.*There is no local folder with this name")
    assert waits == []


def test_what_the_client_gives_up_is_tried_again_with_growing_waits_and_said(
    hub, waits, tmp_path, caplog
):
    model, _ = put_machine(hub, tmp_path)
    hub.fault(Fault(status=503), method="GET", path=WEIGHTS, times=3)
    with caplog.at_level(logging.WARNING):
        assert same(GenModel.from_pretrained(REPOSITORY), model)
    assert waits == [1, 2, 4]
    assert caplog.text.count("the Hub answered 503. Trying again in") == 3


def test_a_hub_that_names_a_time_is_given_it(hub, waits, tmp_path):
    put_machine(hub, tmp_path)
    busy = Fault(status=429, headers={"Retry-After": "7"})
    hub.fault(busy, method="GET", path="/api/models/", times=1)
    GenModel.from_pretrained(REPOSITORY)
    assert waits == [7]


def test_a_hub_that_stays_busy_is_a_network_error(hub, waits, tmp_path):
    put_machine(hub, tmp_path)
    hub.fault(Fault(status=500), method="GET", path="/api/models/", times=100)
    refused(HubNetworkError, r"out of order or too busy \(500, also after retries\)")
    assert waits == list(retry.DELAYS)


def test_a_connection_that_is_cut_is_gone_on_with(hub, waits, tmp_path):
    model, _ = put_machine(hub, tmp_path)
    hub.fault(Fault(cut=50), method="GET", path="model.safetensors|cdn|lfs", times=2)
    assert same(GenModel.from_pretrained(REPOSITORY), model)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/models/"), ("HEAD", "config"), ("GET", WEIGHTS)]
)
def test_a_connection_that_is_reset_is_tried_again(method, path, hub, waits, tmp_path):
    """The client does not: to it a reset is another error than an end."""
    model, _ = put_machine(hub, tmp_path)
    hub.fault(Fault(reset=True), method=method, path=path, times=2)
    assert same(GenModel.from_pretrained(REPOSITORY), model)
    assert waits == [1, 2]


def test_a_connection_that_is_always_cut_is_a_network_error(hub, waits, tmp_path):
    put_machine(hub, tmp_path)
    hub.fault(Fault(cut=50), method="GET", path="model.safetensors|cdn|lfs", times=10**6)
    refused(HubNetworkError, "cannot be reached or closed the connection")


def test_a_refusal_is_not_tried_again(hub, waits, tmp_path):
    put_machine(hub, tmp_path)
    hub.fault(Fault(status=403), method="GET", path="/api/models/", times=100)
    refused(HubAccessError, "refused the request")
    assert waits == []
    assert len(asked(hub, path="/api/models/")) == 1


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), HubSpaceError, "no space left"),
        (RuntimeError("Xet: No space left on device (os error 28)"), HubSpaceError, "no space"),
        (ConnectionError("Network error … 404 … /xet-write-token/main"), HubNetworkError, "XET=1"),
        (ConnectionError("reset"), HubNetworkError, "cannot be reached"),
        (TimeoutError("timed out"), HubNetworkError, "HF_HUB_DOWNLOAD_TIMEOUT"),
        (OSError(errno.EROFS, "Read-only file system", "/c"), GenzooError, "HF_HUB_CACHE"),
        (ValueError("Invalid metadata in README.md"), HubError, "Invalid metadata"),
    ],
)
def test_errors_of_many_classes_are_told_apart(error, kind, says):
    found = translated(error, "model.safetensors of ada/tiny")
    assert isinstance(found, kind)
    assert says in str(found)
    assert "model.safetensors of ada/tiny" in str(found)


def test_a_bug_is_no_trouble_with_the_hub_when_requests_are_switched_off_either(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    bug = TypeError("unsupported operand")
    assert translated(bug, "x") is bug


def test_an_error_that_is_hidden_behind_another_is_found():
    outer = FileNotFoundError("check your connection")
    outer.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert isinstance(translated(outer, "x"), HubSpaceError)


def test_a_bug_is_no_trouble_with_the_hub():
    bug = TypeError("unsupported operand")
    assert translated(bug, "x") is bug
    with pytest.raises(TypeError):
        retry.ask("x", lambda: 1 + "1")


STRANGE = {
    "an empty object": Fault(status=200, body=b"{}"),
    "a list": Fault(status=200, body=b"[]"),
    "nothing": Fault(status=200, body=b"null"),
    "not JSON": Fault(status=200, body=b"<html>"),
    "no letters": Fault(status=200, body=b"\xff"),
    "brackets": Fault(status=200, body=b"[" * 10**5),
    "a redirect to nowhere": Fault(status=302),
    "another redirect to nowhere": Fault(status=307),
    "what was not changed": Fault(status=304, body=b""),
    "files without names": Fault(status=200, body=commit(rfilename=None)),
    "files whose names are lists": Fault(status=200, body=commit(rfilename=["a"])),
    "files of negative sizes": Fault(status=200, body=commit(size=-1)),
    "files of sizes in words": Fault(status=200, body=commit(size="large")),
    "large files of no size": Fault(status=200, body=commit(lfs={"sha256": "0" * 64})),
    "large files of sizes in words": Fault(
        status=200, body=commit(lfs={"size": "x", "sha256": "0" * 64, "pointerSize": 1})
    ),
}


@pytest.mark.parametrize("answer", STRANGE)
def test_a_hub_that_answers_something_else_is_told_in_words(answer, hub, waits, tmp_path):
    put_machine(hub, tmp_path)
    hub.fault(STRANGE[answer], path="/api/models/", times=100)
    refused(HubError, "Check HF_ENDPOINT|has no commit")
    assert waits == []


@pytest.mark.parametrize(
    ("method", "path"), [("HEAD", "config"), ("GET", "config"), ("GET", WEIGHTS), ("GET", "/cdn/")]
)
@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_redirect_of_a_file_that_does_not_say_where_to_is_told_in_words(
    method, path, status, hub, waits, tmp_path
):
    put_machine(hub, tmp_path)
    hub.fault(Fault(status=status), method=method, path=path, times=100)
    refused(HubError, "neither on the Hub|does not state its location|truncated in transit")


@pytest.mark.parametrize(
    "time", ["²", "٣", "1²", "-1", "soon", "", "1e9", "9" * 5000, "inf", "nan"]
)
def test_a_time_that_is_no_number_is_none(time):
    response = types.SimpleNamespace(headers={"Retry-After": time}, status_code=429)
    error = HubError("busy")
    error.response = response
    assert retry._named_delay(error) == 0


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/models/"), ("HEAD", "config")])
def test_a_hub_that_names_no_time_is_asked_again_after_our_own(method, path, hub, waits, tmp_path):
    put_machine(hub, tmp_path)
    hub.fault(Fault(status=429, headers={"Retry-After": "²"}), method=method, path=path, times=100)
    refused(HubError, r"too busy \(429|invalid literal.*Check HF_ENDPOINT")
    assert waits in ([], list(retry.DELAYS))


def test_offline_is_said_even_where_the_client_speaks_of_the_connection(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refused(HubOfflineError, "offline: HF_HUB_OFFLINE is set")
