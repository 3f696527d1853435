import pytest

from zeroshot.own_data import division

SHOWN = {f"{number:02}": {1, 2 + number % 4} | ({9} if number in (7, 13) else set()) for number in range(40)}


def share(label, ids):
    images = [id for id in SHOWN if label in SHOWN[id]]
    return sum(id in ids for id in images) / len(images)


@pytest.mark.parametrize("seed", range(5))
def test_every_class_has_its_share_of_images_in_validation(seed):
    train, val = division.draw(SHOWN, 0.2, seed)
    assert sorted([*train, *val]) == sorted(SHOWN) and not set(train) & set(val)
    assert all(share(label, val) == pytest.approx(0.2, abs=0.11) for label in (1, 2, 3, 4, 5))
    assert share(9, val) == 0.5


def test_the_division_depends_on_the_seed_alone():
    draws = [division.draw(dict(reversed(SHOWN.items())), 0.2, seed) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2] and division.draw(SHOWN, 0.2, 0) == draws[0]
