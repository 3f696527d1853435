"""Save the head of a network of SZN as a classifier of pixel features: FCN-JE with the vectors of all classes, or FCN-S."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    split_path: pathlib.Path,
    network_path: pathlib.Path,
    embeddings_path: pathlib.Path | None = None,
    classifier_path: pathlib.Path,
) -> None:
    """Save the head of a network of SZN as a classifier of pixel features: FCN-JE with the vectors of all classes, or FCN-S.

    Args:
        split_path: the split with its three roles.
        network_path: the trained network.
        embeddings_path: vectors of all classes; required with a network that regresses them.
        classifier_path: out: the class with the nearest vector, or softmax over the classes that the network was trained on.
    """
    import torch

    from zeroshot.base import checkpoints, errors
    from zeroshot.datasets import splits
    from zeroshot.pixel_classifiers import pixel_classifier
    from zeroshot.szn import joint_embedding, network
    from zeroshot.words import class_embeddings

    split = splits.read(split_path)
    trained = checkpoints.load(network_path, network.Checkpoint)
    weight, bias = (trained["network"][f"classifier.{name}"] for name in ("weight", "bias"))
    if trained["target"] == "softmax":
        classifier = pixel_classifier.of_layer(weight, bias, trained["seen"])
    elif embeddings_path is None:
        raise errors.UserError("cut_head: a network that regresses class vectors needs --embeddings-path")
    else:
        vectors = torch.from_numpy(class_embeddings.read_rows(embeddings_path, split.classes))
        classifier = joint_embedding.classifier(weight, bias, vectors, split)
    pixel_classifier.save(classifier_path, classifier, **splits.roles(split))


if __name__ == "__main__":
    command_line.run(main)
