import copy

from tests.evaluation.instances import test_instance_summary
from zeroshot.evaluation.instances import instance_table


def test_every_file_has_a_line_with_its_figures_and_their_interval(tmp_path):
    with_interval = copy.deepcopy(test_instance_summary.CONTENT)
    with_interval["gzsi"]["harmonic"].update(mAP50_low=8.04, mAP50_high=12.06)
    paths = [
        test_instance_summary.write(tmp_path, "direct"),
        test_instance_summary.write(tmp_path, "mix", with_interval),
    ]
    lines = instance_table.table(paths).splitlines()
    assert [" ".join(line.split()) for line in lines[:3]] == [
        "mAP at IoU 0.5, per cent ZSI top-1 GZSI seen unseen harmonic 95 % GZSD seen unseen harmonic",
        "direct 10.0 91.0 30.0 6.0 10.0 40.0 - -",
        "mix 10.0 91.0 30.0 6.0 10.0 [8.0, 12.1] 40.0 - -",
    ]
    assert len(set(map(len, lines[:3]))) == 1 and "boxes" in lines[3]


def test_figures_are_rounded_once(tmp_path):
    content = copy.deepcopy(test_instance_summary.CONTENT)
    # To two decimals it is 62.75, which would be 62.8 to one.
    content["gzsi"]["harmonic"]["mAP50"] = 62.7461
    line = instance_table.table([test_instance_summary.write(tmp_path, "mix", content)]).splitlines()[1]
    assert "62.7" in line.split()


def test_files_of_the_other_pipelines_are_told_apart(tmp_path):
    instances, broken, other = (tmp_path / name for name in ("mix.json", "broken.json", "ale.json"))
    test_instance_summary.write(tmp_path, "mix")
    broken.write_text("{")
    other.write_text('{"generalised": {}}')
    assert instance_table.is_of_instances([instances])
    assert not any(map(instance_table.is_of_instances, ([broken], [other], [tmp_path / "none.json"], [])))
