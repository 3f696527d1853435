"""Draw a few evaluation images with boxes, masks, names and scores: the true instances, and those of every scoring."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    images_dir: pathlib.Path,
    classes_path: pathlib.Path,
    instances_path: pathlib.Path,
    detections_paths: tuple[pathlib.Path, ...],
    pictures_dir: pathlib.Path,
) -> None:
    """Draw a few evaluation images with boxes, masks, names and scores: the true instances, and those of every scoring.

    Args:
        images_dir: folder of the evaluation images.
        classes_path: the classes.
        instances_path: the evaluation images with their true instances.
        detections_paths: the detected instances of each scoring.
        pictures_dir: out: folder with a PNG for each image.
    """
    from zeroshot.base import params, storage
    from zeroshot.datasets.instances import class_list
    from zeroshot.evaluation import example_images
    from zeroshot.evaluation.instances import detections, instance_metrics, truth
    from zeroshot.figures import instances, output
    from zeroshot.images import image_files

    options = params.load("zsi/params.yaml", "pictures", instances.Params)
    classes = class_list.read(classes_path)
    true = truth.read(instances_path, classes)
    detected = {path.stem: detections.read(path, classes, true.sizes) for path in detections_paths}
    roles = instance_metrics.roles(classes, options.detections)
    labels = [label for group in roles.values() for label in group]
    with storage.replacing_folder(pictures_dir) as folder:
        for name in example_images.choose(instances.label_maps(true), classes.unseen, options):
            id = int(name)
            file_name = true.images[id].file_name
            panels = [instances.true_panel(id, true, labels)]
            for scoring, content in detected.items():
                ones = getattr(content, options.detections)
                panels.append(
                    instances.detected_panel(
                        scoring.replace("_", " "), id, true, ones, classes, roles, options.max_detections
                    )
                )
            image = image_files.read_image(images_dir / file_name)
            figure = instances.draw(image, file_name, panels, classes, options.max_detections, options.panel_side)
            output.write(folder / f"{id}.png", figure, figure.dpi)


if __name__ == "__main__":
    command_line.run(main)
