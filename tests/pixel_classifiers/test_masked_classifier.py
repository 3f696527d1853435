import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from zeroshot.base import checkpoints
from zeroshot.pixel_classifiers import labelling, masked_classifier, pixel_classifier

D, H, W, STRIDE = 5, 4, 6, 4
LABELS = [0, 1, 2, 3, 4, 6]
TRAIN_UNSEEN, UNSEEN = [2, 4], [3, 6]


def model(threshold=0.0, candidates=(*TRAIN_UNSEEN, *UNSEEN)):
    """Return a model of random weights; the classes of `candidates` are on the unseen side, and the other classes of LABELS are not."""
    random = torch.Generator().manual_seed(1)
    weight, bias = torch.randn(len(LABELS), D, generator=random), torch.randn(len(LABELS), generator=random)
    labels = torch.tensor(LABELS)
    classifier = pixel_classifier.PixelClassifier(weight, bias, labels, torch.isin(labels, torch.tensor(UNSEEN)))
    return masked_classifier.MaskedClassifier(
        classifier,
        torch.isin(labels, torch.tensor(candidates)),
        torch.randn(D, generator=random),
        torch.randn((), generator=random),
        threshold,
    )


def cells():
    return np.random.default_rng(0).normal(size=(H, W, D)).astype(np.float16)


def pixels(values):
    """Upsample a map (h, w, n) bilinearly to pixels."""
    tensor = torch.from_numpy(values).float().permute(2, 0, 1)[None]
    return functional.interpolate(tensor, scale_factor=STRIDE, mode="bilinear")[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("threshold", [0.0, 1.3, -2.0])
def test_every_pixel_gets_the_best_class_of_the_side_that_the_mask_chooses(threshold):
    masked = model(threshold)
    answers = labelling.predict_masked_maps(masked, cells(), (H * STRIDE, W * STRIDE), stride=STRIDE)
    flat = torch.from_numpy(cells()).float()
    logits = pixels((flat @ masked.classifier.weight.T + masked.classifier.bias).numpy())
    log_odds = pixels((flat @ masked.mask_weight + masked.mask_bias)[..., None].numpy())[..., 0]
    best = {
        name: np.array(LABELS)[rows][logits[..., rows].argmax(-1)]
        for name, rows in {"seen_side": [0, 1], "unseen_side": [2, 3, 4, 5], "vanilla": [3, 5]}.items()
    }
    for name, expected in best.items():
        np.testing.assert_array_equal(answers[name], expected)
    for name, at in {"generalised": threshold, "without_bias": 0.0}.items():
        np.testing.assert_array_equal(answers[name], np.where(log_odds >= at, best["seen_side"], best["unseen_side"]))
    assert 0 < (answers["generalised"] == best["seen_side"]).mean() < 1


def test_no_class_is_chosen_with_a_similarity_of_zero():
    """Trap T4: the original zeroes excluded candidates, so that they win where all others are negative."""
    masked = model()
    negative = dataclasses.replace(masked.classifier, bias=torch.full((len(LABELS),), -1e3))
    answers = labelling.predict_masked_maps(
        dataclasses.replace(masked, classifier=negative), cells(), (H * STRIDE, W * STRIDE), stride=STRIDE
    )
    assert set(np.unique(answers["seen_side"])) <= {0, 1}
    assert set(np.unique(answers["unseen_side"])) <= {2, 3, 4, 6}
    assert set(np.unique(answers["vanilla"])) <= {3, 6}


def test_sides_of_rows_agree_with_the_label_maps_of_single_cells():
    masked = model()
    flat = torch.from_numpy(cells().reshape(-1, D)).float()
    seen, unseen, log_odds = masked.sides(flat)
    answers = labelling.predict_masked_maps(masked, cells(), (H, W), stride=1)
    np.testing.assert_array_equal(seen.numpy(), answers["seen_side"].ravel())
    np.testing.assert_array_equal(unseen.numpy(), answers["unseen_side"].ravel())
    np.testing.assert_array_equal(
        np.where(log_odds.numpy() >= 0, seen.numpy(), unseen.numpy()), answers["without_bias"].ravel()
    )


def test_without_a_class_on_the_unseen_side_every_pixel_is_on_the_other():
    masked = model(candidates=[])
    masked = dataclasses.replace(
        masked, classifier=dataclasses.replace(masked.classifier, unseen=torch.zeros(len(LABELS), dtype=torch.bool))
    )
    answers = labelling.predict_masked_maps(masked, cells(), (H, W), stride=1)
    assert "vanilla" not in answers
    for name in ("generalised", "without_bias", "unseen_side"):
        np.testing.assert_array_equal(answers[name], answers["seen_side"])


def test_saving_and_loading_preserves_the_model_and_its_metadata(tmp_path):
    masked_classifier.save(tmp_path / "szn.pt", model(1.5), void="ignored")
    loaded, metadata = masked_classifier.load(tmp_path / "szn.pt")
    assert metadata == {"void": "ignored"} and loaded.seen_bias == 1.5
    for name in ("unseen_side", "mask_weight", "mask_bias"):
        assert torch.equal(getattr(loaded, name), getattr(model(), name))
    for name in ("weight", "bias", "labels", "unseen"):
        assert torch.equal(getattr(loaded.classifier, name), getattr(model().classifier, name))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"mask_weight": torch.zeros(D + 1)}, "mask_weight"),
        ({"mask_bias": torch.zeros(1)}, "mask_bias"),
        ({"unseen_side": torch.zeros(len(LABELS))}, "unseen_side"),
        ({"unseen_side": torch.zeros(len(LABELS), dtype=torch.bool)}, "an unseen class is on the seen side"),
    ],
)
def test_parts_that_do_not_fit_are_refused(tmp_path, changes, fault):
    masked_classifier.save(tmp_path / "szn.pt", dataclasses.replace(model(), **changes))
    with pytest.raises(checkpoints.CheckpointError, match=fault):
        masked_classifier.load(tmp_path / "szn.pt")
