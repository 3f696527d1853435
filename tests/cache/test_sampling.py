import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from zeroshot.cache import rows, sampling
from zeroshot.images import grids

LABEL_MAPS = arrays.arrays(
    np.uint16,
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    elements=st.sampled_from([0, 1, 2, 20, 254, 65535]),
)


def sample(labels, n=4, seed=0, image="2007_000032", view=0):
    return sampling.sample_labelled(labels, n, seed, image, view)


def noise(h=24, w=30, seed=0):
    return np.random.default_rng(seed).choice(np.array([0, 1, 2, 254, 65535], np.uint16), (h, w))


def cells_of(columns):
    return list(map(tuple, columns["position"].tolist()))


@settings(max_examples=60, deadline=None)
@given(labels=LABEL_MAPS, n=st.integers(1, 12), seed=st.integers(0, 99), view=st.integers(0, 3))
def test_sample_has_at_most_n_different_cells_of_each_class(labels, n, seed, view):
    columns = sample(labels, n, seed, view=view)
    assert len(columns["label"]) == sum(sampling.count_labelled(labels, n).values())
    cells = cells_of(columns)
    assert len(set(cells)) == len(cells)
    assert [labels[cell] for cell in cells] == columns["label"].tolist()
    # Rows are sorted by class, then in raster order.
    keys = list(zip(columns["label"].tolist(), cells, strict=True))
    assert keys == sorted(keys)
    assert 65535 not in columns["label"]
    for label in set(labels.ravel().tolist()) - {65535}:
        in_class = columns["label"] == label
        total = (labels == label).sum()
        assert in_class.sum() == min(n, total)
        np.testing.assert_array_equal(columns["weight"][in_class], np.float32(total / in_class.sum()))


@settings(max_examples=60, deadline=None)
@given(labels=LABEL_MAPS, n=st.integers(1, 12))
def test_ignored_pixels_are_sampled_on_request_and_change_no_other_row(labels, n):
    everywhere = np.ones(labels.shape, bool)
    labelled, both = sample(labels, n), sampling.sample_labelled(labels, n, 0, "2007_000032", 0, everywhere)
    n_labelled = len(labelled["label"])
    for name, column in labelled.items():
        np.testing.assert_array_equal(both[name][:n_labelled], column)
    n_ignored = int((labels == 65535).sum())
    assert both["label"][n_labelled:].tolist() == [65535] * min(n, n_ignored)
    assert both["weight"][n_labelled:].sum() == pytest.approx(n_ignored)
    assert len(both["label"]) == sum(sampling.count_labelled(labels, n, everywhere).values())


@settings(max_examples=60, deadline=None)
@given(labels=LABEL_MAPS, n=st.integers(1, 12))
def test_components_match_scipys_components_of_each_class(labels, n):
    """Two cells share a component if and only if SciPy assigns them to one 8-connected component of their class."""
    columns = sample(labels, n)
    expected = []
    for label, cell in zip(columns["label"], cells_of(columns), strict=True):
        objects, _ = scipy.ndimage.label(labels == label, structure=np.ones((3, 3)))
        expected.append((int(label), int(objects[cell])))
    pairs = set(zip(columns["component"].tolist(), expected, strict=True))
    assert len(pairs) == len(set(expected)) == len(set(columns["component"].tolist()))
    assert (columns["component"] > 0).all()


def test_components_are_connected_over_corners_but_not_over_gaps():
    labels = np.full((5, 5), 65535, np.uint16)
    labels[0, 0] = labels[1, 1] = labels[2, 2] = labels[4, 4] = 7
    labels[0, 1] = 3
    columns = sample(labels, 9)
    component = dict(zip(cells_of(columns), columns["component"].tolist(), strict=True))
    assert component[0, 0] == component[1, 1] == component[2, 2]
    assert len({component[0, 0], component[4, 4], component[0, 1]}) == 3


def test_columns_have_the_stored_types_even_without_rows():
    for columns in (
        sample(noise()),
        sample(np.full((3, 3), 65535, np.uint16)),
        sampling.sample_unlabelled((3, 4), 5, 0, "a"),
    ):
        assert set(columns) == set(rows.COLUMNS) - {"image", "view"}
        for name, column in columns.items():
            dtype, shape = rows.COLUMNS[name]
            assert column.dtype == dtype and column.shape == (len(columns["label"]), *shape)
    assert len(sample(np.full((3, 3), 65535, np.uint16))["label"]) == 0
    assert sampling.count_labelled(np.full((3, 3), 65535, np.uint16), 4) == {}


def test_every_cell_of_a_class_is_sampled_about_equally_often():
    labels = np.zeros((4, 5), np.uint16)
    labels[1:3, 1:3] = 1
    counts = np.zeros((4, 5))
    for number in range(400):
        columns = sample(labels, 2, image=f"image {number}")
        counts[tuple(columns["position"].T)] += 1
    # Each sample has 2 of 4 and 2 of 16 cells. Counts are binomial; the tolerance is 4 standard deviations.
    for label, share in ((1, 2 / 4), (0, 2 / 16)):
        assert np.abs(counts[labels == label] - 400 * share).max() < 4 * (400 * share * (1 - share)) ** 0.5


def test_sample_depends_on_seed_image_and_view_only():
    labels = noise()
    first = sample(labels)["position"].tobytes()
    others = [sample(labels, seed=1), sample(labels, image="2007_000033"), sample(labels, view=1)]
    assert len({first, *(columns["position"].tobytes() for columns in others)}) == 4
    np.random.seed(7)
    assert sample(labels)["position"].tobytes() == first


def test_sample_does_not_change_between_processes_or_versions():
    """Image ids are hashed with CRC-32, since Python's hash differs between processes."""
    labels = np.zeros((4, 4), np.uint16)
    # CRC-32 of the image id, bit by bit from its polynomial.
    register = 0xFFFFFFFF
    for byte in b"2007_000032":
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xEDB88320 if register & 1 else 0)
    rng = np.random.default_rng([5, register ^ 0xFFFFFFFF, 2])
    expected = sorted(rng.choice(16, 4, replace=False).tolist())
    assert [4 * y + x for y, x in cells_of(sample(labels, 4, seed=5, view=2))] == expected


@settings(max_examples=40, deadline=None)
@given(h=st.integers(1, 12), w=st.integers(1, 12), pixels=st.integers(1, 40), seed=st.integers(0, 99))
def test_unlabelled_sample_has_different_cells_without_labels(h, w, pixels, seed):
    columns = sampling.sample_unlabelled((h, w), pixels, seed, "a")
    cells = cells_of(columns)
    assert len(set(cells)) == len(cells) == min(pixels, h * w)
    assert cells == sorted(cells) and all(y < h and x < w for y, x in cells)
    assert set(columns["label"].tolist()) == {rows.UNLABELLED}
    assert set(columns["component"].tolist()) == {0}
    np.testing.assert_array_equal(columns["weight"], np.float32(h * w / len(cells)))


def nearest(n_pixels, n_cells):
    """Return for each cell of 4 pixels the pixels with the centre nearest to its own, in exact integer arithmetic; ties give two."""
    # The distance is |pixel + 1/2 - (4 cell + 2)|, times 2.
    distance = np.abs(2 * np.arange(n_pixels) + 1 - 8 * np.arange(n_cells)[:, None] - 4)
    return [set(np.flatnonzero(row == row.min()).tolist()) for row in distance]


@pytest.mark.parametrize("n_pixels", [*range(1, 35), 107, 254, 255])
def test_cell_has_the_label_of_the_pixel_nearest_to_its_centre(n_pixels):
    n_cells = -(-n_pixels // 4)
    ramp = np.arange(n_pixels, dtype=np.uint16)
    down = sampling.label_cells(np.repeat(ramp[:, None], 6, axis=1), 4)
    across = sampling.label_cells(np.repeat(ramp[None], 9, axis=0), 4)
    assert down.shape == (n_cells, 2) and across.shape == (3, n_cells)
    assert down.dtype == across.dtype == np.uint16
    for cell, candidates in enumerate(nearest(n_pixels, n_cells)):
        assert set(down[cell].tolist()) <= candidates and set(across[:, cell].tolist()) <= candidates


def test_labels_of_cells_are_every_fourth_pixel():
    mask = noise(32, 40)
    # If the sides are multiples of 4, the centre of a cell is between its pixels 1 and 2, and pixel 2 is chosen.
    np.testing.assert_array_equal(sampling.label_cells(mask, 4), mask[2::4, 2::4])


def test_map_size_rounds_up():
    assert [grids.map_size(side, side + 1, 4) for side in (1, 4, 5, 8)] == [(1, 1), (1, 2), (2, 2), (2, 3)]
