"""Comparison of palettes: masks in which a label id has different colours may number the classes differently."""

import pathlib
from collections.abc import Collection, Iterable, Mapping

from zeroshot.base import errors

# Label id -> colour [R, G, B].
Palette = Mapping[int, list[int]]


def used(palette: Palette | None, ids: Iterable[int]) -> Palette | None:
    """Return the colours of the label ids in a mask.

    Args:
        palette: the mask's palette; None if the mask is grey.
        ids: the ids in the mask.

    Returns:
        None if the mask has no colours: a grey palette, like a grey mask, says nothing about classes.
    """
    colours = {} if palette is None else {id: palette[id] for id in ids}
    return colours if any(len(set(colour)) > 1 for colour in colours.values()) else None


def check(
    masks: Iterable[tuple[pathlib.Path | None, Palette | None]], ignored: Collection[int], faults: errors.Faults
) -> bool:
    """Check that each label id has one colour in all masks that have colours.

    Args:
        masks: path and used colours of each mask; None if it has no colours.
        ignored: ids whose colours may differ, since they mean no class.
        faults: receives one fault for each id with two colours.

    Returns:
        whether no id has two colours.
    """
    first: dict[int, tuple[pathlib.Path | None, list[int]]] = {}
    conflicts: dict[int, str] = {}
    for path, colours in masks:
        for label, colour in (colours or {}).items():
            first_path, expected = first.setdefault(label, (path, colour))
            if colour != expected and label not in ignored:
                conflicts.setdefault(label, f"label {label}: RGB {expected} in {first_path}, {colour} in {path}")
    for detail in conflicts.values():
        faults.add(
            "label with different colours in two masks, so one of them may number the classes differently (write all masks with one "
            "palette, or in grey)",
            detail,
        )
    return not conflicts
