"""Where unfinished work waits: outside DVC's outputs, which DVC deletes before a stage runs again."""

import hashlib
import pathlib
import sys


def folder(root: str | pathlib.Path, stage: str, *parts: bytes) -> pathlib.Path:
    """Return (and create) the folder for unfinished work of `stage` that has exactly these inputs and this code.

    Args:
        root: `runtime.scratch`.
        stage: the stage's name.
        parts: what determines the result, for example the parameters and the split; the source of every loaded `zeroshot`
            module counts too, so that work begun by other code is never continued.
    """
    digest = hashlib.sha256()
    sources = sorted(
        (name, module.__file__)
        for name, module in sys.modules.items()
        if name.startswith("zeroshot.") and module.__file__
    )
    for part in [*parts, *(pathlib.Path(file).read_bytes() for _, file in sources)]:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    path = pathlib.Path(root) / stage / digest.hexdigest()[:16]
    path.mkdir(parents=True, exist_ok=True)
    return path


def fingerprint(folder: pathlib.Path, names: list[str]) -> bytes:
    """Return a short digest of the names, sizes and modification times of files in `folder`, without reading them."""
    digest = hashlib.sha256()
    for name in names:
        status = (folder / name).stat()
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.digest()
