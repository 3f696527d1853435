"""Any mask as label ids: index, palette and RGB images, with the values or colours of the class list."""

import collections
import dataclasses
import pathlib
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from zeroshot.base import errors
from zeroshot.images import image_files, label_ids
from zeroshot.own_data import class_list

Colour = tuple[int, int, int]
# Name on line 0 of the class list of a data set without a background.
PLACE_HOLDER = "(no background)"
# JPEG and WebP change values.
_EXACT_FORMATS = ("PNG", "BMP", "TIFF")


@dataclasses.dataclass(frozen=True)
class Numbering:
    """Which label id each value or colour of a mask gets.

    Attributes:
        names: class names in label order. Without a background, label 0 is a place holder.
        labels: value or colour in masks -> label id; `label_ids.IGNORE_INDEX` for what is ignored.
        by_colour: whether masks are read by colours.
        has_background: whether label 0 is a background.
        unseen: label ids of the classes that the list calls unseen.
    """

    names: tuple[str, ...]
    labels: Mapping[int | Colour, int]
    by_colour: bool
    has_background: bool
    unseen: tuple[int, ...]


def number(entries: Sequence[class_list.Entry], void: Collection[int]) -> Numbering:
    """Return the label ids of a class list: the background, if there is one, is 0, the others follow in their order.

    Args:
        entries: the class list.
        void: further values in masks that are ignored.

    Raises:
        errors.UserError: if a void value belongs to a class, or masks have colours.
    """
    by_colour = any(entry.colour for entry in entries)
    if void and by_colour:
        raise errors.UserError(
            "--void: masks with colours have no values; give the colour the role void in the class list"
        )
    taken = [entry.name for entry in entries if entry.value in void and entry.role != "void"]
    if taken:
        raise errors.UserError(
            f"--void: has the value of `{taken[0]}`; change the role of that class to void if it is none"
        )
    background = [entry for entry in entries if entry.role == "background"]
    others = [entry for entry in entries if entry.role in ("seen", "unseen")]
    names = (background[0].name if background else PLACE_HOLDER, *(entry.name for entry in others))
    labels: dict[int | Colour, int] = {}
    for entry in entries:
        key = entry.colour if entry.colour is not None else entry.value
        if key is None:
            continue
        labels[key] = 0 if entry.role == "background" else label_ids.IGNORE_INDEX
    for label, entry in enumerate(others, 1):
        key = entry.colour if entry.colour is not None else entry.value
        if key is not None:
            labels[key] = label
    labels |= dict.fromkeys(void, label_ids.IGNORE_INDEX)
    unseen = tuple(label for label, entry in enumerate(others, 1) if entry.role == "unseen")
    return Numbering(names, labels, by_colour, bool(background), unseen)


def read(path: pathlib.Path, numbering: Numbering) -> tuple[np.ndarray, collections.Counter, int]:
    """Read a mask.

    Returns:
        label ids (H, W) uint16, turned by the EXIF orientation; the number of pixels of each unknown value or colour, which are ignored
        in the mask; and the number of pixels of value 255 that are ignored because the mask has 8 bits and no class has this value.

    Raises:
        image_files.ImageError: if the file cannot be decoded or stores neither values nor colours.
    """
    stored = _values(path, numbering.by_colour)
    flat = stored.reshape(-1, stored.shape[2]) if stored.ndim == 3 else stored.reshape(-1)
    if stored.ndim == 3:
        packed = flat.astype(np.int64) @ np.array([65536, 256, 1])
        keys = {(r * 256 + g) * 256 + b: label for (r, g, b), label in numbering.labels.items()}  # type: ignore[misc]
    else:
        packed = flat.astype(np.int64)
        keys = {int(value): label for value, label in numbering.labels.items()}  # type: ignore[arg-type]
        if stored.dtype == np.uint8:
            keys.setdefault(label_ids.IGNORE_IN_8_BITS, label_ids.IGNORE_INDEX)
    values, inverse, counts = np.unique(packed, return_inverse=True, return_counts=True)
    unknown: collections.Counter = collections.Counter()
    ids = np.full(len(values), label_ids.IGNORE_INDEX, label_ids.DTYPE)
    for position, (value, count) in enumerate(zip(values.tolist(), counts.tolist(), strict=True)):
        if value in keys:
            ids[position] = keys[value]
        else:
            unknown[(value >> 16, value >> 8 & 255, value & 255) if stored.ndim == 3 else value] += count
    usual = stored.dtype == np.uint8 and stored.ndim == 2 and label_ids.IGNORE_IN_8_BITS not in numbering.labels
    by_255 = int(counts[values == label_ids.IGNORE_IN_8_BITS].sum()) if usual else 0
    return ids[inverse].reshape(stored.shape[:2]), unknown, by_255


def _values(path: pathlib.Path, by_colour: bool) -> np.ndarray:
    """Return the values (H, W) uint8 or uint16, or the colours (H, W, 3) uint8, of a mask."""
    if by_colour:
        # Without their transparency: a colour is looked up as the file has it.
        return image_files.read_image(path, over_white=False)
    image = image_files.decode(path, _EXACT_FORMATS)
    stored_as = image.info["stored_as"]
    if stored_as in ("L;2", "L;4"):
        raise image_files.ImageError(f"{path}: has {stored_as[2]} bits per pixel; save it with 8 bits")
    values = np.array(image)
    if image.mode in ("P", "L"):
        return values
    if image.mode == "1":
        return values.astype(np.uint8)
    if image.mode.startswith("I;16") or (image.mode == "I" and values.min() >= 0 and values.max() < label_ids.N_IDS):
        return values.astype(np.uint16)
    if image.mode in ("RGB", "RGBA") and (values[..., :1] == values[..., 1:3]).all():
        return values[..., 0]
    raise image_files.ImageError(
        f"{path}: has colours (mode {image.mode}), and the class list has none; write classes.yaml with a colour for each class"
    )


def describe_unknown(unknown: collections.Counter, numbering: Numbering) -> str:
    """Return what the unknown values of all masks may be, and what to do."""
    listed = ", ".join(f"{key} ({count:,} pixels)" for key, count in unknown.most_common(errors.MAX_LISTED))
    if numbering.by_colour:
        return f"{listed}; add these colours to the class list (role void: ignored), or save masks without compression losses"
    mend = ", ".join(str(key) for key in sorted(unknown)[:5])
    return f"{listed}; add classes to the list, or ignore the values with --void {mend}"
