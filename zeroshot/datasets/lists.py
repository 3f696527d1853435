"""Reading the text lists of a dataset: class names and image ids."""

import pathlib

from zeroshot.base import errors, text_files
from zeroshot.datasets import published
from zeroshot.images import label_ids


def read_classes(root: pathlib.Path, name: str, faults: errors.Faults) -> tuple[str, ...]:
    """Return the class names in label order.

    Args:
        root: the data root.
        name: a published dataset (a key of `published.DATASETS`), or a file below the data root.
        faults: receives the faults in the file.

    Returns:
        the class names; empty if the file has a fault.
    """
    if name in published.DATASETS:
        return published.DATASETS[name].classes
    lines = read_lines(root, name, faults)
    details = []
    if len(lines) > label_ids.MAX_CLASSES or len(lines) == 1:
        details.append(f"{len(lines)} classes; label ids allow 2 to {label_ids.MAX_CLASSES}")
    first_lines: dict[str, int] = {}
    for number, line in enumerate(lines if not details else ()):
        if not line:
            details.append(f"line {number} is empty")
        elif not line.isprintable():
            details.append(f"line {number} has an invisible character: {line!a}")
        elif first_lines.setdefault(line, number) != number:
            details.append(f"`{line}` is on lines {first_lines[line]} and {number}")
    for detail in details:
        kind = "class list must have one name per line, the background in line 0, and no name twice"
        faults.add(kind, f"{name}: {detail}")
    alike = [pair for pair in published.alike(lines) if lines[pair[0]] != lines[pair[1]]]
    for first, number in alike:
        kind = "class names must differ by more than case, spaces, hyphens, underscores and the encoding of accents"
        faults.add(kind, f"{name}: `{lines[first]}` on line {first} and `{lines[number]}` on line {number}")
    return () if details or alike else tuple(lines)


def read_lines(root: pathlib.Path, name: str, faults: errors.Faults) -> list[str]:
    """Return the lines of a list, as `text_files.read_lines` does; empty, with a fault, if there are none."""
    try:
        lines = text_files.read_lines(root / name)
    except text_files.TextError as error:
        faults.add("unreadable list", f"{name}: {error.cause}")
        return []
    if not lines:
        faults.add("empty list", name)
    return lines


def read_ids(root: pathlib.Path, name: str, faults: errors.Faults) -> list[str]:
    """Return the valid ids of a list, sorted and without duplicates."""
    lines = read_lines(root, name, faults)
    first_lines: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if line in first_lines:
            faults.add("id listed twice", f"{name}: `{line}` on lines {first_lines[line]} and {number}")
        elif line:
            first_lines[line] = number
    unsafe = [id for id in first_lines if id.startswith(".") or "/" in id or "\\" in id or not id.isprintable()]
    for id in unsafe:
        faults.add(
            "id must be a plain file name (no folder, no leading dot, no control character)",
            f"{name}: {id!r} on line {first_lines[id]}",
        )
    not_found = {id: fault for id in first_lines if (fault := text_files.locale_fault(id))}
    for id, fault in not_found.items():
        faults.add(f"id that cannot be looked up: {fault}", f"{name}: `{id}` on line {first_lines[id]}")
    return sorted(first_lines.keys() - {*unsafe, *not_found})
