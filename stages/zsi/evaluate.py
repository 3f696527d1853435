"""Score the instances of one scoring on the evaluation images: AP and recall of boxes and masks, of seen and unseen classes."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    classes_path: pathlib.Path,
    instances_path: pathlib.Path,
    detections_path: pathlib.Path,
    metrics_path: pathlib.Path,
    class_table_path: pathlib.Path,
    curves_path: pathlib.Path,
) -> None:
    """Score the instances of one scoring on the evaluation images: AP and recall of boxes and masks, of seen and unseen classes.

    Args:
        classes_path: the classes.
        instances_path: the evaluation images with their true instances.
        detections_path: the detected instances.
        metrics_path: out: the metrics, in per cent.
        class_table_path: out: AP and recall by class.
        curves_path: out: mean precision by recall of seen and of unseen classes.
    """
    from zeroshot.base import params, storage
    from zeroshot.datasets.instances import class_list
    from zeroshot.evaluation.instances import detections, instance_metrics, truth

    options = params.load("zsi/params.yaml", "evaluation", instance_metrics.Params)
    classes = class_list.read(classes_path)
    true = truth.read(instances_path, classes)
    detected = detections.read(detections_path, classes, true.sizes)

    results = instance_metrics.measure(true, detected, classes, options)
    summary = instance_metrics.summarise(results, classes, options)
    for role, names in summary["classes_without_objects"].items():
        if names:
            print(f"{role} classes without an object in the evaluation images, which do not count: {', '.join(names)}")
    storage.write_json(
        metrics_path,
        summary
        | {
            "scoring": detected.scoring,
            "detector": dict(detected.facts),
            "split": instance_metrics.split_entry(classes, true),
            "evaluation": params.to_dict(options),
        },
    )
    storage.write_csv(class_table_path, instance_metrics.class_table(results, classes))
    storage.write_csv(curves_path, instance_metrics.curve_table(results, classes))


if __name__ == "__main__":
    command_line.run(main)
