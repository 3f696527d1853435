"""A VGG-16 with few channels, for tests of FCN-32s."""

import pytest
from torchvision.models import vgg

from zeroshot.networks import fcn32s

FEATURE_DIM = 24


@pytest.fixture
def small_vgg(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give FCN-32s a 64th of its channels in the convolutions, but at least 4, and 24 features."""
    small = [layer if isinstance(layer, str) else max(4, layer // 64) for layer in vgg.cfgs["D"]]
    monkeypatch.setitem(vgg.cfgs, "D", small)
    monkeypatch.setattr(fcn32s.FCN32s, "feature_dim", FEATURE_DIM)
