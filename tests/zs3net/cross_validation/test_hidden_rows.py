import itertools

import numpy as np
import pytest

from tests.support import caches
from zeroshot.cache import rows
from zeroshot.zs3net.cross_validation import hidden_rows


@pytest.mark.parametrize("chosen", [[True, False, True], [True] * 3, [False] * 3], ids=str)
def test_hidden_rows_are_even_over_the_cells_of_the_chosen_images_and_bare_of_labels(tmp_path, chosen):
    """As an unlabelled cache is: of every view of an image, as many rows as before, each as often as its share of the cells says."""
    tables = caches.table([2, 0, 1, 0, 255, 2, 0, 1, 1, 0, 2, 0]), caches.table([1, 0, 1, 2, 0, 1, 0, 1, 1], seed=2)
    written = [table | {"image": table["image"] % 2 * (1 - shard) + 2 * shard} for shard, table in enumerate(tables)]
    everything = {name: np.concatenate([table[name] for table in written]) for name in written[0]}
    folder = caches.write_rows(tmp_path, written)
    found = hidden_rows.read(folder, np.array(chosen))
    assert (found["label"] == rows.UNLABELLED).all() and not found["component"].any()
    for image, view in itertools.product(range(3), range(2)):
        mine = (found["image"] == image) & (found["view"] == view)
        own = np.flatnonzero((everything["image"] == image) & (everything["view"] == view))
        assert mine.sum() == chosen[image] * len(own)
        if not mine.any():
            continue
        cells = everything["weight"][own].sum(dtype=np.float64)
        np.testing.assert_allclose(found["weight"][mine], cells / len(own), rtol=1e-6)
        for row in own:
            same = (found["features"][mine] == everything["features"][row]).all(1)
            same &= (found["position"][mine] == everything["position"][row]).all(1)
            assert abs(same.sum() - len(own) * everything["weight"][row] / cells) < 1
