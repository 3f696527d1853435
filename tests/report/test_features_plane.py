import numpy as np
import torch

from tests.support import pixel_world, quick_sections
from zeroshot.cache import maps
from zeroshot.report import features_plane
from zeroshot.words import class_embeddings
from zeroshot.zs3net.generators import registry


def test_axes_are_the_principal_components_of_real_features_alone():
    """Real points vary most along (1, 1, 0) and less along (1, -1, 0); synthetic ones vary along the third axis, which is no component."""
    steps = np.array([[-2.0], [-1], [1], [2]])
    real = np.concatenate([steps * [1, 1, 0], 0.25 * steps * [1, -1, 0]]).astype(np.float32) + [5, 6, 7]
    synthetic = np.array([[6, 7, 7], [5, 6, 107]], np.float32)
    plane = features_plane.make({0: real[:4], 2: real[4:]}, {2: synthetic}, ["a", "b", "c"])
    np.testing.assert_allclose(np.abs(plane.real["a"]), np.abs(steps * [np.sqrt(2), 0]), atol=1e-6)
    np.testing.assert_allclose(np.abs(plane.synthetic["c"]), [[np.sqrt(2), 0], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(plane.explained, [16 / 17, 1 / 17])
    # The largest entry of each axis is positive.
    assert plane.synthetic["c"][0, 0] > 0


def test_unseen_classes_come_with_their_nearest_seen_class():
    vectors = np.array([[1, 0], [0, 1], [0.1, 1], [1, 0.1], [1, 0.05]], np.float32)
    embeddings = class_embeddings.ClassEmbeddings(("background", "cow", "sheep", "car", "bus"), vectors)
    assert features_plane.choose(embeddings, seen=[0, 1, 3], unseen=[2, 4]) == [2, 1, 4, 3]
    assert features_plane.choose(embeddings, seen=[0, 1, 2, 3, 4], unseen=[]) == [1, 2, 3, 4]


def test_at_most_so_many_classes_are_chosen():
    vectors = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    embeddings = class_embeddings.ClassEmbeddings(tuple(map(str, range(40))), vectors)
    chosen = features_plane.choose(embeddings, range(20), range(20, 40))
    assert 6 < len(chosen) <= features_plane.MAX_CLASSES and len(set(chosen)) == len(chosen)


def test_cells_have_the_label_at_their_centre_and_are_taken_evenly():
    features = np.arange(4, dtype=np.float16).reshape(2, 2, 1)
    mask = np.kron(np.array([[1, 2], [1, 1]]), np.ones((2, 2))).astype(np.uint16)
    chosen = features_plane.choose_cells([("a", mask), ("b", mask)], [1, 2, 3], stride=2, most=3)
    # Of class 1 these are cells 0, 2 and 3 of both images, of which the first, the last and one between are taken.
    assert {image: {label: cells.tolist() for label, cells in own.items()} for image, own in chosen.items()} == {
        "a": {1: [0, 3], 2: [1]},
        "b": {1: [3], 2: [1]},
    }
    cache = [maps.Map("a", features, mask), maps.Map("b", 10 + features, mask)]
    cells = features_plane.of_cells(cache, chosen)
    assert {label: part.ravel().tolist() for label, part in cells.items()} == {1: [0, 3, 13], 2: [1, 11]}


def test_sampling_repeats():
    vectors = torch.from_numpy(pixel_world.vectors())
    generator = registry.build(quick_sections.gmmn_options(), vectors, pixel_world.DIM, torch.device("cpu")).eval()
    first, second = (features_plane.sample(generator, [1, 5], 3) for _ in range(2))
    assert first.keys() == {1, 5} and first[1].shape == (3, pixel_world.DIM)
    np.testing.assert_array_equal(first[5], second[5])
