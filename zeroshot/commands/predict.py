"""Segment images with a trained model."""

import pathlib
from typing import Annotated, Literal

import tyro


def main(
    images: Annotated[tyro.conf.Positional[tuple[pathlib.Path, ...]], tyro.conf.arg(metavar="IMAGE|DIR")],
    *,
    model: pathlib.Path,
    out: pathlib.Path,
    classes: str = "",
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

    Args:
        images: images, and folders whose images are segmented.
        model: the model file, such as models/zs5net.pt.
        out: folder of the results.
        classes: names of classes, parted by commas; then only these and the background are possible.
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
    segmenter.check(options)
    if threads < 1:
        raise errors.UserError(f"--threads: needs at least 1, found {threads}")
    sources = outputs.find(images, out)
    if not sources:
        raise errors.UserError("predict: name an image or a folder of images")
    place = runtime.start(runtime.Params(device, threads, 0, "."), threads)
    loaded = model_file.load(model, place)
    print(f"{model}: {loaded}", file=sys.stderr)
    if options.classes:
        loaded.choose(options.classes)
    rows, failed = [], 0
    for source in progress.track(sources, "predict (images)", total=len(sources)):
        try:
            image = image_files.read_image(source.path)
        except image_files.ImageError as error:
            print(error, file=sys.stderr)
            failed += 1
            continue
        rows += outputs.write(out, source, image, segmenter.predict(image, loaded, options), loaded, masks)
    outputs.write_shares(out, rows)
    if failed:
        raise SystemExit(1)


def _factors(text: str) -> tuple[float, ...]:
    from zeroshot.base import errors

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise errors.UserError(f"--scales: needs numbers parted by commas, found `{text}`") from None
