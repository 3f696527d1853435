"""Parameter files as plain values: setting dotted keys, and the `-S` flags of `dvc exp run` that turn one file into another."""

import copy
import json
import re
from typing import Any

# Text that needs no quotation marks in Hydra's override grammar.
_PLAIN = re.compile(r"[A-Za-z_/][\w./-]*")
_HYDRA_CONSTANTS = {"null", "true", "false", "nan", "inf"}


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of `base` in which each dotted key of `changes` has its value; `base` must contain the key.

    Raises:
        KeyError: with all keys that are missing in `base`.
    """
    missing = [key for key in changes if not _has(base, key)]
    if missing:
        raise KeyError(*missing)
    result = copy.deepcopy(base)
    for key, value in changes.items():
        parent, _, last = key.rpartition(".")
        at(result, parent)[last] = copy.deepcopy(value)
    return result


def at(values: dict[str, Any], key: str) -> Any:
    """Return the value at a dotted key; for an empty key, all of `values`.

    Raises:
        KeyError: if the key does not exist.
    """
    for part in key.split(".") if key else []:
        if not isinstance(values, dict):
            raise KeyError(key)
        values = values[part]
    return values


def seed_keys(base: dict[str, Any], fixed: tuple[str, ...]) -> list[str]:
    """Return the dotted key of every `seed` in `base`, except in the sections `fixed`."""
    return [key for name in base if name not in fixed for key in _keys(base[name], name) if key.endswith(".seed")]


def flags(current: dict[str, Any], goal: dict[str, Any]) -> list[str]:
    """Return the overrides, in Hydra's grammar as `-S` takes it, that turn `current` into `goal`."""
    return list(_differences(current, goal, ""))


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


def _has(values: dict[str, Any], key: str) -> bool:
    try:
        at(values, key)
    except KeyError:
        return False
    return True


def _keys(values: Any, prefix: str) -> list[str]:
    if not isinstance(values, dict):
        return [prefix]
    return [key for name, value in values.items() for key in _keys(value, f"{prefix}.{name}")]
