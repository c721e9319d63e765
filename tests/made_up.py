"""Configs, indexes and headers that hypothesis makes up, near to sound ones and far from them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings, strategies as st

from escapes import ESCAPES
from folders import CONFIG, INDEX, WEIGHTS, change_config, header_of, write_header

SEED = 20_260_101
_words = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [*ESCAPES, "W", "b", "c", "rbm", "vae", "F32", "model.safetensors", "os.system", "\ud800"]
    ),
)
_numbers = st.one_of(
    st.integers(-5, 10),
    st.sampled_from([2**31, 2**32 - 1, 2**63, 2**64, 10**12, 10**30, -(2**63), 24, 96]),
    st.floats(),
    st.booleans(),
    st.none(),
)
_values = st.recursive(
    st.one_of(_words, _numbers),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(_words, inner, max_size=4)
    ),
    max_leaves=8,
)
_keys = st.sampled_from(["genzoo", "model", "plugin", "dtype", "config"])
_fields = st.sampled_from(["event", "num_hidden"])
_entries = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.one_of(st.sampled_from(["F32", "F64", "U8", "BOOL"]), _values),
        "shape": st.one_of(st.lists(st.integers(0, 6), max_size=4), st.lists(_numbers), _values),
        "data_offsets": st.one_of(
            st.tuples(st.integers(0, 200), st.integers(0, 200)), st.lists(_numbers), _values
        ),
        "more": _values,
    },
)


def _configs() -> st.SearchStrategy[Callable[[Path], object]]:
    """Return changes of config.json: other values, more keys, fewer keys, other texts."""
    described = st.dictionaries(st.one_of(_keys, _words), _values, min_size=1, max_size=3)
    configured = st.dictionaries(st.one_of(_fields, _words), _values, min_size=1, max_size=3)
    return st.one_of(
        described.map(lambda v: lambda f: change_config(f, lambda found: found.update(v))),
        configured.map(
            lambda v: lambda f: change_config(f, lambda found: found["config"].update(v))
        ),
        _keys.map(lambda k: lambda f: change_config(f, lambda found: found.pop(k))),
        _values.map(lambda v: lambda f: (f / CONFIG).write_text(json.dumps(v))),
        _spoilt(CONFIG),
    )


def _indexes() -> st.SearchStrategy[Callable[[Path], object]]:
    """Return changes of the index."""
    maps = st.dictionaries(_words, st.one_of(_words, _values), max_size=4)
    whole = st.fixed_dictionaries(
        {}, optional={"weight_map": st.one_of(maps, _values), "metadata": _values}
    )
    return st.one_of(
        whole.map(lambda v: lambda f: (f / INDEX).write_text(json.dumps(v))),
        st.binary(max_size=60).map(lambda v: lambda f: (f / INDEX).write_bytes(v)),
    )


def _headers() -> st.SearchStrategy[Callable[[Path], object]]:
    """Return changes of the header: entries changed, added, or all of it made up."""
    names = st.one_of(st.sampled_from(["W", "b", "c", "__metadata__"]), _words)
    entries = st.dictionaries(names, st.one_of(_entries, _values), min_size=1, max_size=3)

    def merged(values: dict[str, Any]) -> Callable[[Path], object]:
        def change(folder: Path) -> None:
            header, data = header_of(folder / WEIGHTS)
            for name, entry in values.items():
                known = header.get(name)
                both = isinstance(known, dict) and isinstance(entry, dict)
                header[name] = {**known, **entry} if both else entry
            write_header(folder / WEIGHTS, header, data)

        return change

    return st.one_of(
        entries.map(merged),
        entries.map(lambda v: lambda f: write_header(f / WEIGHTS, v, b"\0" * 8)),
        _spoilt(WEIGHTS),
    )


def _spoilt(name: str) -> st.SearchStrategy[Callable[[Path], object]]:
    """Return changes of a file's bytes: some near its beginning overwritten, its end cut."""

    def change(folder: Path, where: int, what: bytes, cut: int | None) -> None:
        raw = bytearray((folder / name).read_bytes())
        raw[where : where + len(what)] = what
        (folder / name).write_bytes(raw[:cut])

    return st.builds(
        lambda where, what, cut: lambda f: change(f, where, what, cut),
        st.integers(0, 300),
        st.binary(min_size=1, max_size=12),
        st.one_of(st.none(), st.integers(0, 500)),
    )


KINDS = {"configs": _configs, "indexes": _indexes, "headers": _headers}


def run(number: int, fresh: Callable, outcome: Callable) -> dict[str, dict[str, Any]]:
    """Try that many of each kind; return by kind how many there were, and what was worst."""
    return {kind: _run(number, make(), fresh, outcome) for kind, make in KINDS.items()}


def _run(number: int, changes: st.SearchStrategy, fresh: Callable, outcome: Callable) -> dict:
    found: dict[str, Any] = {"cases": 0, "refused": 0, "bad": [], "peak": 0, "layers": 0}

    @seed(SEED)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(changes)
    def load(change: Callable[[Path], object]) -> None:
        seen = outcome(fresh("case", change))
        found["cases"] += 1
        found["refused"] += seen["outcome"] == "refused"
        found["peak"] = max(found["peak"], seen["peak"])
        found["layers"] = max(found["layers"], seen["parameters"] - seen["allowed"])
        if seen["outcome"] not in ("refused", "loaded") or seen["events"]:
            found["bad"].append({k: seen[k] for k in ("outcome", "events")})

    load()
    return found
