"""`zeroshot check DIR` on exports of annotation tools: COCO's JSON with polygons and run lengths, labelme's JSON, CVAT's masks."""

import base64
import io
import json
import pathlib
import re
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pycocotools.mask
import pytest
from scipy import ndimage

from tests.own_data import test_prepare
from zeroshot.base import errors
from zeroshot.images import image_files
from zeroshot.own_data import annotations, folder, parameters, prepare, regions, report

SIZE = (40, 60)
CATEGORIES = [{"id": 7, "name": "road"}, {"id": 3, "name": "car"}, {"id": 9, "name": "zebra"}]


def box(left: int, top: int, right: int, bottom: int) -> list[list[float]]:
    """Return the polygon that covers exactly the pixels [top:bottom, left:right]."""
    return [[left, top, right, top, right, bottom, left, bottom]]


def pixels(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8, order="F")
    mask[top:bottom, left:right] = 1
    return mask


def compressed(mask: np.ndarray) -> dict:
    runs = pycocotools.mask.encode(np.asfortranarray(mask))
    return {"size": list(SIZE), "counts": runs["counts"].decode()}


def uncompressed(mask: np.ndarray) -> dict:
    """Run lengths down the columns, counted one by one."""
    counts, value = [0], 0
    for pixel in mask.T.ravel().tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return {"size": list(SIZE), "counts": counts}


def write_images(root: pathlib.Path, names: list[str], place: str = "images") -> None:
    (root / place).mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        values = np.random.default_rng(number).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        PIL.Image.fromarray(values).save(root / place / f"{name}.png")


def content(names: list[str]) -> dict:
    """Return a COCO file: a road below, and a small car on it that comes first; image numbers from 100."""
    images = [{"id": 100 + n, "file_name": f"{name}.png", "height": 40, "width": 60} for n, name in enumerate(names)]
    annotations = []
    for image in images:
        for category, segmentation in ((3, box(10, 25, 20, 35)), (7, box(0, 20, 60, 40))):
            annotations.append(
                {"id": len(annotations), "image_id": image["id"], "category_id": category, "segmentation": segmentation}
            )
    return {"images": images, "categories": CATEGORIES, "annotations": annotations}


def write(path: pathlib.Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def make(root: pathlib.Path, n: int = 6) -> tuple[pathlib.Path, dict]:
    """Write n images with annotations and one without; return the folder and the COCO file's content, which is not written."""
    names = [f"p{number}" for number in range(n)]
    write_images(root, [*names, "plain"])
    return root, content(names)


def painted(tmp_path: pathlib.Path, id: str) -> np.ndarray:
    return image_files.read_mask(tmp_path / f"out/SegmentationClass/{id}.png")


def check(tmp_path: pathlib.Path, root: pathlib.Path, **options: Any) -> tuple[dict, str]:
    """Do what the command does before it looks for word vectors; return the section data and the report."""
    summary = prepare.make(root, tmp_path / "out", prepare.Options(**options))
    return parameters.of(tmp_path / "out", summary)["data"], report.render(summary)


def faults_of(tmp_path: pathlib.Path, root: pathlib.Path) -> str:
    with pytest.raises(errors.UserError) as caught:
        check(tmp_path, root)
    assert not (tmp_path / "out").exists()
    return str(caught.value)


def test_coco_files_become_masks_in_which_small_objects_lie_on_large_ones(tmp_path):
    root, file = make(tmp_path / "street")
    write(root / "annotations/instances_default.json", file)
    write(root / "annotations/captions_default.json", {"images": [], "annotations": []})
    data, said = check(tmp_path, root)
    assert "7 images, 6 with masks" in said and "in no training mask: zebra" in said
    assert (data["background"], data["unseen"]) == ("label_0", ["zebra"])
    assert (tmp_path / "out/classes.txt").read_text().split() == ["background", "road", "car", "zebra"]
    assert (tmp_path / "out/ImageSets/Segmentation/unlabelled.txt").read_text() == "plain\n"
    expected = np.zeros(SIZE, np.uint16)
    expected[20:] = 1
    expected[25:35, 10:20] = 2
    np.testing.assert_array_equal(painted(tmp_path, "p0"), expected)


@pytest.mark.parametrize("encode", [compressed, uncompressed])
def test_run_lengths_are_read_exactly(encode):
    mask = (np.random.default_rng(0).random(SIZE) < 0.4).astype(np.uint8)
    runs = encode(mask)
    region = annotations.Region("here", 1, {"size": SIZE, "counts": runs["counts"]})
    labels, faults = regions.paint(annotations.Outlines("here", SIZE, (region,)), SIZE, {0: 0, 1: 5})
    assert not faults
    np.testing.assert_array_equal(labels, 5 * mask)


def test_a_polygon_is_filled_as_by_another_library_but_for_its_border():
    corners = [(5.0, 3.0), (50.0, 10.0), (30.0, 36.0), (12.0, 30.0), (20.0, 16.0)]
    image = PIL.Image.new("L", (SIZE[1], SIZE[0]))
    PIL.ImageDraw.Draw(image).polygon(corners, fill=1)
    filled = np.array(image).astype(bool)
    region = annotations.Region("here", 1, [[value for corner in corners for value in corner]])
    labels, faults = regions.paint(annotations.Outlines("here", (None, None), (region,)), SIZE, {0: 0, 1: 1})
    assert not faults and (labels[ndimage.binary_erosion(filled, np.ones((3, 3)))] == 1).all()
    assert (labels[~ndimage.binary_dilation(filled, np.ones((3, 3)))] == 0).all()


def test_parts_of_one_annotation_are_united():
    parts = [*box(0, 0, 10, 10), *box(20, 20, 30, 30)]
    labels, _ = regions.paint(
        annotations.Outlines("here", SIZE, (annotations.Region("here", 1, parts),)), SIZE, {0: 65535, 1: 1}
    )
    np.testing.assert_array_equal(labels == 1, (pixels(0, 0, 10, 10) + pixels(20, 20, 30, 30)).astype(bool))
    assert (labels[labels != 1] == 65535).all()


def test_train_and_val_files_are_joined_and_give_the_lists(tmp_path):
    root = tmp_path / "street"
    for part, ids in (("train", ["a", "b"]), ("valid", ["c", "d"])):
        write_images(root, ids, part)
        file = content(ids)
        if part == "valid":
            # Numbers of categories belong to their file.
            file["categories"] = [{**category, "id": 10 - category["id"]} for category in CATEGORIES]
            for annotation in file["annotations"]:
                annotation["category_id"] = 10 - annotation["category_id"]
        write(root / part / "_annotations.coco.json", file)
    check(tmp_path, root)
    lists = {path.stem: path.read_text().split() for path in (tmp_path / "out/ImageSets/Segmentation").iterdir()}
    assert lists == {"train": ["a", "b"], "val": ["c", "d"], "unlabelled": []}
    np.testing.assert_array_equal(painted(tmp_path, "c"), painted(tmp_path, "a"))
    (root / "val.txt").write_text("b\n")
    check(tmp_path, root)
    assert (tmp_path / "out/ImageSets/Segmentation/train.txt").read_text().split() == ["a", "c", "d"]


def test_a_class_list_beside_the_file_gives_roles_and_further_names(tmp_path):
    root, file = make(tmp_path / "street")
    write(root / "instances.json", file)
    (root / "classes.yaml").write_text("[{name: car, role: unseen}, bicycle, {name: background, role: void}]")
    data, _ = check(tmp_path, root)
    assert data["unseen"] == ["car", "zebra", "bicycle"] and data["background"] is None
    assert set(np.unique(painted(tmp_path, "p0"))) == {1, 2, 65535}


def test_a_category_called_background_is_what_nothing_covers(tmp_path):
    root, file = make(tmp_path / "street")
    file["categories"] = [{"id": 7, "name": "Background"}, *CATEGORIES[1:]]
    write(root / "coco.json", file)
    check(tmp_path, root)
    assert (tmp_path / "out/classes.txt").read_text().split() == ["background", "car", "zebra"]
    assert set(np.unique(painted(tmp_path, "p0"))) == {0, 1}


def test_all_faults_of_a_coco_file_are_named_together(tmp_path):
    root, file = make(tmp_path / "street")
    images, annotations = file["images"], file["annotations"]
    images.append({"id": 500, "file_name": "missing.png"})
    images.append({"id": 100, "file_name": "plain.png"})
    images[1]["width"] = 61
    runs = compressed(pixels(0, 0, 9, 9))
    wrong = {
        60: {"image_id": 77},
        61: {"category_id": 77},
        62: {"segmentation": []},
        63: {"segmentation": [[1, 1, 5, 5]]},
        64: {"segmentation": [[1, 1, 5, 5, 9, 9, 2]]},
        65: {"segmentation": [[1, 1, 5, 1e9, 9, 9]]},
        66: {"segmentation": {"size": [60, 40], "counts": runs["counts"]}},
        67: {"segmentation": {"size": [40, 60], "counts": "o"}},
        68: {"segmentation": {"size": [40, 60], "counts": "11"}},
        69: {"segmentation": {"size": [40, 60], "counts": [2500, -100]}},
    }
    for id, change in wrong.items():
        annotations.append({"id": id, "image_id": 102, "category_id": 3, "segmentation": box(1, 1, 9, 9), **change})
    annotations.append({"id": 0, "image_id": 103, "category_id": 3, "bbox": [1, 2, 3, 4]})
    write(root / "instances.json", file)
    text = faults_of(tmp_path, root)
    for message in (
        r"image of the annotations does not exist (1):",
        "missing.png",
        "id is used twice (2):",
        "images: id 100",
        "annotations: id 0",
        "annotation of an unknown image (1):",
        "annotation 60: image_id 77",
        "annotation of an unknown category (1):",
        "annotation has boxes only; draw its outline, or remove it (2):",
        "polygon with fewer than 3 points (1):",
        "polygon with an odd number of coordinates (1):",
        "polygon far outside of the image, which is 60 x 40 (1):",
        "run lengths of another size than the image, 60 x 40 (1):",
        "damaged run lengths (1):",
        "damaged run lengths: they do not fill the image (2):",
        "image and mask differ in size (1):",
        "the image is 60 x 40",
    ):
        assert message in text
    assert text.splitlines()[0] == f"{root}: 15 faults"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{" * 5000,
        '{"images": 3}',
        '{"images": [], "categories": [], "annotations": [{"id": NaN}]}',
        '{"images": [{"id": 1, "file_name": ["a"]}], "categories": [], "annotations": []}',
        '{"images": [], "categories": [], "annotations": [{"image_id": 1, "category_id": 1, "segmentation": [[1, null]]}]}',
        '{"images": [], "categories": [], "annotations": [{"image_id": 1, "category_id": 1, "segmentation": [[1e999]]}]}',
    ],
)
def test_any_other_json_is_refused_by_one_message(tmp_path, text):
    root, _ = make(tmp_path / "street", 1)
    (root / "instances.json").write_text(text)
    assert "instances.json: is no file of COCO (" in faults_of(tmp_path, root)


def test_images_in_two_files_are_a_fault(tmp_path):
    root, file = make(tmp_path / "street", 2)
    write(root / "train.json", file)
    write(root / "val.json", file)
    assert "image is described twice (2)" in faults_of(tmp_path, root)


def test_masks_come_before_annotations(tmp_path):
    root = test_prepare.make(tmp_path / "street")
    write(root / "notes.json", {"author": "me"})
    assert folder.find(root, errors.Faults()).masks["p0"] == root / "masks/p0.png"


def shape(label: str, kind: str | None, *points: tuple[float, float], **more: str) -> dict:
    return {"label": label, "shape_type": kind, "points": points, "group_id": None, "flags": {}, **more}


def write_labelme(root: pathlib.Path, name: str, *shapes: dict) -> None:
    write_images(root, [name], ".")
    size = {"imageHeight": SIZE[0], "imageWidth": SIZE[1], "imageData": None}
    write(root / f"{name}.json", {"version": "5.5.0", "shapes": shapes, "imagePath": f"..\\raw\\{name}.png", **size})


def png(mask: np.ndarray) -> str:
    file = io.BytesIO()
    PIL.Image.fromarray(mask).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_files_of_labelme_become_masks(tmp_path):
    root = tmp_path / "street"
    blob = np.random.default_rng(0).random((9, 7)) < 0.5
    road = shape("road", "polygon", (0, 20), (60, 20), (60, 40), (0, 40))
    write_labelme(root, "a", shape("car", "rectangle", (20, 35), (10, 25)), road)
    ignored = shape("__ignore__", None, (0, 0), (5, 0), (5, 5), (0, 5))
    write_labelme(root, "b", road, shape("car", "mask", (53, 0), (59, 8), mask=png(blob)), ignored)
    corner = shape("road", "mask", (0, 0), (2, 2), mask=png(np.ones((3, 3), bool)))
    write_labelme(root, "c", shape("car", "circle", (30, 20), (30, 30)), corner)
    write_labelme(root, "empty")
    (root / "labels.txt").write_text("__ignore__\n_background_\nroad\ncar\nzebra\n")
    data, said = check(tmp_path, root)
    assert "4 images, 3 with masks" in said and data["unseen"] == ["zebra"]
    assert (tmp_path / "out/classes.txt").read_text().split() == ["background", "car", "road", "zebra"]
    expected = np.zeros(SIZE, np.uint16)
    expected[20:] = 2
    expected[25:35, 10:20] = 1
    np.testing.assert_array_equal(painted(tmp_path, "a"), expected)
    expected[25:35, 10:20] = 2
    expected[:9, 53:][blob] = 1
    expected[:5, :5] = 65535
    np.testing.assert_array_equal(painted(tmp_path, "b"), expected)
    rows, columns = np.indices(SIZE) + 0.5
    distance = np.hypot(rows - 20, columns - 30)
    circle = painted(tmp_path, "c") == 1
    np.testing.assert_array_equal(painted(tmp_path, "c") == 2, pixels(0, 0, 3, 3))
    assert circle[distance < 9].all() and not circle[distance > 11].any()


def test_shapes_of_labelme_without_an_area_are_named_together(tmp_path):
    root = tmp_path / "street"
    mask = png(np.ones((9, 9), bool))
    write_labelme(root, "a", shape("car", "line", (1, 1), (5, 5)), shape("car", "point", (1, 1)))
    write_labelme(root, "b", shape("car", "mask", (55, 0), (63, 8), mask=mask), shape("car", "mask", (1, 1), (2, 2)))
    write_labelme(root, "c", shape("car", "mask", (1e300, 0), (63, 8), mask=mask), shape("car", "circle", (1, 1)))
    write_labelme(root, "d", shape("road", "circle", (1, 1), (1e300, 1)), shape("road", "polygon", (1, 1), (2, 2)))
    (root / "a.png").unlink()
    text = faults_of(tmp_path, root)
    assert "shape that is no area; draw a polygon, or remove it (6)" in text and "a.json: shape 1, car: point" in text
    assert "polygon far outside of the image" in text and "polygon with fewer than 3 points" in text
    assert "image of the annotations does not exist (1)" in text
    write(root / "b.json", {"shapes": [{"label": 3}]})
    assert re.search(
        r"b\.json: is no file of labelme \(shapes\.0\.label: .*imagePath: Field required", faults_of(tmp_path, root)
    )


def test_a_label_map_of_cvat_is_read_as_colours(tmp_path):
    """An export `Segmentation mask 1.1`."""
    root = tmp_path / "street"
    write_images(root, ["a", "b"], "JPEGImages")
    (root / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ntraffic light:250,50,83::\nroad:128,64,128::\nzebra:1,2,3::\n"
    )
    for place in ("SegmentationClass", "SegmentationObject"):
        (root / place).mkdir()
    colours = np.zeros((*SIZE, 3), np.uint8)
    colours[20:] = (128, 64, 128)
    colours[5:15, 5:15] = (250, 50, 83)
    for name in "ab":
        PIL.Image.fromarray(colours).save(root / f"SegmentationClass/{name}.png")
    data, _ = check(tmp_path, root)
    assert (data["background"], data["unseen"]) == ("label_0", ["zebra"])
    expected = np.zeros(SIZE, np.uint16)
    expected[20:], expected[5:15, 5:15] = 2, 1
    np.testing.assert_array_equal(painted(tmp_path, "a"), expected)


def test_the_own_format_of_cvat_is_recognised(tmp_path):
    root, _ = make(tmp_path / "street")
    (root / "annotations.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>'
    )
    assert "annotations.xml is CVAT's own format: export `COCO 1.0`" in faults_of(tmp_path, root)
