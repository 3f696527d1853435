"""The stage embed of ZSI: vectors by the names of classes, and ready tables whose columns are classes."""

import pathlib

import h5py
import numpy as np
import pytest
import yaml

from stages.zsi import embed
from tests.support import dag
from zeroshot.base import command_line, storage
from zeroshot.datasets.instances import class_list
from zeroshot.words import class_embeddings

CLASSES = class_list.of_roles([("zebra", 24), ("traffic light", 10)], [("cat", 17)])
EMBEDDINGS = dag.document(dag.ZSI_PARAMS)["embeddings"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs the stage in an empty folder and returns the rows of the classes."""
    monkeypatch.chdir(tmp_path)
    pathlib.Path("zsi").mkdir()
    class_list.write("classes.json", CLASSES)

    def run(path, **section):
        section = EMBEDDINGS | {"path": path} | section
        pathlib.Path(dag.ZSI_PARAMS).write_text(yaml.safe_dump({"embeddings": section}))
        flags = ["--classes-path", "classes.json", "--source-path", path]
        command_line.run(embed.main, [*flags, "--embeddings-path", "rows.h5", "--neighbours-path", "near.csv"])
        return class_embeddings.read_rows(pathlib.Path("rows.h5"), CLASSES.classes)

    return run


def table(shape=(5, 4)):
    """Return a table whose columns are classes; none is a multiple of another."""
    return np.random.default_rng(0).normal(size=shape)


def test_a_table_with_classes_in_columns_is_taken_as_it_is(run, capsys):
    columns = table()
    np.savetxt("table.txt", columns, delimiter=",")
    rows = run("table.txt", source="matrix", normalise="none")
    np.testing.assert_allclose(rows, columns.T, rtol=1e-6)
    assert capsys.readouterr().out == "4 classes, 5-d vectors from matrix\n"
    with h5py.File("rows.h5") as file:
        assert file["vectors"].attrs["source_sha256"] == storage.sha256("table.txt")
    near = pathlib.Path("near.csv").read_text().splitlines()
    assert near[0] == "class,rank,neighbour,cosine" and len(near) == 1 + 4 * 3


def test_a_table_with_classes_in_rows_and_a_square_one_are_not_turned(run):
    for shape in ((4, 5), (4, 4)):
        np.save("table.npy", table(shape))
        np.testing.assert_allclose(run("table.npy", source="matrix", normalise="none"), table(shape), rtol=1e-6)


def test_the_background_may_be_the_mean_of_all_classes_as_in_the_released_tables(run):
    columns = table()
    np.savetxt("table.txt", columns, delimiter=",")
    rows = run("table.txt", source="matrix", normalise="none", background="mean")
    np.testing.assert_allclose(rows[0], columns[:, 1:].mean(axis=1), rtol=1e-5)


def test_a_table_of_another_number_of_classes_is_refused(run):
    np.savetxt("table.txt", table((6, 5)), delimiter=",")
    with pytest.raises(SystemExit, match=r"table.txt: has 6 rows for 4 classes \(background to cat\)"):
        run("table.txt", source="matrix")


def test_vectors_of_a_corpus_are_found_by_name_and_of_several_words_by_their_mean(run):
    sentences = ["a zebra and a cat stand at the traffic light", "the background has light and no traffic"]
    pathlib.Path("corpus.txt").write_text("\n".join(sentences * 9))
    rows = run("corpus.txt", dim=8, epochs=2, normalise="unit")
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    first = pathlib.Path("rows.h5").read_bytes()
    run("corpus.txt", dim=8, epochs=2, normalise="unit")
    assert pathlib.Path("rows.h5").read_bytes() == first
    with h5py.File("rows.h5") as file:
        assert file["vectors"].attrs["words"] == '[["background"], ["zebra"], ["traffic", "light"], ["cat"]]'


def test_classes_without_a_vector_are_named_together(run):
    pathlib.Path("corpus.txt").write_text("a zebra in the background\n" * 9)
    with pytest.raises(SystemExit, match="(?s)'traffic light': no vector.*'cat': no vector"):
        run("corpus.txt", dim=8, epochs=1)
