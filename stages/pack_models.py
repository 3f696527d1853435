"""Put everything that prediction needs into one file for each model: network, last layer, class names, colours, generator."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    backbone_path: pathlib.Path,
    classifier_paths: tuple[pathlib.Path, ...],
    metrics_paths: tuple[pathlib.Path, ...],
    model_paths: tuple[pathlib.Path, ...],
    gmmn_path: pathlib.Path | None = None,
    features_dir: pathlib.Path | None = None,
    recipe_path: pathlib.Path | None = None,
    embeddings_path: pathlib.Path | None = None,
) -> None:
    """Put everything that prediction needs into one file for each model: network, last layer, class names, colours, generator.

    With the last four paths the models can learn new classes by name.

    Args:
        backbone_path: the trained network.
        classifier_paths: the last layer of each model.
        metrics_paths: the metrics of each model.
        model_paths: out: the model files, in the order of classifier_paths.
        gmmn_path: the generator.
        features_dir: cache of training pixels.
        recipe_path: ZS3Net's last layer, whose parameters and seen bias are used for new classes.
        embeddings_path: the section `embeddings` as embed_classes wrote it.
    """
    import json

    from zeroshot.base import checkpoints, errors
    from zeroshot.pixel_classifiers import pixel_classifier
    from zeroshot.prediction import generator_ingredients, packing

    if not len(classifier_paths) == len(metrics_paths) == len(model_paths):
        raise errors.UserError("pack_models: needs as many metrics and model files as classifiers")
    ingredients = None
    if gmmn_path and features_dir and recipe_path and embeddings_path:
        recipe, embeddings = pixel_classifier.load(recipe_path), json.loads(embeddings_path.read_bytes())
        ingredients = generator_ingredients.read(gmmn_path, features_dir, recipe, embeddings)
    for classifier_path, metrics_path, model_path in zip(classifier_paths, metrics_paths, model_paths, strict=True):
        loaded = pixel_classifier.load(classifier_path)
        content = packing.pack("zs3net", backbone_path, classifier_path, loaded, metrics_path, ingredients)
        checkpoints.save(model_path, content)


if __name__ == "__main__":
    command_line.run(main)
