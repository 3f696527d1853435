"""Find the instances of the evaluation images in the cache of regions, by a classifier and the semantic vectors of the detector."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    regions_dir: pathlib.Path,
    detector_path: pathlib.Path,
    classifier_path: pathlib.Path,
    detections_path: pathlib.Path,
) -> None:
    """Find the instances of the evaluation images in the cache of regions, by a classifier and the semantic vectors of the detector.

    Args:
        regions_dir: cache of regions of evaluation images.
        detector_path: the detector, which gives boxes, masks and semantic vectors of cached features; its backbone does not run.
        classifier_path: the classifier of background, seen and unseen classes.
        detections_path: out: the detections.
    """
    from zeroshot.base import checkpoints, params, progress, runtime
    from zeroshot.cache import index
    from zeroshot.evaluation.instances import detections
    from zeroshot.pixel_classifiers import pixel_classifier
    from zeroshot.zsi import coco_results, detector_files, inference, sections
    from zeroshot.zsi.regions import evaluation_regions, region_heads

    options = params.load("zsi/params.yaml", "detection", sections.Detection)
    weight = params.load("zsi/params.yaml", "heads", sections.Heads).semantic_weight
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.start(settings, settings.threads)
    content = checkpoints.load(detector_path, detector_files.Checkpoint)
    detector, classes = detector_files.load(content)
    described = index.read(regions_dir, "regions")
    classifier = pixel_classifier.load(classifier_path, None, described.dim)[0].to(device)
    head = region_heads.of_classifier(classifier, classes, weight)
    detector.to(device)
    found: dict[str, list[detections.Detection]] = {"zsi": [], "gzsi": []}
    cached = evaluation_regions.read(regions_dir, device)
    for image, regions in progress.track(cached, "detect_regions", total=len(described.images)):
        labellings = region_heads.labellings(head, detector, regions.features)
        for name, one in zip(found, inference.find(detector, regions, labellings, options), strict=True):
            found[name] += coco_results.entries(one, int(image), classes, options.mask_threshold)
    facts = {**content["facts"], "seen_bias": classifier.seen_bias, "semantic_weight": weight}
    detections.write(detections_path, detections.Detections(classifier_path.stem, facts, **found))


if __name__ == "__main__":
    command_line.run(main)
