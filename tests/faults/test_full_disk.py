"""A disk that is full stops a stage with a clear error and no half file; with room, the same command finishes."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from disks import Disk, digest, mounted
from programs import Unavailable
from study import ROOT, Study, save, softmax_volume
from volume_entropy.compute_entropy import compute_sample
from volume_entropy.config import REVISION, conversion_settings, entropy_settings, load_config
from volume_entropy.convert import convert_sample
from volume_entropy.figures.qc import render_qc
from volume_entropy.figures.scores import render_scores
from volume_entropy.files import fingerprint
from volume_entropy.report.page import write_report
from volume_entropy.samples import Sample, recipe, source_paths, used_settings
from volume_entropy.scoring.tables import aggregate_scores
from volume_entropy.tables import write_tables

FIGURES = {"axes": ["sagittal", "coronal", "axial"], "slices": 3, "format": "png"}


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    try:
        with mounted(tmp_path_factory.mktemp("full") / "disk", 32) as disk:
            yield disk
    except Unavailable as error:
        pytest.skip(str(error))


class Stages:
    """Every stage of one sample with a reference, each with what it writes; `run` is a stage by its name."""

    def __init__(self, sources: Path, output: Path) -> None:
        sample = Sample("s", str(sources / "p.nii.gz"), reference=str(sources / "labels.nii.gz"))
        config = load_config({}, ROOT / "workflow/schemas/config.schema.yaml", ROOT / "workflow/presets")
        conversion, entropy = conversion_settings(config), used_settings(sample, entropy_settings(config))
        converted = recipe(sample, source_paths(sample, conversion), conversion, REVISION)
        made = {**converted, "settings": entropy}
        self.store, self.measures, self.summary = output / "p.zarr", output / "m.zarr", output / "s_summary.json"
        scores, tables = output / "s_scores.json", ("subjects", "classes", "review_queue", "rejected")
        self.run: dict[str, Callable[[], object]] = {
            "convert": lambda: convert_sample(sample, self.store, recipe=converted, chunk=16),
            "compute_entropy": lambda: compute_sample(
                self.store,
                recipe=made,
                measures_path=self.measures,
                summary_path=self.summary,
                maps_dir=output / "maps",
                threads=2,
            ),
            "render_qc": lambda: render_qc(
                self.measures,
                self.summary,
                None,
                output / "qc.png",
                sample="s",
                settings=FIGURES,
                thumbnail=output / "t.png",
            ),
            "render_scores": lambda: render_scores(
                self.measures, self.summary, scores, output / "s_scores.png", recipe=made, kind="png"
            ),
            "aggregate": lambda: write_tables([self.summary], {"s": {}}, output),
            "aggregate_scores": lambda: aggregate_scores(
                [scores], [self.summary], output / "scores_cohort.png", kind="png"
            ),
            "report": lambda: write_report(
                output,
                output / "report.html",
                output / "report",
                settings=entropy,
                group=None,
                figure_format="png",
            ),
        }
        files = {
            "convert": ["p.zarr"],
            "compute_entropy": ["m.zarr", "s_summary.json", "maps"],
            "render_qc": ["qc.png", "t.png"],
            "render_scores": ["s_scores.json", "s_scores.png"],
            "aggregate": [f"{name}.{suffix}" for name in tables for suffix in ("csv", "json")],
            "aggregate_scores": [
                *(f"{name}.{suffix}" for name in ("scores", "scores_cohort") for suffix in ("csv", "json")),
                "scores_cohort.png",
            ],
            "report": ["report.html", "report"],
        }
        self.outputs = {stage: [output / name for name in names] for stage, names in files.items()}


def size_of(path: Path) -> int:
    return int(fingerprint(path)[1] or 0)


def test_fault_27_every_stage_on_a_full_disk_and_again_with_room(disk: Disk, tmp_path: Path) -> None:
    p = softmax_volume(1, (30, 24, 20))
    save(p, tmp_path / "sources/p.nii.gz")
    save(p.argmax(axis=-1).astype(np.uint8), tmp_path / "sources/labels.nii.gz")
    undisturbed = Stages(tmp_path / "sources", tmp_path / "whole")
    (tmp_path / "whole").mkdir()
    output = disk.folder / "stages"
    output.mkdir()
    full = Stages(tmp_path / "sources", output)
    for stage, work in undisturbed.run.items():
        work()
        expected = [digest(path) for path in undisturbed.outputs[stage]]
        assert None not in expected
        for part in (0, 0.5):
            disk.leave(int(part * sum(map(size_of, undisturbed.outputs[stage]))))
            with pytest.raises(OSError, match="No space left on device") as caught:
                full.run[stage]()
            assert caught.value.errno == errno.ENOSPC, stage
            # What stands under its name is whole, and nothing stands under another.
            found = [digest(path) for path in full.outputs[stage]]
            assert all(one in (None, whole) for one, whole in zip(found, expected, strict=True)), (stage, part)
            assert found != expected
            assert list(output.rglob(".*")) == [], (stage, part)
        disk.empty()
        full.run[stage]()
        assert [digest(path) for path in full.outputs[stage]] == expected, stage


def test_fault_27_a_run_on_a_full_disk_salvages_what_is_finished_and_goes_on_with_room(disk: Disk) -> None:
    study = Study(disk.folder / "study")
    save(softmax_volume(1).argmax(axis=-1).astype(np.uint8), study.folder / "data/labels.nii.gz")
    study.add("good", softmax_volume(1), reference="../data/labels.nii.gz")
    study.add("large", softmax_volume(2, (80, 70, 60)))
    # Of an earlier run that failed, too, when there were lesions to measure.
    (study.folder / "results/incomplete").mkdir(parents=True)
    (study.folder / "results/incomplete/lesions.csv").touch()
    # Probabilities of the large sample take 5.1 MiB.
    disk.leave(4 * 2**20)
    run = study.run()
    assert run.code != 0
    assert "1 of 2 samples are finished" in run.output
    assert [row["sample"] for row in study.table("incomplete/subjects")] == ["good"]
    assert [row["cross_entropy"] != "" for row in study.table("incomplete/scores")] == [True]
    assert not (study.folder / "results/incomplete/lesions.csv").exists()
    (failed,) = study.table("incomplete/failed")
    assert failed["sample"] == "large"
    assert {"failed", "subjects", "scores_cohort"} <= study.described()
    log = (study.folder / failed["log"]).read_text()
    assert "No space left on device" in log
    assert "Make room, and give the same command again" in log
    disk.empty()
    again = study.run()
    assert again.code == 0, again.output
    assert again.jobs["convert"] == 1
    assert [row["sample"] for row in study.table("subjects")] == ["good", "large"]
    assert not (study.folder / "results/incomplete").exists()
    assert study.leftovers() == []
