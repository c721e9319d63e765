"""The Hub itself: what it holds, what it is asked, and how it is to behave."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Mapping

from hub_server import api, commits, info, lfs, refs, resolve, xet  # noqa: F401, they are routes
from hub_server.answers import Answer, Refused
from hub_server.commits import is_large
from hub_server.faults import Fault, Faults, Planned
from hub_server.handler import Listener
from hub_server.log import Request
from hub_server.routing import Call, find
from hub_server.store import MAIN, Blob, Commit, Repository, Store

TOKENS = {"hf_ada": "ada", "hf_bob": "bob"}


class HubServer:
    """A Hub on the loopback interface.

    It is at `url` from the moment it is made, so that a client can be told before it is imported;
    it listens from `start` on. Repositories are put into it, and looked at, directly.

    Arguments:
        xet: Whether it keeps large files by Xet; else by git LFS.
        tokens: Users, by their tokens.
        read_only: Those of the tokens that may not write.
        organisations: The members of organisations.
        same_origin: Whether the storage of large files has the Hub's own address.
        large_size: Files of more bytes are large ones; so are those with certain names.
        part_size: Larger ones are uploaded in parts of so many bytes; None takes them whole.
        page_size: How many entries a page of a listing has.
        on_request: Called with each request before it is answered.
        requests: What was asked, in order.
        unknown: Those of them that there is no answer to here.
        errors: Bugs of this server, which a test must not pass over.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.unknown: list[Request] = []
        self.errors: list[str] = []
        self.released = threading.Event()
        self._lock, self._faults, self._secret = threading.RLock(), Faults(), secrets.token_hex(8)
        self._cas: xet.Storage | None = None
        self._listeners: list[Listener] = [Listener(self), Listener(self)]
        self._ports = [listener.server_port for listener in self._listeners]
        self.reset()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._ports[0]}"

    @property
    def storage(self) -> Listener | None:
        """What listens at the address of the large files."""
        return self._listeners[1] if self._listeners else None

    @property
    def cas(self) -> xet.Storage:
        """What keeps large files by Xet."""
        if self._cas is None:
            self._cas = xet.Storage()
        return self._cas

    def start(self) -> None:
        """Listen."""
        if not self._listeners:
            self._listeners = [Listener(self, port) for port in self._ports]
        for listener in self._listeners:
            listener.start()

    def stop(self) -> None:
        """Refuse connections, and close those that are open; `start` goes on where it was."""
        self.released.set()
        for listener in self._listeners:
            if listener.listens:
                listener.shutdown()
            listener.close_all()
            listener.server_close()
        self._listeners = []

    def reset(self) -> None:
        """Forget repositories, requests, faults and how to behave."""
        self.released.set()
        self.released = threading.Event()
        self.store, self.tokens = Store(), dict(TOKENS)
        self.read_only: set[str] = set()
        self.organisations: dict[str, set[str]] = {}
        self.xet = self.same_origin = False
        self.large_size, self.page_size = 10_000, 1000
        self.part_size: int | None = None
        self.parts: dict[tuple[str, int], bytes] = {}
        self.on_request: Callable[[Request], None] | None = None
        for log in (self.requests, self.unknown, self.errors):
            log.clear()
        self._faults.clear()
        if self._cas is not None:
            self._cas.close()
            self._cas = None

    def put(
        self,
        repo_id: str,
        files: Mapping[str, bytes],
        *,
        revision: str = MAIN,
        delete: Iterable[str] = (),
        private: bool = False,
        gated: bool | str = False,
        title: str = "put by the test",
    ) -> str:
        """Commit files directly, as their owner would; return the commit.

        Arguments:
            repo_id: ``user/name``, for other types ``datasets/user/name``; made where it is not.
            files: What is added.
            revision: The branch; made where it is not there.
            delete: What goes away.
            private, gated: Of a repository that is made.
            title: The commit's.
        """
        with self._lock:
            repository = self.store.find(*_named(repo_id))
            if repository is None:
                gate = "auto" if gated is True else gated
                repository = self.store.create(*_named(repo_id), private=private, gated=gate)
            heads = repository.branches
            base = heads.get(revision) or heads.get(MAIN)
            kept = {n: b for n, b in (base.files if base else {}).items() if n not in set(delete)}
            blobs = {name: self._blob(name, data) for name, data in files.items()}
            made = Commit({**kept, **blobs}, title, user=repository.owner, parent=base)
            repository.set_head(revision, made)
            return made.sha

    def files(self, repo_id: str, revision: str = MAIN) -> dict[str, bytes]:
        """Return all files of a revision."""
        found = self.repository(repo_id).commit_of(revision).files
        return {name: blob.data for name, blob in found.items()}

    def head(self, repo_id: str, revision: str = MAIN) -> str:
        """Return the commit that a revision is now."""
        return self.repository(repo_id).commit_of(revision).sha

    def commits(self, repo_id: str, revision: str = MAIN) -> list[Commit]:
        """Return the commits of a revision, newest first."""
        return list(self.repository(repo_id).commit_of(revision).history())

    def repository(self, repo_id: str) -> Repository:
        """Return a repository, to be looked at or changed.

        Raises:
            KeyError: There is none.
        """
        return self.store.repositories[_named(repo_id)]

    def fault(self, fault: Fault, *, method: str = "GET", path: str = "", times: int = 1) -> None:
        """Let something go wrong with the next requests of a method whose path is searched for.

        Arguments:
            fault: What.
            method: A regular expression of the whole method.
            path: A regular expression that is searched for in the path.
            times: How many requests it strikes.
        """
        self._faults.add(Planned(fault, method, path, times))

    def signed(self, path: str, query: str = "") -> str:
        """Return an address of the storage that is good without a token.

        Its host has another name than the Hub's: older clients do not tell origins by their ports.
        """
        host, port = ("127.0.0.1", 0) if self.same_origin else ("localhost", 1)
        return f"http://{host}:{self._ports[port]}{path}?{query}&Signature={self._secret}"

    def answer(self, request: Request, *, from_storage: bool) -> tuple[Answer, Fault | None]:
        """Return the answer to a request, and the fault that spoils it on the way."""
        self.requests.append(request)
        if self.on_request is not None:
            self.on_request(request)
        with self._lock:
            fault = self._faults.before(request)
            if fault is not None and not fault.after:
                return (fault.instead() if fault.status else Answer()), fault
            answer = self._answer(request, from_storage)
            if fault is not None:
                return fault.instead(), fault
            fault = self._faults.within(request, answer)
        return (fault.changed(answer) if fault else answer), fault

    def _answer(self, request: Request, from_storage: bool) -> Answer:
        try:
            self._check_address(request, from_storage)
            found = find(request)
            if found is None:
                return self._no_route(request)
            return found[0](Call(self, request, found[1]))
        except Refused as refused:
            return refused.answer

    def _check_address(self, request: Request, from_storage: bool) -> None:
        """Refuse what a storage of its own would: tokens, and addresses without signature."""
        stored = request.path.startswith(("/cdn/", "/lfs/"))
        if stored and request.query.get("Signature") != self._secret:
            raise Refused(403, "AccessDenied")
        if from_storage and (request.token or not stored):
            raise Refused(400, "Only one auth mechanism is allowed")

    def _no_route(self, request: Request) -> Answer:
        self.unknown.append(request)
        return Answer.of({"error": f"No such route: {request.path}"}, 404)

    def _blob(self, name: str, data: bytes) -> Blob:
        blob = Blob(data, is_large(self, name, len(data), data[:512]))
        if blob.large:
            self.store.large[blob.sha256] = blob
        return blob


def _named(repo_id: str) -> tuple[str, str]:
    """Return a repository's type and name."""
    type, _, name = repo_id.partition("/")
    return (type, name) if "/" in name else ("models", repo_id)
