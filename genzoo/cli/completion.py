"""genzoo completion: the script of a shell, and its answers.

The script asks ``genzoo completion answer SHELL INDEX WORD...`` at each completion. The answer
comes from the arguments of the commands, from the metadata of installed distributions and from the
source of their classes. No plugin is imported, and neither is torch.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from genzoo import registry
from genzoo.cli.arguments import CompletionArguments
from genzoo.cli.command_table import COMMANDS
from genzoo.cli.flag_table import MANY, Flag, flags_of, is_flag, normal
from genzoo.cli.static_fields import StaticField, fields_of
from genzoo.cli.texts import write
from genzoo.cli.value_kinds import ValueKind, name_of
from genzoo.summaries import summary_of
from genzoo.text_safety import one_line

_SENTENCE = re.compile(r"[.;:](\s|$)")
_MOST = 70
_TRAINER = "genzoo.training.config:TrainerConfig"
_DATA = "genzoo.data.dataset:DataConfig"
_GROUPS = {
    "--model": "models",
    "--objective": "objectives",
    "--sampler": "samplers",
    "--data": "datasets",
    "--data-y": "datasets",
}
_OF_DATA = ("ema", "evaluate", "explore", "inpaint", "translate", "train")
_NAMES = {
    "--trainer.eval-metrics": ValueKind("names", group="metrics"),
}
_HIDDEN = ("event", "optimizers")
_MOST_NESTED = 3


def run(arguments: CompletionArguments) -> None:
    """Print the script of a shell."""
    text = resources.files("genzoo.cli").joinpath("completions", f"genzoo.{arguments.shell}")
    write(text.read_text("utf-8").rstrip())


@dataclass(frozen=True)
class Answer:
    """What may stand at a place.

    Arguments:
        texts: Each text with a description.
        paths: "files" or "folders" if the shell adds those, else "".
    """

    texts: Sequence[tuple[str, str]] = ()
    paths: str = ""


def answer(args: Sequence[str]) -> None:
    """Print what may stand at a place: ``SHELL INDEX WORD...``.

    The first line is ``:files``, ``:folders`` or ``:``; each other one is a text, a tab and a
    description.
    """
    shell, index, *words = args
    place = int(index)
    before, current = [*words[1:place]], words[place] if place < len(words) else ""
    if shell == "bash":
        # In bash, = is a word of its own, and only what follows it is replaced.
        before, current, lead = _joined(before, current)
    else:
        lead = ""
    found = complete(before, current)
    write(f":{found.paths}")
    for text, about in found.texts:
        write(f"{one_line(text).removeprefix(lead)}\t{one_line(about)}")


def _joined(before: list[str], current: str) -> tuple[list[str], str, str]:
    """Return words with those around = joined, and the part that bash keeps."""
    words: list[str] = []
    for word in [*before, current]:
        joins = words and (word == "=" or words[-1].endswith("=")) and words[-1].startswith("--")
        if joins:
            words[-1] += word
        else:
            words.append(word)
    name, equals, _ = words[-1].partition("=")
    lead = name + equals if equals and name.startswith("--") else ""
    return words[:-1], words[-1], lead


def complete(before: Sequence[str], current: str) -> Answer:
    """Return what may stand at a place.

    Arguments:
        before: The words between ``genzoo`` and the place.
        current: What is written there already.
    """
    if not before:
        names = {name: (cls.__doc__ or "").partition(".")[0] for name, cls in COMMANDS.items()}
        names |= {"--help": "Show what commands there are", "--version": "Show the version"}
        return _of(names, current)
    command, *rest = before
    if command not in COMMANDS:
        return Answer()
    table = {flag.name: flag for flag in flags_of(COMMANDS[command])}
    name, equals, value = current.partition("=")
    if equals and is_flag(current):
        found = _values(normal(name), command, rest, table, value)
        return Answer([(f"{name}={text}", about) for text, about in found.texts], found.paths)
    if open_flag := _open_flag(rest, command, table):
        if not is_flag(current):
            return _values(open_flag, command, rest, table, current)
    elif not is_flag(current) and current != "-" and (alone := _alone(rest, command, table)):
        return _of_kind(alone, current)
    return _of(_flags(command, rest, table), current) if current[:1] == "-" else Answer()


def _open_flag(words: Sequence[str], command: str, table: dict[str, Flag]) -> str:
    """Return the flag whose values the next word may be one of, or ""."""
    last = max((i for i, word in enumerate(words) if is_flag(word)), default=-1)
    if last < 0 or "=" in words[last]:
        return ""
    name, given = normal(words[last]), len(words) - last - 1
    return name if given < _count(name, command, words, table) else ""


def _count(name: str, command: str, words: Sequence[str], table: dict[str, Flag]) -> int:
    """Return the number of values of a flag."""
    if name in table:
        return table[name].num_values
    if name in _NAMES:
        return MANY if _NAMES[name].words == "names" else 1
    found = _static(command, words).get(name)
    return 0 if found and found.is_switch else 1


def _alone(words: Sequence[str], command: str, table: dict[str, Flag]) -> Flag | None:
    """Return the argument without a flag that the next word is."""
    alone = [flag for flag in table.values() if flag.positional]
    num = len(_positionals(words, command, table))
    return alone[min(num, len(alone) - 1)] if alone and _takes(alone, num) else None


def _takes(alone: Sequence[Flag], num: int) -> bool:
    return num < len(alone) or alone[-1].num_values == MANY


def _positionals(words: Sequence[str], command: str, table: dict[str, Flag]) -> list[str]:
    """Return the arguments without a flag."""
    found: list[str] = []
    left = 0
    for word in words:
        if is_flag(word):
            name = normal(word.partition("=")[0])
            known = table[name].num_values if name in table else ("." in name) * 1
            left = 0 if "=" in word else known
        elif left:
            left -= 1
        else:
            found.append(word)
    return found


def _values(
    name: str, command: str, words: Sequence[str], table: dict[str, Flag], current: str
) -> Answer:
    """Return the values of a flag."""
    if name in table:
        return _of_kind(table[name], current)
    if name in _NAMES or name.startswith("--trainer.optimizers."):
        return _named(_NAMES.get(name, name_of("optimizers")), current)
    found = _static(command, words).get(name)
    if found and found.group:
        return _named(name_of(found.group), current)
    return _of(dict.fromkeys(found.choices, ""), current) if found else Answer()


def _of_kind(flag: Flag, current: str) -> Answer:
    if flag.choices:
        return _of(dict.fromkeys(flag.choices, ""), current)
    if flag.name == "WHAT":
        every = {name: "" for group in registry.GROUPS for name in registry.names(group)}
        return _of(every | dict.fromkeys(registry.GROUPS, "a group"), current)
    return _named(flag.value_kind, current)


def _named(kind: ValueKind, current: str) -> Answer:
    """Return the names of a group, and whether the shell adds paths."""
    entries = registry.listed(kind.group) if kind.group else []
    names = {e.name: summary_of(e) for e in entries if e.name.startswith(current)}
    return Answer(_of(names, current).texts, kind.paths)


def _flags(command: str, words: Sequence[str], table: dict[str, Flag]) -> dict[str, str]:
    """Return the flags of a command, with those of the classes that its words name."""
    from genzoo.cli.help_page import docs_of

    plain = [flag for flag in table.values() if not flag.positional]
    fixed = {flag.name: docs_of(flag.owner).get(flag.field, "") for flag in plain}
    more = {name: each.about for name, each in _static(command, words).items()}
    return {**fixed, "--help": "Show the help", **more}


def _static(command: str, words: Sequence[str]) -> dict[str, StaticField]:
    """Return the flags of the classes that words name, read from their source."""
    return dict(_sections(command, words))


def _sections(command: str, words: Sequence[str]) -> Iterator[tuple[str, StaticField]]:
    table = {flag.name: flag for flag in flags_of(COMMANDS[command])}
    named = {normal(a): b for a, b in itertools.pairwise(words) if is_flag(a)}
    named |= {normal(w.partition("=")[0]): w.partition("=")[2] for w in words if "=" in w}
    if command == "train":
        named["--model"] = next(iter(_positionals(words, command, table)), "")
        yield from _section("--trainer", _TRAINER, named, own_config=False)
        for name in _NAMES:
            yield name, StaticField(name)
    for prefix, group in _GROUPS.items():
        name = named.get(prefix, "")
        if target := _target(group, name):
            yield from _section(prefix, target, named)
        elif group == "datasets" and command in _OF_DATA and (name or prefix == "--data"):
            yield from _section(prefix, _DATA, named, own_config=False)


def _section(
    prefix: str, target: str, named: Mapping[str, str], *, own_config: bool = True
) -> Iterator[tuple[str, StaticField]]:
    """Yield the flags of a section, and those of the components that words name in it."""
    for name, each in fields_of(target, own_config=own_config).items():
        flag = f"{prefix}.{normal(name)}"
        if name in _HIDDEN or (name == "conditions" and prefix.startswith("--model.")):
            continue
        yield flag, each
        chosen = _target(each.group, named.get(flag, "")) if each.group else ""
        if chosen and prefix.count(".") < _MOST_NESTED - 1:
            yield from _section(flag, chosen, named)


def _target(group: str, name: str) -> str:
    """Return where the class of a name is, or ""."""
    return next((e.target for e in registry.listed(group) if e.name == name), "")


def _of(texts: dict[str, str], current: str) -> Answer:
    """Return the texts that begin with what is written already."""
    fitting = {text: about for text, about in texts.items() if text.startswith(current)}
    return Answer([(text, _short(about)) for text, about in fitting.items()])


def _short(text: str) -> str:
    """Return the first sentence of a description."""
    first = " ".join(_SENTENCE.split(f"{text} ", maxsplit=1)[0].split())
    return first if len(first) <= _MOST else f"{first[: _MOST - 1]}…"
