"""Divide the images of the main pipeline's data set by the roles of SZN: for the network, for the seen mask, and for evaluation."""

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
    val_masks_dir: pathlib.Path,
    counts_path: pathlib.Path,
) -> None:
    """Divide the images of the main pipeline's data set by the roles of SZN: for the network, for the seen mask, and for evaluation.

    Args:
        data_root: folder of the data set, in VOC's layout.
        labels_dir: folder of converted masks.
        split_path: out: classes with their roles, and the image lists; `train` is for the seen mask (stage two).
        training_path: out: the part for training the network (stage one): train_seen classes, images with no others, and their checksums.
        images_path: out: the part for dumping features: image lists and checksums.
        train_masks_dir: out: masks of the training images, train_seen and train_unseen classes only.
        val_masks_dir: out: masks of the evaluation images.
        counts_path: out: table of images and pixels by class, role and list.
    """
    from zeroshot.base import errors, params, runtime
    from zeroshot.datasets import layout, lists, preparation
    from zeroshot.szn import roles

    options = params.load("szn/params.yaml", "split", roles.Params)
    data = params.load("params.yaml", "data", layout.Params)
    workers = params.load("params.yaml", "runtime", runtime.Params).workers
    faults = errors.Faults()
    classes = lists.read_classes(data_root, data.classes, faults)
    faults.raise_any(str(data_root))
    masks = {"train": train_masks_dir, "val": val_masks_dir}
    outputs = preparation.Outputs(split_path, training_path, images_path, counts_path, masks)
    _, lines = preparation.prepare(data_root, labels_dir, roles.apply(options, classes, data), outputs, workers)
    print(*lines, sep="\n")


if __name__ == "__main__":
    command_line.run(main)
