"""The fuzzing itself: what it changes, that it finds what it looks for, and that it goes on."""

import json
import sys

import pytest

import fuzz
import fuzz_changes
import fuzz_subjects
from fuzz import Tally
from genzoo import registry
from genzoo.config import Config, field_types

# What is changed.


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    fuzz_subjects.save_encoder("bert", folder)
    return folder


def contents(folder):
    found = {}
    for path in sorted(folder.rglob("*")):
        plain = path.is_file() and not path.is_symlink()
        found[path.name] = path.read_bytes() if plain else path.lstat().st_mode
    return found


def test_a_change_of_what_is_deep_or_long_does_not_count_all_that_is_in_it():
    """A count that goes to the ground at each of 5,000 levels takes minutes or a deep stack."""
    value, visited = [0], []

    class Deep(list):
        def __iter__(self):
            visited.append(1)
            return super().__iter__()

    for _ in range(5000):
        value = Deep([value])
    assert fuzz_changes._inner(value) == {0: fuzz_changes._MOST_NODES}
    assert len(visited) <= fuzz_changes._MOST_NODES + 1


def test_a_change_depends_on_its_seed_alone(sound, tmp_path):
    made = []
    for i in range(40):
        pair = []
        for name in ("one", "two"):
            folder = fuzz_subjects.copied(sound, tmp_path / name)
            fuzz_changes.change(folder, f"seed {i}")
            pair.append(contents(folder))
        assert pair[0] == pair[1]
        made.append(str(pair[0]))
    assert len(set(made)) == len(made)
    assert str(contents(sound)) not in made


def test_changes_reach_every_depth_and_every_file(sound, tmp_path):
    before, touched = contents(sound), set()
    for i in range(200):
        folder = fuzz_subjects.copied(sound, tmp_path / "one")
        fuzz_changes.change(folder, f"depth {i}")
        after = contents(folder)
        touched |= {name for name in before if after.get(name) != before[name]}
        touched |= after.keys() - before.keys()
    assert touched >= before.keys()
    assert len(touched & fuzz_changes.STRAYS.keys()) > len(fuzz_changes.STRAYS) / 2


def mappings(kind, path=()):
    """Return where a config's type holds mappings of any values."""
    if isinstance(kind, type) and issubclass(kind, Config):
        pairs = field_types(kind).items()
        return [found for name, inner in pairs for found in mappings(inner, (*path, name))]
    origin = getattr(kind, "__origin__", None)
    if "Mapping" in str(origin):
        return [path]
    inner = [*getattr(kind, "__args__", ()), *([origin] if isinstance(origin, type) else [])]
    return [found for one in inner for found in mappings(one, path)]


def _at(values, path):
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return values


def test_every_mapping_of_every_registered_model_is_filled():
    looked = 0
    for name in registry.names("models"):
        if not registry.distribution_of("models", name)[0]:
            continue
        for path in set(mappings(registry.load("models", name).Config)):
            filled = [fuzz_subjects._called(c) for c in fuzz_subjects.FILLED.get(name, [])]
            configs = [fuzz_subjects._example(name), *filled]
            assert any(_at(config, path) for config in configs), (name, path)
            looked += 1
    assert looked >= 6


def test_every_registered_model_gets_its_share():
    weights = {name: one.share for name, one in fuzz_subjects.subjects().items()}
    number = fuzz.shares(46_000, weights)
    for name in registry.names("models"):
        if registry.distribution_of("models", name)[0]:
            own = [n for one, n in number.items() if one.partition(",")[0] == name]
            assert sum(own) >= 1_500, name
    assert sum(n for one, n in number.items() if one.startswith("encoder ")) >= 2_000


# What is found.


def seen(**values):
    return {"outcome": "refused", "events": [], "peak": 0, "seconds": 0.0, **values}


def test_what_none_may_do_is_counted():
    tally = Tally()
    for values in (
        {"outcome": "KeyError: 1"},
        {"outcome": "died or hung"},
        {"events": ["subprocess.Popen"]},
        {"peak": fuzz.PEAK + 1},
        {"seconds": fuzz.SECONDS + 0.1},
    ):
        tally.add("a", seen(**values))
    assert len(tally.bad) == tally.cases == 5
    tally.add("b", seen(peak=fuzz.PEAK, seconds=fuzz.SECONDS))
    tally.add("c", seen(outcome="loaded"))
    assert (tally.cases, tally.refused, tally.loaded, len(tally.bad)) == (7, 4, 1, 5)
    assert fuzz.show({"it": tally}) == 5


def test_a_process_that_dies_or_hangs_is_counted_and_replaced(tmp_path, monkeypatch):
    script = tmp_path / "worker.py"
    script.write_text(
        "import json, sys\n"
        "print(json.dumps({'a': 1.0, 'b': 1.0}), flush=True)\n"
        "for line in sys.stdin:\n"
        "    seed = json.loads(line)['seed']\n"
        "    if seed.endswith('a 1'):\n"
        "        sys.exit(3)\n"
        "    if seed.endswith('b 2'):\n"
        "        sys.stdin.read()\n"  # It waits, as on a pipe.
        "    seen = {'outcome': 'refused', 'events': [], 'peak': 1, 'seconds': 0.0}\n"
        "    print(json.dumps(seen), flush=True)\n"
    )
    monkeypatch.setattr(fuzz, "__file__", str(script))
    monkeypatch.setattr(fuzz, "_PATIENCE", 0.5)
    done = fuzz.drive(tmp_path / "state", 8, "", 7)
    assert {name: one.cases for name, one in done.items()} == {"a": 4, "b": 4}
    bad = [case for one in done.values() for case in one.bad]
    assert [case["seed"] for case in bad] == ["7 a 1", "7 b 2"]
    again = fuzz.drive(tmp_path / "state", 8, "", 7)
    assert again == done
    more = fuzz.drive(tmp_path / "state", 12, "a", 7)
    assert more["a"].cases == 6
    lines = (tmp_path / "state" / "7.jsonl").read_text().splitlines()
    assert sum(json.loads(line)["cases"] for line in lines) == 10


def test_chunks_are_of_all_subjects_in_turn(monkeypatch):
    monkeypatch.setattr(fuzz, "_CHUNK", 2)
    found = list(fuzz.chunks({"a": Tally(cases=1)}, {"a": 4, "b": 3}))
    assert found == [("a", 1, 3), ("b", 0, 2), ("a", 3, 4), ("b", 2, 3)]


def test_one_case_can_be_loaded_again(capsys, monkeypatch, sound, tmp_path):
    subject = fuzz_subjects.Subject(
        lambda folder: fuzz_subjects.copied(sound, folder), lambda folder: str(contents(folder))
    )
    monkeypatch.setattr(fuzz_subjects, "subjects", lambda: {"it": subject})
    monkeypatch.setattr(sys, "argv", ["fuzz.py", "--only", "it", "--case", "4", "--seed", "3"])
    fuzz.main()
    folder = fuzz_subjects.copied(sound, tmp_path / "one")
    fuzz_changes.change(folder, fuzz.seed_of(3, "it", 4))
    assert capsys.readouterr().out.strip() == str(contents(folder))
