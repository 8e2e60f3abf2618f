"""A cohort from images: the reduced `make demo-predict` as one run, and the same maps with or without a store."""

import csv
import json

import make_predict_demo
import nibabel
import numpy as np
import pytest
import yaml
from study import ROOT, Study, save
from volume_entropy.compute_entropy import compute_sample
from volume_entropy.config import REVISION, conversion_settings, entropy_settings, load_config
from volume_entropy.model_recipes import Model
from volume_entropy.predict.networks import build_network, save_network
from volume_entropy.predict.stages import measure_stream, predict_sample
from volume_entropy.samples import Sample, recipe, source_paths

METHODS = ["softmax", "mc_dropout", "ensemble", "bayesian"]
CLASSES = ["background", "csf", "gm", "wm"]
NETWORK = {
    "name": "BasicUNet",
    "arguments": {"features": [4, 4, 8, 8, 8, 4], "dropout": 0.2, "upsample": "nontrainable"},
}
# Of the pictures of the samples one will do; those of scores are made with the scores.
ASKED = [
    *(f"results/{name}" for name in ("report.html", "methods.csv", "models/posterior_kl.csv")),
    "results/sub-02_bayesian/sub-02_bayesian_qc.png",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The demo with three brains of 8 mm, smaller networks and few epochs."""
    study = Study(tmp_path_factory.mktemp("predict"))
    content = yaml.safe_load((ROOT / "config/predict.yaml").read_text())
    content["model"] |= {"ensemble": 2, "passes": 3, "patch": [32, 16, 16], "network": NETWORK}
    content["model"]["train"] |= {"epochs": 6, "patches": 4, "kl_sweep": [1]}
    study.configure(**content)
    cohort = (("train", "own", 1), ("val", "own", 2), ("val", "other", 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make_predict_demo, "COHORT", cohort)
        make_predict_demo.make_cohort(study.folder / "config", 8)
    run = study.run("--set-threads", "predict=1", "train=1", "--", *ASKED)
    assert run.code == 0, run.output
    assert run.jobs["train"] == 4 and run.jobs["predict"] == 8
    assert "compute_entropy" not in run.jobs
    return study


def test_every_method_predicts_every_sample_but_those_of_the_training(finished):
    rows = finished.table("subjects")
    assert [row["sample"] for row in rows] == [f"sub-{n:02}_{method}" for n in (2, 3) for method in METHODS]
    assert [int(row["n_members"]) for row in rows] == [1, 3, 2, 3] * 2
    for row in rows:
        disagreement = row.get("mutual_information_mean")
        assert disagreement == "" if row["method"] == "softmax" else float(disagreement) > 0
    assert finished.table("rejected") == []
    assert len(finished.table("scores")) == 8
    assert list((finished.folder / "work").glob("*/probabilities.zarr")) == []


def test_methods_and_groups_are_compared_in_a_table_a_figure_and_the_page(finished):
    samples = {row["sample"]: row for row in finished.table("subjects")}
    rows = finished.table("methods")
    assert [(row["method"], row["split"], row["group"]) for row in rows] == [
        (method, *group) for method in METHODS for group in (("val", "own"), ("val", "other"))
    ]
    assert [name for name in rows[0] if "dice" in name] == ["dice_csf", "dice_gm", "dice_wm"]
    for own, other in zip(rows[::2], rows[1::2], strict=True):
        assert own["predictive_entropy_ratio"] == "1.0"
        entropies = [float(samples[f"sub-{n}_{own['method']}"]["predictive_entropy_mean"]) for n in ("02", "03")]
        assert float(own["predictive_entropy_mean"]) == entropies[0]
        assert float(other["predictive_entropy_ratio"]) == pytest.approx(entropies[1] / entropies[0])
    results = finished.folder / "results"
    page = (results / "report.html").read_text()
    for figure in ("methods.png", "models/posterior_kl.png"):
        assert (results / figure).stat().st_size > 5000
        assert f'src="{figure}"' in page
    assert 'href="models/variational-0_kl-1_losses.png"' in page
    ratio = f"{float(rows[3]['mutual_information_ratio']):.4g}"
    assert "Methods compared" in page and f'<td class="n">{ratio}</td>' in page


def test_a_larger_kl_weight_ends_nearer_the_prior_in_the_table_of_the_sweep(finished):
    with (finished.folder / "results/models/posterior_kl.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["kl_weight"]) for row in rows] == [1.0, 10.0]
    assert {"methods", "posterior_kl", "variational-0_kl-1_losses"} <= finished.described()
    distances = [abs(float(row["prior"]) - float(row["median"])) for row in rows]
    assert distances[1] < distances[0]


def test_the_logs_say_which_device_was_used(finished):
    logs = finished.folder / "logs"
    for log in [*(logs / "train").iterdir(), *(logs / "predict").iterdir()]:
        assert "device: cpu, 1 threads" in log.read_text() or "device: cuda" in log.read_text(), log


def test_nothing_runs_twice_and_a_setting_runs_those_that_use_it(finished):
    assert "Nothing to be done" in finished.run("-n", "--", *ASKED).output
    content = yaml.safe_load((finished.folder / "config/config.yaml").read_text())
    content["model"]["passes"] = 4
    finished.configure(**content)
    run = finished.run("-n", "--", *ASKED)
    assert (run.jobs["train"], run.jobs["predict"]) == (0, 4), run.output


def test_lint_is_clean_where_networks_and_images_are_configured(finished):
    content = yaml.safe_load((finished.folder / "config/config.yaml").read_text())
    for name in ("a/1", "b/2"):
        (finished.folder / f"images/{name}.png").parent.mkdir(parents=True)
        (finished.folder / f"images/{name}.png").write_bytes(b"")
    finished.configure(**content, images={"folder": "images"})
    run = finished.run("--lint")
    assert run.code == 0 and "in a good condition" in run.output, run.output


@pytest.fixture(scope="module")
def prediction(tmp_path_factory):
    """An untrained network with dropout, an image of odd edges, and the recipes that both ways take."""
    folder = tmp_path_factory.mktemp("stream")
    draws = np.random.default_rng(0)
    image = draws.normal(100, 20, (37, 29, 23)).astype(np.float32)
    save(image, folder / "image.nii.gz")
    save((image > 80).astype(np.uint8), folder / "mask.nii.gz")
    save(draws.integers(0, 4, image.shape).astype(np.uint8), folder / "labels.nii.gz")
    model = {"methods": ["mc_dropout"], "checkpoints": [str(folder / "n.pt")], "passes": 5, "patch": [32, 16, 16]}
    config = {"probabilities": {"classes": CLASSES}, "model": {**model, "network": NETWORK}}
    settings = load_config(config, ROOT / "workflow/schemas/config.schema.yaml", ROOT / "workflow/presets")
    conversion, entropy = conversion_settings(settings), entropy_settings(settings)
    paths = {part: str(folder / f"{part}.nii.gz") for part in ("image", "mask")}
    sample = Sample("a", probabilities="", **paths, reference=str(folder / "labels.nii.gz"))
    networks = Model(settings["model"], {"a": sample}, conversion)
    spec = networks.spec(variational=False)
    save_network(folder / "n.pt", build_network(spec, seed=1), spec, {})
    more = {"model": networks.settings_of("a")}
    made = recipe(sample, source_paths(sample, conversion), {**conversion, **more}, REVISION)
    return folder, made, {**made, "settings": {**entropy, **more}}


def test_streaming_gives_the_maps_of_the_store(prediction):
    folder, made, measured = prediction
    common = {"networks": [folder / "n.pt"], "chunk": 16, "threads": 1}

    def outputs(way):
        root = folder / way
        return {"measures_path": root / "m.zarr", "summary_path": root / "s.json", "maps_dir": root / "maps"}

    store = folder / "probabilities.zarr"
    predict_sample(store, recipe=made, **common)
    compute_sample(store, recipe=measured, threads=1, **outputs("stored"))
    measure_stream(recipe=measured, **common, **outputs("streamed"))
    maps = sorted(path.name for path in (folder / "stored/maps").iterdir())
    assert len([name for name in maps if name.endswith(".nii.gz")]) == 3
    assert sorted(path.name for path in (folder / "streamed/maps").iterdir()) == maps
    for name in maps:
        if name.endswith(".nii.gz"):
            stored, streamed = (
                nibabel.load(folder / way / "maps" / name).get_fdata() for way in ("stored", "streamed")
            )
            np.testing.assert_allclose(streamed, stored, rtol=0, atol=2e-6)
            assert stored.max() > 1e-3
    one, other = (json.loads((folder / way / "s.json").read_text()) for way in ("stored", "streamed"))
    assert one["status"] == "ok" and one.keys() == other.keys()
    assert other["mutual_information_total"] == pytest.approx(one["mutual_information_total"], rel=1e-6)
    assert [p.name for p in (folder / "streamed").iterdir() if p.name.startswith(".stream")] == []


def test_an_image_that_cannot_be_read_rejects_its_sample(prediction, tmp_path):
    folder, _, measured = prediction
    (tmp_path / "image.nii.gz").write_bytes(b"nothing")
    broken = {**measured, "paths": {**measured["paths"], "image": str(tmp_path / "image.nii.gz")}}
    outputs = {"measures_path": tmp_path / "m.zarr", "summary_path": tmp_path / "s.json", "maps_dir": tmp_path / "maps"}
    measure_stream(recipe=broken, networks=[folder / "n.pt"], chunk=16, threads=1, **outputs)
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary["status"] == "rejected" and str(tmp_path / "image.nii.gz") in summary["message"]
