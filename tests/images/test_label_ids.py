import numpy as np

from zeroshot.images import label_ids


def test_palette_has_the_published_colours():
    # From the table printed on the VOC 2012 page.
    expected = {1: (128, 0, 0), 8: (64, 0, 0), 15: (192, 128, 128), 20: (0, 64, 128), 65535: (224, 224, 192)}
    colours = label_ids.palette()
    assert colours.shape == (65536, 3) and colours.dtype == np.uint8
    assert {label: tuple(map(int, colours[label])) for label in expected} == expected
    assert len(np.unique(colours, axis=0)) == 65536
