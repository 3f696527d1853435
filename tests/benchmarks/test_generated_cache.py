import time

import numpy as np

from benchmarks import cache_reading, generated_cache, timing
from zeroshot.cache import index, maps, rows
from zeroshot.datasets import splits
from zeroshot.pixel_classifiers import labelling, pixel_classifier
from zeroshot.words import class_embeddings


def test_the_cache_is_one_that_the_stages_read(tmp_path):
    generated_cache.write(tmp_path, n_train=12, n_val=3, n_classes=5, n_unseen=2, pixels_per_class=4)
    split = splits.read(tmp_path / "data/split.json")
    assert split.unseen == (4, 5) and len(split.train) == 12
    presence = rows.presence(tmp_path / "features/train")
    assert presence[:, 0].all() and not presence[:, [4, 5]].any()
    sampled = rows.sample(tmp_path / "features/train", 100, seed=0)
    assert np.bincount(sampled["label"])[0] == 12 * 4
    embeddings = class_embeddings.read_rows(tmp_path / "data/class_embeddings.h5", split.classes)
    dim = index.read(tmp_path / "features/train", "rows").dim
    classifier, _ = pixel_classifier.load(tmp_path / "models/classifiers/seen_only.pt", split, dim)
    assert classifier.labels.tolist() == [0, 1, 2, 3] and embeddings.shape == (6, 300)
    for item in maps.read(tmp_path / "features/val"):
        assert item.mask.shape == (240, 320)
        found = labelling.predict_maps(classifier, item.features, item.mask.shape, stride=4)["generalised"]
        seen = item.mask < 4
        assert (found == item.mask)[seen].mean() > 0.9


def test_times_are_the_shortest_of_several_rounds(monkeypatch):
    clock = iter([0, 5, 10, 18, 20, 23, 30, 39, 40, 44, 50, 57])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    calls = []
    assert timing.fastest(lambda: calls.append("a"), lambda: calls.append("b"), rounds=3) == [3, 7]
    # Once each to warm up, and then in turns.
    assert calls == ["a", "b"] * 4
    assert timing.Timing("it", 3.0, "its bound", 2.0).ratio == 1.5


def test_the_timed_ways_to_read_a_class_agree(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_reading, "_ROWS", 3)
    cache_reading._write(tmp_path)
    features = cache_reading._read(tmp_path)
    assert features.shape == (45, 256)
    assert np.array_equal(features, cache_reading._map(tmp_path))
    sampled = rows.sample(tmp_path, 45, seed=0)
    assert np.array_equal(sampled["features"][sampled["label"] == 2], features)
