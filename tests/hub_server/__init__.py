"""A Hub in this process, for tests: what huggingface_hub and other clients ask of one, no more.

It speaks the Hub's protocol on the loopback interface to unmodified clients, keeps repositories
as commits of bytes in memory, and breaks in every way that it is asked to (`Fault`).
"""

from hub_server.faults import Fault
from hub_server.log import Request
from hub_server.server import HubServer
from hub_server.store import Blob, Commit, Repository

__all__ = ["Blob", "Commit", "Fault", "HubServer", "Repository", "Request"]
