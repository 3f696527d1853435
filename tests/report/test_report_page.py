"""The whole page of a small workspace: its content, escaping, missing stages, and that it loads nothing."""

import dataclasses
import html.parser
import json
import pathlib
import shutil

import pytest

from tests.evaluation import test_metrics_files
from tests.support import pixel_world, report_world
from zeroshot.base import errors
from zeroshot.commands import report
from zeroshot.datasets import splits
from zeroshot.evaluation import metrics_files
from zeroshot.report import blocks, page

NASTY = "<script>alert(1)</script>"
SECTIONS = {
    *(
        "scores",
        "classes",
        "images",
        "confusion",
        "reliability",
        "plane",
        "similarity",
        "bias",
        "p",
        "pseudo",
        "curves",
    ),
    "record",
}


class Page(html.parser.HTMLParser):
    """The parts of a page: elements with their attributes, text by section, and the JSON in script elements."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.json = [], {}, {}
        self._section = self._script = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.elements.append((tag, values))
        self._section = values["id"] if tag == "section" else self._section
        self._script = values.get("id", "code") if tag == "script" else self._script

    def handle_endtag(self, tag):
        self._script = None if tag == "script" else self._script

    def handle_data(self, data):
        if self._script is None:
            self.texts[self._section] = self.texts.get(self._section, "") + data
        elif self._script != "code":
            self.json[self._script] = json.loads(data)


@pytest.fixture
def world(tmp_path, monkeypatch):
    report_world.write(tmp_path, monkeypatch)
    return tmp_path


def test_every_section_has_its_content(world, capsys):
    made = Page(report_world.page(world))
    assert made.texts.keys() >= SECTIONS
    assert "report.html" in capsys.readouterr().out
    metrics = json.loads((world / "metrics/zs3net.json").read_text())
    assert f"{metrics['generalised']['hIoU']:.1f}hIoU of zs3net" in made.texts["scores"]
    assert "makes this section" in made.texts["p"] and "makes this section" in made.texts["pseudo"]
    for name in SECTIONS - {"p", "pseudo"}:
        assert "makes this section" not in made.texts[name], name
    assert "seen_only" in made.texts["confusion"] and "data/world" in made.texts["record"]
    data = made.json["browser-data"]
    assert data["models"] == ["seen_only", "zs3net"] and data["start"] == "zs3net"
    assert [image["name"] for image in data["images"]] == [f"val{number}" for number in range(report_world.N_MAPS)]
    # Each chart has a place.
    places = [values["id"] for _, values in made.elements if values.get("class") == "chart"]
    assert places == list(made.json["figures"]) and len(places) == 10


def test_nothing_is_loaded_from_elsewhere(world):
    for tag, values in Page(report_world.page(world)).elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = values.get(name, "#")
            assert value.startswith("#"), (tag, value)
        assert tag not in ("link", "iframe", "object", "base") and "@import" not in values.get("style", "")


def test_names_of_classes_are_text(tmp_path, monkeypatch):
    """In an unseen and in a seen class, in tables, charts and the data of the browser."""
    names = list(pixel_world.CLASSES)
    names[pixel_world.UNSEEN[0]], names[1] = NASTY, "<img src=x onerror=alert(2)>"
    report_world.write(tmp_path, monkeypatch, tuple(names))
    text = report_world.page(tmp_path)
    made = Page(text)
    assert "<script>alert" not in text and "<img src=x" not in text and "onerror" not in dict(made.elements)
    assert made.json["browser-data"]["classes"][pixel_world.UNSEEN[0]]["name"] == NASTY
    figures = json.dumps(made.json["figures"])
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in figures and "<script>" not in figures and "<img" not in figures


def test_a_workspace_with_a_split_alone_says_what_makes_each_section(tmp_path, monkeypatch):
    splits.write(tmp_path / "data/split.json", pixel_world.split())
    monkeypatch.chdir(tmp_path)
    made = Page(report_world.page(tmp_path))
    for name in SECTIONS - {"record"}:
        assert "dvc" in made.texts[name] and "makes this section" in made.texts[name], name
    assert "dvc repro train_backbone" in made.texts["record"] and made.json["figures"] == {}


def test_nothing_of_another_split_is_shown(world):
    other = dataclasses.replace(splits.read(world / "data/split.json"), exclude="images", val=())
    test_metrics_files.write(world / "metrics", "ale", other)
    shutil.copy(world / "metrics/zs3net_classes.csv", world / "metrics/ale_classes.csv")
    shutil.copy(world / "metrics/calibration.csv", world / "metrics/ale_calibration.csv")
    made = Page(report_world.page(world))
    assert "ale belong to another split" in made.texts["scores"]
    for name, text in made.texts.items():
        assert name in ("scores", "record") or (" ale" not in text and "ALE" not in text), name
    assert '"ale"' not in json.dumps(made.json)


def test_a_classifier_and_a_generator_of_another_run_are_named_and_not_shown(world):
    shutil.copy(world / "models/classifiers/zs3net.pt", world / "models/gmmn.pt")
    (world / "models/classifiers/seen_only.pt").write_bytes(b"")
    made = Page(report_world.page(world))
    assert "seen_only.pt: is empty" in made.texts["reliability"] and "No synthetic features" in made.texts["plane"]
    assert made.json["browser-data"]["models"] == ["zs3net"]


def test_a_split_without_unseen_classes_has_a_page(world):
    split = splits.read(world / "data/split.json")
    splits.write(
        world / "data/split.json", dataclasses.replace(split, seen=tuple(range(len(split.classes))), unseen=())
    )
    made = Page(report_world.page(world))
    assert "has no unseen class" in made.texts["confusion"] and "--classes" in made.texts["plane"]
    assert "belong to another split" in made.texts["scores"] and "makes this section" in made.texts["scores"]


def test_a_classifier_with_a_network_of_its_own_is_named_and_not_shown(world):
    """Its metrics are; the features in the cache are those of another network."""
    (world / "models/networks").mkdir()
    (world / "models/networks/zs3net.pt").write_bytes(b"own")
    made = Page(report_world.page(world))
    assert "zs3net.pt: belongs to the network" in made.texts["reliability"] and "zs3net" in made.texts["scores"]
    assert made.json["browser-data"]["models"] == ["seen_only"]


def test_a_place_holder_for_a_missing_background_is_no_class(world):
    split = splits.read(world / "data/split.json")
    without = dataclasses.replace(split, seen=split.seen[1:])
    splits.write(world / "data/split.json", without)
    for path in world.glob("metrics/*.json"):
        content = json.loads(path.read_text())
        content["split"] = metrics_files.split_entry(without, "world")
        path.write_text(json.dumps(content))
    made = Page(report_world.page(world))
    rows = [
        set(trace["y"])
        for chart in made.json["figures"].values()
        for trace in chart["data"]
        if "r-x" in trace.get("y", ())
    ]
    assert rows and all("background" not in names for names in rows)
    assert "7 seen (no background), 2 unseen" in made.texts["record"]


def test_missing_photographs_are_named_in_their_section(world):
    (world / "data/world/JPEGImages/val1.png").unlink()
    made = Page(report_world.page(world))
    assert "val1.png: No such file" in made.texts["images"] and "browser-data" not in made.json
    assert "hIoU of zs3net" in made.texts["scores"]


@pytest.mark.parametrize("out", ["data", "."])
def test_a_folder_as_the_page_is_refused_before_the_work(world, out):
    (world / "data/split.json").unlink()
    report_world.parameters(world)
    with pytest.raises(errors.UserError, match=f"{out}: is a folder; give the path of a file"):
        report.main(out=pathlib.Path(out))


def test_metrics_of_one_model_are_enough(world):
    for path in (*world.glob("metrics/seen_only*"), *world.glob("features/train/*"), world / "models/gmmn.pt"):
        path.unlink()
    made = Page(report_world.page(world))
    assert "dvc repro train_gmmn" in made.texts["plane"] and made.json["browser-data"]["models"] == ["zs3net"]


def test_chosen_classes_are_in_the_plane(world):
    figures = Page(report_world.page(world, classes="r-x, b-y")).json["figures"].values()
    planes = [chart for chart in figures if "component" in json.dumps(chart["layout"])]
    names = {trace["name"] for chart in planes for trace in chart["data"]} - {"real", "synthetic"}
    assert names == {"r-x", "b-y"}


def test_an_unknown_class_is_refused(world):
    with pytest.raises(errors.UserError, match="--classes: no class `r-q`; near names: r-"):
        report_world.page(world, classes="r-x,r-q")


@pytest.mark.parametrize(
    ("content", "message"),
    [("class,share\n", "has no column IoU"), ("class,IoU\nr-x,much\n", "'much', which is no number")],
)
def test_a_damaged_table_is_named(world, content, message):
    (world / "metrics/zs3net_classes.csv").write_text(content)
    with pytest.raises(errors.UserError, match=f"zs3net_classes.csv.*{message}.*dvc repro"):
        report_world.page(world)


def test_code_in_backticks_is_escaped():
    section = blocks.Section("a", "A", [f"`dvc {NASTY}` & more"], [blocks.Text("`x`", NASTY)])
    text = page.render("title", "subtitle", [section])
    assert "<code>dvc &lt;script&gt;alert(1)&lt;/script&gt;</code> &amp; more" in text and NASTY not in text
