"""docs/parameters.md and those of SZN and ZSI: every key of a parameter file with its values, its default and its comment."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import pydantic

from zeroshot.base import errors, params
from zeroshot.experiments import presets

MAIN_HEAD = """\
<!-- Made by `zeroshot parameters > docs/parameters.md`. Do not edit by hand: a test compares. -->

# Parameters

`params.yaml` has these keys, a section for each stage. Change one there, or for one run by
`dvc exp run -S gmmn.lr=0.001`. A change reruns the stage and what follows from it. `zeroshot preset NAME` writes the
parameters of a preset, such as `voc_small`, to `params.yaml`.
"""

SZN_HEAD = """\
<!-- Made by `zeroshot parameters szn > docs/szn_parameters.md`. Do not edit by hand: a test compares. -->

# Parameters of SZN

`szn/params.yaml` has these keys, a section for each stage of `szn/dvc.yaml`. Change one there, or for one run by
`dvc exp run -S szn/params.yaml:pca.dim=50 szn/dvc.yaml`. The data set and the evaluation are those of `params.yaml`
([parameters.md](parameters.md)). `zeroshot check szn/params.yaml` names faults before a stage runs.
"""

ZSI_HEAD = """\
<!-- Made by `zeroshot parameters zsi > docs/zsi_parameters.md`. Do not edit by hand: a test compares. -->

# Parameters of ZSI

`zsi/params.yaml` has these keys, a section for each stage of `zsi/dvc.yaml`. Change one there, or for one run by
`dvc exp run -S zsi/params.yaml:shapes.seed=1 zsi/dvc.yaml`. The machine is described by section `runtime` of
`params.yaml` ([parameters.md](parameters.md)). `zeroshot check zsi/params.yaml` names faults before a stage runs.
"""

# Other pipelines than the main one -> the text above their sections.
HEADS = {"szn": SZN_HEAD, "zsi": ZSI_HEAD}

# Keyword of JSON schema -> word on the page. Exclusive upper limits are not shown; they only keep seeds below 2^31.
_LIMITS = {"gt": "above", "ge": "from", "minimum": "from", "le": "to", "maximum": "to"}
_KINDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "`true` or `false`",
    "null": "null",
}


def make(default: str, sections: Mapping[str, type], head: str = MAIN_HEAD) -> str:
    """Return the page in Markdown.

    Args:
        default: text of the default parameter file.
        sections: section -> its dataclass.
        head: the text above the sections.

    Raises:
        errors.UserError: if a key has no comment.
    """
    values, comments = params.parse(default, "default"), presets.comments(default)
    uncommented = sorted(set(_keys(values)) - comments.keys())
    if uncommented:
        raise errors.UserError(f"no comment explains {', '.join(uncommented)}; write one above or beside the key")
    parts = [head]
    for name in values:
        schema = pydantic.TypeAdapter(sections[name]).json_schema()
        entries = _entries(name, values[name], schema, schema, comments)
        parts.append("\n".join([f"## `{name}`", "", *_wrapped(comments[name], ""), "", *entries]) + "\n")
    return "\n".join(parts)


def _keys(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield prefix + key
        if isinstance(value, Mapping):
            yield from _keys(value, f"{prefix}{key}.")


def _entries(
    prefix: str, values: dict[str, Any], node: dict[str, Any], schema: dict[str, Any], comments: Mapping[str, str]
) -> Iterator[str]:
    """Yield the lines of all keys of a section and its sub-sections, in the order of the file."""
    for key, value in values.items():
        entry, full = _resolved(node["properties"][key], schema), f"{prefix}.{key}"
        choices = [_resolved(item, schema) for item in entry.get("anyOf", [entry])]
        if isinstance(value, dict) and "properties" in choices[0]:
            yield from _wrapped(f"**`{full}`**{' (or null)' if len(choices) > 1 else ''}: {comments[full]}", "* ")
            yield from _entries(full, value, choices[0], schema, comments)
        else:
            text = f"**`{full}`** ({_kind(entry, schema)}; default `{_text(value)}`): {comments[full]}"
            yield from _wrapped(text, "* ")


def _kind(entry: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return a description of the values that a JSON schema allows."""
    entry = _resolved(entry, schema)
    if kinds := entry.get("anyOf") or entry.get("oneOf"):
        return " or ".join(_kind(item, schema) for item in kinds)
    if "enum" in entry or "const" in entry:
        return ", ".join(f"`{_text(item)}`" for item in entry.get("enum", [entry.get("const")]))
    if entry["type"] == "array":
        items = entry.get("prefixItems") or [entry["items"]]
        return f"list of {'two ' if len(items) == 2 else ''}{_kind(items[0], schema)}"
    if entry["type"] == "object":
        return "mapping from text to " + _kind(entry["additionalProperties"], schema)
    return " ".join(
        [_KINDS[entry["type"]], *(f"{word} {entry[limit]}" for limit, word in _LIMITS.items() if limit in entry)]
    )


def _resolved(entry: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    return schema["$defs"][entry["$ref"].rpartition("/")[2]] if "$ref" in entry else entry


def _text(value: Any) -> str:
    """Return a value in the form that `dvc exp run -S` accepts."""
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _wrapped(text: str, start: str) -> list[str]:
    rest = " " * len(start)
    return textwrap.wrap(
        text.replace("<", "&lt;"),
        120,
        initial_indent=start,
        subsequent_indent=rest,
        break_on_hyphens=False,
        break_long_words=False,
    )
