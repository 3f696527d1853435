"""Draw the two images of the README: `python docs/images/make.py`, after `make repro` on generated data.

`generated.png` is cut from the images that the stage `visualise` wrote, `voc.png` is a chart of metrics/comparison/voc_small/runs.csv.
"""

import csv
import pathlib
import statistics
import sys
from collections.abc import Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from zeroshot.datasets import splits  # noqa: E402
from zeroshot.images import label_ids, pictures  # noqa: E402

# Three images of `visualise`, one for each of three unseen classes, and the columns of its images that are shown.
EXAMPLES = ("val_00172", "val_00170", "val_00064")
COLUMNS = {"image": 0, "ground truth": 1, "without zero-shot": 2, "ZS3Net": 6, "ZS5Net": 7}
# Side of a panel: `visualise.panel_side` of params.yaml.
SIDE = 192

# Method of runs.csv -> its name and colour in the chart.
BARS = {
    "ALE": ("ALE, DeViSE", "#9aa0a6"),
    "SPNet": ("SPNet", "#e8a33d"),
    "ZS3Net": ("ZS3Net", "#4c8dd6"),
    "ZS5Net": ("ZS5Net", "#1f4e9c"),
    "Feature oracle": ("feature oracle (reads unseen labels)", "#c9d7ea"),
}
KS = ("2", "4", "10")


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


def chart(runs: pathlib.Path) -> PIL.Image.Image:
    """Return a bar chart of hIoU by K and method: means over seeds, with a line one standard deviation long each way."""
    scores: dict[tuple[str, str], list[float]] = {}
    with runs.open() as file:
        for row in csv.DictReader(file):
            if row["method"] in BARS and row["k"] in KS and not row["swept"]:
                scores.setdefault((row["method"], row["k"]), []).append(float(row["hIoU"]))
    width, height, left, bottom, per_cent = 1008, 384, 48, 332, 6.2
    image = PIL.Image.new("RGB", (width, height), "white")
    draw = PIL.ImageDraw.Draw(image)
    font = PIL.ImageFont.load_default(15)
    for value in range(0, 50, 10):
        y = bottom - value * per_cent
        draw.line((left, y, width - 8, y), fill="#dddddd")
        draw.text((left - 8, y), str(value), fill="black", font=font, anchor="rm")
    draw.text((8, 8), "hIoU, per cent", fill="black", font=font)
    x = 200
    for name, colour in BARS.values():
        draw.rectangle((x, 10, x + 14, 24), fill=colour)
        draw.text((x + 20, 17), name, fill="black", font=font, anchor="lm")
        x += round(font.getlength(name)) + 48
    for group, k in enumerate(KS):
        start = left + 24 + group * 312
        draw.text((start + 132, bottom + 28), f"{k} unseen classes", fill="black", font=font, anchor="mm")
        for number, (method, (_, colour)) in enumerate(BARS.items()):
            _bar(draw, start + number * 54, bottom, per_cent, scores[method, k], colour, font)
    return image


def _bar(
    draw: PIL.ImageDraw.ImageDraw,
    x: int,
    bottom: int,
    per_cent: float,
    values: Sequence[float],
    colour: str,
    font: PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont,
) -> None:
    """Draw one bar with its standard deviation and its mean in figures."""
    mean, spread = statistics.mean(values), statistics.stdev(values)
    y, above, below = (bottom - value * per_cent for value in (mean, mean + spread, mean - spread))
    draw.rectangle((x, y, x + 44, bottom), fill=colour)
    draw.line((x + 22, above, x + 22, below), fill="black", width=2)
    draw.text((x + 22, above - 10), f"{mean:.1f}", fill="black", font=font, anchor="mm")


def main() -> None:
    """Write both images beside this file, with 256 colours so that they stay small."""
    folder = pathlib.Path(__file__).parent
    made = {"generated.png": examples(ROOT), "voc.png": chart(ROOT / "metrics/comparison/voc_small/runs.csv")}
    for name, image in made.items():
        image.quantize(256).save(folder / name, optimize=True)


if __name__ == "__main__":
    main()
