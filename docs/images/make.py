"""Draw the image of the README, cut from those of the stage `visualise`: `python docs/images/make.py`, after `make repro`."""

import pathlib
import sys

import numpy as np
import PIL.Image

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from zeroshot.datasets import splits  # noqa: E402
from zeroshot.images import label_ids, pictures  # noqa: E402

# Three images of `visualise`, one for each of three unseen classes, and the columns of its images that are shown.
EXAMPLES = ("val_00172", "val_00170", "val_00064")
COLUMNS = {"image": 0, "ground truth": 1, "without zero-shot": 2, "ZS3Net": 6, "ZS5Net": 7}
# Side of a panel: `visualise.panel_side` of params.yaml.
SIDE = 192


def examples(root: pathlib.Path) -> PIL.Image.Image:
    """Return rows of panels, one row for each of EXAMPLES, from plots/pictures below `root`."""
    split = splits.read(root / "data/split.json")
    label_of_colour = {tuple(colour): label for label, colour in enumerate(label_ids.palette().tolist())}
    rows = []
    for name in EXAMPLES:
        whole = np.asarray(PIL.Image.open(root / "plots/pictures" / f"{name}.png"))
        panels = {}
        for caption, column in COLUMNS.items():
            left, top = pictures.MARGIN + column * (SIDE + pictures.MARGIN), pictures.MARGIN + pictures.LINE
            panels[caption] = whole[top : top + SIDE, left : left + SIDE]
        image = panels.pop("image")
        label_maps = {
            caption: np.apply_along_axis(lambda colour: label_of_colour[tuple(colour)], 2, panel).astype(
                label_ids.DTYPE
            )
            for caption, panel in panels.items()
        }
        rows.append(pictures.compare(image, label_maps, split.classes, split.unseen, SIDE))
    stacked = PIL.Image.new("RGB", (rows[0].width, sum(row.height for row in rows)), "white")
    for number, row in enumerate(rows):
        stacked.paste(row, (0, sum(above.height for above in rows[:number])))
    return stacked


def main() -> None:
    """Write the image beside this file, with 256 colours so that it stays small."""
    examples(ROOT).quantize(256).save(pathlib.Path(__file__).parent / "generated.png", optimize=True)


if __name__ == "__main__":
    main()
