import dataclasses
import itertools

import numpy as np
import pytest

from tests.support import instance_world as world
from zeroshot.evaluation import bootstrap
from zeroshot.evaluation.instances import detections, instance_metrics, intervals, truth

OPTIONS = instance_metrics.Params("all", 0)
CLASSES = world.CLASSES
# A seen object alone, a seen and two unseen objects, an unseen object, and an image without any.
INSTANCES = [
    world.instance(1, world.DISK, (0, 0, 10, 10)),
    world.instance(2, world.BOX, (0, 0, 10, 10)),
    world.instance(2, world.RING, (20, 0, 10, 10)),
    world.instance(2, world.RING, (20, 20, 10, 10)),
    world.instance(3, world.CROSS, (0, 0, 10, 10)),
]
TRUTH = world.make_truth(INSTANCES, images=(1, 2, 3, 4))
MEANS = ("mAP50", "mAP75", "mAP50_95", "recall40", "recall50", "recall60")


def unseen(ones):
    return [one for one in ones if CLASSES.label_of(one["category_id"]) in CLASSES.unseen]


def detected(ones, zsi=None):
    return detections.Detections("mix", {}, unseen(ones) if zsi is None else zsi, ones)


def summarise(ones, true=TRUTH, options=OPTIONS, classes=CLASSES, zsi=None):
    return instance_metrics.summarise(
        instance_metrics.measure(true, detected(ones, zsi), classes, options), classes, options
    )


def test_perfect_detections():
    summary = summarise(world.perfect(INSTANCES))
    perfect = {name: pytest.approx(100) for name in MEANS}
    harmonic = {"mAP50": pytest.approx(100), "mAP50_low": None, "mAP50_high": None, "recall50": pytest.approx(100)}
    for protocol in ("zsd", "zsi"):
        assert summary[protocol] == {"unseen": perfect}
    for protocol in ("gzsd", "gzsi"):
        assert summary[protocol] == {"seen": perfect, "unseen": perfect, "harmonic": harmonic}
    found = {"localised": 100, "top1": 100, "mask_iou": pytest.approx(100)}
    assert summary["top1"] == {
        "zsi": {"unseen": {"objects": 3, **found}},
        "gzsi": {"seen": {"objects": 2, **found}, "unseen": {"objects": 3, **found}},
    }
    assert summary["images"] == {"zsi": 2, "gzsi": 4}
    assert summary["detections"] == {"zsi": {"unseen": 3}, "gzsi": {"seen": 2, "unseen": 3}}
    assert summary["classes_without_objects"] == {"seen": [], "unseen": []}


def test_no_detection_at_all():
    summary = summarise([])
    nothing = dict.fromkeys(MEANS, 0)
    assert summary["zsi"] == {"unseen": nothing}
    assert summary["gzsd"] == {
        "seen": nothing, "unseen": nothing,
        "harmonic": {"mAP50": 0, "mAP50_low": None, "mAP50_high": None, "recall50": 0},
    }  # fmt: skip
    assert summary["top1"]["gzsi"]["unseen"] == {"objects": 3, "localised": 0, "top1": 0, "mask_iou": None}


def test_known_means():
    """All seen objects are found; of the unseen classes one of two rings, and the cross with a mask of a third of its box."""
    ones = [
        *world.perfect(INSTANCES[:3]),
        world.detection(3, world.CROSS, (0, 0, 10, 10), 0.5, mask=(0, 0, 10, 3)),
        world.detection(2, world.DISK, (20, 20, 10, 10), 0.4),
    ]
    summary = summarise(ones)
    ring = 51 / 101
    assert summary["gzsd"]["unseen"]["mAP50"] == pytest.approx(50 * (ring + 1))
    assert summary["gzsi"]["unseen"]["mAP50"] == pytest.approx(50 * ring)
    assert (summary["gzsd"]["unseen"]["recall50"], summary["gzsi"]["unseen"]["recall50"]) == pytest.approx((75, 25))
    assert summary["gzsd"]["seen"]["mAP50"] == pytest.approx(100) and summary["gzsd"]["seen"]["recall60"] == 100
    low = 50 * ring
    assert summary["gzsi"]["harmonic"]["mAP50"] == pytest.approx(2 * low * 100 / (low + 100))
    assert summary["gzsi"]["harmonic"]["recall50"] == pytest.approx(2 * 25 * 100 / 125)
    assert summary["top1"]["gzsi"]["unseen"] == {
        "objects": 3, "localised": 100, "top1": pytest.approx(200 / 3), "mask_iou": pytest.approx(100 * (1 + 1 + 0.3) / 3),
    }  # fmt: skip


def test_zsi_has_images_with_unseen_objects_and_unseen_objects_only():
    """False detections in images 1 and 4, and an image whose unseen region is a crowd, count in the generalised protocols alone."""
    wrong = [world.detection(image, world.CROSS, (20, 20, 9, 9), 0.99) for image in (1, 4, 5)]
    crowd = world.instance(5, world.RING, (0, 0, 9, 9), crowd=True)
    true = world.make_truth([*INSTANCES, crowd], images=(1, 2, 3, 4, 5))
    summary = summarise([*world.perfect(INSTANCES), *wrong], true)
    assert summary["images"] == {"zsi": 2, "gzsi": 5} and summary["detections"]["zsi"] == {"unseen": 3}
    assert summary["zsd"]["unseen"]["mAP50"] == pytest.approx(100)
    assert summary["gzsd"]["unseen"]["mAP50"] == pytest.approx(50 * (1 + 1 / 4))
    same = summarise([*world.perfect(INSTANCES), *wrong], true, instance_metrics.Params("with_unseen", 0))
    assert same["images"] == {"zsi": 2, "gzsi": 2} and same["gzsd"]["unseen"]["mAP50"] == pytest.approx(100)
    assert same["classes_without_objects"] == {"seen": ["disk"], "unseen": []}


def test_the_two_lists_are_scored_apart():
    summary = summarise(world.perfect(INSTANCES), zsi=[])
    assert summary["zsi"]["unseen"]["mAP50"] == 0 and summary["gzsi"]["unseen"]["mAP50"] == pytest.approx(100)


def test_classes_without_objects_are_named_and_do_not_count():
    true = world.make_truth(INSTANCES[:4], images=(1, 2, 3, 4))
    summary = summarise(world.perfect(INSTANCES), true)
    assert summary["classes_without_objects"] == {"seen": [], "unseen": ["cross"]}
    assert summary["gzsi"]["unseen"]["mAP50"] == pytest.approx(100)


def test_without_an_unseen_object_there_is_no_harmonic_mean():
    summary = summarise(world.perfect(INSTANCES), world.make_truth(INSTANCES[:2]), instance_metrics.Params("all", 10))
    assert summary["zsi"] == {"unseen": dict.fromkeys(MEANS)} and summary["images"] == {"zsi": 0, "gzsi": 2}
    assert summary["gzsi"]["seen"]["mAP50"] == pytest.approx(100)
    assert set(summary["gzsi"]["harmonic"].values()) == {None}


def test_without_unseen_classes_seen_ones_are_scored():
    classes = dataclasses.replace(
        CLASSES, classes=CLASSES.classes[:3], category_ids=CLASSES.category_ids[:3], unseen=()
    )
    summary = summarise(world.perfect(INSTANCES[:2]), world.make_truth(INSTANCES[:2]), classes=classes, zsi=[])
    assert summary["gzsi"]["seen"]["mAP50"] == pytest.approx(100)
    assert summary["gzsi"]["unseen"] == dict.fromkeys(MEANS) and summary["top1"]["zsi"]["unseen"]["objects"] == 0


def test_resampled_images_are_scored_as_copies_of_them(monkeypatch):
    """`bootstrap.resampled`, which test_bootstrap.py covers, hands its sets of images to a function, which is called here."""
    rng = np.random.default_rng(0)
    instances, ones = [], []
    for image, label in itertools.product(range(8), (world.DISK, world.RING, world.CROSS)):
        instances.append(world.instance(image, label, (12 * (label - 1), 0, 9, 9)))
        if rng.random() < 0.6:
            ones.append(world.detection(image, label, (12 * (label - 1), 0, 9, 9), rng.random()))
        if rng.random() < 0.4:
            ones.append(world.detection(image, label, (0, 20, 9, 9), rng.random()))
    # Image 8 alone shows another seen class.
    instances.append(world.instance(8, world.BOX, (0, 0, 9, 9)))
    sets = [rng.integers(0, 9, 9).tolist() for _ in range(8)]
    assert any(8 in one for one in sets) and not all(8 in one for one in sets)
    expected = []
    for chosen in sets:
        objects, found = [], []
        for copy, image in enumerate(chosen):
            objects += [dataclasses.replace(one, image=copy) for one in instances if one.image == image]
            found += [{**one, "image_id": copy} for one in ones if one["image_id"] == image]
        expected.append(summarise(found, world.make_truth(objects))["gzsi"]["harmonic"]["mAP50"])

    counts = np.stack([np.bincount(one, minlength=9) for one in sets])
    scored = []
    monkeypatch.setattr(bootstrap, "resampled", lambda score, *sizes: scored.append((score(counts), sizes)))
    results = instance_metrics.measure(world.make_truth(instances), detected(ones), CLASSES, OPTIONS)
    intervals.harmonic_map(results.scores["gzsi"], CLASSES.seen, CLASSES.unseen, 300)
    np.testing.assert_allclose(scored[0][0], expected)
    assert scored[0][1][:2] == (9, 300)


def test_the_interval_encloses_the_harmonic_mean_and_is_the_same_in_every_run():
    ones = [*world.perfect(INSTANCES[1:4]), world.detection(2, world.DISK, (20, 20, 10, 10), 0.4)]
    options = instance_metrics.Params("all", 50)
    harmonic = summarise(ones, options=options)["gzsd"]["harmonic"]
    assert (
        harmonic["mAP50_low"] < harmonic["mAP50"] < harmonic["mAP50_high"]
        and harmonic == summarise(ones, options=options)["gzsd"]["harmonic"]
    )
    one_image = world.make_truth(INSTANCES[1:4])
    assert summarise(ones, one_image, options)["gzsd"]["harmonic"]["mAP50_low"] is None


def test_tables():
    results = instance_metrics.measure(TRUTH, detected(world.perfect(INSTANCES[:4])), CLASSES, OPTIONS)
    table = instance_metrics.class_table(results, CLASSES)
    assert [(row["class"], row["role"], row["objects"]) for row in table] == [
        ("disk", "seen", 1), ("box", "seen", 1), ("ring", "unseen", 2), ("cross", "unseen", 1),
    ]  # fmt: skip
    assert [row["gzsi_AP50"] for row in table] == pytest.approx([100, 100, 100, 0])
    assert [row["zsd_recall50"] for row in table] == [None, None, 100, 0]
    curves = instance_metrics.curve_table(results, CLASSES)
    assert len(curves) == 6 * 101
    levels = {
        (row["predicted"], row["regions"], row["role"]): row["precision"] for row in curves if row["recall"] == 100
    }
    assert levels == {
        (predicted, regions, role): 100 if role == "seen" else 50
        for regions in ("boxes", "masks")
        for predicted, role in (("unseen classes", "unseen"), ("all classes", "seen"), ("all classes", "unseen"))
    }
    # A role without an object has no curve.
    results = instance_metrics.measure(world.make_truth(INSTANCES[:2]), detected([]), CLASSES, OPTIONS)
    assert {row["role"] for row in instance_metrics.curve_table(results, CLASSES)} == {"seen"}


def test_the_split_is_that_of_classes_roles_and_images():
    entry = instance_metrics.split_entry(CLASSES, TRUTH)
    assert (entry["seen"], entry["unseen"]) == (2, 2)
    others = [
        (dataclasses.replace(CLASSES, seen=(1, 2, 3), unseen=(4,)), TRUTH),
        (dataclasses.replace(CLASSES, category_ids=(None, 20, 90, 7, 3)), TRUTH),
        (CLASSES, world.make_truth(INSTANCES, images=(1, 2, 3))),
    ]
    checksums = {instance_metrics.split_entry(*one)["checksum"] for one in others}
    assert len(checksums | {entry["checksum"]}) == 4
    moved = truth.Truth(TRUTH.images, TRUTH.instances[::-1])
    assert instance_metrics.split_entry(CLASSES, moved) == entry
