"""Put everything that prediction needs into one file: network, classifier, class names, colours, class vectors."""

import pathlib
from typing import Literal

from zeroshot.base import command_line


def main(
    *,
    variant: Literal["fcn_je", "szn"],
    network_path: pathlib.Path,
    classifier_path: pathlib.Path,
    metrics_path: pathlib.Path,
    embeddings_path: pathlib.Path,
    recipe_path: pathlib.Path,
    model_path: pathlib.Path,
) -> None:
    """Put everything that prediction needs into one file: network, classifier, class names, colours, class vectors.

    Args:
        variant: szn has a seen mask, fcn_je has none.
        network_path: the network that regresses class vectors.
        classifier_path: the classifier of the variant.
        metrics_path: the metrics of the variant.
        embeddings_path: vectors of all classes.
        recipe_path: how they were made, as embed wrote it.
        model_path: out: the model file.
    """
    import json

    import torch

    from zeroshot.base import checkpoints
    from zeroshot.pixel_classifiers import masked_classifier, pixel_classifier
    from zeroshot.prediction import model, packing
    from zeroshot.words import class_embeddings

    load = masked_classifier.load if variant == "szn" else pixel_classifier.load
    loaded = load(classifier_path)
    recipe, metadata = json.loads(recipe_path.read_bytes()), loaded[1]
    pca = None
    if recipe["pca"]:
        mean, components = (torch.tensor(recipe["pca"][key], dtype=torch.float64) for key in ("mean", "components"))
        pca = model.Components(mean=mean, components=components)
    untrained = {*metadata["train_unseen"], *metadata["unseen"]}
    ingredients: model.VectorIngredients = {
        "embeddings": recipe["embeddings"],
        "pca": pca,
        "vectors": torch.from_numpy(class_embeddings.read_rows(embeddings_path, metadata["classes"])),
        "train_seen": [label for label in metadata["seen"] if label not in untrained],
    }
    content = packing.pack("szn", network_path, classifier_path, loaded, metrics_path, ingredients)
    checkpoints.save(model_path, content)


if __name__ == "__main__":
    command_line.run(main)
