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
        training_path: out: the part for training the network: its classes and images (none of train_unseen), and their checksums.
        images_path: out: the part for dumping features: image lists and checksums.
        train_masks_dir: out: masks of the training images, seen classes only.
        unlabelled_masks_dir: out: masks of the unlabelled images, for reports and upper bounds only.
        val_masks_dir: out: masks of the evaluation images.
        counts_path: out: table of images and pixels by class and list.
    """
    from zeroshot.base import params, runtime
    from zeroshot.datasets import layout, preparation

    options = params.load("params.yaml", "data", layout.Params)
    workers = params.load("params.yaml", "runtime", runtime.Params).workers
    masks = {"train": train_masks_dir, "unlabelled": unlabelled_masks_dir, "val": val_masks_dir}
    outputs = preparation.Outputs(split_path, training_path, images_path, counts_path, masks)
    split, lines = preparation.prepare(data_root, labels_dir, options, outputs, workers)
    print(*lines, sep="\n")
    if split.unseen and not split.unlabelled:
        print(
            "no unlabelled image, so ZS5Net has nothing to learn from and is no result: no training mask shows an unseen class; "
            "list images without masks in data.unlabelled_list"
        )


if __name__ == "__main__":
    command_line.run(main)
