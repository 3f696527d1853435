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

    from zeroshot.base import params, progress, runtime, storage
    from zeroshot.cache import index, maps
    from zeroshot.datasets import splits
    from zeroshot.evaluation import bootstrap, image_confusions, metrics, metrics_files, protocols
    from zeroshot.pixel_classifiers import labelling, pixel_classifier

    options = params.load("params.yaml", "evaluation", protocols.Params)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.start(settings)
    split = splits.read(split_path)
    described = index.read(features_dir, "maps")
    classifier, provenance = pixel_classifier.load(classifier_path, split, described.dim)

    protocol = protocols.protocol(options, described)
    cache = progress.track(maps.read(features_dir), "evaluate (images)", total=len(described.images))
    predict = functools.partial(labelling.predict_maps, classifier.to(device), stride=described.stride)
    # A GPU is fully used by one process.
    workers = 0 if device.type == "cuda" else settings.workers
    confusions = protocols.confusions(predict, cache, split, options.short_side, workers)
    roles = (split.seen, split.unseen, options.absent_classes)
    summaries = {name: metrics.summarise(confusions.total(name), *roles) for name in confusions.counts}
    # The vanilla protocol has no hIoU.
    for name in ("generalised", "without_bias"):
        interval = bootstrap.interval(bootstrap.Scored(confusions.images, [confusions.counts[name]], *roles))
        # Bounds of the 95 % interval over evaluation images.
        bounds = (None, None) if interval is None else (interval.low, interval.high)
        summaries[name] |= {"hIoU_low": bounds[0], "hIoU_high": bounds[1]}
    storage.write_json(
        metrics_path,
        {
            "generalised": summaries["generalised"],
            "without_bias": summaries["without_bias"],
            "vanilla": summaries["vanilla"]["unseen"] if "vanilla" in summaries else None,
            "seen_bias": classifier.seen_bias,
            "split": metrics_files.split_entry(split, dataset.name or str(dataset)),
            "exclude": split.exclude,
            "pretraining": protocols.pretraining_of(described),
            "images": len(described.images),
            "evaluation": protocol,
            # The source of the places of unseen classes, for a generator with graph context; that self-training had no pseudo-labels.
            **{key: provenance[key] for key in ("graph_context", "no_pseudo_labels") if key in provenance},
        },
    )
    image_confusions.write(images_path, confusions)
    matrix = confusions.total("generalised")
    storage.write_csv(classes_path, protocols.class_table(matrix, split.classes, split.unseen))
    storage.write_csv(confusion_path, protocols.confusion_table(matrix, split.classes))


if __name__ == "__main__":
    command_line.run(main)
