"""Parameter files as plain values: setting dotted keys, and the `-S` flags of `dvc exp run` that lead from one file to another."""

import copy
import json
import re
from typing import Any

# Text that Hydra's override grammar reads as itself, unquoted.
_PLAIN = re.compile(r"[A-Za-z_/][\w./-]*")
_WORDS_WITH_A_MEANING = {"null", "true", "false", "nan", "inf"}


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of `base` in which each dotted key of `changes` has its value; the key must have one already.

    Raises:
        KeyError: with all keys that `base` lacks.
    """
    missing = [key for key in changes if not _holds(base, key)]
    if missing:
        raise KeyError(*missing)
    result = copy.deepcopy(base)
    for key, value in changes.items():
        parent, _, last = key.rpartition(".")
        at(result, parent)[last] = copy.deepcopy(value)
    return result


def at(values: dict[str, Any], key: str) -> Any:
    """Return the value at a dotted key, all of `values` at an empty one.

    Raises:
        KeyError: if there is none.
    """
    for part in key.split(".") if key else []:
        if not isinstance(values, dict):
            raise KeyError(key)
        values = values[part]
    return values


def seed_keys(base: dict[str, Any], fixed: tuple[str, ...]) -> list[str]:
    """Return the dotted key of every `seed` in `base`, but for the sections in `fixed`."""
    return [key for name in base if name not in fixed for key in _keys(base[name], name) if key.endswith(".seed")]


def flags(current: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Return the overrides, in Hydra's grammar as `-S` takes it, that turn `current` into `wanted`."""
    return list(_differences(current, wanted, ""))


def _differences(current: dict[str, Any], wanted: dict[str, Any], prefix: str) -> list[str]:
    found = [f"~{prefix}{key}" for key in current if key not in wanted]
    for key, value in wanted.items():
        if key not in current:
            found.append(f"+{prefix}{key}={_grammar(value)}")
        elif isinstance(value, dict) and isinstance(current[key], dict):
            found += _differences(current[key], value, f"{prefix}{key}.")
        elif not same(current[key], value):
            found.append(f"{prefix}{key}={_grammar(value)}")
    return found


def same(first: Any, second: Any) -> bool:
    """Return whether two values are equal, numbers by their value and true and false by themselves only."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    # YAML 1.1 reads 5e-05 as text, YAML 1.2 as a number: DVC writes by the second what PyYAML reads by the first.
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
        if _PLAIN.fullmatch(value) and value.lower() not in _WORDS_WITH_A_MEANING:
            return value
        # A backslash is itself but before a quotation mark, the closing one among them.
        return "'" + re.sub(r"(\\*)('|$)", lambda end: 2 * end[1] + end[2].replace("'", r"\'"), value) + "'"
    return json.dumps(value)


def _holds(values: dict[str, Any], key: str) -> bool:
    try:
        at(values, key)
    except KeyError:
        return False
    return True


def _keys(values: Any, prefix: str) -> list[str]:
    if not isinstance(values, dict):
        return [prefix]
    return [key for name, value in values.items() for key in _keys(value, f"{prefix}.{name}")]
