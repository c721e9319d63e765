"""A plugin imports of genzoo what `genzoo.plugin` has, and nothing else."""

import ast
from pathlib import Path

import pytest

import genzoo
import genzoo.plugin
import genzoo.testing

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(
    path
    for path in (*ROOT.glob("plugins/*/genzoo_*"), *ROOT.glob("examples/*/genzoo_*"))
    if path.is_dir()
)
TEMPLATE = ROOT / "genzoo" / "scaffold" / "template"
SURFACES = {"genzoo": genzoo, "genzoo.plugin": genzoo.plugin, "genzoo.testing": genzoo.testing}
INTERNAL = {
    # These tests look into what the core writes and registers, with models of a plugin.
    "plugins/boltzmann/tests/test_gradient.py": {"genzoo.registry"},
    "plugins/datasets/tests/test_caption_accuracy.py": {"genzoo.data"},
    "plugins/datasets/tests/test_label_accuracy.py": {"genzoo.data"},
    "plugins/datasets/tests/test_shapes.py": {"genzoo.data"},
    "plugins/diffusion/tests/test_ddpm.py": {"genzoo.registry"},
    "plugins/diffusion/tests/test_diffusers_layout.py": {"genzoo.pretrained.inspecting"},
    "plugins/diffusion/tests/test_edm_conformance.py": {
        "genzoo.registry",
        "genzoo.testing.suites",
    },
    "plugins/diffusion/tests/test_flow_conformance.py": {
        "genzoo.registry",
        "genzoo.testing.suites",
    },
    "plugins/diffusion/tests/test_flow_matching.py": {"genzoo.registry"},
    "plugins/diffusion/tests/test_latent_ddpm.py": {"genzoo.registry"},
    "plugins/diffusion/tests/test_text_conformance.py": {
        "genzoo.registry",
        "genzoo.testing.suites",
    },
    "plugins/diffusion/tests/test_transformer_conformance.py": {
        "genzoo.registry",
        "genzoo.testing.suites",
    },
    "plugins/gan/tests/games.py": {"genzoo.registry"},
    "plugins/gan/tests/test_categorical_games.py": {
        "genzoo.registry",
        "genzoo.testing.suites",
    },
    "plugins/gan/tests/test_cycle.py": {"genzoo.training"},
    "plugins/gan/tests/test_gan_resume.py": {"genzoo.registry", "genzoo.training"},
    "plugins/gan/tests/test_outputs.py": {"genzoo.registry"},
    "plugins/gan/tests/test_players.py": {"genzoo.registry"},
    "plugins/gan/tests/test_showing.py": {"genzoo.registry"},
    "plugins/vae/tests/test_categorical_conformance.py": {
        "genzoo.registry",
        "genzoo.testing.suites",
    },
}


def imported(text):
    """Return the modules of genzoo that a source imports, and the names from each."""
    found = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names, modules = [alias.name for alias in node.names], [node.module]
        elif isinstance(node, ast.Import):
            names, modules = [], [alias.name for alias in node.names]
        else:
            continue
        for module in modules:
            if module.split(".")[0] != "genzoo":
                continue
            if module == "genzoo" and "registry" in names:  # A module, not a public name.
                found.setdefault("genzoo.registry", set())
                names.remove("registry")
            found.setdefault(module, set()).update(names)
    return found


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_package_imports_the_names_for_plugins_alone(package):
    files = list(package.rglob("*.py"))
    assert files
    for path in files:
        found = imported(path.read_text("utf-8"))
        assert found.keys() <= {"genzoo.plugin"}, path
        assert found.get("genzoo.plugin", set()) <= set(genzoo.plugin.__all__), path


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_its_tests_import_public_names_alone(package):
    for path in package.parent.glob("tests/*.py"):
        found = imported(path.read_text("utf-8"))
        internal = INTERNAL.get(path.relative_to(ROOT).as_posix(), set())
        assert found.keys() - SURFACES.keys() == internal, path
        for module, names in found.items():
            if module in SURFACES:
                assert names <= set(SURFACES[module].__all__), path


def test_a_new_plugin_imports_public_names_alone():
    for path in TEMPLATE.glob("*.py.txt"):
        text = path.read_text("utf-8").replace("@package@", "genzoo_new").replace("@title@", "New")
        allowed = SURFACES.keys() if path.name.startswith("test_") else {"genzoo.plugin"}
        assert imported(text).keys() <= allowed, path


def test_what_is_imported_is_seen():
    text = "import genzoo.cli\ndef f():\n    from genzoo.hub import a, b\nimport genzoo_other"
    assert imported(text) == {"genzoo.cli": set(), "genzoo.hub": {"a", "b"}}
    assert imported("from genzoo import registry") == {"genzoo.registry": set(), "genzoo": set()}
