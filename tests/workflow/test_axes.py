"""Axes in the workflow: a stack of passes is refused until it is declared, and an assumed order stands in the table."""

import numpy as np
import pytest
from reference import block
from study import Study, softmax_volume

OLDER = {"class_axis": "first", "axes": "zyx"}


def passes(n_members):
    """(m, c, z = 1, y, x)."""
    return np.stack([softmax_volume(seed, (20, 24, 1)).T for seed in range(n_members)])


def add(study, sample, array):
    (study.folder / "data").mkdir(exist_ok=True)
    np.save(study.folder / f"data/{sample}.npy", array)
    study.rows[sample] = {"sample": sample, "probabilities": f"../data/{sample}.npy"}
    study.write_table()


@pytest.mark.parametrize("n_members", [5, 4, 20])
def test_passes_are_never_one_member_or_classes(tmp_path, n_members):
    p = passes(n_members)
    expected = np.nansum(block(p).maps["predictive_entropy"])
    study = Study(tmp_path / "study", probabilities={"members": n_members, **OLDER})
    add(study, "last", p[:, :, 0].transpose(1, 2, 3, 0)[None])
    add(study, "first", p[:, :, 0])
    run = study.run()
    # The notice of the older keys, once and not in every job.
    assert run.output.count("goes on to work") == run.output.count("`axes: czyx`") == 1, run.output
    assert {row["sample"] for row in study.table("rejected")} == {"first", "last"}
    for sample, axes in (("last", "cyxm"), ("first", "mcyx")):
        (remedy,) = (row["remedy"] for row in study.table("rejected") if row["sample"] == sample)
        assert f"`{axes}`" in remedy
        study.configure(probabilities={"members": n_members, "axes": axes})
        assert "goes on to work" not in study.run().output
        (row,) = study.table("subjects")
        assert (row["sample"], row["n_members"], row["warnings"]) == (sample, str(n_members), "")
        assert float(row["predictive_entropy_total"]) == pytest.approx(expected, rel=1e-5)


def test_an_assumed_order_stands_in_the_table(tmp_path):
    study = Study(tmp_path / "study")
    p = softmax_volume(3, (8, 9, 7))
    add(study, "plain", p)
    study.add("named", p)
    assert study.run().code == 0
    assert {row["sample"]: row["warnings"] for row in study.table("subjects")} == {"plain": "axes_assumed", "named": ""}
