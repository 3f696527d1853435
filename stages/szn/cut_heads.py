"""Save the heads of SZN's networks as classifiers of pixel features: FCN-JE with the vectors of all classes, and FCN-S."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    split_path: pathlib.Path,
    embeddings_path: pathlib.Path,
    embedding_network_path: pathlib.Path,
    softmax_network_path: pathlib.Path,
    fcn_je_path: pathlib.Path,
    fcn_s_path: pathlib.Path,
) -> None:
    """Save the heads of SZN's networks as classifiers of pixel features: FCN-JE with the vectors of all classes, and FCN-S.

    Args:
        split_path: the split with its three roles.
        embeddings_path: vectors of all classes.
        embedding_network_path: the network that regresses class vectors.
        softmax_network_path: the network that classifies.
        fcn_je_path: out: a pixel is of the class with the nearest vector.
        fcn_s_path: out: softmax over the classes that the network was trained on.
    """
    import torch

    from zeroshot.base import checkpoints
    from zeroshot.datasets import splits
    from zeroshot.pixel_classifiers import pixel_classifier
    from zeroshot.szn import joint_embedding, network
    from zeroshot.words import class_embeddings

    split = splits.read(split_path)
    vectors = torch.from_numpy(class_embeddings.read_rows(embeddings_path, split.classes))
    embedding = checkpoints.load(embedding_network_path, network.Checkpoint)
    softmax = checkpoints.load(softmax_network_path, network.Checkpoint)
    layers = [[one["network"][f"classifier.{name}"] for name in ("weight", "bias")] for one in (embedding, softmax)]
    recipe = splits.roles(split)
    pixel_classifier.save(fcn_je_path, joint_embedding.classifier(*layers[0], vectors, split), **recipe)
    pixel_classifier.save(fcn_s_path, pixel_classifier.of_layer(*layers[1], softmax["seen"]), **recipe)


if __name__ == "__main__":
    command_line.run(main)
