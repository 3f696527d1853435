import numpy as np
import pycocotools.mask
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroshot.images import run_lengths

masks = st.tuples(st.integers(1, 9), st.integers(1, 90), st.integers(0, 2**32)).map(
    lambda one: np.random.default_rng(one[2]).random((one[0], one[1])) < (one[2] % 7) / 6
)


def compressed(runs, size):
    return pycocotools.mask.frPyObjects({"size": list(size), "counts": list(runs)}, *size)["counts"].decode()


@given(masks)
def test_runs_are_those_of_the_pixels(mask):
    counts = pycocotools.mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    runs = run_lengths.decode(counts)
    pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    np.testing.assert_array_equal(pixels.reshape(mask.shape[::-1]).T, mask)
    assert run_lengths.fills(counts, mask.shape)


@given(st.lists(st.integers(0, 2**28), min_size=1, max_size=9))
def test_large_runs(runs):
    """Differences between such runs are negative too."""
    np.testing.assert_array_equal(run_lengths.decode(compressed(runs, (1, sum(runs)))), runs)


@pytest.mark.parametrize("text", ["P", "0P", "\x1f", "0 0", "p0", "a\u2603", "P" * 7 + "0", "0\x00"])
def test_other_text_is_refused(text):
    assert run_lengths.decode(text) is None and not run_lengths.fills(text, (4, 5))


def test_runs_that_do_not_fill_the_image():
    counts = compressed([3, 5, 12], (4, 5))
    assert run_lengths.fills(counts, (4, 5)) and run_lengths.fills(counts, (2, 10))
    assert not run_lengths.fills(counts, (4, 6)) and not run_lengths.fills(counts[:-1], (4, 5))
    assert not run_lengths.fills("", (4, 5)) and len(run_lengths.decode("")) == 0
    # -1 and 21.
    assert run_lengths.decode("Oe0").tolist() == [-1, 21] and not run_lengths.fills("Oe0", (4, 5))
