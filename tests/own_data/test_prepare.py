"""`zeroshot check DIR`: folders as people have them, from the files to a data set and a parameter file."""

import pathlib
import re

import numpy as np
import PIL.Image
import pytest
import yaml

from tests.support import dag
from zeroshot.base import errors
from zeroshot.commands import __main__ as cli
from zeroshot.datasets import layout, partition
from zeroshot.experiments import presets
from zeroshot.images import image_files
from zeroshot.own_data import folder, prepare

NAMES = ("sky", "road", "car", "tree", "zebra", "bicycle")
COLOURS = {
    "sky": (128, 128, 128),
    "road": (128, 64, 128),
    "car": (64, 0, 128),
    "tree": (128, 128, 0),
    "void": (0, 0, 0),
}


def labels(number: int) -> np.ndarray:
    """Return values (40, 60) uint8: sky above road, and a car or a tree; the right edge has 255."""
    values = np.zeros((40, 60), np.uint8)
    values[20:] = 1
    values[10:30, 10:30] = 2 + number % 2
    values[:, -2:] = 255
    return values


def make(root: pathlib.Path, n: int = 10, suffix: str = ".bmp") -> pathlib.Path:
    """Write n images with index masks, and two without masks; no background, two classes in no mask."""
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for number in range(n + 2):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(root / f"images/p{number}{suffix}")
        if number < n:
            PIL.Image.fromarray(labels(number)).save(root / f"masks/p{number}.png")
    (root / "classes.txt").write_text("\n".join(NAMES))
    return root


def check(tmp_path: pathlib.Path, root: pathlib.Path, *words: str) -> dict:
    """Run the command in the project's folder, with all outputs in tmp_path; return the section data of its params.yaml."""
    out, params = tmp_path / "out", tmp_path / "params.yaml"
    cli.main(["check", str(root), "--out", str(out), "--params", str(params), *words])
    return yaml.safe_load(params.read_text())["data"]


def test_photographs_in_bmp_without_a_background_become_a_data_set_that_prepare_split_accepts(tmp_path, capsys):
    data = check(tmp_path, make(tmp_path / "street"))
    said = capsys.readouterr().out
    assert data["unseen"] == ["zebra", "bicycle"] and data["background"] is None
    # Every image shows the sky.
    assert data["exclude"] == "pixels"
    assert "12 images, 10 with masks" in said and "in no training mask: zebra, bicycle" in said
    # All 8 training images show sky and road, and each shows either a car or a tree.
    rows = {line.split()[1]: line.split() for line in said.splitlines() if line[:7].strip().isdigit()}
    assert rows["sky"][-1] == rows["road"][-1] == "0" and rows["zebra"][-1] == "-"
    assert int(rows["car"][-1]) + int(rows["tree"][-1]) == 8
    section = {key: value for key, value in data.items() if key != "root"} | {"root": str(tmp_path / "out")}
    from zeroshot.base import params

    split = partition.check(tmp_path / "out", tmp_path / "none", params.build(section, layout.Params, "data"), 0).split
    assert split.classes == ("(no background)", *NAMES)
    assert (split.seen, split.unseen) == ((1, 2, 3, 4), (5, 6))
    assert (len(split.train), len(split.val), len(split.unlabelled)) == (8, 2, 2)
    mask = image_files.read_mask(tmp_path / "out/SegmentationClass/p1.png")
    np.testing.assert_array_equal(mask, np.where(labels(1) == 255, 65535, labels(1).astype(np.uint16) + 1))
    sky = image_files.read_image(tmp_path / f"out/{split.val[0].image}")
    original = image_files.read_image(tmp_path / f"street/images/{split.val[0].id}.bmp")
    np.testing.assert_array_equal(sky, original)


def test_the_parameter_file_has_the_comments_of_the_preset_and_the_values_of_the_data_set(tmp_path):
    check(tmp_path, make(tmp_path / "street"))
    text = (tmp_path / "params.yaml").read_text()
    assert text.startswith(f"# {tmp_path}/out, written by `zeroshot check")
    assert len(presets.comments(text)) == len(presets.comments(presets.text("voc_small")))
    assert yaml.safe_load(text)["embeddings"]["source"] == "glove"


@pytest.mark.parametrize("table", ["{r} {g} {b} {name}", "{name},{r},{g},{b}"])
def test_masks_of_colours_need_a_table(tmp_path, table):
    root = make(tmp_path / "street")
    for number in range(10):
        path = root / f"masks/p{number}.png"
        ids = np.array(PIL.Image.open(path))
        colours = np.array([COLOURS[name] for name in ("sky", "road", "car", "tree")], np.uint8)
        PIL.Image.fromarray(np.where((ids == 255)[..., None], 0, colours[np.minimum(ids, 3)]).astype(np.uint8)).save(
            path
        )
    with pytest.raises(SystemExit, match="the class list has none; write classes.yaml with a colour"):
        check(tmp_path, root)
    lines = [table.format(name=name, r=r, g=g, b=b) for name, (r, g, b) in COLOURS.items()]
    (root / "classes.txt").write_text("\n".join(lines))
    data = check(tmp_path, root, "--unseen", "car")
    assert data["unseen"] == ["car"]
    expected = np.where(labels(1) == 255, 65535, labels(1).astype(np.uint16) + 1)
    np.testing.assert_array_equal(image_files.read_mask(tmp_path / "out/SegmentationClass/p1.png"), expected)
    # Colours are looked up as stored, whatever their transparency.
    coloured = PIL.Image.open(root / "masks/p1.png")
    alpha = np.arange(coloured.width * coloured.height).reshape(coloured.size[::-1]).astype(np.uint8)
    coloured.putalpha(PIL.Image.fromarray(alpha))
    coloured.save(root / "masks/p1.png")
    check(tmp_path, root, "--unseen", "car")
    np.testing.assert_array_equal(image_files.read_mask(tmp_path / "out/SegmentationClass/p1.png"), expected)


def test_all_faults_are_named_together_with_the_likely_mend(tmp_path):
    root = make(tmp_path / "street")
    (root / "images/p3.bmp").rename(root / "images/p3.gif")
    (root / "images/p4.bmp").write_bytes(b"no image")
    PIL.Image.fromarray(labels(5)[:20]).save(root / "masks/p5.png")
    wrong = labels(6)
    wrong[0, :7] = 9
    PIL.Image.fromarray(wrong).save(root / "masks/p6.png")
    with pytest.raises(SystemExit) as caught:
        check(tmp_path, root)
    text = str(caught.value)
    assert "p3.gif lies beside it" in text and "p4.bmp: cannot be decoded" in text
    assert (
        "p5.bmp is 60 x 40" in text
        and "9 (7 pixels); add classes to the list, or ignore the values with --void 9" in text
    )
    assert not (tmp_path / "out").exists() and not (tmp_path / "params.yaml").exists()
    (root / "images/p3.gif").unlink()
    (root / "masks/p3.png").unlink()
    for id in ("p4", "p5"):
        (root / f"masks/{id}.png").unlink()
        (root / f"images/{id}.bmp").unlink()
    assert check(tmp_path, root, "--void", "9")["root"] == (tmp_path / "out").as_posix()


def test_one_folder_with_both_and_larger_images_are_shrunk(tmp_path):
    root = make(tmp_path / "street", suffix=".jpg")
    together = tmp_path / "together"
    together.mkdir()
    for path in (root / "images").iterdir():
        path.rename(together / path.name)
    for path in (root / "masks").iterdir():
        path.rename(together / (path.name if path.stem < "p5" else f"{path.stem}_mask.png"))
    (root / "classes.txt").rename(together / "classes.txt")
    check(tmp_path, together, "--side", "48")
    shapes = {image_files.read_size(path) for path in (tmp_path / "out/JPEGImages").iterdir()}
    assert shapes == {(32, 48)} and len(list((tmp_path / "out/SegmentationClass").iterdir())) == 10
    assert set(np.unique(image_files.read_mask(tmp_path / "out/SegmentationClass/p6.png"))) <= {1, 2, 3, 4, 65535}


def test_lists_of_the_folder_are_used(tmp_path):
    root = make(tmp_path / "street")
    (root / "val.txt").write_text("p1.bmp\np2\n")
    check(tmp_path, root)
    assert (tmp_path / "out/ImageSets/Segmentation/val.txt").read_text() == "p1\np2\n"
    (root / "train.txt").write_text("p1\np99\n")
    with pytest.raises(SystemExit, match=r"p99[\s\S]*p1: train.txt and val.txt"):
        check(tmp_path, root)


def test_a_background_by_name_and_roles_of_a_yaml_list(tmp_path):
    root = make(tmp_path / "street")
    (root / "classes.txt").unlink()
    entries = [{"name": "Background"}, "road", {"name": "car", "role": "unseen"}, {"name": "tree", "role": "void"}]
    (root / "classes.yaml").write_text(yaml.safe_dump({"classes": entries}))
    data = check(tmp_path, root)
    assert data["background"] == "label_0" and data["unseen"] == ["car"]
    mask = image_files.read_mask(tmp_path / "out/SegmentationClass/p1.png")
    assert set(np.unique(mask)) == {0, 1, 65535}
    data = check(tmp_path, root, "--no-background")
    assert data["background"] is None and set(
        np.unique(image_files.read_mask(tmp_path / "out/SegmentationClass/p1.png"))
    ) == {1, 2, 65535}


def test_words_without_a_vector_are_named_at_once(tmp_path):
    root = make(tmp_path / "street")
    (root / "classes.txt").write_text("\n".join([*NAMES[:-1], "traficcone"]))
    with pytest.raises(SystemExit, match=r"'traficcone': no vector for 'traficcone'"):
        check(tmp_path, root)


@pytest.mark.parametrize(
    ("missing", "message"), [("images", "no images"), ("masks", "no masks"), ("classes.txt", "no class list")]
)
def test_what_is_missing_is_named_with_what_was_looked_for(tmp_path, missing, message):
    root = make(tmp_path / "street")
    (root / missing).rename(tmp_path / "away")
    with pytest.raises(errors.UserError, match=message):
        folder.find(root, errors.Faults())


def test_the_folder_itself_is_never_replaced(tmp_path):
    root = make(tmp_path / "street")
    with pytest.raises(SystemExit, match="would be replaced"):
        cli.main(["check", str(root), "--out", str(root)])
    assert prepare.Options().side == 320 and (root / "images").is_dir()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--val-share", "20"], "--val-share: needs a number between 0 and 1"),
        (["--side", "-5"], "--side: needs 0 or at least 32"),
        (["--seed", "-1"], "--seed: needs a number from 0"),
        (["--void", "1"], "--void: has the value of `road`"),
        (["--unseen", "sky,road,car,tree"], "no training mask shows a seen class besides the background$"),
    ],
)
def test_options_that_cannot_work_are_refused_and_nothing_is_written(tmp_path, words, message):
    with pytest.raises(SystemExit, match=message):
        check(tmp_path, make(tmp_path / "street"), *words)
    assert not (tmp_path / "out").exists() and not (tmp_path / "params.yaml").exists()


def test_nothing_but_an_earlier_data_set_is_replaced(tmp_path):
    root = make(tmp_path / "street")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/letter.txt").write_text("dear")
    with pytest.raises(SystemExit, match="was not written by `zeroshot check`"):
        check(tmp_path, root)
    for out in (tmp_path, root / "images/new"):
        with pytest.raises(SystemExit, match="would be replaced"):
            cli.main(["check", str(root), "--out", str(out), "--params", str(tmp_path / "params.yaml")])
    assert (tmp_path / "out/letter.txt").exists() and len(list((root / "images").iterdir())) == 12
    (tmp_path / "out/letter.txt").unlink()
    (tmp_path / "out").rmdir()
    check(tmp_path, root)
    check(tmp_path, root)


def test_a_mask_with_the_name_of_an_image_belongs_to_it(tmp_path):
    root = make(tmp_path / "street")
    for folder_name, suffix in (("images", "bmp"), ("masks", "png")):
        (root / f"{folder_name}/p1.{suffix}").rename(root / f"{folder_name}/p0_l.{suffix}")
    found = folder.find(root, errors.Faults())
    assert found.masks["p0"].name == "p0.png" and found.masks["p0_l"].name == "p0_l.png"


def test_two_images_of_one_name_are_a_fault_and_not_an_image_with_its_mask(tmp_path):
    root = make(tmp_path / "street")
    PIL.Image.new("RGB", (60, 40)).save(root / "images/p1.jpg")
    faults = errors.Faults()
    assert "p1_mask" not in folder.find(root, faults).images and faults


def test_listed_images_are_obeyed(tmp_path):
    root = make(tmp_path / "street")
    (root / "unlabelled.txt").write_text("p0\np1\n")
    check(tmp_path, root)
    lists = {path.stem: path.read_text().split() for path in (tmp_path / "out/ImageSets/Segmentation").iterdir()}
    assert lists["unlabelled"] == ["p0", "p1", "p10", "p11"] and not {"p0", "p1"} & {*lists["train"], *lists["val"]}
    (root / "val.txt").write_text("p10\n")
    with pytest.raises(SystemExit, match=r"image in val.txt without a mask[\s\S]*p10"):
        check(tmp_path, root)


def test_masks_of_0_and_255_are_named(tmp_path, capsys):
    root = make(tmp_path / "street")
    (root / "classes.txt").write_text("background\nroad\n")
    for path in (root / "masks").iterdir():
        ids = np.array(PIL.Image.open(path))
        PIL.Image.fromarray(np.where(ids % 2, 255, 0).astype(np.uint8)).save(path)
    advice = (
        r"; \d+ % of the pixels of masks have the value 255 and are ignored: if they show a class, write it into the"
    )
    with pytest.raises(SystemExit, match=f"no training mask shows a seen class besides the background{advice}"):
        check(tmp_path, root)
    # With a class of value 0 that is no background, the rest can be learnt, and a line says so.
    (root / "classes.txt").write_text("sky\nroad\n")
    check(tmp_path, root)
    assert re.search(rf"ignored: \d+\.\d % of the pixels of masks{advice}", capsys.readouterr().out)
    # Values that the user ignores are no riddle.
    check(tmp_path, root, "--void", "255")
    assert re.search(r"ignored: \d+\.\d % of the pixels of masks$", capsys.readouterr().out, re.MULTILINE)
    (root / "classes.txt").write_text("0: background\n255: road\n128: sky\n")
    assert check(tmp_path, root)["unseen"] == ["sky"]


def test_files_that_are_not_read_are_named(tmp_path):
    root = make(tmp_path / "street")
    # Of camera and of drawing program: they lie beside what is read.
    for name in ("images/p3.dng", "masks/p3_overlay.jpg"):
        (root / name).write_bytes(b"x")
    check(tmp_path, root)
    (root / "images/phone.HEIC").write_bytes(b"x")
    mask = root / "masks/p1.png"
    mask.rename(mask.with_suffix(".npy"))
    PIL.Image.open(root / "masks/p2.png").save(root / "masks/p2.jpg")
    (root / "masks/p2.png").unlink()
    with pytest.raises(SystemExit) as caught:
        check(tmp_path, root)
    lines = [line.strip() for line in str(caught.value).splitlines()]
    assert lines[0].endswith("3 faults") and lines[1].startswith("image that is not read; convert it to one of .jpg,")
    assert lines[2].endswith("phone.HEIC") and lines[3].startswith("mask that is not read; save it as one of .png,")
    assert [line.rpartition("/")[2] for line in lines[4:]] == ["p1.npy", "p2.jpg"]


def test_photographs_of_a_telephone_alone_are_named(tmp_path):
    root = make(tmp_path / "street")
    for path in (root / "images").iterdir():
        path.rename(path.with_suffix(".HEIC"))
    with pytest.raises(SystemExit, match=r"(?s)image that is not read; .*p0.HEIC.*: no images; they are looked for"):
        check(tmp_path, root)


@pytest.mark.parametrize("name", ["masks", "toy", "szn"])
def test_folders_of_the_stages_are_refused(tmp_path, name):
    with pytest.raises(SystemExit, match="is a folder that stages write; give another folder in --out"):
        cli.main(["check", str(make(tmp_path / "street")), "--out", str(tmp_path / "data" / name)])


def test_names_beside_a_colour_table_are_classes_without_masks(tmp_path, capsys):
    root = make(tmp_path / "street")
    for path in (root / "masks").iterdir():
        colours = np.array([COLOURS[name] for name in ("sky", "road", "car", "tree")], np.uint8)
        values = np.minimum(np.array(PIL.Image.open(path)), 3)
        PIL.Image.fromarray(colours[values]).save(path)
    lines = [f"{' '.join(map(str, COLOURS[name]))} {name}" for name in ("sky", "road", "car", "tree")]
    (root / "classes.txt").write_text("\n".join([*lines, "bus", "bicycle"]))
    data = check(tmp_path, root)
    assert data["unseen"] == ["bus", "bicycle"]
    said = capsys.readouterr().out
    assert (
        "in no evaluation mask: bus, bicycle; they get no IoU, and there is no hIoU. To measure them, draw masks"
        in said
    )


def commented(text: str) -> dict[str, tuple[str, object]]:
    """Return comment and value of every leaf of a parameter file, by dotted key."""
    comments = presets.comments(text)

    def leaves(part: dict, prefix: str = ""):
        for key, value in part.items():
            if isinstance(value, dict) and value:
                yield from leaves(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", (comments.get(f"{prefix}{key}", ""), value)

    return dict(leaves(yaml.safe_load(text)))


def test_the_parameter_file_speaks_of_the_data_set_and_not_of_voc(tmp_path):
    weights = dag.ROOT / "data/pretrained/IMAGENET1K_V1"
    check(tmp_path, make(tmp_path / "street"), "--weights", str(weights))
    text = (tmp_path / "params.yaml").read_text()
    assert "Pascal VOC" not in text.partition("toy:")[0] and text.startswith(f"# {tmp_path / 'out'}, written by")
    keys = commented(text)
    assert "`zeroshot check` wrote" in keys["data.root"][0] and "published list" in keys["data.n_unseen"][0]
    for key in ("data.root", "data.classes", "data.unseen", "data.train_list", "embeddings.path", "backbone.weights"):
        assert "VOC" not in keys[key][0] and "ZS3Net" not in keys[key][0], key
    assert keys["backbone.weights"][1] == str(weights)
    # Of four seen classes, a third is held out.
    assert keys["classifier.calibration.held_out"][1] == keys["baseline.held_out"][1] == 1


def test_weights_that_do_not_exist_are_refused_before_the_data_set_is_written(tmp_path):
    with pytest.raises(SystemExit, match="--weights: .*nothing.pth does not exist"):
        check(tmp_path, make(tmp_path / "street"), "--weights", str(tmp_path / "nothing.pth"))
    assert not (tmp_path / "out").exists()
