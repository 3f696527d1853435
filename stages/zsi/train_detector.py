"""Train the detector of ZSI on boxes and masks of seen classes: encoder, background-aware RPN, box head and mask head together."""

import pathlib

from zeroshot.base import command_line


def main(
    *,
    training_path: pathlib.Path,
    images_dir: pathlib.Path,
    classes_path: pathlib.Path,
    embeddings_path: pathlib.Path,
    weights_path: pathlib.Path,
    detector_path: pathlib.Path,
    curve_path: pathlib.Path,
) -> None:
    """Train the detector of ZSI on boxes and masks of seen classes: encoder, background-aware RPN, box head and mask head together.

    Args:
        training_path: training images that show no unseen class, with the annotations of seen classes.
        images_dir: folder of the training images.
        classes_path: the classes and their roles.
        embeddings_path: vectors of all classes.
        weights_path: initial weights of the encoder.
        detector_path: out: the detector.
        curve_path: out: losses by epoch.
    """
    import functools

    import torch

    from zeroshot.base import checkpoints, params, ranks, resuming, runtime
    from zeroshot.datasets.instances import class_list
    from zeroshot.words import class_embeddings
    from zeroshot.zsi import detector as zsi_detector
    from zeroshot.zsi import detector_files, detector_training, instances_dataset, sections

    options = params.load("zsi/params.yaml", "detector", sections.Detector)
    settings = params.load("params.yaml", "runtime", runtime.Params)
    device = runtime.start(settings, settings.threads)

    classes = class_list.read(classes_path)
    vectors = torch.from_numpy(class_embeddings.read_rows(embeddings_path, classes.classes))
    detector = zsi_detector.build(options, vectors, classes, weights_path)
    dataset = instances_dataset.TrainingInstances(training_path, images_dir, classes, options)
    inputs = (training_path, classes_path, embeddings_path, weights_path, *dataset.paths())
    state_file = resuming.state_file(settings.scratch, "train_detector", options, device, inputs)
    train = functools.partial(detector_training.fit, detector, dataset, options, device, settings.workers)
    with ranks.together(device):
        resuming.run(state_file, train, "train_detector", options.epochs, curve_path)
    if ranks.rank():
        return

    checkpoints.save(detector_path, detector_files.checkpoint(detector, options, classes))
    state_file.unlink()


if __name__ == "__main__":
    command_line.run(main, shared=True)
