"""Predict labels of the cached pixels of unlabelled images with ZS3Net, and select those for self-training."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    split_path: pathlib.Path,
    features_dir: pathlib.Path,
    classifier_path: pathlib.Path,
    pseudo_dir: pathlib.Path,
    counts_path: pathlib.Path,
) -> None:
    """Predict labels of the cached pixels of unlabelled images with ZS3Net, and select those for self-training.

    Args:
        split_path: the split.
        features_dir: cache of unlabelled pixels.
        classifier_path: the classifier that predicts their labels.
        pseudo_dir: out: cache of pseudo-labelled pixels.
        counts_path: out: number of pseudo-labels by class.
    """
    from zeroshot.base import params, runtime, storage
    from zeroshot.cache import index
    from zeroshot.datasets import splits
    from zeroshot.pixel_classifiers import pixel_classifier
    from zeroshot.zs3net.pseudo_labels import pseudo_cache, selection

    options = params.load("params.yaml", "pseudo_labels", selection.Params)
    device = runtime.start(params.load("params.yaml", "runtime", runtime.Params))
    split = splits.read(split_path)
    dim = index.read(features_dir, "rows").dim
    classifier, _ = pixel_classifier.load(classifier_path, split, dim)
    provenance = {"classifier_sha256": storage.sha256(classifier_path)}
    classifier = classifier.to(device)
    tables = pseudo_cache.write(pseudo_dir, features_dir, classifier, options, provenance, split.classes)
    storage.write_csv(counts_path, pseudo_cache.counts(tables, split.classes, split.unseen))
    why = pseudo_cache.why_empty(pseudo_dir, split.unseen)
    if why:
        print(f"pseudo_label: no pseudo-labels, since {why}; the row of ZS5Net will be no result of self-training")


if __name__ == "__main__":
    command_line.run(main)
