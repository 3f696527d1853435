import csv
import json
import pathlib

import numpy as np
import PIL.Image
import pytest
import yaml

from stages.zsi import evaluate, pictures, summarise
from tests.support import instance_world as world
from zeroshot.base import command_line
from zeroshot.datasets.instances import class_list
from zeroshot.evaluation.instances import detections

INSTANCES = [
    world.instance(1, world.DISK, (2, 2, 12, 12)),
    world.instance(1, world.RING, (20, 10, 14, 14)),
    world.instance(2, world.BOX, (5, 5, 10, 10)),
    world.instance(2, world.RING, (30, 20, 12, 12), crowd=True),
]
PICTURES = {
    "images_per_class": 1, "min_share": 0.05, "seen_images": 1, "detections": "gzsi", "max_detections": 10, "panel_side": 120,
    "seed": 0,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Classes, true instances, two images, and perfect detections of scoring `direct` beside those without unseen classes of `mix`."""
    monkeypatch.chdir(tmp_path)
    pathlib.Path("zsi").mkdir()
    write_params()
    class_list.write("classes.json", world.CLASSES)
    pathlib.Path("val.json").write_text(json.dumps(world.coco_document(world.make_truth(INSTANCES))))
    pathlib.Path("images").mkdir()
    for id in (1, 2):
        pixels = np.random.default_rng(id).integers(0, 255, (*world.SIZE, 3), np.uint8)
        PIL.Image.fromarray(pixels).save(f"images/{id}.png")
    ones = world.perfect(INSTANCES)
    unseen = [one for one in ones if world.CLASSES.label_of(one["category_id"]) in world.CLASSES.unseen]
    seen = [one for one in ones if one not in unseen]
    detections.write("direct.json", detections.Detections("direct", {"pretraining": "none"}, unseen, ones))
    detections.write("mix.json", detections.Detections("mix", {"pretraining": "none"}, unseen, seen))
    return tmp_path


def write_params(evaluation=None, **changes):
    sections = {
        "evaluation": {"generalised_images": "all", "resamples": 20} | (evaluation or {}),
        "pictures": PICTURES | changes,
    }
    pathlib.Path("zsi/params.yaml").write_text(yaml.safe_dump(sections))


def run_evaluate(name):
    command_line.run(
        evaluate.main,
        [
            "--classes-path", "classes.json", "--instances-path", "val.json", "--detections-path", f"{name}.json",
            "--metrics-path", f"metrics/{name}.json", "--class-table-path", f"metrics/{name}_classes.csv",
            "--curves-path", f"metrics/{name}_curves.csv",
        ],
    )  # fmt: skip
    return json.loads(pathlib.Path(f"metrics/{name}.json").read_text())


def run_pictures(out="pictures"):
    command_line.run(
        pictures.main,
        [
            "--images-dir", "images", "--classes-path", "classes.json", "--instances-path", "val.json", "--detections-paths",
            "mix.json", "direct.json", "--pictures-dir", out,
        ],
    )  # fmt: skip
    return {path.name: path.read_bytes() for path in pathlib.Path(out).iterdir()}


def test_metrics_and_tables(folder, capsys):
    metrics = run_evaluate("direct")
    assert metrics["gzsi"]["harmonic"]["mAP50"] == pytest.approx(100) and metrics["zsd"]["unseen"]["recall50"] == 100
    assert metrics["top1"]["gzsi"]["unseen"] == {"objects": 1, "localised": 100, "top1": 100, "mask_iou": 100}
    assert metrics["scoring"] == "direct" and metrics["detector"] == {"pretraining": "none"}
    assert metrics["classes_without_objects"] == {"seen": [], "unseen": ["cross"]}
    assert metrics["evaluation"] == {"generalised_images": "all", "resamples": 20}
    assert capsys.readouterr().out == (
        "unseen classes without an object in the evaluation images, which do not count: cross\n"
    )
    rows = list(csv.DictReader(pathlib.Path("metrics/direct_classes.csv").read_text().splitlines()))
    assert [(row["class"], row["role"]) for row in rows] == [
        ("disk", "seen"), ("box", "seen"), ("ring", "unseen"), ("cross", "unseen"),
    ]  # fmt: skip
    assert [float(row["gzsi_AP50"]) for row in rows[:3]] == pytest.approx([100] * 3)
    assert rows[3]["gzsi_AP50"] == "" and rows[3]["objects"] == "0"
    assert len(pathlib.Path("metrics/direct_curves.csv").read_text().splitlines()) == 1 + 6 * 101


def test_a_summary_of_all_scorings(folder):
    for name in ("mix", "direct"):
        run_evaluate(name)
    files = [f"metrics/{name}.json" for name in ("mix", "direct")]
    outs = ["--summary-path", "metrics/summary.json", "--chart-path", "metrics/summary.csv"]
    command_line.run(summarise.main, ["--metrics-paths", *files, *outs])
    summary = json.loads(pathlib.Path("metrics/summary.json").read_text())
    assert summary["gzsi"]["harmonic"] == {"mix": 0.0, "direct": 100.0} and summary["zsi"]["top1"]["mix"] == 100.0
    assert pathlib.Path("metrics/summary.csv").read_text().splitlines()[:3] == [
        "model,metric,value", "mix,seen mAP,100.0", "mix,unseen mAP,0.0",
    ]  # fmt: skip


def test_another_run_writes_the_same_bytes(folder):
    run_evaluate("mix")
    first = {path.name: path.read_bytes() for path in pathlib.Path("metrics").iterdir()}
    run_evaluate("mix")
    assert {path.name: path.read_bytes() for path in pathlib.Path("metrics").iterdir()} == first
    assert run_pictures("one") == run_pictures("other")


def test_every_picture_has_a_panel_of_each_file(folder):
    """Image 1 shows the unseen class that has objects, image 2 none; panels are two by two."""
    files = run_pictures()
    assert set(files) == {"1.png", "2.png"}
    with PIL.Image.open("pictures/1.png") as picture:
        assert picture.size[0] > 2 * 120 and picture.size[1] > 2 * 96


def test_pictures_can_show_the_list_of_unseen_classes(folder):
    before = run_pictures()
    write_params(detections="zsi")
    after = run_pictures()
    assert set(after) == set(before) and after["1.png"] != before["1.png"]


def test_detections_of_other_classes_are_refused_and_nothing_is_written(folder):
    class_list.write("classes.json", class_list.of_roles([("disk", 90), ("box", 20), ("ring", 7)], [("cross", 3)]))
    with pytest.raises(SystemExit, match="direct.json(.|\n)*the category is no unseen class of the data set"):
        run_evaluate("direct")
    assert not pathlib.Path("metrics").exists()


@pytest.mark.parametrize(("unseen", "refused"), [([], True), (INSTANCES[3:], True), (INSTANCES[1:2], False)])
def test_images_with_unseen_objects_are_scored_alone_only_where_there_are_some(folder, unseen, refused):
    """A crowd region is no object."""
    write_params(evaluation={"generalised_images": "with_unseen"})
    true = world.make_truth([INSTANCES[0], INSTANCES[2], *unseen])
    pathlib.Path("val.json").write_text(json.dumps(world.coco_document(true)))
    if not refused:
        assert run_evaluate("direct")["images"] == {"zsi": 1, "gzsi": 1}
        return
    with pytest.raises(SystemExit, match=r"^zsi/params\.yaml: evaluation\.generalised_images: .* set it to all$"):
        run_evaluate("direct")
    assert not pathlib.Path("metrics").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluation": {"generalised_images": "some"}}, "evaluation.generalised_images"),
        ({"evaluation": {"resamples": -1}}, "evaluation.resamples"),
        ({"detections": "gzsd"}, "pictures.detections"),
        ({"max_detections": 0}, "pictures.max_detections"),
        ({"panel_size": 100}, "did you mean `pictures.panel_side`"),
    ],
)
def test_wrong_parameters_are_named(folder, changes, message):
    write_params(**changes)
    with pytest.raises(SystemExit, match=message):
        run_evaluate("mix") if "evaluation" in changes else run_pictures()
