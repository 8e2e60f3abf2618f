"""A cohort of Zarr arrays in the workflow: nothing is copied, and a store that refers to its source is never stale."""

import json
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from array_files import arranged, write_zarr
from reference import block
from study import ROOT, Study, softmax_volume

CHAIN = Counter({"convert": 1, "compute_entropy": 1, "render_qc": 1, "aggregate": 1, "report": 1, "all": 1})


def total(p):
    return np.nansum(block(arranged(p, "mczyx")).maps["predictive_entropy"])


def test_a_run_that_was_killed_before_its_source_changed_ends_with_the_new_numbers(tmp_path):
    study = Study(tmp_path / "study", probabilities={"sum_tolerance": None})
    before, after = softmax_volume(1), softmax_volume(2)
    path = tmp_path / "data of another/p.zarr"
    path.parent.mkdir()
    write_zarr(path, before, (5, 11, 4, 2))
    study.rows["sub-01"] = {"sample": "sub-01", "probabilities": str(path)}
    study.write_table()
    assert study.run("--until", "convert", "--notemp").code == 0
    store = study.folder / "work/sub-01/probabilities.zarr"
    assert [file.name for file in store.iterdir() if not file.name.startswith(".")] == ["zarr.json"]

    chunk = path / "c/0/0/0/0"
    chunk.write_bytes(after[:5, :11, :4, :2].tobytes())
    changed = before.copy()
    changed[:5, :11, :4, :2] = after[:5, :11, :4, :2]
    run = study.run()
    assert run.code == 0, run.output
    assert run.jobs == CHAIN
    (row,) = study.table("subjects")
    right = total(changed / changed.sum(axis=-1, keepdims=True, dtype=np.float64))
    assert abs(right - total(before)) > 1
    assert float(row["predictive_entropy_total"]) == pytest.approx(right, rel=1e-6)
    assert not store.exists()
    assert study.run().jobs.total() == 0


OLD_FORM = """

def fingerprint(path):
    if not os.path.isdir(path):
        return _of_a_file(path)
    size, mtime = 0, os.stat(path).st_mtime_ns
    for folder, _, names in os.walk(path):
        for name in names:
            status = os.stat(os.path.join(folder, name))
            size, mtime = size + status.st_size, max(mtime, status.st_mtime_ns)
    return [os.fspath(path), size, mtime, os.access(path, os.R_OK | os.X_OK)]
"""


def of_the_version_before(folder: Path) -> Path:
    """The workflow as it was when a folder's record was the sum of sizes and the latest time of its files."""
    for name in ("scripts", "workflow", "profiles", "envs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "CITATION.cff"):
        shutil.copy(ROOT / name, folder)
    files = folder / "scripts/volume_entropy/files.py"
    text = files.read_text().replace("def fingerprint(", "def _of_a_file(")
    files.write_text(text + OLD_FORM)
    return folder / "Snakefile"


def zarr_study(folder: Path, **config: object) -> tuple[Study, Path, np.ndarray]:
    study, p = Study(folder / "study", probabilities={"sum_tolerance": None}, **config), softmax_volume(1)
    path = Path(write_zarr(folder / "p.zarr", p, (5, 11, 4, 2)))
    for number, chunk in enumerate(sorted(path.rglob("c/*/*/*/*"))):
        os.utime(chunk, ns=(1, 10**18 + number))
    study.rows["sub-01"] = {"sample": "sub-01", "probabilities": str(path)}
    study.write_table()
    return study, path, p


def swapped(path: Path, p: np.ndarray) -> np.ndarray:
    """Two chunks change places, as by `mv`: no size and no time is another, and none is newer."""
    one, other, aside = path / "c/0/0/0/0", path / "c/1/0/0/0", path / "aside"
    one.rename(aside)
    other.rename(one)
    aside.rename(other)
    changed = p.copy()
    changed[:5, :, :4, :2], changed[5:10, :, :4, :2] = p[5:10, :, :4, :2], p[:5, :, :4, :2]
    return changed


def replaced(path: Path, p: np.ndarray) -> np.ndarray:
    """One chunk becomes one of another volume, of the same size and older than all."""
    another = softmax_volume(2)[:5, :11, :4, :2]
    (path / "c/0/0/0/0").write_bytes(another.tobytes())
    os.utime(path / "c/0/0/0/0", ns=(1, 10**17))
    changed = p.copy()
    changed[:5, :, :4, :2] = another
    return changed


@pytest.mark.parametrize("change", [swapped, replaced])
@pytest.mark.parametrize("copied", [False, True])
def test_chunks_that_were_moved_or_became_older_are_computed_again(tmp_path, copied, change):
    study, path, p = zarr_study(tmp_path, storage={"keep_probabilities": copied})
    run = study.run()
    assert run.code == 0, run.output
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    right = change(path, p)
    for folder in (path / "c/0/0/0", path / "c/1/0/0", path / "c", path):
        os.utime(folder, ns=times)
    run = study.run()
    assert run.code == 0, run.output
    assert run.jobs == CHAIN
    (row,) = study.table("subjects")
    expected = total(right / right.sum(axis=-1, keepdims=True, dtype=np.float64))
    assert abs(expected - total(p)) > 1
    assert float(row["predictive_entropy_total"]) == pytest.approx(expected, rel=1e-6)
    assert study.run().jobs.total() == 0


def test_a_record_of_the_form_before_that_still_holds_makes_nothing_again(tmp_path):
    study, path, p = zarr_study(tmp_path)
    before = of_the_version_before(tmp_path / "before")
    command = study.command("--snakefile", str(before))
    today = [argument for argument in command if argument != str(ROOT / "Snakefile")]
    today.remove("--snakefile")
    study.command = lambda *arguments, cores=2: [*today, *arguments]
    run = study.run()
    assert run.code == 0, run.output
    summary = study.folder / "results/sub-01/sub-01_summary.json"
    record = json.loads(summary.read_text())["recipe"]["sources"][0]
    assert isinstance(record[2], int)
    del study.command
    digests = study.digests()
    for _ in range(2):
        run = study.run()
        assert run.code == 0, run.output
        assert run.jobs.total() == 0
    # What a job of today makes of it keeps the form: the jobs of one sample agree, and nothing runs once more.
    shutil.rmtree(study.folder / "work")
    study.configure(probabilities={"sum_tolerance": None}, figures={"slices": 2})
    run = study.run()
    assert (run.code, run.jobs["compute_entropy"], run.jobs["render_qc"]) == (0, 1, 1), run.output
    run = study.run("--forceall")
    assert run.code == 0, run.output
    assert study.digests() == digests
    assert study.run().jobs.total() == 0
    # One that does not hold any more is replaced by one of today.
    right = replaced(path, p)
    os.utime(path / "c/0/0/0/0")
    run = study.run()
    assert run.code == 0, run.output
    (row,) = study.table("subjects")
    assert float(row["predictive_entropy_total"]) == pytest.approx(
        total(right / right.sum(axis=-1, keepdims=True, dtype=np.float64)), rel=1e-6
    )
    assert isinstance(json.loads(summary.read_text())["recipe"]["sources"][0][2], str)
    assert study.run().jobs.total() == 0
