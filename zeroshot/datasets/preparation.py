"""What every pipeline makes of a data set before it trains: the split, its parts for training and dumping, masks and counts."""

import dataclasses
import itertools
import pathlib
from collections.abc import Mapping

from zeroshot.base import progress
from zeroshot.datasets import image_facts, layout, partition, split_masks, splits
from zeroshot.images import label_ids


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Where the files go.

    Attributes:
        split, training, images: JSON files of `splits.Split`, `splits.Training` and `splits.Images`.
        counts: table of images and pixels by class and list, for human readers.
        masks: `train`, `val` and perhaps `unlabelled` -> the folder of the masks of that list of the split.
    """

    split: pathlib.Path
    training: pathlib.Path
    images: pathlib.Path
    counts: pathlib.Path
    masks: Mapping[str, pathlib.Path]


def prepare(
    root: pathlib.Path, labels: pathlib.Path, settings: layout.Params, outputs: Outputs, workers: int
) -> tuple[splits.Split, list[str]]:
    """Check a data set, divide its images, and write masks with only the labels that each list may use.

    Args:
        root: the data root.
        labels: folder of converted masks.
        settings: section `data`.
        outputs: where the files go.
        workers: number of threads.

    Returns:
        the split, and lines about it for the user: the number of images and what is missing.

    Raises:
        errors.DatasetError: as in `partition.check`.
    """
    checked = partition.check(root, labels, settings, workers)
    split = checked.split
    counts, written_ids = {}, {}
    for name, folder in outputs.masks.items():
        listed = [checked.entries[item.id] for item in getattr(split, name)]
        ignored = split.unseen if name == "train" else ()
        written = split_masks.write(root, folder, listed, ignored, workers)
        pairs = list(progress.track(written, f"write {name} masks", total=len(listed)))
        written_ids[name], counts[name] = [id for id, _ in pairs], [pixels for _, pixels in pairs]
    shown = {label for pixels in itertools.chain.from_iterable(counts.values()) for label in pixels}
    if split.train_unseen:
        first = {item.id for item in checked.stage_one}
        counts["stage_one"] = [
            {label: n for label, n in pixels.items() if label not in split.train_unseen}
            for id, pixels in zip(written_ids["train"], counts["train"], strict=True)
            if id in first
        ]
    split_masks.write_counts(outputs.counts, split, counts)
    sha256 = image_facts.checksums(root, split, workers)
    side = image_facts.typical_side(root, checked.stage_one)
    splits.write(outputs.split, split)
    splits.write(outputs.training, splits.training_part(split, checked.stage_one, side, sha256))
    splits.write(outputs.images, splits.images_part(split, shown - {label_ids.IGNORE_INDEX}, sha256))
    return split, _describe(checked, split_masks.absent(split.unseen, counts["val"]))


def _describe(checked: partition.Partition, absent: tuple[int, ...]) -> list[str]:
    """Return lines about a data set; `absent` are the unseen classes that no evaluation image shows."""
    split, lines = checked.split, []
    images = {name: getattr(split, name) for name in ("train", "unlabelled", "val")}
    if split.train_unseen:
        names = ", ".join(split.classes[label] for label in split.train_unseen)
        lines.append(
            f"classes: {len(split.train_seen)} train_seen, {len(split.train_unseen)} train_unseen ({names}), "
            f"{len(split.unseen)} unseen"
        )
        images = {"stage one (for the network)": checked.stage_one, **images}
    lines.append(", ".join(f"{name}: {len(items):,} images" for name, items in images.items()))
    if checked.n_dropped:
        lines.append(f"left out, since some of their pixels have no label: {checked.n_dropped:,} images")
    if absent:
        lines.append(
            "no evaluation image shows these unseen classes, so their IoU will be missing, and hIoU too if there are no others: "
            f"{', '.join(split.classes[label] for label in absent)}; add images that show them to data.val_list"
        )
    return lines
