"""Check the dataset and sort its images into train, unlabelled and val, with masks showing only what each may show."""

import argparse
import pathlib

from zeroshot.base import errors, params, problems, progress, runtime
from zeroshot.datasets import layout, partition, splits, voc
from zeroshot.images import label_ids


@errors.reported
def main(argv: list[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="data root in VOC's layout")
    parser.add_argument("--labels", type=pathlib.Path, required=True, help="folder of converted masks")
    parser.add_argument("--split", required=True, help="split.json to write")
    parser.add_argument("--train-masks", required=True, help="folder of masks to write, seen classes only")
    parser.add_argument("--unlabelled-masks", required=True, help="folder of masks to write, for reports only")
    parser.add_argument("--val-masks", required=True, help="folder of masks to write, for evaluation")
    parser.add_argument("--counts", required=True, help="table to write: images and pixels per class and list")
    args = parser.parse_args(argv)
    settings = params.load("params.yaml", "data", voc.Params)
    workers = params.load("params.yaml", "runtime", runtime.Params).workers
    split, entries = _check(args.data, args.labels, settings, workers)

    folders = {"train": args.train_masks, "unlabelled": args.unlabelled_masks, "val": args.val_masks}
    counts = {}
    for name, folder in folders.items():
        listed = [entries[item.id] for item in getattr(split, name)]
        ignored = split.unseen if name == "train" else ()
        written = partition.write_masks(folder, listed, ignored, workers)
        counts[name] = [pixels for _, pixels in progress.track(written, f"write {name} masks", total=len(listed))]
    partition.write_counts(args.counts, split, counts)
    splits.write(args.split, split)
    print(", ".join(f"{name}: {len(getattr(split, name)):,} images" for name in folders))


def _check(
    root: pathlib.Path, labels: pathlib.Path, settings: voc.Params, workers: int
) -> tuple[splits.Split, dict[str, layout.Entry]]:
    """Return the split and its entries by id, or raise one error that lists everything wrong with the dataset."""
    found = problems.Problems()
    classes = layout.read_classes(root, settings.classes, found)
    train = layout.find_train(root, labels, settings, found)
    val = layout.find_val(root, labels, settings, found)
    inspected = partition.inspect(root, train + val, len(classes) or label_ids.IGNORE_INDEX, workers)
    looked_at = list(progress.track(inspected, "check images and masks", total=len(train) + len(val)))
    split = partition.build(settings, classes, looked_at[: len(train)], looked_at[len(train) :], found)
    found.raise_any(str(root))
    return split, {entry.id: entry for entry in train + val}


if __name__ == "__main__":
    main()
