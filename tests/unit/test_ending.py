"""The last lines of a run are a handful, however many samples there are and whatever was found in them."""

from pathlib import Path

import cohorts
import pytest
from volume_entropy.errors import CODES, WARNINGS
from volume_entropy.runs import ending
from volume_entropy.samples import Sample


class Said:
    """Takes what a run says."""

    samples: frozenset[str] = frozenset()
    wall_time = "5 s"

    def __init__(self):
        self.lines = []

    def say(self, text, level=0):
        self.lines.append(text)


def finish(folder, summaries):
    """The verdict and the lines."""
    cohorts.write(folder, summaries)
    said = Said()
    samples = {summary["sample"]: Sample(summary["sample"], "p.nii") for summary in summaries}
    return ending.finish(str(folder), samples, said), said.lines


def test_rejections_are_counted_by_code_the_most_frequent_first(tmp_path):
    summaries = [cohorts.rejected(f"sub-{n:03}", code=list(CODES)[n % 9], message=f"a\nb {n}") for n in range(5, 120)]
    summaries += [cohorts.rejected(f"sub-{n:03}", message="x" * 1000) for n in range(120, 150)]
    verdict, lines = finish(tmp_path, [*summaries, cohorts.summary("sub-999")])
    assert verdict is None
    assert lines[0].startswith("1 samples done, 145 rejected, see ")
    n_cut = sum(summary["code"] == "file_truncated" for summary in summaries)
    assert lines[1].startswith(f"Rejected {n_cut} × file_truncated, the first is ")
    counted = [int(line.split()[1]) for line in lines[1:]]
    assert counted[:5] == sorted(counted[:5], reverse=True)
    assert sum(counted) == 145
    assert lines[-1] == f"Rejected {counted[-1]} × other codes"
    # The last one, the rest, and what they say on a line each.
    assert len(lines) == 7
    assert all("\n" not in line and len(line) < 350 for line in lines)


def test_the_first_message_of_a_code_is_that_of_the_first_row(tmp_path):
    summaries = [cohorts.rejected(name, message=f"It is {name}.") for name in ("sub-b", "sub-a")]
    _, lines = finish(tmp_path, [*summaries, cohorts.summary("sub-c")])
    assert lines[1] == "Rejected 2 × file_truncated, the first is sub-b: It is sub-b."


def test_warnings_are_one_line_a_sample_counting_once_for_each_code(tmp_path):
    summaries = [cohorts.summary(f"sub-{n}") for n in range(9)]
    for n, code in enumerate([*WARNINGS][:8]):
        summaries[n]["warnings"] = [{"code": code, "message": "a"}, {"code": code, "message": "b"}]
    for summary in summaries[5:]:
        summary["warnings"] += [{"code": "reference_permuted", "message": "c"}]
    verdict, (_, line) = finish(tmp_path, summaries)
    assert verdict is None
    assert line.startswith("Samples with a warning: 4 × reference_permuted, 1 × labels_not_probabilities, 1 × ")
    assert "see the column warnings of " in line


@pytest.mark.parametrize("missing", [0, 1])
def test_the_verdict_is_of_cohorts_that_are_finished(tmp_path, missing):
    summaries = [cohorts.rejected(f"sub-{n}") for n in range(3)]
    cohorts.write(tmp_path, summaries[missing:])
    samples = {summary["sample"]: Sample(summary["sample"], "p.nii") for summary in summaries}
    verdict = ending.finish(str(tmp_path), samples, Said())
    assert (verdict is None) == bool(missing)
    assert ending.none_usable(str(tmp_path), samples) == (not missing)
    assert verdict is None or verdict.startswith("No sample could be used: all 3 were rejected; ")


def test_the_page_is_named_where_there_is_one(tmp_path):
    said = Said()
    ending.name_page(str(tmp_path), said)
    assert said.lines == []
    (tmp_path / "report.html").touch()
    ending.name_page(str(tmp_path), said)
    assert said.lines == [f"The report is {Path(tmp_path, 'report.html')}"]


def test_only_strict_runs_end_badly_where_some_were_rejected():
    assert ending.verdict("image", 3, 2, "t.csv") is None
    assert ending.verdict("image", 3, 2, "t.csv", strict=True) == (
        "on_rejected is `fail`, and 2 images were rejected; see t.csv"
    )
    assert ending.verdict("sample", 0, 0, "t.csv", strict=True) is None
