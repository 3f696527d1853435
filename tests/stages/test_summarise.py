import dataclasses
import json

from stages import summarise
from tests.evaluation import test_metrics_files
from zeroshot.base import command_line
from zeroshot.datasets import splits


def test_only_metrics_of_the_split_are_in_the_summary(tmp_path, capsys):
    split = test_metrics_files.SPLIT
    splits.write(tmp_path / "split.json", split)
    first = test_metrics_files.write(tmp_path, "zs3net")
    second = test_metrics_files.write(tmp_path, "ale", dataclasses.replace(split, val=split.val[1:]))
    words = ["--split-path", tmp_path / "split.json", "--metrics-paths", first, second]
    outs = ["--summary-path", str(tmp_path / "summary.json"), "--chart-path", str(tmp_path / "summary.csv")]
    command_line.run(summarise.main, [*map(str, words), *outs])
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary == {"hIoU": {"zs3net": 50.94}, "seen": {"zs3net": 52.26}, "unseen": {"zs3net": 55.26}}
    assert (tmp_path / "summary.csv").read_text().splitlines() == [
        "model,metric,value",
        "zs3net,seen mIoU,52.26",
        "zs3net,unseen mIoU,55.26",
        "zs3net,hIoU,50.94",
    ]
    assert capsys.readouterr().out == (
        f"not of the split of {tmp_path / 'split.json'}: {second} (world, {len(split.unseen)} unseen)\n"
    )
