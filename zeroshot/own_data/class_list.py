"""The class list of a folder: names, and where people write them the values or colours in masks, and roles."""

import csv
import dataclasses
import datetime
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import yaml

from zeroshot.base import errors, strict_yaml, text_files
from zeroshot.images import label_ids

Role = Literal["seen", "unseen", "background", "void"]
ROLES = ("seen", "unseen", "background", "void")
# Names that people give to these roles; those with underscores are labelme's.
_USUAL: dict[str, Role] = {
    **dict[str, Role].fromkeys(("background", "bg", "_background_"), "background"),
    **dict[str, Role].fromkeys(
        ("void", "ignore", "ignored", "unlabelled", "unlabeled", "unknown", "__ignore__"), "void"
    ),
}
# Name and value of what no annotation covers, if annotations are polygons or run lengths.
BACKGROUND, REST = "background", 0
# Words of which the header of a table consists; the colours alone are names of classes.
_HEADER = {"name", "class", "label", "id", "value", "r", "g", "b", "red", "green", "blue", "colour", "color"}
_COLOURS = {"red", "green", "blue"}
_LABELMAP = re.compile(r"(.+?):(\d+),(\d+),(\d+):.*")
_VALUE_LAST = re.compile(r"(\S.*?)\s*[,;\t]\s*(\d+)")
_COLOUR_FIRST = re.compile(r"(\d+)[\s,;]+(\d+)[\s,;]+(\d+)[\s,;]+(\S.*)")
_COLOUR_LAST = re.compile(r"(\S.*?)[\s,;]+(\d+)[\s,;]+(\d+)[\s,;]+(\d+)")
_VALUE_FIRST = re.compile(r"(\d+)\s*[:,;\s]\s*(\S.*)")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One class of the list.

    Attributes:
        name: the name.
        value: its value in index masks; None if masks have colours.
        colour: its colour [R, G, B] in masks; None if masks have values. A class with neither is in no mask.
        role: what it is; classes that no mask shows become unseen later.
    """

    name: str
    value: int | None
    colour: tuple[int, int, int] | None
    role: Role


def read(path: pathlib.Path, complete: bool = True) -> list[Entry]:
    """Read a class list; `complete`: it has all classes, and not only some that have a role or are missing elsewhere.

    Lines of a text or CSV file are `name`, whose line number from 0 is the value; `3: name`; `name,3`; `64 128 64 name`;
    `name, 64, 128, 64`; or those of a labelmap.txt. A header and comments (`#`) are skipped and not counted. An empty line among mere
    names is refused, since it may stand for a value or not.
    A YAML file is a list of names, or of mappings with `name` and optionally `value`, `colour` and `role`.
    Beside classes with colours, a mere name is a class that no mask shows, an unseen one.

    Raises:
        errors.UserError: if the list cannot be read; the text names every fault.
    """
    if path.suffix in (".yaml", ".yml"):
        entries = _of_yaml(path)
    else:
        lines = [line.strip() for line in text_files.read_lines(path) if not line.startswith("#")]
        lines = _without_header(lines)
        entries = [_of_line(line) for line in lines if line]
        if complete:
            _check_numbered(path, lines, entries)
    entries = _completed(entries)
    _check(path, entries, 2 if complete else 0)
    return entries


def _without_header(lines: Sequence[str]) -> list[str]:
    """Return the lines behind a header, or all from the first that is not empty."""
    while lines and not lines[0]:
        lines = lines[1:]
    words = set(re.split(r"[\s,;]+", lines[0].lower())) if lines else set()
    return list(lines[1:] if words <= _HEADER and not words <= _COLOURS else lines)


def _check_numbered(path: pathlib.Path, lines: Sequence[str], entries: Sequence[Entry]) -> None:
    """Check that no line among names without values is empty; those before the first and after the last do not matter."""
    filled = [number for number, line in enumerate(lines) if line]
    mere = entries and all(entry.value is None and entry.colour is None for entry in entries)
    if mere and filled[-1] - filled[0] + 1 > len(filled):
        raise errors.UserError(
            f"{path}: an empty line stands among the names, whose values in masks are their line numbers; delete it, or write the values"
            " (`3: name`)"
        )


def _completed(entries: Sequence[Entry]) -> list[Entry]:
    """Give classes without value and colour the number of their line as value or, beside colours, the role unseen."""
    coloured = any(entry.colour for entry in entries)
    completed = []
    for number, entry in enumerate(entries):
        if entry.value is None and entry.colour is None:
            if not coloured:
                entry = dataclasses.replace(entry, value=number)
            elif entry.role == "seen":
                entry = dataclasses.replace(entry, role="unseen")
        completed.append(entry)
    return completed


def _of_line(line: str) -> Entry:
    if match := _LABELMAP.fullmatch(line):
        name, *colour = match.groups()
    elif match := _COLOUR_FIRST.fullmatch(line):
        *colour, name = match.groups()
    elif match := _COLOUR_LAST.fullmatch(line):
        name, *colour = match.groups()
    elif match := _VALUE_FIRST.fullmatch(line):
        return _entry(match[2], int(match[1]), None, None)
    elif match := _VALUE_LAST.fullmatch(line):
        return _entry(match[1], int(match[2]), None, None)
    else:
        return _entry(line, None, None, None)
    red, green, blue = map(int, colour)
    return _entry(next(csv.reader([name]))[0], None, (red, green, blue), None)


def _of_yaml(path: pathlib.Path) -> list[Entry]:
    try:
        values = strict_yaml.load(text_files.read(path))
    except (yaml.YAMLError, RecursionError) as error:
        raise errors.UserError(f"{path}: cannot be read as YAML: {error}") from None
    if isinstance(values, dict):
        values = values.get("classes", values.get("names"))
    if not isinstance(values, list):
        raise errors.UserError(f"{path}: needs a list of classes, or a list under `classes:`")
    return [_of_item(path, item, number) for number, item in enumerate(values)]


def _of_item(path: pathlib.Path, item: Any, number: int) -> Entry:
    if isinstance(item, str):
        return _entry(item, None, None, None)
    where = f"{path}: class {number}"
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        found = item.get("name") if isinstance(item, dict) else item
        is_word = isinstance(found, bool | int | float | datetime.date)
        quotes = f"; found {found!r}, which is no text: write it in quotes" if is_word else ""
        raise errors.UserError(f"{where}: needs a name{quotes}")
    unknown = sorted(item.keys() - {"name", "value", "colour", "color", "role"})
    colour, value, role = item.get("colour", item.get("color")), item.get("value"), item.get("role")
    if unknown:
        raise errors.UserError(f"{where}: unknown key `{unknown[0]}`; known keys: name, value, colour, role")
    if role is not None and role not in ROLES:
        raise errors.UserError(f"{where}: role must be one of {', '.join(ROLES)}, found {role!r}")
    if colour is not None and not (
        isinstance(colour, list) and len(colour) == 3 and all(isinstance(part, int) for part in colour)
    ):
        raise errors.UserError(f"{where}: colour must be a list of red, green and blue from 0 to 255, found {colour!r}")
    if value is not None and not isinstance(value, int):
        raise errors.UserError(f"{where}: value must be a number, found {value!r}")
    return _entry(item["name"], value, None if colour is None else (colour[0], colour[1], colour[2]), role)


def _entry(name: str, value: int | None, colour: tuple[int, int, int] | None, role: Role | None) -> Entry:
    name = text_files.normalise(name.strip())
    return Entry(name, value, colour, role or _USUAL.get(name.lower(), "seen"))


def _check(path: pathlib.Path, entries: Sequence[Entry], least: int) -> None:
    faults = []
    for what in ("name", "value", "colour"):
        first: dict[Any, int] = {}
        for number, entry in enumerate(entries):
            key = getattr(entry, what)
            key = key.lower() if what == "name" else key
            if key is not None and first.setdefault(key, number) != number:
                faults.append(f"`{entries[first[key]].name}` and `{entry.name}` have the same {what}")
    for entry in entries:
        if not entry.name or not entry.name.isprintable():
            faults.append(f"{entry.name!r} is no name")
        if entry.colour is not None and not all(0 <= part <= 255 for part in entry.colour):
            faults.append(f"`{entry.name}`: a colour has numbers from 0 to 255")
        if entry.value is not None and not 0 <= entry.value < label_ids.N_IDS:
            faults.append(f"`{entry.name}`: a value is from 0 to {label_ids.N_IDS - 1:,}")
    if sum(entry.role == "background" for entry in entries) > 1:
        faults.append("more than one background")
    coloured = [entry.name for entry in entries if entry.colour]
    valued = [entry.name for entry in entries if entry.value is not None]
    if coloured and valued:
        faults.append(f"`{coloured[0]}` has a colour in masks and `{valued[0]}` a value; all need the same")
    if sum(entry.role in ("seen", "unseen", "background") for entry in entries) < least:
        one_line = len(entries) == 1 and re.search("[,;\t]", entries[0].name)
        faults.append("fewer than two classes" + ("; write one name in a line" if one_line else ""))
    if faults:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise errors.UserError("\n".join([f"{path}: {count}", *(f"  {fault}" for fault in faults)]))


def place(names: list[str], name: str) -> int:
    """Return the place of a class in `names`, where a new one is appended; all names of a background are the first."""
    name = text_files.normalise(name.strip())
    if _USUAL.get(name.lower()) == "background":
        return REST
    if name not in names:
        names.append(name)
    return names.index(name)


def of_annotations(where: pathlib.Path, names: Sequence[str], path: pathlib.Path | None) -> list[Entry]:
    """Return the classes of annotations, whose values are their places, and after them further ones of a class list.

    Args:
        where: the annotations, for messages.
        names: the background and the classes of the annotations.
        path: a class list, which gives classes their roles; its values and colours do not matter. None: there is none.

    Raises:
        errors.UserError: if the list cannot be read or classes have the same name; the text names every fault.
    """
    names, roles = list(names), {}
    for entry in read(path, complete=False) if path else ():
        roles[place(names, entry.name)] = entry.role
    entries = [_entry(name, value, None, roles.get(value)) for value, name in enumerate(names)]
    _check(where, entries, 2)
    return entries


def with_roles(entries: Sequence[Entry], roles: Mapping[str, Role]) -> list[Entry]:
    """Return the entries with other roles by name.

    Raises:
        errors.UserError: if the list has no class of a name.
    """
    known = {entry.name for entry in entries}
    unknown = [name for name in roles if name not in known]
    if unknown:
        raise errors.UserError(f"no class `{unknown[0]}`; the list has {', '.join(sorted(known))}")
    return [dataclasses.replace(entry, role=roles.get(entry.name, entry.role)) for entry in entries]
