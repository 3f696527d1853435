"""Presets: parameter files for published set-ups. presets/toy.yaml, the default, has every key; the others are overlays over it.

An overlay has only the keys that differ from the default. The merged preset is the text of the default with the values and comments of the
overlay; keys without a comment in the overlay keep that of the default. The first comment of the overlay becomes the first comment of the
merged file.

The parameter file of another pipeline has presets of its own, in a folder of its name: presets/szn/ has those of szn/params.yaml, and
presets/zsi/ those of zsi/params.yaml.
"""

import io
import pathlib
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from ruamel import yaml
from ruamel.yaml import comments as yaml_comments

from zeroshot.base import errors, params, text_files

FOLDER = pathlib.Path("presets")
# Path of each parameter file that comparisons vary -> the folder of its presets.
FOLDERS = {"params.yaml": FOLDER, "szn/params.yaml": FOLDER / "szn"}
DEFAULT = "toy"

# The start of a comment after a value; no value of a parameter file contains this.
_COMMENT = re.compile(r"\s+# ")


def names(folder: pathlib.Path = FOLDER) -> list[str]:
    """Return the names of all presets."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def text(name: str, folder: pathlib.Path = FOLDER) -> str:
    """Return the whole parameter file of a preset, with a comment at every key.

    Raises:
        errors.UserError: if the preset does not exist or is no text, or its overlay has keys that the default lacks.
    """
    if name not in names(folder):
        known = ", ".join(f"`{one}`" for one in names(folder))
        raise errors.UserError(f"{folder}: has no preset `{name}`; choose from {known}")
    default = text_files.read(folder / f"{DEFAULT}.yaml")
    path = folder / f"{name}.yaml"
    return default if name == DEFAULT else merge(default, text_files.read(path), str(path))


def read(name: str, folder: pathlib.Path = FOLDER) -> dict[str, Any]:
    """Return the parameters of a preset as plain values, without validation.

    Raises:
        errors.UserError: if `text` raises it.
    """
    return params.parse(text(name, folder), f"preset {name}")


def read_files(name: str, root: pathlib.Path = pathlib.Path()) -> dict[str, dict[str, Any]]:
    """Return the parameters of a preset of params.yaml, and of those other parameter files that have one of that name.

    Args:
        name: name of the preset.
        root: the repository.

    Returns:
        path of each parameter file -> its parameters as plain values, without validation.

    Raises:
        errors.UserError: if `text` raises it.
    """
    return {
        path: read(name, root / folder)
        for path, folder in FOLDERS.items()
        if folder == FOLDER or name in names(root / folder)
    }


def current_files(root: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Return the present content of the parameter files of the repository, by path.

    Raises:
        params.ParamsError: if a file is not valid YAML, or there is no params.yaml.
    """
    return {
        path: params.read(root / path) for path, folder in FOLDERS.items() if folder == FOLDER or (root / path).exists()
    }


def merge(default: str, overlay: str, source: str = "overlay") -> str:
    """Return the text of `default` with the values and comments of `overlay`.

    Args:
        default: text of a whole parameter file, formatted as DVC writes it.
        overlay: text of a parameter file with some of the keys.
        source: name of the overlay in messages.

    Raises:
        params.ParamsError: if the overlay is not valid YAML, or has keys that `default` lacks.
    """
    changes = params.parse(overlay, source)
    document = _round_trip().load(default)
    faults = list(_apply(document, changes, ""))
    if faults:
        raise params.ParamsError(params.listed(source, faults))
    stream = io.StringIO()
    _round_trip().dump(document, stream)
    head, _, _ = overlay.partition("\n\n")
    opening = f"{head}\n\n" if all(line.startswith("#") for line in head.splitlines()) else ""
    return opening + _with_comments(stream.getvalue(), comments(overlay))


def keep(text: str, before: str, decided: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the text of a parameter file with the values of an earlier one, except those that are decided anew.

    Args:
        text: text of a whole parameter file.
        before: text of the earlier file, valid YAML; keys that `text` lacks are left out.
        decided: the keys whose values in `text` stay.

    Returns:
        the text, and the dotted keys whose values are those of the earlier file and differ from those of `text`.
    """
    document = _round_trip().load(text)
    kept = list(_keep(document, _round_trip().load(before), decided, ""))
    stream = io.StringIO()
    _round_trip().dump(document, stream)
    return _with_comments(stream.getvalue(), {}), kept


def _keep(document: dict[str, Any], before: dict[str, Any], decided: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """Set the values of `before` that are not decided anew; yield the keys that changed."""
    for key, value in document.items():
        own = before.get(key)
        if key in decided and not isinstance(decided[key], Mapping):
            continue
        if isinstance(value, dict) and value:
            if isinstance(own, dict):
                yield from _keep(value, own, decided.get(key, {}), f"{prefix}{key}.")
        elif key in before and own != value:
            document[key] = own
            yield f"{prefix}{key}"


def comments(text: str) -> dict[str, str]:
    """Return dotted key -> comment: the text at the end of the key's line or, if there is none, the comment lines directly above it."""
    lines = text.splitlines()
    result = {}
    for key, number in _positions(_round_trip().load(text)):
        indent, trailing = _indent_and_comment(lines[number])
        comment = trailing or " ".join(
            line.strip().removeprefix("# ") for line in lines[_first_comment_line(lines, number, indent) : number]
        )
        if comment:
            result[key] = comment
    return result


def _round_trip() -> yaml.YAML:
    """Return a YAML reader and writer that keeps comments; it has the settings of DVC, so that `dvc exp run -S` changes no other line."""
    result = yaml.YAML()
    result.default_flow_style = False
    return result


def _apply(document: dict[str, Any], changes: dict[str, Any], prefix: str) -> Iterator[str]:
    """Apply the changes to the document; yield a message for every key that does not exist there."""
    for key, value in changes.items():
        if key not in document:
            yield f"{prefix}{key}: is not a key of the default"
        # An empty mapping, such as embeddings.aliases, is a value and not a section.
        elif isinstance(document[key], dict) and document[key]:
            if isinstance(value, dict):
                yield from _apply(document[key], value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}: needs keys under it"
        else:
            document[key] = value


def _with_comments(text: str, changes: dict[str, str]) -> str:
    """Return the text with the comments of `changes`, each at the place of the old comment: above its key or at the end of its line."""
    lines = text.splitlines()
    # Lines are changed from the last to the first, so that the remaining line numbers stay valid.
    for key, number in sorted(_positions(_round_trip().load(text)), key=lambda item: -item[1]):
        indent, trailing = _indent_and_comment(lines[number])
        if trailing:
            # ruamel.yaml writes a trailing comment at its old column; it must be two spaces after the value.
            setting = lines[number].removesuffix(f"# {trailing}").rstrip()
            lines[number] = f"{setting}  # {changes.get(key, trailing)}"
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
            lines[_first_comment_line(lines, number, indent) : number] = wrapped
    return "\n".join(lines) + "\n"


def _positions(values: yaml_comments.CommentedMap, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Yield every dotted key and the number of its line; keys inside of a flow mapping, `{...}`, are skipped."""
    for key, value in values.items():
        yield f"{prefix}{key}", values.lc.key(key)[0]
        if isinstance(value, yaml_comments.CommentedMap) and not value.fa.flow_style():
            yield from _positions(value, f"{prefix}{key}.")


def _indent_and_comment(line: str) -> tuple[str, str | None]:
    """Return the indentation of a line and the comment at its end, None if it has none."""
    _, *trailing = _COMMENT.split(line, maxsplit=1)
    return line[: len(line) - len(line.lstrip())], trailing[0] if trailing else None


def _first_comment_line(lines: list[str], number: int, indent: str) -> int:
    """Return the number of the first of the comment lines directly above line `number`; `number` itself if there are none."""
    while number and lines[number - 1].startswith(f"{indent}# "):
        number -= 1
    return number
