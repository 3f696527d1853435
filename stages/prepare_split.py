"""Check the dataset, divide its images into train, unlabelled and val, and write masks with only the labels that each list may use."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    data_root: pathlib.Path,
    labels_dir: pathlib.Path,
    split_path: pathlib.Path,
    training_path: pathlib.Path,
    images_path: pathlib.Path,
    train_masks_dir: pathlib.Path,
    unlabelled_masks_dir: pathlib.Path,
    val_masks_dir: pathlib.Path,
    counts_path: pathlib.Path,
) -> None:
    """Check the dataset, divide its images into train, unlabelled and val, and write masks with only the labels that each list may use.

    Args:
        data_root: folder of the data set, in VOC's layout.
        labels_dir: folder of converted masks.
        split_path: out: classes with their roles, and the image lists.
        training_path: out: the part for training the network: seen classes, training images and their checksums.
        images_path: out: the part for dumping features: image lists and checksums.
        train_masks_dir: out: masks of the training images, seen classes only.
        unlabelled_masks_dir: out: masks of the unlabelled images, for reports and upper bounds only.
        val_masks_dir: out: masks of the evaluation images.
        counts_path: out: table of images and pixels by class and list.
    """
    import itertools

    from zeroshot.base import params, progress, runtime
    from zeroshot.datasets import image_facts, layout, partition, split_masks, splits
    from zeroshot.images import label_ids

    options = params.load("params.yaml", "data", layout.Params)
    workers = params.load("params.yaml", "runtime", runtime.Params).workers
    split, entries = partition.check(data_root, labels_dir, options, workers)

    folders = {"train": train_masks_dir, "unlabelled": unlabelled_masks_dir, "val": val_masks_dir}
    counts = {}
    for name, folder in folders.items():
        listed = [entries[item.id] for item in getattr(split, name)]
        ignored = split.unseen if name == "train" else ()
        written = split_masks.write(data_root, folder, listed, ignored, workers)
        counts[name] = [pixels for _, pixels in progress.track(written, f"write {name} masks", total=len(listed))]
    split_masks.write_counts(counts_path, split, counts)
    shown = {label for pixels in itertools.chain.from_iterable(counts.values()) for label in pixels}
    sha256 = image_facts.checksums(data_root, split, workers)
    side = image_facts.typical_side(data_root, split.train)
    splits.write(split_path, split)
    splits.write(training_path, splits.training_part(split, side, sha256))
    splits.write(images_path, splits.images_part(split, shown - {label_ids.IGNORE_INDEX}, sha256))
    print(", ".join(f"{name}: {len(getattr(split, name)):,} images" for name in folders))
    if split.unseen and not split.unlabelled:
        print(
            "no unlabelled image, so ZS5Net has nothing to learn from and is no result: no training mask shows an unseen class; "
            "list images without masks in data.unlabelled_list"
        )
    absent = split_masks.absent(split.unseen, counts["val"])
    if absent:
        print(
            "no evaluation image shows these unseen classes, so their IoU will be missing, and hIoU too if there are no others: "
            f"{', '.join(split.classes[label] for label in absent)}; add images that show them to data.val_list"
        )


if __name__ == "__main__":
    command_line.run(main)
