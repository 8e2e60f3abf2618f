"""`snakemake discover` writes the table that a run then reads."""

import producers
from producers import probabilities
from study import Study


def test_the_target_makes_the_table_that_a_run_needs(tmp_path):
    study = Study(tmp_path / "study", preset="fmriprep")
    root = tmp_path / "derivatives of é"
    for session in ("ses-1", "ses-2"):
        for space in ("", "space-MNI152NLin2009cAsym_res-1"):
            producers.fmriprep(root, probabilities(4), "sub-01", session, space)
    run = study.run("discover", "--config", f'discover={{"root": "{root}"}}')
    assert run.code == 0, run.output
    assert run.jobs == {"discover": 1}
    assert "4 samples below" in run.output
    table = study.folder / "config/samples.tsv"
    assert len(table.read_text(encoding="utf-8").splitlines()) == 5
    again = study.run("discover", "--config", f'discover={{"root": "{root}"}}')
    assert "4 in the table already" in again.output
    dry = study.run("--dry-run")
    assert dry.code == 0, dry.output
    assert dry.jobs["compute_entropy"] == 4
    assert dry.jobs["discover"] == 0


def test_without_a_root_it_says_what_is_missing(tmp_path):
    study = Study(tmp_path, preset="fmriprep")
    run = study.run("discover")
    assert run.code != 0
    assert "needs discover.root in the config" in run.output
    assert "Traceback" not in run.output
