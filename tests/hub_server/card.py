"""What the Hub reads out of a README.md. Its head is YAML, which the client brings a reader of."""

from __future__ import annotations

import re
from typing import Any

import yaml

_HEAD = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)\r?\n?---[ \t]*(?:\r?\n|\Z)", re.DOTALL)


def problems(text: str) -> list[str]:
    """Return what is wrong with the head of a card."""
    try:
        head = _head(text)
    except yaml.YAMLError as error:
        return [f"YAML Metadata Error: {str(error).splitlines()[0]}"]
    if not isinstance(head, dict):
        return ["YAML Metadata Error: it must be an object"]
    return _index_problems(head.get("model-index", []))


def read(data: bytes | None) -> dict[str, Any]:
    """Return the head of a card; nothing where there is none, or none that can be read."""
    text = (data or b"").decode("utf-8", "replace")
    head = {} if problems(text) else _head(text)
    return head if isinstance(head, dict) else {}


def facts(head: dict[str, Any]) -> dict[str, Any]:
    """Return what the Hub says of a repository because its card does."""
    tags = [head.get("library_name"), head.get("pipeline_tag"), *_listed(head.get("tags"))]
    tags += [f"dataset:{name}" for name in _listed(head.get("datasets"))]
    tags += [f"license:{head['license']}"] if "license" in head else []
    found = {key: head[key] for key in ("library_name", "pipeline_tag") if key in head}
    if "model-index" in head:
        found["model-index"] = head["model-index"]
    return {"tags": [tag for tag in dict.fromkeys(tags) if tag], "cardData": head, **found}


def _head(text: str) -> Any:
    found = _HEAD.match(text)
    return (yaml.safe_load(found[1]) if found else None) or {}


def _index_problems(index: Any) -> list[str]:
    if not isinstance(index, list):
        return ['"model-index" must be an array']
    for model in index:
        if not isinstance(model, dict) or not model.get("name"):
            return ['"model-index[0].name" is required']
        if not model.get("results"):
            return ['"model-index[0].results" is required']
    return []


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])
