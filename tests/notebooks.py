"""A stand-in for the kernel of a notebook, which keeps what a cell would show."""

import sys
import types


class Kernel:
    """What a front end shows: each output by its id, updated in place.

    Arguments:
        is_lost: Whether the front end is gone, so that showing raises.
    """

    def __init__(self, is_lost=False):
        self.is_lost = is_lost
        self.outputs = {}
        self.num_shown = 0
        self.kernel = object()
        self.execution_count = 1

    def display(self, data, *, display_id, raw):
        assert raw
        assert display_id not in self.outputs
        self._keep(data, display_id)

    def update_display(self, data, *, display_id, raw):
        assert raw
        assert display_id in self.outputs
        self._keep(data, display_id)

    def _keep(self, data, display_id):
        if self.is_lost:
            raise RuntimeError("the socket is closed")
        self.num_shown += 1
        self.outputs[display_id] = data

    def texts(self):
        """Return the text of each output, in order."""
        return [data["text/plain"] for data in self.outputs.values()]


def open_notebook(monkeypatch, **options):
    """Let this process look like the kernel of a notebook, and return it."""
    kernel = Kernel(**options)
    ipython, display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    ipython.get_ipython = lambda: kernel
    display.display, display.update_display = kernel.display, kernel.update_display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return kernel
