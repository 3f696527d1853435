"""Score one classifier on the cached maps of the evaluation images: seen, unseen and harmonic-mean IoU."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    dataset: pathlib.Path,
    split_path: pathlib.Path,
    features_dir: pathlib.Path,
    classifier_path: pathlib.Path,
    metrics_path: pathlib.Path,
    classes_path: pathlib.Path,
    confusion_path: pathlib.Path,
    images_path: pathlib.Path,
) -> None:
    """Score one classifier on the cached maps of the evaluation images: seen, unseen and harmonic-mean IoU.

    Args:
        dataset: root of the data set; only its name is recorded.
        split_path: the split.
        features_dir: cache of whole feature maps with their masks.
        classifier_path: the classifier.
        metrics_path: out: the metrics, in per cent.
        classes_path: out: IoU and accuracy by class.
        confusion_path: out: the confusion matrix, one row for each pair of classes.
        images_path: out: the confusion matrix of every image.
    """
    import functools

    from zeroshot.base import params, runtime
    from zeroshot.datasets import splits
    from zeroshot.evaluation import protocols, scoring
    from zeroshot.pixel_classifiers import labelling, pixel_classifier

    options = params.load("params.yaml", "evaluation", protocols.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.start(settings)
    split = splits.read(split_path)
    task = scoring.Task(dataset, split, features_dir, options)
    classifier, provenance = pixel_classifier.load(classifier_path, split, task.cache.dim)

    predict = functools.partial(labelling.predict_maps, classifier.to(device))
    # A GPU is fully used by one process.
    confusions = task.confusions(predict, workers=0 if device.type == "cuda" else settings.workers)
    # The source of the places of unseen classes, for a generator with graph context; that self-training had no pseudo-labels.
    facts = {key: provenance[key] for key in ("graph_context", "no_pseudo_labels") if key in provenance}
    if classifier.unseen_side is not None:
        facts["side_window"] = classifier.side_window
    files = scoring.Files(metrics_path, classes_path, confusion_path, images_path)
    scoring.write(files, task, confusions, classifier.seen_bias, **facts)


if __name__ == "__main__":
    command_line.run(main)
