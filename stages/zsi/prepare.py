"""Check a data set of instances in COCO's layout, and write its classes, its clean training images and its evaluation images."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    annotations_dir: pathlib.Path,
    train_images_dir: pathlib.Path,
    val_images_dir: pathlib.Path,
    classes_path: pathlib.Path,
    train_path: pathlib.Path,
    val_path: pathlib.Path,
    val_images_path: pathlib.Path,
    counts_path: pathlib.Path,
    left_out_path: pathlib.Path,
) -> None:
    """Check a data set of instances in COCO's layout, and write its classes, its clean training images and its evaluation images.

    Args:
        annotations_dir: folder of the annotation files.
        train_images_dir: folder of the training images.
        val_images_dir: folder of the evaluation images.
        classes_path: out: classes in label order, their category ids and roles.
        train_path: out: training images without any unseen instance, and annotations of seen classes.
        val_path: out: evaluation images with annotations of seen and unseen classes.
        val_images_path: out: the evaluation images without annotations.
        counts_path: out: table of images and instances by class, role and list.
        left_out_path: out: table of annotations that cannot be used.
    """
    import dataclasses

    from zeroshot.base import params, runtime
    from zeroshot.datasets.instances import clean_images, instance_roles

    options = params.load("zsi/params.yaml", "data", instance_roles.Params)
    folders = {"annotations": annotations_dir, "train_images": train_images_dir, "val_images": val_images_dir}
    options = dataclasses.replace(options, **{key: str(folder) for key, folder in folders.items()})
    workers = params.load("params.yaml", "runtime", runtime.Params).workers
    outputs = clean_images.Outputs(classes_path, train_path, val_path, val_images_path, counts_path, left_out_path)
    print(*clean_images.prepare(options, outputs, workers), sep="\n")


if __name__ == "__main__":
    command_line.run(main)
