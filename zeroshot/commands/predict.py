"""Segment images with a trained model."""

import dataclasses
import pathlib
import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal

import tyro

if typing.TYPE_CHECKING:
    import numpy as np
    import torch

    from zeroshot.prediction import outputs, segmenter


def main(
    images: Annotated[tyro.conf.Positional[tuple[pathlib.Path, ...]], tyro.conf.arg(metavar="IMAGE|DIR")],
    *,
    model: pathlib.Path,
    out: pathlib.Path,
    classes: str = "",
    score: float | None = None,
    masks: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    flip: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    scales: str = "1",
    regions: int = 0,
    side: int | None = None,
    tile: int = 1024,
    overlap: int = 128,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int = 1,
) -> None:
    """Segment images with a trained model, which is all that this needs.

    For each image the folder has a map of label ids in colours (.png), the image under these colours with a legend
    (_overlay.jpg) and the confidence (_confidence.png, white: certain). shares.csv and shares.json have the share of each class.
    An image that cannot be read is named, the others are segmented, and the exit status is 1.

    A model of ZSI finds instances: objects with boxes, scores and masks. instances.json has all of them in COCO's layout. Of those at
    one place, the surest has a mask (_instances/001_<class>.png), a row of instances.csv, and is drawn over the image (_overlay.jpg).
    Of the options such a model takes --classes, --score, --device and --threads. It always writes masks.

    Args:
        images: images, and folders whose images are segmented.
        model: the model file, such as models/zs5net.pt or models/zsi/synthesised.pt.
        out: folder of the results.
        classes: names of classes, parted by commas; then only these and the background are possible.
        score: of a model of ZSI alone: instances with a larger score are found, from 0 to 1. The default is that of its evaluation.
        masks: also write a mask of each class in an image.
        flip: average over the mirrored image too; it takes twice the time.
        scales: factors, parted by commas; average over the image resized by them.
        regions: give all pixels of a superpixel the same class, with about so many superpixels in an image; 0: off.
        side: shrink a larger image until its longest side has so many pixels; 0: never. The default is twice the longest side of a
            typical training image.
        tile: longest side in pixels that the network sees at once, a multiple of 16, and of 32 for FCN-32s. A larger image is cut into
            tiles.
        overlap: of neighbouring tiles in pixels, a multiple of the same number. Tiles are blended there.
        device: where to compute; auto takes the first GPU, if there is one.
        threads: threads of the computation.
    """
    import sys

    from zeroshot.base import errors, progress, runtime
    from zeroshot.images import image_files
    from zeroshot.prediction import model as model_file
    from zeroshot.prediction import outputs, segmenter

    options = segmenter.Options(
        classes=tuple(name.strip() for name in classes.split(",") if name.strip()),
        side=side,
        scales=_factors(scales),
        flip=flip,
        tile=tile,
        overlap=overlap,
        regions=regions,
    )
    if threads < 1:
        raise errors.UserError(f"--threads: needs at least 1, found {threads}")
    if not images:
        raise errors.UserError("predict: name an image or a folder of images")
    place = runtime.start(runtime.Params(device, threads, 1, 0, "."), threads)
    content = model_file.read_any(model)
    if content.get("system") == model_file.INSTANCES:
        # It imports Matplotlib, which label maps do not need.
        from zeroshot.prediction.instances import instance_outputs

        _refuse_options_of_label_maps(model, options, masks)
        sources = outputs.find(images, out, instance_outputs.ENDINGS)
        task = _instances(model, content, place, options.classes, score)
    elif score is not None:
        raise errors.UserError(f"--score: {model} finds no instances, so it has no such option; leave it out")
    else:
        segmenter.check(options)
        sources = outputs.find(images, out)
        task = _label_maps(model, content, place, options, masks)
    print(f"{model}: {task.model}", file=sys.stderr)
    results, failed = [], 0
    for source in progress.track(sources, "predict (images)", total=len(sources)):
        try:
            results += task.write(out, source, image_files.read_image(source.path))
        except image_files.ImageError as error:
            print(error, file=sys.stderr)
            failed += 1
    task.finish(out, results)
    if results:
        n_images = len(sources) - failed
        print(f"{out}: {n_images} image{'s' * (n_images > 1)}; {task.summary(results)}")
    if failed:
        raise SystemExit(1)


@dataclasses.dataclass(frozen=True)
class _Task:
    """What to do with images: a model, and functions that write the results of one image and of all, and that sum them up in words."""

    model: Any
    write: "Callable[[pathlib.Path, outputs.Source, np.ndarray], list[Any]]"
    finish: Callable[[pathlib.Path, list[Any]], None]
    summary: Callable[[list[Any]], str]


def _refuse_options_of_label_maps(path: pathlib.Path, options: "segmenter.Options", masks: bool) -> None:
    """Refuse the options that a model of ZSI does not have: all of label maps but `classes`."""
    from zeroshot.base import errors

    given = [
        field.name
        for field in dataclasses.fields(options)
        if field.name != "classes" and getattr(options, field.name) != field.default
    ]
    for name in [*given, *(["masks"] if masks else [])]:
        why = "always writes masks" if name == "masks" else "has no such option"
        raise errors.UserError(f"--{name}: {path} is a model of ZSI, which {why}; leave it out")


def _label_maps(
    path: pathlib.Path, content: dict[str, Any], place: "torch.device", options: "segmenter.Options", masks: bool
) -> _Task:
    """Return the task of a model of label maps."""
    from zeroshot.prediction import model as model_file
    from zeroshot.prediction import outputs, segmenter

    loaded = model_file.build(model_file.check(path, content), place)
    if options.classes:
        loaded.choose(options.classes)

    def write(out: pathlib.Path, source: outputs.Source, image: "np.ndarray") -> list[Any]:
        return outputs.write(out, source, image, segmenter.predict(image, loaded, options), loaded, masks)

    return _Task(loaded, write, outputs.write_shares, outputs.summary)


def _instances(
    path: pathlib.Path,
    content: dict[str, Any],
    place: "torch.device",
    classes: tuple[str, ...],
    score: float | None,
) -> _Task:
    """Return the task of a model of ZSI."""
    from zeroshot.prediction.instances import instance_detection, instance_model, instance_outputs

    loaded = instance_model.build(path, instance_model.check(path, content), place)
    wanted = instance_detection.Options(classes, score)
    instance_detection.check(wanted, loaded)

    def write(out: pathlib.Path, source: "outputs.Source", image: "np.ndarray") -> list[Any]:
        instance_detection.check_size(source.path, image, loaded)
        detected = instance_detection.detect(image, loaded, wanted)
        return [instance_outputs.write(out, source, image, detected, loaded)]

    def finish(out: pathlib.Path, results: list[Any]) -> None:
        instance_outputs.write_lists(out, results, loaded)

    return _Task(loaded, write, finish, lambda results: instance_outputs.summary(results, loaded))


def _factors(text: str) -> tuple[float, ...]:
    from zeroshot.base import errors

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise errors.UserError(f"--scales: needs numbers parted by commas, found `{text}`") from None
