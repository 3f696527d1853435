"""What holds for every test."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Use one thread: results that are compared byte by byte must not depend on how work is shared out."""
    torch.set_num_threads(1)
