import dataclasses
import shutil

import h5py
import numpy as np
import PIL.Image
import pytest
import torch

from tests.support import pixel_world, quick_sections, stage_files
from zeroshot.base import params
from zeroshot.cache import maps
from zeroshot.datasets import splits
from zeroshot.evaluation import example_images
from zeroshot.images import image_files, pictures
from zeroshot.pixel_classifiers import labelling, pixel_classifier

N_MAPS, SIDE = 6, 5
SECTION = quick_sections.visualise_section()


def write(folder):
    """Write a val cache, its images, a classifier of the seen classes and one of all classes."""
    pixel_world.write_inputs(folder, n_maps=N_MAPS)
    items = tuple(splits.Item(f"val{number}", f"JPEGImages/val{number}.png") for number in range(N_MAPS))
    splits.write(folder / "data/split.json", dataclasses.replace(pixel_world.split(), val=items))
    (folder / "data/world/JPEGImages").mkdir(parents=True)
    for number, item in enumerate(maps.read(folder / "features/val")):
        pixels = np.random.default_rng(number).integers(0, 256, (*item.mask.shape, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"data/world/JPEGImages/{item.image}.png")
    everything = pixel_world.start(tuple(range(len(pixel_world.CLASSES))))
    unseen = torch.isin(everything.labels, torch.tensor(pixel_world.UNSEEN))
    model = dataclasses.replace(everything, unseen=unseen, seen_bias=1.0)
    pixel_classifier.save(folder / "models/classifiers/zs3net.pt", model)
    return {"seen_only": pixel_world.start(), "zs3net": model}


def run(folder, monkeypatch, **changes):
    stage_files.run(folder, monkeypatch, "visualise", visualise=SECTION | changes)
    return {path.name: path.read_bytes() for path in (folder / "plots/pictures").iterdir()}


def chosen(folder, **changes):
    options = params.build(SECTION | changes, example_images.Params, "visualise")
    return example_images.choose(maps.read_masks(folder / "features/val"), pixel_world.UNSEEN, options)


def test_draws_the_truth_and_all_predictions_of_the_chosen_images(tmp_path, monkeypatch):
    models = write(tmp_path)
    written = run(tmp_path, monkeypatch)
    assert set(written) == {f"{image}.png" for image in chosen(tmp_path)} and 0 < len(written) < N_MAPS
    for item in maps.read(tmp_path / "features/val", chosen(tmp_path)):
        answers = {
            name: labelling.predict_maps(model, item.features, item.mask.shape, stride=4)["generalised"]
            for name, model in models.items()
        }
        assert not np.array_equal(answers["seen_only"], answers["zs3net"])
        label_maps = {"truth": item.mask} | {name: labels.astype(np.uint16) for name, labels in answers.items()}
        image = image_files.read_image(tmp_path / f"data/world/JPEGImages/{item.image}.png")
        expected = pictures.compare(image, label_maps, pixel_world.CLASSES, pixel_world.UNSEEN, SECTION["panel_side"])
        with PIL.Image.open(tmp_path / f"plots/pictures/{item.image}.png") as picture:
            np.testing.assert_array_equal(np.asarray(picture), np.asarray(expected))


def test_a_second_run_gives_the_same_bytes_and_removes_old_files(tmp_path, monkeypatch):
    write(tmp_path)
    first = run(tmp_path, monkeypatch)
    other = run(tmp_path, monkeypatch, seed=3, seen_images=0)
    assert set(other) == {f"{image}.png" for image in chosen(tmp_path, seed=3, seen_images=0)} != set(first)
    assert run(tmp_path, monkeypatch) == first


def test_the_choice_of_images_does_not_depend_on_the_models(tmp_path, monkeypatch):
    models = write(tmp_path)
    first = run(tmp_path, monkeypatch)
    worse = dataclasses.replace(models["zs3net"], weight=-models["zs3net"].weight)
    pixel_classifier.save(tmp_path / "models/classifiers/zs3net.pt", worse)
    second = run(tmp_path, monkeypatch)
    assert second.keys() == first.keys() and all(second[name] != first[name] for name in first)


def test_features_of_other_images_are_not_read(tmp_path, monkeypatch):
    """Reading features of an altered shard is an error, so no features of this shard are read."""
    write(tmp_path)
    first = run(tmp_path, monkeypatch)
    left_out = next(number for number in range(N_MAPS) if f"val{number}.png" not in first)
    with h5py.File(tmp_path / f"features/val/shard-{left_out:05d}.h5", "r+") as file:
        file["features"][:] = 0
    (tmp_path / f"data/world/JPEGImages/val{left_out}.png").unlink()
    assert run(tmp_path, monkeypatch) == first


def test_a_missing_image_is_named(tmp_path, monkeypatch):
    write(tmp_path)
    shutil.rmtree(tmp_path / "data/world/JPEGImages")
    with pytest.raises(SystemExit, match=r"JPEGImages/val\d\.png: No such file"):
        run(tmp_path, monkeypatch)
