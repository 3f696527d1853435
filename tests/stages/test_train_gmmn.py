import tracemalloc

import numpy as np
import pandas
import pytest
import torch

from tests.support import pixel_world, quick_sections, stage_files
from zeroshot.base import checkpoints, params, training
from zeroshot.cache import index, pools, rows
from zeroshot.words import class_embeddings
from zeroshot.zs3net.generators import matching, registry

BRIEF = {"epochs": 1, "steps_per_epoch": 8}


def test_writes_a_generator_a_curve_and_its_quality(tmp_path, monkeypatch):
    pixel_world.write_inputs(tmp_path)
    # With this share, each class with ten images has at least one held-out image.
    monkeypatch.setattr(matching, "HELD_OUT_SHARE", 0.4)
    stage_files.run(tmp_path, monkeypatch, "train_gmmn")
    checkpoint = checkpoints.load("models/gmmn.pt")
    assert checkpoint["classes"] == list(pixel_world.CLASSES)
    generator = registry.load_dict(checkpoint, torch.device("cpu"))
    assert generator.options == quick_sections.gmmn_options()
    np.testing.assert_array_equal(generator.embeddings.numpy(), pixel_world.vectors())
    curve = pandas.read_csv("metrics/gmmn_curve.csv")
    assert list(curve) == ["epoch", "loss", "active_kernels"] and len(curve) == 3
    assert curve["loss"].iloc[-1] < 0.5 * curve["loss"].iloc[0]
    quality = pandas.read_csv("metrics/gmmn_quality.csv")
    assert list(quality) == ["class", "features", "mmd"] and not quality.isna().any(axis=None)
    assert list(zip(quality["class"], quality["features"], strict=True)) == [
        (pixel_world.CLASSES[label], features) for label in pixel_world.SEEN for features in ("generated", "real")
    ]
    with torch.no_grad():
        fakes = generator.sample(torch.tensor([5] * 300), torch.Generator().manual_seed(0)).mean(0)
    distances = np.linalg.norm(pixel_world.means() - fakes.numpy(), axis=1)
    assert distances.argmin() == 5, "an unseen pair of attributes should land nearest to its own mean"


def test_a_generator_without_kernels_has_other_columns_in_its_curve(tmp_path, monkeypatch, capsys):
    pixel_world.write_inputs(tmp_path)
    stage_files.run(tmp_path, monkeypatch, "train_gmmn", gmmn=quick_sections.gmmn_section(**BRIEF, generator="gan"))
    assert list(pandas.read_csv("metrics/gmmn_curve.csv")) == ["epoch", "loss", "gradient_penalty"]
    assert "kernel" not in capsys.readouterr().err
    assert list(pandas.read_csv("metrics/gmmn_quality.csv")) == ["class", "features", "mmd"]


def test_without_held_out_images_the_quality_table_is_empty(tmp_path, monkeypatch):
    pixel_world.write_inputs(tmp_path)
    monkeypatch.setattr(matching, "HELD_OUT_SHARE", 0.0)
    stage_files.run(tmp_path, monkeypatch, "train_gmmn", gmmn=quick_sections.gmmn_section(**BRIEF))
    assert (tmp_path / "metrics/gmmn_quality.csv").read_text() == "class,features,mmd\n"


def test_a_generator_without_active_kernels_gives_a_warning(tmp_path, monkeypatch, capsys):
    pixel_world.write_inputs(tmp_path)
    stage_files.run(tmp_path, monkeypatch, "train_gmmn", gmmn=quick_sections.gmmn_section(**BRIEF))
    assert "no kernel is active" not in capsys.readouterr().err
    section = quick_sections.gmmn_section(**BRIEF, kernel="paper", bandwidths=[1e-6])
    stage_files.run(tmp_path, monkeypatch, "train_gmmn", gmmn=section)
    assert "no kernel is active, so the generator learnt nothing" in capsys.readouterr().err


def test_outputs_are_byte_identical_in_different_folders(tmp_path, monkeypatch):
    results = []
    for name in ("one", "two"):
        pixel_world.write_inputs(tmp_path / name)
        for _ in range(2):
            torch.rand(3)
            stage_files.run(tmp_path / name, monkeypatch, "train_gmmn", gmmn=quick_sections.gmmn_section(**BRIEF))
            results.append(stage_files.content(tmp_path / name, "train_gmmn"))
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("generator", ["mlp", "gan"])
def test_training_does_not_depend_on_rows_and_embeddings_of_unseen_classes(tmp_path, monkeypatch, generator):
    """A cache of training pixels has no such rows; even if it had some, they would change nothing."""
    results, networks = [], []
    sample = rows.sample
    for name, value in (("one", 1.0), ("two", 9.0)):
        folder = tmp_path / name
        pixel_world.write_inputs(folder)
        pixel_world.write_rows(folder / "features/train", 80, 1, tuple(range(len(pixel_world.CLASSES))))
        vectors = pixel_world.vectors()
        vectors[list(pixel_world.UNSEEN)] = value
        class_embeddings.write(
            folder / "data/class_embeddings.h5", class_embeddings.ClassEmbeddings(pixel_world.CLASSES, vectors), {}
        )
        monkeypatch.setattr(rows, "sample", lambda *args, value=value: altered(sample(*args), value))
        section = quick_sections.gmmn_section(**BRIEF, generator=generator)
        stage_files.run(folder, monkeypatch, "train_gmmn", gmmn=section)
        results.append(stage_files.content(folder, "train_gmmn"))
        networks.append(checkpoints.load(folder / "models/gmmn.pt")["network"])
    for out in ("metrics/gmmn_curve.csv", "metrics/gmmn_quality.csv"):
        assert results[0][out] == results[1][out]
    assert all(torch.equal(networks[0][name], networks[1][name]) for name in networks[0])


def altered(sampled, value):
    sampled["features"][np.isin(sampled["label"], pixel_world.UNSEEN)] = value
    return sampled


def peak(folder, monkeypatch, *names):
    """Return the peak memory in bytes of Python and numpy while the stages run."""
    tracemalloc.start()
    try:
        stage_files.run(
            folder,
            monkeypatch,
            *names,
            gmmn=quick_sections.gmmn_section(pool_per_class=40, epochs=1, steps_per_epoch=1),
        )
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_peak_memory_does_not_grow_with_the_cache(tmp_path, monkeypatch):
    """With eight times the shards, only the index grows in memory; it is small compared with the shards."""
    peaks = {}
    for n_shards in (1, 1, 8):
        # The first run also loads modules, which is not measured.
        folder = tmp_path / str(n_shards)
        pixel_world.write_inputs(folder, per_class=2500, n_shards=n_shards, n_maps=1)
        peaks[n_shards] = peak(folder, monkeypatch, "train_gmmn")
    sizes = {n: sum(shard["bytes"] for shard in index.read(tmp_path / f"{n}/features/train").shards) for n in peaks}
    assert peaks[8] - peaks[1] < (sizes[8] - sizes[1]) / 20
    assert peaks[8] < sizes[8] / 4


def test_the_sample_in_memory_is_bounded_by_pool_per_class(tmp_path):
    for n_shards in (1, 8):
        pixel_world.write_rows(tmp_path / str(n_shards), 200, n_shards)
        sampled = rows.sample(tmp_path / str(n_shards), 40, seed=0)
        assert np.bincount(sampled["label"]).max() == 40 and len(sampled["label"]) == 40 * len(pixel_world.SEEN)


def test_a_wrong_parameter_is_named(tmp_path, monkeypatch):
    pixel_world.write_inputs(tmp_path)
    with pytest.raises((params.ParamsError, SystemExit), match=r"gmmn\.batch_per_class: .* greater than or equal to 2"):
        stage_files.run(tmp_path, monkeypatch, "train_gmmn", gmmn=quick_sections.gmmn_section(batch_per_class=1))


def test_a_damaged_cache_is_named_and_nothing_is_written(tmp_path, monkeypatch):
    pixel_world.write_inputs(tmp_path)
    (tmp_path / "features/train/shard-00001.h5").unlink()
    with pytest.raises((index.ShardError, SystemExit), match=r"shard-00001\.h5: missing"):
        stage_files.run(tmp_path, monkeypatch, "train_gmmn")
    assert not (tmp_path / "models/gmmn.pt").exists()


GAN = {"critic_hidden_dim": 8, "critic_steps": 1, "gradient_penalty": 0.0, "classification": 0.0, "lr": 1e6}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"lr": 1e6}, "gmmn.lr"),
        ({"lr": 1e6, "output": "relu"}, "gmmn.lr"),
        ({"generator": "gan", "gan": GAN}, "gmmn.gan.lr"),
    ],
    ids=str,
)
def test_a_generator_that_diverged_is_named_with_the_key(tmp_path, monkeypatch, changes, key):
    pixel_world.write_inputs(tmp_path)
    with pytest.raises(SystemExit, match=rf"^gmmn: the (generated features (have|are)|loss is) .*; lower {key}$"):
        stage_files.run(tmp_path, monkeypatch, "train_gmmn", gmmn=quick_sections.gmmn_section(**BRIEF, **changes))
    assert not (tmp_path / "models/gmmn.pt").exists()


def test_generated_features_that_are_all_equal_are_refused():
    class Constant:
        def sample(self, labels, random):
            return torch.zeros(len(labels), 3)

    real = pools.Pool(torch.ones(4, 3).half(), torch.tensor([0, 2, 4]), torch.tensor([0, 1]), torch.ones(2))
    with pytest.raises(training.DivergedError, match="are all equal"):
        matching.check_features(Constant(), real, quick_sections.gmmn_options(), "gmmn.lr")
