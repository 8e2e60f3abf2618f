"""A wrong config or table stops everything, with one plain message."""

import pytest
from study import Study, softmax_volume


@pytest.fixture
def study(tmp_path):
    study = Study(tmp_path)
    study.add("sub-01", softmax_volume(1))
    return study


def refused(run):
    assert run.code != 0
    assert "Traceback" not in run.output
    assert not run.jobs
    return run.output


def test_an_unknown_key_is_named_with_its_nearest(study):
    study.configure(probabilities={"sum_tolerence": 0.1})
    assert "probabilities.sum_tolerence: unknown key; did you mean sum_tolerance?" in refused(study.run("-n"))


def test_a_key_on_the_command_line_is_checked_too(study):
    assert "on_rejectd: unknown key; did you mean on_rejected?" in refused(
        study.run("-n", "--config", "on_rejectd=fail")
    )


def test_a_bad_table_is_refused_as_a_whole(study):
    study.rows["../x"] = {"sample": "../x", "probabilities": "p.nii"}
    study.rows["SUB-01"] = {"sample": "SUB-01", "probabilities": "p.nii"}
    study.write_table()
    message = refused(study.run("-n"))
    assert "'../x' is no id" in message
    assert "differ only in case" in message


def test_a_missing_table_is_refused(study):
    (study.folder / "config/samples.tsv").unlink()
    assert "does not exist" in refused(study.run("-n"))


def test_the_command_line_overrides_the_config_file(study):
    study.configure(entropy={"unit": "bit"})
    run = study.run("--config", 'entropy={"unit": "nat"}', "results=elsewhere")
    assert run.code == 0, run.output
    assert '"unit": "nat"' in (study.folder / "elsewhere/sub-01/sub-01_summary.json").read_text()
