"""Put everything that prediction needs into one file: the detector with its classes, and a scoring or a classifier of its regions."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    detector_path: pathlib.Path,
    metrics_path: pathlib.Path,
    model_path: pathlib.Path,
    classifier_path: pathlib.Path | None = None,
) -> None:
    """Put everything that prediction needs into one file: the detector with its classes, and a scoring or a classifier of its regions.

    Args:
        detector_path: the detector.
        metrics_path: the metrics of a scoring of the detector itself, or of the classifier.
        model_path: out: the model file.
        classifier_path: the classifier of background, seen and unseen classes. Without it, the model has the scoring of the metrics.
    """
    from zeroshot.base import checkpoints, params
    from zeroshot.prediction.instances import instance_packing
    from zeroshot.zsi import sections

    detection = params.load("zsi/params.yaml", "detection", sections.Detection)
    regions = params.load("zsi/params.yaml", "regions", sections.Regions)
    content = instance_packing.pack(
        detector_path, classifier_path, metrics_path, detection, regions.evaluation_per_image
    )
    checkpoints.save(model_path, content)


if __name__ == "__main__":
    command_line.run(main)
