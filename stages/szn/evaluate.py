"""Score one variant of SZN on the cached maps of the evaluation images: FCN-S, FCN-JE, SZN or SZN-PS."""

import pathlib
from typing import Literal

from zeroshot.base import command_line


def main(
    *,
    variant: Literal["fcn_s", "fcn_je", "szn", "szn_ps"],
    dataset: pathlib.Path,
    split_path: pathlib.Path,
    features_dir: pathlib.Path,
    model_path: pathlib.Path,
    metrics_path: pathlib.Path,
    classes_path: pathlib.Path,
    confusion_path: pathlib.Path,
    images_path: pathlib.Path,
) -> None:
    """Score one variant of SZN on the cached maps of the evaluation images: FCN-S, FCN-JE, SZN or SZN-PS.

    Args:
        variant: fcn_s and fcn_je are classifiers without a mask; szn and szn_ps have the predicted and the true one.
        dataset: root of the data set; only its name is recorded.
        split_path: the split with its three roles.
        features_dir: cache of whole feature maps with their masks.
        model_path: the model of the variant.
        metrics_path: out: the metrics, in per cent.
        classes_path: out: IoU and accuracy by class.
        confusion_path: out: the confusion matrix, one row for each pair of classes.
        images_path: out: the confusion matrix of every image.
    """
    import functools

    from zeroshot.base import params, runtime
    from zeroshot.datasets import splits
    from zeroshot.evaluation import protocols, scoring
    from zeroshot.pixel_classifiers import labelling, masked_classifier, pixel_classifier
    from zeroshot.szn import variants

    options = params.load("params.yaml", "evaluation", protocols.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.start(settings)
    split = splits.read(split_path)
    task = scoring.Task(dataset, split, features_dir, options)
    workers = 0 if device.type == "cuda" else settings.workers

    facts = {}
    if variant in ("fcn_s", "fcn_je"):
        classifier = pixel_classifier.load(model_path, split, task.cache.dim)[0]
        predict = functools.partial(labelling.predict_maps, classifier.to(device))
        confusions, threshold = task.confusions(predict, workers), classifier.seen_bias
    else:
        masked, recipe = masked_classifier.load(model_path, split, task.cache.dim)
        predict = functools.partial(labelling.predict_masked_maps, masked.to(device))
        sides = task.confusions(predict, workers)
        if variant == "szn":
            confusions, threshold = variants.predicted_mask(sides), masked.seen_bias
            facts["void"] = recipe["config"]["void"]
            facts["mask_accuracy"] = variants.mask_accuracy(confusions.total("generalised"), masked, split)
        else:
            confusions, threshold = variants.perfect_mask(sides, split), 0.0
            facts["upper_bound"] = "the seen mask is the true one, so labels of unseen classes are read"
        facts["candidates"] = recipe["config"]["candidates"]
    facts["train_unseen"] = [split.classes[label] for label in split.train_unseen]
    # The thesis has neither a bias nor a threshold.
    facts["thesis"] = variants.thesis_metrics(confusions.total("without_bias"), split)
    files = scoring.Files(metrics_path, classes_path, confusion_path, images_path)
    scoring.write(files, task, confusions, threshold, **facts)


if __name__ == "__main__":
    command_line.run(main)
