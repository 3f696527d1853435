import gensim.downloader
import pytest

from zeroshot.words import downloads, vector_files, word_vectors

MODELS = {"corpora": {"text8": {}}, "models": {"glove-tiny": {}, "word2vec-tiny": {}}}


@pytest.fixture
def offline(monkeypatch):
    """Replace gensim's network access by a model of two words; return the list of requested models."""
    requested = []

    def load(name, return_path=False):
        assert return_path, "without it gensim imports the Python file that comes with the model"
        requested.append(name)
        path = f"{gensim.downloader.BASE_DIR}/{name}/{name}.gz"
        with open(path, "w") as file:
            file.write("2 2\ncat 1 2\ndog 3 4\n")
        return path

    monkeypatch.setattr(gensim.downloader, "BASE_DIR", gensim.downloader.BASE_DIR)
    monkeypatch.setattr(gensim.downloader, "info", lambda name_only: MODELS)
    monkeypatch.setattr(gensim.downloader, "load", load)
    return requested


def test_model_is_downloaded_once_into_the_folder(tmp_path, offline):
    (tmp_path / "glove-tiny").mkdir()
    for _ in range(2):
        path = downloads.fetch(tmp_path, "glove-tiny")
        assert path == tmp_path / "glove-tiny" / "glove-tiny.gz"
        assert vector_files.read(path, ["dog"]).vectors["dog"].tolist() == [3, 4]
    assert offline == ["glove-tiny"]


def test_message_of_an_unknown_name_lists_models_without_corpora(tmp_path, offline):
    with pytest.raises(word_vectors.WordVectorError, match="no model 'text8'; it has glove-tiny, word2vec-tiny$"):
        downloads.fetch(tmp_path, "text8")


def test_message_of_a_failed_download_names_the_path_for_a_copy(tmp_path, offline, monkeypatch):
    def fail(name, return_path):
        raise Exception("Checksum comparison failed, try again")

    monkeypatch.setattr(gensim.downloader, "load", fail)
    with pytest.raises(
        word_vectors.WordVectorError, match="Checksum comparison failed.*copy the file to .*glove-tiny.gz"
    ):
        downloads.fetch(tmp_path, "glove-tiny")


def test_names_with_folders_and_missing_folders_are_refused(tmp_path, offline):
    with pytest.raises(word_vectors.WordVectorError, match="is not the name"):
        downloads.fetch(tmp_path, "../glove-tiny")
    with pytest.raises(word_vectors.WordVectorError, match="is not a folder; create it"):
        downloads.fetch(tmp_path / "none", "glove-tiny")


def test_a_linked_folder_of_a_model_is_refused_and_a_linked_file_is_read(tmp_path, offline):
    """DVC hashes what a linked file points to, but nothing in a linked folder."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/glove-tiny.gz").write_text("cat 1 2\n")
    folder = tmp_path / "models"
    (folder / "word2vec-tiny").mkdir(parents=True)
    (folder / "glove-tiny").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(word_vectors.WordVectorError, match="glove-tiny: is a symbolic link to the folder .*/elsewhere"):
        downloads.fetch(folder, "glove-tiny")
    (folder / "word2vec-tiny/word2vec-tiny.gz").symlink_to(tmp_path / "elsewhere/glove-tiny.gz")
    assert downloads.fetch(folder, "word2vec-tiny").is_file()
    (tmp_path / "link").symlink_to(folder)
    assert downloads.fetch(tmp_path / "link", "word2vec-tiny").is_file()
    assert offline == []
