"""Parameter files as plain values: setting keys, and the `-S` flags of `dvc exp run` that turn some files into others.

A key is a dotted key of params.yaml (`gmmn.lr`), or that of another file after its path and a colon (`szn/params.yaml:network.lr`), as DVC
writes them.
"""

import copy
import json
import re
from collections.abc import Iterable
from typing import Any

MAIN = "params.yaml"
# Path of each parameter file, relative to the repository -> its content.
Files = dict[str, dict[str, Any]]
# Text that needs no quotation marks in Hydra's override grammar.
_PLAIN = re.compile(r"[A-Za-z_/][\w./-]*")
_HYDRA_CONSTANTS = {"null", "true", "false", "nan", "inf"}


def key(file: str, dotted: str) -> str:
    """Return the key of the dotted key `dotted` of a parameter file."""
    return dotted if file == MAIN else f"{file}:{dotted}"


def split(key: str) -> tuple[str, str]:
    """Return the path of the parameter file that a key belongs to, and the dotted key in it."""
    file, _, dotted = key.rpartition(":")
    return file or MAIN, dotted


def of_files(keys: Iterable[str], files: Iterable[str]) -> list[str]:
    """Return those of `keys` that belong to the parameter files `files`."""
    return [one for one in keys if split(one)[0] in files]


def merged(base: Files, changes: dict[str, Any]) -> Files:
    """Return a copy of `base` in which each key of `changes` has its value; `base` must contain the key.

    Raises:
        KeyError: with all keys that are missing in `base`.
    """
    missing = [name for name in changes if not _has(base, name)]
    if missing:
        raise KeyError(*missing)
    result = copy.deepcopy(base)
    for name, value in changes.items():
        file, dotted = split(name)
        parent, _, last = dotted.rpartition(".")
        at(result, key(file, parent))[last] = copy.deepcopy(value)
    return result


def at(files: Files, key: str) -> Any:
    """Return the value at a key; all values of the file if the dotted part is empty.

    Raises:
        KeyError: if the key does not exist.
    """
    file, dotted = split(key)
    values: Any = files[file]
    for part in dotted.split(".") if dotted else []:
        if not isinstance(values, dict):
            raise KeyError(key)
        values = values[part]
    return values


def seed_keys(base: Files, fixed: tuple[str, ...]) -> list[str]:
    """Return the key of every `seed` in `base`, except in the sections `fixed`."""
    return [
        key(file, dotted)
        for file, values in base.items()
        for section, content in values.items()
        if key(file, section) not in fixed
        for dotted in _keys(content, section)
        if dotted.endswith(".seed")
    ]


def flags(current: Files, goal: Files) -> list[str]:
    """Return the overrides, in Hydra's grammar as `-S` takes it, that turn `current` into `goal`; files that `goal` lacks stay."""
    return [
        key(file, flag) for file, values in goal.items() for flag in _differences(current.get(file, {}), values, "")
    ]


def _differences(current: dict[str, Any], goal: dict[str, Any], prefix: str) -> list[str]:
    flags = [f"~{prefix}{key}" for key in current if key not in goal]
    for key, value in goal.items():
        if key not in current:
            flags.append(f"+{prefix}{key}={_grammar(value)}")
        elif isinstance(value, dict) and isinstance(current[key], dict):
            flags += _differences(current[key], value, f"{prefix}{key}.")
        elif not same(current[key], value):
            flags.append(f"{prefix}{key}={_grammar(value)}")
    return flags


def same(first: Any, second: Any) -> bool:
    """Return whether two parameter values are equal; 2 equals 2.0, but 1 does not equal true."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    # DVC writes 5e-05 as a number of YAML 1.2; PyYAML reads YAML 1.1, where it is text.
    return isinstance(first, bool) == isinstance(second, bool) and _number(first) == _number(second)


def _number(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return float(value) if value[:1] in "0123456789.-+" else value
    except ValueError:
        return value


def _grammar(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{_grammar(key)}:{_grammar(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_grammar, value)) + "]"
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in _HYDRA_CONSTANTS:
            return value
        # A backslash must be doubled only before a quotation mark, also before the closing one.
        return "'" + re.sub(r"(\\*)('|$)", lambda end: 2 * end[1] + end[2].replace("'", r"\'"), value) + "'"
    return json.dumps(value)


def _has(files: Files, key: str) -> bool:
    try:
        at(files, key)
    except KeyError:
        return False
    return True


def _keys(values: Any, prefix: str) -> list[str]:
    if not isinstance(values, dict):
        return [prefix]
    return [key for name, value in values.items() for key in _keys(value, f"{prefix}.{name}")]
