"""A stand-in for the package `kernels`, by which transformers fetches code and runs it.

Installed before transformers is imported, it is taken for the real one; it notes what it is asked.
"""

import importlib.util
import re
import sys
import tempfile
from pathlib import Path

_CODE = """
CALLS = []
_DECORATORS = (
    "use_kernel_forward_from_hub",
    "use_kernel_func_from_hub",
    "use_kernelized_func",
    "replace_kernel_forward_from_hub",
)


class _Stand:
    def __init__(self, name):
        self._name = name

    def __call__(self, *args, **kwargs):
        if self._name in _DECORATORS:  # Of classes, when they are imported: nothing is fetched.
            return lambda decorated: decorated
        CALLS.append(f"{self._name}{args!r}{kwargs!r}"[:300])
        raise RuntimeError(f"the stand-in for kernels was asked: {CALLS[-1]}")

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Stand(f"{self._name}.{name}")


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return _Stand(name)
"""


def install() -> list[str]:
    """Put it where packages are looked for; return the list in which it notes calls."""
    folder = Path(tempfile.mkdtemp(prefix="kernels-"))
    for module, code in {
        "__init__": _CODE,
        "layer/__init__": "",
        "layer/mode": "Mode = None",
    }.items():
        path = folder / "kernels" / f"{module}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    info = folder / f"kernels-{_version()}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: kernels\nVersion: {_version()}\n"
    )
    sys.path.insert(0, str(folder))
    import kernels

    return kernels.CALLS


def _version() -> str:
    """Return a version that transformers takes."""
    spec = importlib.util.find_spec("transformers")
    if spec is None or spec.origin is None:
        return "0"
    text = Path(spec.origin).with_name("utils").joinpath("import_utils.py").read_text()
    found = re.search(r'KERNELS_MIN_VERSION = "([\d.]+)"', text)
    return found[1] if found else "1.0.0"
