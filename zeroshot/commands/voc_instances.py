"""Write the objects of Pascal VOC 2012 as annotation files in COCO's layout, for ZSI."""

import pathlib
from typing import Annotated

import tyro


def main(
    root: Annotated[tyro.conf.Positional[pathlib.Path], tyro.conf.arg(metavar="DIR")],
    *,
    lists: tuple[str, ...] = ("train", "val"),
    sbd: pathlib.Path | None = None,
    out: pathlib.Path | None = None,
) -> None:
    """Write the objects of Pascal VOC 2012 as annotation files in COCO's layout, for ZSI (docs/zsi.md).

    A list such as train becomes instances_train.json. Each value but 0 and 255 in a mask of SegmentationObject is an object; its class
    is that of its pixels in SegmentationClass. All faults of the data are named together, and then nothing is written.

    Args:
        root: the folder with JPEGImages, SegmentationClass, SegmentationObject and ImageSets/Segmentation.
        lists: lists in ImageSets/Segmentation, without `.txt`.
        sbd: SBD's folder, such as benchmark_RELEASE/dataset. Its images of train_noval.txt that are in none of the lists become
            instances_sbd_extra.json.
        out: where the files are written; DIR/instances if it is not given.
    """
    from zeroshot.base import errors
    from zeroshot.own_data import voc_instances

    wrong = [name for name in lists if pathlib.PurePath(name).name != name]
    if wrong or not lists:
        raise errors.UserError(
            f"--lists: needs names of files in ImageSets/Segmentation without `.txt`, found {', '.join(wrong) or 'none'}"
        )
    if sbd is not None and voc_instances.SBD_NAME in lists:
        raise errors.UserError(f"--lists: {voc_instances.SBD_NAME} is the name of the file of --sbd; rename the list")
    print(*voc_instances.convert(root, out or root / "instances", lists, sbd), sep="\n")
