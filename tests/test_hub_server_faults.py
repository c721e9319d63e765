"""Each fault of the tests' Hub is what it says, as the unmodified client meets it."""

from pathlib import Path

import pytest
from huggingface_hub import HfApi, constants, get_session, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from hub_server import Fault
from hubs import REPOSITORY, asked

DATA = bytes(range(256)) * 400
NAME = "w.bin"


@pytest.fixture(autouse=True)
def large_file(hub, monkeypatch):
    """A repository with a large file, for a client of little patience."""
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    hub.put(REPOSITORY, {NAME: DATA})


def fetched():
    return Path(hf_hub_download(REPOSITORY, NAME, etag_timeout=0.2)).read_bytes()


@pytest.mark.parametrize("offset", [0, 1000])
@pytest.mark.parametrize("kind", ["cut", "stall"])
def test_a_body_that_breaks_off_is_asked_for_again(kind, offset, hub, client_waits):
    hub.fault(Fault(**{kind: offset}), path="/cdn/")
    assert fetched() == DATA
    assert len(asked(hub, method="GET", path="/cdn/")) == 2
    assert client_waits == [1]


def test_a_cut_body_has_the_bytes_before_the_cut_and_states_all(hub):
    hub.fault(Fault(cut=1000), path="/cdn/", times=100)
    with pytest.raises(Exception, match=f"received 1000 bytes, expected {len(DATA)}"):
        fetched()


def test_a_stalled_body_times_out_after_the_bytes_before(hub):
    hub.fault(Fault(stall=1000), path="/cdn/")
    got = bytearray()
    with pytest.raises(Exception, match="timed out"):
        read(hub, got)
    assert got == DATA[:1000]


def test_offsets_are_the_whole_files_also_in_the_part_that_is_asked_for(hub, monkeypatch):
    """A fault of a byte that is not sent waits for an answer that has it."""
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100)
    hub.fault(Fault(cut=1000), path="/cdn/")
    hub.fault(Fault(cut=500), path="/cdn/")
    hub.fault(Fault(corrupt=2000), path="/cdn/")
    got = fetched()
    first, second = asked(hub, method="GET", path="/cdn/")
    assert (first.range, first.status) == ("", 200)
    assert (second.range, second.status) == ("bytes=1000-", 206)
    assert differing(got) == [2000]
    with pytest.raises(Exception, match="received 500 bytes"):
        get_session().get(address(hub))


def test_a_corrupt_byte_passes_the_client(hub):
    hub.fault(Fault(corrupt=12345), path="/cdn/")
    assert differing(fetched()) == [12345]


def test_a_truncated_body_ends_as_it_says_and_only_its_size_gives_it_away(hub):
    hub.fault(Fault(truncate=1000), path="/cdn/")
    response = get_session().get(address(hub))
    assert response.content == DATA[:1000]
    hub.fault(Fault(truncate=1000), path="/cdn/")
    with pytest.raises(OSError, match=f"should be of size {len(DATA)} but has size 1000"):
        fetched()


def test_a_reset_is_no_orderly_end(hub):
    hub.fault(Fault(reset=True), path="/cdn/")
    with pytest.raises(Exception, match="reset by peer"):
        fetched()
    assert asked(hub, path="/cdn/")[0].status == 0
    assert fetched() == DATA


@pytest.mark.parametrize("status", [400, 403, 404, 410, 500, 502, 503])
def test_a_status_is_answered_in_place_of_the_file(status, hub, client_waits):
    hub.fault(Fault(status=status, message="Not today."), path="/cdn/")
    with pytest.raises(HfHubHTTPError) as caught:
        fetched()
    assert caught.value.response.status_code == status
    assert caught.value.response.headers["content-type"].startswith("application/json")
    assert asked(hub, method="GET", path="/cdn/")[0].status == status
    assert client_waits == []
    assert fetched() == DATA


def test_a_busy_hub_is_waited_for_as_long_as_it_says(hub, client_waits):
    hub.fault(Fault(status=429, headers={"Retry-After": "7"}), path="/cdn/", times=2)
    assert fetched() == DATA
    assert len(client_waits) == 2
    assert all(7 <= wait <= 8 for wait in client_waits)


@pytest.mark.parametrize("status", [500, 503, 504])
def test_a_hub_that_fails_before_the_file_is_asked_again(status, hub):
    hub.fault(Fault(status=status), method="HEAD", path=NAME, times=3)
    assert fetched() == DATA
    found = [request.status for request in asked(hub, method="HEAD")]
    assert found == [status, status, status, 302]


def test_a_hub_that_stays_silent_is_asked_again(hub):
    hub.fault(Fault(stall=0), method="HEAD", path=NAME)
    assert fetched() == DATA
    assert [request.status for request in asked(hub, method="HEAD")] == [0, 302]


def test_the_headers_of_a_status_tell_the_client_what_it_means(hub):
    gone = Fault(status=404, headers={"X-Error-Code": "EntryNotFound"})
    hub.fault(gone, method="HEAD")
    with pytest.raises(HfHubHTTPError) as caught:
        fetched()
    assert type(caught.value).__name__ == "RemoteEntryNotFoundError"
    hub.fault(Fault(status=404), method="HEAD")
    with pytest.raises(LocalEntryNotFoundError):
        fetched()


def test_an_answer_may_be_lost_after_the_work_was_done(hub):
    api, before = HfApi(), hub.head(REPOSITORY)
    for after in (False, True):
        hub.fault(Fault(status=503, after=after), method="POST", path="/commit/")
        with pytest.raises(HfHubHTTPError):
            api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id=REPOSITORY)
        assert (hub.head(REPOSITORY) != before) == after


def test_an_upload_that_fails_is_tried_again(hub):
    hub.fault(Fault(status=503), method="PUT", path="/lfs/", times=2)
    HfApi().upload_file(path_or_fileobj=DATA[1:], path_in_repo=NAME, repo_id=REPOSITORY)
    assert hub.files(REPOSITORY)[NAME] == DATA[1:]
    assert [request.status for request in asked(hub, method="PUT")] == [503, 503, 200]


def test_faults_strike_what_they_name_in_their_order_and_as_often_as_they_say(hub):
    hub.fault(Fault(status=418), method="POST")
    hub.fault(Fault(status=500), path="/resolve/main/other")
    hub.fault(Fault(status=501), path=f"{NAME}$")
    hub.fault(Fault(status=502), path="/cdn/", times=2)
    found = [get_session().get(address(hub)).status_code for _ in range(4)]
    assert found == [501, 502, 502, 200]
    hub.fault(Fault(status=503), path="/cdn/")
    hub.reset()
    assert get_session().get(address(hub)).status_code != 503


def test_a_storage_of_xet_can_be_refused(xet_hub):
    xet_hub.fault(Fault(status=403), path="/xet-read-token/", times=100)
    with pytest.raises(Exception, match="403"):
        fetched()
    assert not asked(xet_hub, method="GET", path="/cdn/")


def address(hub):
    """Return where the file is in the storage; where there is none, nowhere."""
    url = f"{hub.url}/{REPOSITORY}/resolve/main/{NAME}"
    headers = get_session().head(url, follow_redirects=False).headers
    return headers.get("location", f"{hub.url}/cdn/{'0' * 64}/{NAME}")


def read(hub, into):
    """Read the file from the storage as it comes."""
    with get_session().stream("GET", address(hub), timeout=0.2) as response:
        assert response.headers["content-length"] == str(len(DATA))
        for data in response.iter_raw():
            into += data


def differing(data):
    """Return where the bytes are not those of the file."""
    assert len(data) == len(DATA)
    return [at for at, (got, true) in enumerate(zip(data, DATA, strict=True)) if got != true]


def test_a_body_of_ones_own_is_answered_in_place_of_the_real_one(hub):
    hub.fault(Fault(status=200, body=b'{"a": 1}'), path="/api/models/")
    url = f"{hub.url}/api/models/{REPOSITORY}"
    assert get_session().get(url).json() == {"a": 1}
    assert get_session().get(url).json()["id"] == REPOSITORY
