"""Download of vector files from gensim's model collection (https://github.com/piskvorky/gensim-data)."""

import contextlib
import pathlib
import sys

import gensim.downloader

from zeroshot.base import user_files
from zeroshot.words import word_vectors


def fetch(folder: str | pathlib.Path, name: str) -> pathlib.Path:
    """Return the vector file of the gensim-downloader model `name`; download it into `folder` if it is missing.

    `gensim.downloader.load` would import the Python file that comes with every model. Therefore only the path is requested, and
    `vector_files` reads the vectors. An existing file is used without network access.

    Raises:
        WordVectorError: if the folder is missing, the model's folder is a link, the name is unknown or the download fails.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise word_vectors.WordVectorError(f"{folder}: is not a folder; create it for the files that gensim downloads")
    if pathlib.PurePath(name).name != name:
        raise word_vectors.WordVectorError(f"embeddings.name: {name!r} is not the name of a gensim-downloader model")
    for link, target in user_files.linked_folders(folder, [name]).items():
        raise word_vectors.WordVectorError(
            f"{link}: is a symbolic link to the folder {target}, and DVC would not notice changes behind it; put the folder itself "
            f"into {folder}, or set embeddings.path to the folder that contains {target}"
        )
    path = folder / name / f"{name}.gz"
    if path.is_file():
        return path
    gensim.downloader.BASE_DIR = str(folder)
    # Without a network, gensim logs a traceback although it then uses its local list.
    gensim.downloader.logger.disabled = True
    try:
        with contextlib.redirect_stdout(sys.stderr):
            models = gensim.downloader.info(name_only=True)["models"]
            if name in models:
                return pathlib.Path(gensim.downloader.load(name, return_path=True))
    except Exception as error:  # gensim raises a bare Exception if the checksum is wrong.
        raise word_vectors.WordVectorError(
            f"{name}: gensim could not download it into {folder}: {error}. "
            f"Check the network, or copy the file to {path}"
        ) from error
    raise word_vectors.WordVectorError(
        f"embeddings.name: gensim-downloader has no model {name!r}; it has {', '.join(sorted(models))}"
    )
