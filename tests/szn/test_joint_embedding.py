import numpy as np
import pytest
import torch

from tests.support import pixel_world, szn_world
from zeroshot.pixel_classifiers import labelling
from zeroshot.szn import joint_embedding, variants

STRIDE = 4


def cells(seed, h=3, w=4):
    return np.random.default_rng(seed).normal(1, 1, (h, w, pixel_world.DIM)).astype(np.float16)


def upsampled(values):
    """Upsample (h, w, n) float64 bilinearly by STRIDE with pixel centres at half-integers, by a loop over pixels."""
    h, w, n = values.shape
    pixels = np.empty((h * STRIDE, w * STRIDE, n))
    for y, x in np.ndindex(h * STRIDE, w * STRIDE):
        row, column = (np.clip((place + 0.5) / STRIDE - 0.5, 0, side - 1) for place, side in ((y, h), (x, w)))
        top, left = int(row), int(column)
        bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
        above = values[top, left] * (1 - column + left) + values[top, right] * (column - left)
        below = values[bottom, left] * (1 - column + left) + values[bottom, right] * (column - left)
        pixels[y, x] = above * (1 - row + top) + below * (row - top)
    return pixels


def cosines(seed, vectors):
    """Return the cosine (H, W, C) float64 of the upsampled embedding of each pixel and each class vector."""
    weight, bias = (part.double().numpy() for part in szn_world.head())
    embedding = upsampled(cells(seed).astype(np.float64) @ weight[:, :, 0, 0].T + bias)
    lengths = np.linalg.norm(embedding, axis=-1, keepdims=True) * np.linalg.norm(vectors, axis=1)
    return embedding @ vectors.T / lengths


@pytest.mark.parametrize("seed", range(3))
def test_a_pixel_gets_the_class_with_the_nearest_vector_by_cosine(seed):
    vectors = pixel_world.vectors() * np.random.default_rng(seed).uniform(0.1, 9, (10, 1)).astype(np.float32)
    joint = joint_embedding.classifier(*szn_world.head(), torch.from_numpy(vectors), szn_world.split())
    answers = labelling.predict_maps(joint, cells(seed), (12, 16), stride=STRIDE)
    expected = cosines(seed, vectors.astype(np.float64))
    np.testing.assert_array_equal(answers["generalised"], expected.argmax(-1))
    unseen = list(szn_world.UNSEEN)
    np.testing.assert_array_equal(answers["vanilla"], np.array(unseen)[expected[..., unseen].argmax(-1)])
    assert len(np.unique(answers["generalised"])) > 2


def test_a_class_with_a_zero_vector_has_a_cosine_of_its_own_dimension():
    vectors = torch.from_numpy(pixel_world.vectors())
    vectors[0] = 0
    joint = joint_embedding.classifier(*szn_world.head(), vectors, szn_world.split())
    logits = joint.logits(torch.randn(5, pixel_world.DIM))
    # A network that was trained without that class has no output for its dimension.
    assert (logits[:, joint.labels == 0] == 0).all() and (logits[:, joint.labels != 0] != 0).all()


@pytest.mark.parametrize("include", [True, False])
def test_the_sides_of_the_mask_are_the_roles(include):
    masked = joint_embedding.with_mask(szn_world.joint(), szn_world.split(), include)
    unseen_side = {*szn_world.UNSEEN, *(szn_world.TRAIN_UNSEEN if include else ())}
    assert set(masked.labels[masked.unseen_side].tolist()) == unseen_side
    assert set(masked.labels[~masked.unseen_side].tolist()) == set(szn_world.TRAIN_SEEN)
    assert set(masked.labels[masked.unseen].tolist()) == set(szn_world.UNSEEN)
    assert not masked.mask_weight.any() and not masked.mask_bias.any()


@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_every_pixel_of_an_unseen_class_that_fcn_je_labels_right_szn_ps_labels_right_too(include, seed):
    """The largest of all logits is the largest of its side, and the true mask gives an unseen pixel the side of its class."""
    random = np.random.default_rng(seed)
    head = (
        torch.from_numpy(random.normal(size=(7, 8, 1, 1)).astype(np.float32)),
        torch.from_numpy(random.normal(size=7).astype(np.float32)),
    )
    vectors = torch.from_numpy(random.normal(size=(10, 7)).astype(np.float32))
    split = szn_world.split()
    joint = joint_embedding.classifier(*head, vectors, split)
    masked = joint_embedding.with_mask(joint, split, include)
    truth = random.integers(0, 10, (12, 16))
    free = labelling.predict_maps(joint, cells(seed), truth.shape, stride=STRIDE)["generalised"]
    sides = labelling.predict_masked_maps(masked, cells(seed), truth.shape, stride=STRIDE)
    perfect = np.where(variants.is_untrained(truth, split), sides["unseen_side"], sides["seen_side"])
    right = {name: np.isin(truth, split.unseen) & (labels == truth) for name, labels in (("je", free), ("ps", perfect))}
    assert not (right["je"] & ~right["ps"]).any()
    # The same holds of classes that the network was trained on; of train_unseen ones only if they are candidates.
    trained = np.isin(truth, szn_world.TRAIN_SEEN) & (free == truth)
    assert (perfect == truth)[trained].all()


@pytest.mark.parametrize("include", [True, False])
def test_szn_with_a_mask_that_is_right_everywhere_is_szn_ps(include):
    """One feature tells the role of a pixel, and the mask reads it."""
    split = szn_world.split()
    features = cells(5)
    untrained = np.random.default_rng(5).random((3, 4)) < 0.5
    features[..., 0] = np.where(untrained, -1, 1)
    joint = szn_world.joint()
    weight = torch.zeros(pixel_world.DIM)
    weight[0] = 50.0
    masked = joint_embedding.with_mask(joint, split, include, weight, torch.tensor(0.0))
    sides = labelling.predict_masked_maps(masked, features, (3, 4), stride=1)
    np.testing.assert_array_equal(sides["generalised"], np.where(untrained, sides["unseen_side"], sides["seen_side"]))
    # The true mask changes nothing else: both models have the same best classes.
    perfect = joint_embedding.with_mask(joint, split, include)
    other = labelling.predict_masked_maps(perfect, features, (3, 4), stride=1)
    np.testing.assert_array_equal(other["unseen_side"], sides["unseen_side"])
    np.testing.assert_array_equal(other["seen_side"], sides["seen_side"])
