"""An image is for the figure, and what is no file rejects its sample: in a real run, and in the next one."""

import os

from study import Study, save, softmax_volume


def test_pipes_and_missing_images_are_one_samples_matter_and_stay_so(tmp_path):
    study = Study(tmp_path / "study")
    data = study.folder / "data"
    for seed, sample in enumerate(("good", "missing", "pipe-image", "elsewhere")):
        study.add(sample, softmax_volume(seed), image=f"../data/{sample}_T1w.nii.gz")
    save(softmax_volume(0)[..., 0], data / "good_T1w.nii.gz")
    save(softmax_volume(0, (9, 9, 9))[..., 0], data / "elsewhere_T1w.nii.gz")
    os.mkfifo(data / "pipe-image_T1w.nii.gz")
    os.mkfifo(data / "pipe.nii.gz")
    study.add("pipe")
    study.add("pipe-mask", softmax_volume(5), mask="../data/pipe.nii.gz")
    run = study.run()
    assert run.code == 0, run.output
    assert [row["sample"] for row in study.table("subjects")] == ["good", "missing", "pipe-image", "elsewhere"]
    assert {row["sample"]: row["code"] for row in study.table("rejected")} == dict.fromkeys(
        ("pipe", "pipe-mask"), "file_missing"
    )
    for sample, said in (("missing", "no such file"), ("pipe-image", "a pipe"), ("elsewhere", "9 × 9 × 9 voxels")):
        log = (study.folder / f"logs/render_qc/{sample}.log").read_text()
        assert "the figure has no image" in log
        assert said in log
    assert "has no image" not in (study.folder / "logs/render_qc/good.log").read_text()
    # What never could be read does not look like an unmounted disk.
    run = study.run()
    assert (run.code, run.jobs.total()) == (0, 0), run.output
    # But an image that was there does.
    (data / "good_T1w.nii.gz").rename(data / "away")
    run = study.run()
    assert run.code != 0
    assert "good_T1w.nii.gz does not exist" in run.output
    assert "missing_T1w" not in run.output
