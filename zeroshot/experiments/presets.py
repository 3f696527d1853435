"""Presets: ready parameter files. presets/toy.yaml, the default, has every key; the others are overlays of what differs from it.

A merged preset is the text of the default with the values of the overlay put in. Where the overlay has a comment at a key, that comment
replaces the default's; the comment that opens the overlay opens the merged file.
"""

import io
import pathlib
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from ruamel import yaml
from ruamel.yaml import comments as yaml_comments

from zeroshot.base import errors, params

FOLDER = pathlib.Path("presets")
DEFAULT = "toy"

# Between a value and the comment behind it; no value of a parameter file has this in it.
_COMMENT = re.compile(r"\s+# ")


def names(folder: pathlib.Path = FOLDER) -> list[str]:
    """Return the names of all presets."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def text(name: str, folder: pathlib.Path = FOLDER) -> str:
    """Return the whole parameter file of a preset, with a comment at every key.

    Raises:
        errors.UserError: if there is no such preset, or its overlay does not fit the default.
    """
    if name not in names(folder):
        known = ", ".join(f"`{one}`" for one in names(folder))
        raise errors.UserError(f"{folder}: has no preset `{name}`; there are: {known}")
    default = (folder / f"{DEFAULT}.yaml").read_text()
    path = folder / f"{name}.yaml"
    return default if name == DEFAULT else merge(default, path.read_text(), str(path))


def read(name: str, folder: pathlib.Path = FOLDER) -> dict[str, Any]:
    """Return the parameters of a preset as plain values, unchecked.

    Raises:
        errors.UserError: as `text`.
    """
    return params.parse(text(name, folder), f"preset {name}")


def merge(default: str, overlay: str, source: str = "overlay") -> str:
    """Return the text of `default` with the values and comments of `overlay`.

    Args:
        default: a whole parameter file in the form in which DVC writes it.
        overlay: some of its keys.
        source: the file of the overlay, for messages.

    Raises:
        params.ParamsError: if the overlay cannot be read or has keys that `default` lacks.
    """
    changes = params.parse(overlay, source)
    document = _round_trip().load(default)
    faults = list(_put(document, changes, ""))
    if faults:
        raise params.ParamsError(params.listed(source, faults))
    stream = io.StringIO()
    _round_trip().dump(document, stream)
    head, _, _ = overlay.partition("\n\n")
    opening = f"{head}\n\n" if all(line.startswith("#") for line in head.splitlines()) else ""
    return opening + _with_comments(stream.getvalue(), comments(overlay))


def comments(text: str) -> dict[str, str]:
    """Return the comment of every key that has one, by dotted key: the lines just above it, or the end of its own line."""
    lines = text.splitlines()
    found = {}
    for key, number in _positions(_round_trip().load(text)):
        indent, own = _split(lines[number])
        above = own or " ".join(
            line.strip().removeprefix("# ") for line in lines[_first(lines, number, indent) : number]
        )
        if above:
            found[key] = above
    return found


def _round_trip() -> yaml.YAML:
    """Return a reader and writer that keeps comments, with the settings of DVC, so that `dvc exp run -S` changes no other line."""
    result = yaml.YAML()
    result.default_flow_style = False
    return result


def _put(document: dict[str, Any], changes: dict[str, Any], prefix: str) -> Iterator[str]:
    """Put the changes into the document; yield what does not fit."""
    for key, value in changes.items():
        if key not in document:
            yield f"{prefix}{key}: is no key of the default"
        # An empty mapping is a value, as that of embeddings.aliases.
        elif isinstance(document[key], dict) and document[key]:
            if isinstance(value, dict):
                yield from _put(document[key], value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}: needs keys under it"
        else:
            document[key] = value


def _with_comments(text: str, changes: dict[str, str]) -> str:
    """Return the text with other comments at some keys, each where the text has the old one: above the key or behind it."""
    lines = text.splitlines()
    # From the last line up, so that the numbers of those above still hold.
    for key, number in sorted(_positions(_round_trip().load(text)), key=lambda item: -item[1]):
        indent, own = _split(lines[number])
        if own:
            # ruamel.yaml leaves such a comment in the column that it had behind the old value.
            setting = lines[number].removesuffix(f"# {own}").rstrip()
            lines[number] = f"{setting}  # {changes.get(key, own)}"
        elif key in changes:
            start = f"{indent}# "
            wrapped = textwrap.wrap(
                changes[key],
                120,
                initial_indent=start,
                subsequent_indent=start,
                break_on_hyphens=False,
                break_long_words=False,
            )
            lines[_first(lines, number, indent) : number] = wrapped
    return "\n".join(lines) + "\n"


def _positions(values: yaml_comments.CommentedMap, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Yield every dotted key and the number of its line, but not what is inside of a value such as `{}`."""
    for key, value in values.items():
        yield f"{prefix}{key}", values.lc.key(key)[0]
        if isinstance(value, yaml_comments.CommentedMap) and not value.fa.flow_style():
            yield from _positions(value, f"{prefix}{key}.")


def _split(line: str) -> tuple[str, str | None]:
    """Return the indentation of a key's line and the comment at its end."""
    _, *own = _COMMENT.split(line, maxsplit=1)
    return line[: len(line) - len(line.lstrip())], own[0] if own else None


def _first(lines: list[str], number: int, indent: str) -> int:
    """Return the number of the first of the comment lines just above line `number`, that number itself if there are none."""
    while number and lines[number - 1].startswith(f"{indent}# "):
        number -= 1
    return number
