"""Importing genzoo, listing and asking for help cost no torch, and importing changes nothing."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import genzoo
import genzoo.plugin
from genzoo.storage import FolderSource, OwnModel

LIBRARIES = {"torch", "numpy", "accelerate", "matplotlib", "safetensors", "huggingface_hub"}


def run(code):
    """Return what the code prints, run in a fresh Python."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def imported(code):
    """Return the modules that are there after the code."""
    last = run(f"import sys\n{code}\nprint()\nprint(*sys.modules)").splitlines()[-1]
    return set(last.split())


def command(*args):
    return (
        "from genzoo.cli import main\n"
        f"try: main({list(args)!r})\n"
        "except SystemExit as left: assert not left.code, left.code\n"
    )


def test_the_counting_sees_what_is_imported():
    assert "numpy" in imported("import genzoo, numpy")


@pytest.mark.parametrize(
    "code",
    [
        "import genzoo",
        "import genzoo; dir(genzoo); genzoo.__version__",
        "import genzoo; genzoo.register, genzoo.ConfigError",
        "from genzoo.plugin import Bounds, Config, register",
        "from genzoo import registry; registry.names('models')",
    ],
)
def test_importing_genzoo_imports_no_torch_and_no_plugin(code):
    found = imported(code)
    assert "genzoo" in found
    assert not found & {*LIBRARIES, "tyro", "genzoo_boltzmann"}


@pytest.mark.parametrize(
    "args",
    [["list"], ["list", "models"], ["list", "--json"], ["--help"], [], ["--version"]],
)
def test_listing_and_help_import_no_torch_and_no_plugin(args):
    found = imported(command(*args))
    assert "genzoo.cli" in found
    assert not found & {*LIBRARIES, "genzoo_boltzmann"}


def test_listing_shows_what_it_did_not_import():
    assert "rbm " in run(command("list"))


@pytest.mark.parametrize("module", [genzoo, genzoo.plugin], ids=lambda module: module.__name__)
def test_every_public_name_is_there_and_an_unknown_one_is_not(module):
    assert set(module.__all__) <= set(dir(module))
    assert all(getattr(module, name) is not None for name in module.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        module.no_such_name  # noqa: B018


@pytest.mark.parametrize("module", [genzoo, genzoo.plugin], ids=lambda module: module.__name__)
def test_type_checkers_see_the_same_names_from_the_same_modules(module):
    """What stands under TYPE_CHECKING, which nothing runs, against the names that are loaded."""
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname: node.module for node in block.body for alias in node.names}
    assert sorted(seen) == module.__all__
    for name, home in seen.items():
        assert getattr(module, name) is getattr(importlib.import_module(home), name)


STATE = """
import importlib, locale, logging, pkgutil, random, signal, socket, sys, warnings
import accelerate, huggingface_hub, matplotlib, numpy, safetensors.torch, torch
import sklearn.linear_model, torchmetrics.image.fid  # They draw from random, and load pyplot.
def state():
    return {
        "seed of torch": torch.random.get_rng_state().tolist(),
        "seed of numpy": repr(numpy.random.get_state()),
        "seed of python": random.getstate(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "gradients": torch.is_grad_enabled(),
        "anomalies": torch.is_anomaly_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic,
                  torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32),
        "numpy's errors": numpy.geterr(),
        "printing": vars(torch._tensor_str.PRINT_OPTS),
        "backend": matplotlib.rcParams["backend"] if "matplotlib.pyplot" in sys.modules else None,
        "signals": [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)],
        "logging": (logging.root.level, list(logging.root.handlers)),
        "recursion": sys.getrecursionlimit(),
        "timeout": socket.getdefaulttimeout(),
        "hooks": (sys.excepthook, sys.displayhook),
    }
before = {name: repr(value) for name, value in state().items()}
import genzoo
names = [m.name for m in pkgutil.walk_packages(genzoo.__path__, "genzoo.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
import genzoo_boltzmann
assert len(names) > 40
def show():
    after = {name: repr(value) for name, value in state().items()}
    print("changed:", *[name for name in before if before[name] != after[name]])
show()
torch.set_num_threads(torch.get_num_threads() + 1)
torch.backends.cudnn.benchmark = True
torch.manual_seed(0)
show()
"""


def test_importing_every_module_sets_no_seed_thread_count_or_flag():
    """The second line is the negative control: what is set on purpose is seen."""
    assert run(STATE).splitlines()[-2:] == ["changed:", "changed: seed of torch threads cudnn"]


@pytest.mark.parametrize("args", [["list"], ["list", "models", "*gan*"]])
def test_listing_names_imports_no_parser(args):
    """The parser takes longer to import than all else that a list of names does."""
    assert not imported(command(*args)) & {"tyro", "argparse"}
    assert "tyro" in imported(command("list", "--json"))


# What is inspected


INSPECTED = {
    "rbm-digits": {"genzoo_boltzmann"},
    "ddpm-fashion-mnist-text": {"genzoo_diffusion"},
}
LINES = ("model", "config", "class", "plugin", "data", "capabilities", "weights", "licence")


@pytest.mark.parametrize("name", INSPECTED)
def test_inspecting_builds_no_model_and_imports_no_plugin_but_the_models_own(name):
    folder = str(Path(__file__).parent.parent / "model_cards" / name)
    watched = (
        "import genzoo.meta_init, genzoo.weights\n"
        "genzoo.meta_init._made = genzoo.weights.safe_open = None\n"
    )
    found = imported(watched + command("inspect", folder))
    plugins = {module for module in found if "." not in module and module.startswith("genzoo_")}
    assert plugins == INSPECTED[name]


@pytest.mark.parametrize("name", INSPECTED)
def test_inspecting_says_all_that_a_config_a_card_and_headers_say(name, capsys):
    folder = Path(__file__).parent.parent / "model_cards" / name
    with pytest.raises(SystemExit) as left:
        importlib.import_module("genzoo.cli").main(["inspect", str(folder)])
    assert left.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    said = [line.partition(" ")[0] for line in lines if not line.startswith(" ")]
    given, views = ["given"] * ("text" in name), ["pictures"] * name.startswith(("rbm", "vae"))
    assert said == [*LINES[:5], *given, LINES[5], *views, *LINES[6:], "figures"]
    headers = OwnModel(FolderSource(folder)).weights.headers
    assert [line.split()[0] for line in lines if line.startswith(" ")] == sorted(headers)
