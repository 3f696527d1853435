"""Save the detector's own classifier of region features, and the roles of its classes and images as the shared stages read them."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    training_path: pathlib.Path,
    images_path: pathlib.Path,
    detector_path: pathlib.Path,
    split_path: pathlib.Path,
    classifier_path: pathlib.Path,
) -> None:
    """Save the detector's own classifier of region features, and the roles of its classes and images as the shared stages read them.

    Args:
        training_path: training images with the annotations of seen classes.
        images_path: the evaluation images, without annotations.
        detector_path: the detector.
        split_path: out: the split in the layout of the other systems. Its seen classes include the background.
        classifier_path: out: the classifier of background and seen classes.
    """
    from zeroshot.base import checkpoints
    from zeroshot.datasets import splits
    from zeroshot.images import label_ids
    from zeroshot.pixel_classifiers import pixel_classifier
    from zeroshot.zsi import detector_files, instances_dataset
    from zeroshot.zsi.regions import region_heads

    detector, classes = detector_files.load(checkpoints.load(detector_path, detector_files.Checkpoint))
    train, val = (
        tuple(splits.Item(str(entry["id"]), entry["file_name"]) for entry in document["images"])
        for document in (
            instances_dataset.read(path, detector.transform.max_size) for path in (training_path, images_path)
        )
    )
    split = splits.Split(
        classes=classes.classes,
        seen=(label_ids.BACKGROUND, *classes.seen),
        unseen=classes.unseen,
        exclude="images",
        train=train,
        unlabelled=(),
        val=val,
    )
    splits.write(split_path, split)
    pixel_classifier.save(classifier_path, region_heads.of_detector(detector), **splits.roles(split))


if __name__ == "__main__":
    command_line.run(main)
