"""Save the network's last layer as a classifier of pixel features over the seen classes: no zero-shot learning."""

import pathlib

from zeroshot.base import command_line


def main(*, split_path: pathlib.Path, backbone_path: pathlib.Path, classifier_path: pathlib.Path) -> None:
    """Save the network's last layer as a classifier of pixel features over the seen classes: no zero-shot learning.

    Args:
        split_path: the split, for the names and roles of the classes.
        backbone_path: the trained network.
        classifier_path: out: its last layer.
    """
    from zeroshot.base import checkpoints
    from zeroshot.datasets import splits
    from zeroshot.networks import backbone
    from zeroshot.pixel_classifiers import pixel_classifier

    checkpoint = checkpoints.load(backbone_path, backbone.Checkpoint)
    weight, bias = (checkpoint["network"][f"classifier.{name}"] for name in ("weight", "bias"))
    classifier = pixel_classifier.of_layer(weight, bias, checkpoint["seen"])
    pixel_classifier.save(classifier_path, classifier, **splits.roles(splits.read(split_path)))


if __name__ == "__main__":
    command_line.run(main)
