"""What holds for every test."""

import pytest
import torch

# It runs DVC and takes minutes; begun last, one process would end long after the others.
_FIRST = "test_pipeline.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest file first."""
    items.sort(key=lambda item: item.path.name != _FIRST)


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Use one thread: results that are compared byte by byte must not depend on how work is shared out."""
    torch.set_num_threads(1)
