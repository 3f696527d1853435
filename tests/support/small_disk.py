"""A file system of one MiB, on which tests fill the disk."""

import subprocess

import pytest

BYTES = 2**20


@pytest.fixture
def small_disk(tmp_path):
    """Return an empty folder with room for one MiB; skip the test if this user may not mount file systems."""
    folder = tmp_path / "small_disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={BYTES}", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a file system")
    yield folder
    subprocess.run(["umount", folder], check=True)
