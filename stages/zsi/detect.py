"""Find the instances of the evaluation images by every scoring, with unseen classes alone and with all classes."""

import pathlib

from zeroshot.base import command_line


def main(
    *, images_path: pathlib.Path, images_dir: pathlib.Path, detector_path: pathlib.Path, detections_dir: pathlib.Path
) -> None:
    """Find the instances of the evaluation images by every scoring, with unseen classes alone and with all classes.

    Args:
        images_path: the evaluation images, without annotations.
        images_dir: their folder.
        detector_path: the detector.
        detections_dir: out: a file of detections for each scoring.
    """
    import typing

    import torch

    from zeroshot.base import checkpoints, params, progress, runtime, storage
    from zeroshot.evaluation.instances import detections
    from zeroshot.images import image_files
    from zeroshot.zsi import coco_results, detector_files, inference, instances_dataset, scoring, sections

    options = params.load("zsi/params.yaml", "detection", sections.Detection)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.start(settings, settings.threads)

    content = checkpoints.load(detector_path, detector_files.Checkpoint)
    detector, classes = detector_files.load(content)
    detector.to(device)
    entries = instances_dataset.read(images_path, detector.transform.max_size)["images"]
    variants = [
        (kind, protocol) for kind in typing.get_args(scoring.Scoring) for protocol in typing.get_args(scoring.Protocol)
    ]
    results: dict[inference.Variant, list[detections.Detection]] = {variant: [] for variant in variants}
    for entry in progress.track(entries, "detect"):
        pixels = image_files.read_image(images_dir / entry["file_name"])
        image = torch.from_numpy(pixels).permute(2, 0, 1).to(device)
        found = inference.detect(detector, inference.regions(detector, image), variants, options)
        for variant, of_image in zip(variants, found, strict=True):
            results[variant] += coco_results.entries(of_image, entry["id"], classes, options.mask_threshold)
    with storage.replacing_folder(detections_dir) as folder:
        for kind in typing.get_args(scoring.Scoring):
            lists = {protocol: results[kind, protocol] for protocol in typing.get_args(scoring.Protocol)}
            detections.write(folder / f"{kind}.json", detections.Detections(kind, content["facts"], **lists))


if __name__ == "__main__":
    command_line.run(main)
