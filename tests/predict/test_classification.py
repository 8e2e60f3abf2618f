"""Images from PNG files to tables: networks that learn, members that differ, and the reduced demo as one run."""

import csv
import subprocess
import sys
from pathlib import Path

import make_digits
import numpy as np
import predict_image
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits
from study import Study
from volume_entropy.classification.folder import ImageSet
from volume_entropy.classification.labelling import labelling_rows
from volume_entropy.classification.learning import fit, load_sampler, probabilities
from volume_entropy.classification.networks import Spec, build, load, save, squared_error
from volume_entropy.classification.pictures import read_picture
from volume_entropy.errors import ModelError
from volume_entropy.predict.samplers import make_sampler

ROOT = Path(__file__).parents[2]
SETTINGS = {"epochs": 2, "batch_size": 32, "learning_rate": 0.003, "dropout": 0.15}
SPEC = Spec(1, (8, 8), ("0", "1"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A reduced `make demo-digits`: fewer images, epochs, networks and repetitions; the whole path from PNG files."""
    study = Study(
        tmp_path_factory.mktemp("digits"),
        images={
            "folder": "images",
            "methods": ["softmax", "squared_error", "mc_dropout", "ensemble", "bayesian"],
            "ensemble": 2,
            "show": 1,
            "training": {"epochs": 12},
            "labelling": {"seeds": 2, "first": 20, "step": 20, "last": 40, "epochs": 5},
        },
    )
    make_digits.write_digits(study.folder / "images", 500)
    (study.folder / "images/3/0003.png").write_text("not an image")
    run = study.run()
    assert run.code == 0, run.output
    return study


def test_the_reduced_demo_makes_every_table_and_figure(finished):
    results = finished.folder / "results"
    scores = {row["method"]: row for row in finished.table("image_scores")}
    assert list(scores) == ["softmax", "squared_error", "mc_dropout", "ensemble", "bayesian"]
    assert [int(row["n_members"]) for row in scores.values()] == [1, 1, 5, 2, 5]
    assert float(scores["ensemble"]["accuracy"]) > 0.8
    assert float(scores["ensemble"]["cross_entropy"]) < float(scores["ensemble"]["member_cross_entropy"])
    assert float(scores["mc_dropout"]["mutual_information_mean"]) > 0
    assert [(row["image"], row["code"]) for row in finished.table("images_rejected")] == [
        ("3/0003.png", "not_this_format")
    ]
    n_test = sum(int(row["n_test"]) for row in finished.table("image_classes"))
    assert len(finished.table("images")) == 5 * n_test
    curves = finished.table("labelling")
    assert [(row["strategy"], row["n_labels"]) for row in curves] == [
        (strategy, str(count)) for strategy in ("uncertain", "random") for count in (20, 40)
    ]
    # Both start from the same labels, and so from the same accuracy.
    assert curves[0]["accuracy_mean"] == curves[2]["accuracy_mean"]
    for name in ("image_scores", "image_classes", "labelling", "networks/bayesian-0_losses"):
        assert (results / f"{name}.png").stat().st_size > 5000
    assert len(list((results / "passes").glob("*.png"))) == 5
    losses = list(csv.DictReader((results / "networks/bayesian-0_losses.csv").read_text().splitlines()))
    assert all(float(row["divergence_loss"]) > 0 for row in losses)


def test_one_png_alone_is_predicted_as_a_digit(finished, tmp_path, capsys):
    networks = sorted((finished.folder / "results/networks").glob("cross_entropy-*.pt"))
    right = [row for row in finished.table("images") if row["method"] == "ensemble" and int(row["rank"]) > 30]
    image = finished.folder / "images" / right[0]["image"]
    predict_image.main([*map(str, networks), str(image), "--output", str(tmp_path / "passes")])
    said = capsys.readouterr().out
    assert f": {right[0]['predicted']}, confidence {float(right[0]['confidence']):.3f} by 2 members" in said
    assert (tmp_path / "passes.png").exists() and (tmp_path / "passes.csv").exists()
    with pytest.raises(SystemExit, match="not_this_format"):
        predict_image.main([str(networks[0]), str(finished.folder / "images/3/0003.png")])
    with pytest.raises(SystemExit, match="is no checkpoint"):
        predict_image.main([str(image), str(image)])


def digits(n=120):
    content = load_digits()
    pixels = (content.images[:n, None] / 16).astype(np.float32)
    splits = np.array(["training", "validation", "test"])[np.arange(n) % 3]
    images = np.array([f"{number}" for number in range(n)])
    names = tuple(map(str, range(10)))
    return ImageSet(
        pixels,
        images,
        content.target[:n].astype(np.int64),
        splits,
        names,
        pixels.mean((0, 2, 3)),
        pixels.std((0, 2, 3)),
    )


def test_a_network_comes_back_from_its_file_and_standardises_as_it_was_trained(tmp_path):
    found = digits()
    network, spec, _ = fit(found, found.where("training"), found.where("validation"), SETTINGS, seeds=(0, 1))
    save(tmp_path / "n.pt", network, spec, {"seed": 0})
    again, _ = load(tmp_path / "n.pt")
    assert_array_equal(again[0].mean.flatten().numpy(), found.mean)
    assert_array_equal(again[0].std.flatten().numpy(), found.std)
    one, other = (probabilities(make_sampler("softmax", [each]), found.pixels) for each in (network, again))
    assert_array_equal(one, other)
    inputs = torch.from_numpy((found.pixels - found.mean.reshape(-1, 1, 1)) / found.std.reshape(-1, 1, 1))
    with torch.no_grad():
        np.testing.assert_allclose(again[1:](inputs).softmax(1).numpy(), one[0], atol=1e-5)


def test_a_seed_gives_the_same_network_and_another_number_another():
    found = digits()

    def weights(number):
        network, _, _ = fit(found, found.where("training"), found.where("validation"), SETTINGS, seeds=(0, number))
        return network[1].weight.detach()

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


@pytest.mark.parametrize("size", [(8, 8), (9, 31), (1, 1), (64, 64)])
def test_images_of_any_size_give_one_logit_a_class(size):
    network = build(Spec(3, size, ("a", "b", "c")), (0,)).eval()
    assert network(torch.zeros(2, 3, *size)).shape == (2, 3)


def test_members_that_disagree_in_their_classes_are_refused(tmp_path):
    for name, classes in (("a", ("0", "1")), ("b", ("0", "1", "2"))):
        spec = Spec(1, (8, 8), classes)
        save(tmp_path / f"{name}.pt", build(spec, (0,)), spec, {})
    with pytest.raises(ModelError, match=r"b\.pt gives 3 classes .* 2 of .*members must agree"):
        load_sampler("ensemble", [tmp_path / "a.pt", tmp_path / "b.pt"], passes=1, seed=0)


def test_squared_error_is_the_brier_score_of_the_softmax():
    logits = torch.tensor([[3.0, 1.0, -3.0], [0.0, 0.0, 0.0]])
    p = logits.softmax(1).numpy()
    expected = ((p - np.eye(3)[[0, 2]]) ** 2).sum(axis=1).mean()
    assert squared_error(logits, torch.tensor([0, 2])).item() == pytest.approx(expected, rel=1e-6)


def test_the_interval_of_the_labelling_is_scipys():
    from scipy.stats import t

    values = np.random.default_rng(0).normal(0.9, 0.02, size=10)
    curves = []
    for value in values.tolist():
        accuracies = {"uncertain": value, "random": value - 0.01}
        points = [{"strategy": name, "n_labels": 20, "accuracy": found} for name, found in accuracies.items()]
        curves.append({"points": points})
    first, second = labelling_rows(curves)
    low, high = t.interval(0.95, 9, loc=values.mean(), scale=values.std(ddof=1) / 10**0.5)
    assert (first["accuracy_low"], first["accuracy_high"]) == pytest.approx((low, high), rel=1e-4)
    assert first["gain_mean"] == pytest.approx(0.01) and second["gain_mean"] == 0


def test_the_digits_are_written_as_they_are(tmp_path):
    assert make_digits.write_digits(tmp_path, 30) == 30
    content = load_digits()
    for number in (0, 29):
        found = read_picture(tmp_path / f"{content.target[number]}/{number:04}.png", 1)[0]
        assert_array_equal(np.rint(found * 16), content.images[number])


def test_tables_of_images_never_import_torch():
    code = "import sys; import volume_entropy.classification.stages, volume_entropy.classification.recipes; "
    code += "sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT / "scripts")
