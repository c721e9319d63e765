"""Groups: what can be registered, with the base class of each group."""

from __future__ import annotations

import importlib
import re
import sys

from genzoo.errors import NameConflictError, PluginError, UnknownNameError

_BASES = {
    "models": "genzoo.pretrained.generative_model:GenerativeModel",
    "objectives": "genzoo.objective:Objective",
    "samplers": "genzoo.sampler:Sampler",
    "spaces": "genzoo.spaces.space:Space",
    "optimizers": "genzoo.training.optimizers:Optimizer",
    "lr_schedulers": "genzoo.training.lr_schedulers:LRScheduler",
    "datasets": "genzoo.data.dataset:DataSource",
    "metrics": "genzoo.evaluation.metric:Metric",
    "extractors": "genzoo.evaluation.features:FeatureExtractor",
    "formats": "genzoo.layouts.foreign:ForeignFormat",
}
GROUPS = tuple(_BASES)
"""genzoo's groups; the entry-point group of ``models`` is ``genzoo.models``."""
_NAME = re.compile(r"[A-Za-z]\w{0,63}(\.\w{1,64}){1,4}", re.ASCII)
_opened: dict[str, type] = {}


def register_group(group: str, base: type) -> None:
    """Open a group of a package's own, so that others can register classes in it.

    The entry-point group has the same name. Opening a group again with the same base is allowed.

    >>> class Estimator: ...
    >>> register_group("my_package.estimators", Estimator)

    Arguments:
        group: The package's name, a dot, and a plural noun for its classes.
        base: What every class of the group is a subclass of. If its classes have a ``Config``
            that is the last argument of the constructor and kept as ``config``,
            `genzoo.plugin.make` and `genzoo.plugin.describe` work for them.

    Raises:
        PluginError: The name is malformed or begins with "genzoo.", or the base is not a class.
        NameConflictError: The group is open with another base.
    """
    if not isinstance(group, str) or not _NAME.fullmatch(group):
        raise PluginError(
            f"{group!r} is not a valid name of a group: use PACKAGE.PLURAL, such as "
            "my_package.estimators."
        )
    if group.partition(".")[0] == "genzoo":
        raise PluginError(f"{group!r} is a name of genzoo: begin with the name of your package.")
    if not isinstance(base, type):
        raise PluginError(f"The base of {group} must be a class, got {base!r}.")
    known = _opened.get(group)
    if known is not None and _place(known) != _place(base):
        raise NameConflictError(
            f"{group} is open, for subclasses of {_place(known)}, not of {_place(base)}: choose "
            "another name."
        )
    _opened[group] = base


def known_groups() -> list[str]:
    """Return genzoo's groups, then the groups of packages, sorted."""
    return [*GROUPS, *sorted(_opened)]


def check_group(group: str) -> None:
    """Raise UnknownNameError if there is no such group."""
    if group not in GROUPS and group not in _opened:
        own = "Import the package that opens it first." if "." in group else ""
        raise UnknownNameError("group", group, known_groups(), own)


def base_of(group: str) -> type:
    """Return the base class of a group, importing it.

    Raises:
        UnknownNameError: There is no such group.
    """
    check_group(group)
    if group in _opened:
        return _opened[group]
    module, _, attribute = _BASES[group].partition(":")
    found: type = getattr(importlib.import_module(module), attribute)
    return found


def group_of(instance: object) -> str:
    """Return the group that an instance's class belongs to, without importing.

    Raises:
        PluginError: There is none.
    """
    bases = {group: _imported(where) for group, where in _BASES.items()} | _opened
    for group, base in bases.items():
        if base is not None and isinstance(instance, base):
            return group
    raise PluginError(f"{_place(type(instance))} does not belong to any group.")


def _imported(where: str) -> type | None:
    """Return a base class if its module is imported, as it is if it has an instance."""
    module, _, attribute = where.partition(":")
    return getattr(sys.modules.get(module), attribute, None)


def _place(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
