"""All sections of zsi/params.yaml, checked at once, and its presets."""

import pytest
import yaml

from tests.support import dag
from zeroshot.base import params
from zeroshot.commands import __main__ as commands
from zeroshot.commands import preset
from zeroshot.experiments import presets, schema

DOCUMENT = dag.document(dag.ZSI_PARAMS)


def write(tmp_path, **sections):
    """Write zsi/params.yaml with other values in some sections, and return its path."""
    path = tmp_path / dag.ZSI_PARAMS
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({name: keys | sections.get(name, {}) for name, keys in DOCUMENT.items()}))
    return path


def test_the_file_of_the_repository_is_valid_and_the_default_preset(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(dag.ROOT)
    commands.main(["check", dag.ZSI_PARAMS])
    assert capsys.readouterr() == (f"zsi/params.yaml: all {len(schema.ZSI_SECTIONS)} sections are valid\n", "")
    assert list(DOCUMENT) == list(schema.ZSI_SECTIONS)
    preset.main(presets.DEFAULT, pipeline="zsi", out=tmp_path / "params.yaml")
    assert (tmp_path / "params.yaml").read_bytes() == (dag.ROOT / dag.ZSI_PARAMS).read_bytes()


@pytest.mark.parametrize(
    ("section", "changes", "lines"),
    [
        ("data", {"published": "coco_48_17"}, ["data.unseen: must be null where `published` is given"]),
        (
            "data",
            {"published": "coco_65_15", "unseen": None, "seen": ["cat"]},
            ["data.seen: must be null where `published` is given"],
        ),
        ("data", {"published": "coco_48_16"}, ["data.published: Input should be 'coco_48_17' or 'coco_65_15'"]),
        ("data", {"unseen": None}, ["data.unseen: must be a list of class names where `published` is null"]),
        ("data", {"train": []}, ["data.train: Tuple should have at least 1 item"]),
        ("data", {"val": "../val.json"}, ["data.val: must be a path inside the data root"]),
        ("data", {"seen": []}, ["data.seen: Tuple should have at least 1 item"]),
        ("shapes", {"min_objects": 5, "max_objects": 4}, ["shapes.max_objects: must be at least min_objects"]),
        ("shapes", {"min_diameter": 30, "max_diameter": 29}, ["shapes.max_diameter: must be at least min_diameter"]),
        ("shapes", {"max_diameter": 53}, ["shapes.max_diameter: must be at most half of image_size, which is 104"]),
        ("shapes", {"n_train": 0, "seed": -1}, ["shapes.seed: ", "shapes.n_train: "]),
    ],
)
def test_values_that_cannot_work_are_named_with_their_key(tmp_path, section, changes, lines):
    path = write(tmp_path, **{section: changes})
    with pytest.raises(params.ParamsError) as caught:
        schema.check_zsi(path)
    first, *rest = str(caught.value).splitlines()
    assert first == f"{path}: {len(lines)} error{'s' if len(lines) > 1 else ''}"
    assert [line.strip().startswith(start) for line, start in zip(rest, lines, strict=True)] == [True] * len(lines), (
        rest
    )


def test_faults_of_zsi_do_not_stop_the_main_pipeline(tmp_path, capsys):
    main = dag.document(dag.PARAMS)
    main["backbone"]["weights"] = str(dag.ROOT / "data/pretrained/none")
    (tmp_path / dag.PARAMS).write_text(yaml.safe_dump(main))
    write(tmp_path, shapes={"seed": -1})
    commands.main(["check", str(tmp_path / dag.PARAMS)])
    assert "shapes.seed" in (error := capsys.readouterr().err) and "Only `dvc repro zsi/dvc.yaml` reads" in error


def test_a_generator_that_needs_masks_around_a_pixel_is_refused_before_the_detector_trains(tmp_path):
    path = write(tmp_path, gmmn={"generator": "graph"})
    with pytest.raises(
        params.ParamsError, match=r"gmmn\.generator: is graph, .* regions have none; set it to mlp or gan"
    ):
        schema.check_zsi(path)
    schema.check_zsi(write(tmp_path, gmmn={"generator": "gan"}))


def test_scoring_images_with_unseen_objects_alone_is_refused_where_no_class_is_unseen(tmp_path):
    wanted = {"generalised_images": "with_unseen"}
    path = write(tmp_path, data={"unseen": []}, evaluation=wanted)
    with pytest.raises(params.ParamsError, match=r"evaluation\.generalised_images: is with_unseen, .*; set it to all"):
        schema.check_zsi(path)
    for data, evaluation in (({"unseen": []}, {}), ({}, wanted), ({"published": "coco_48_17", "unseen": None}, wanted)):
        schema.check_zsi(write(tmp_path, data=data, evaluation=evaluation))


@pytest.mark.parametrize("name", ["szn", "zsi"])
def test_the_repository_may_be_in_a_folder_named_like_a_pipeline(tmp_path, capsys, name):
    main = dag.document(dag.PARAMS)
    main["backbone"]["weights"] = str(dag.ROOT / "data/pretrained/none")
    (tmp_path / name).mkdir()
    (tmp_path / name / dag.PARAMS).write_text(yaml.safe_dump(main))
    commands.main(["check", str(tmp_path / name / dag.PARAMS)])
    assert f"all {len(schema.SECTIONS)} sections are valid" in capsys.readouterr().out
