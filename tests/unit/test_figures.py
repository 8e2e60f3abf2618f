"""The QC figure says what a reader needs, marks what matters, and is the same bytes every time."""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import nibabel
import numpy as np
import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from qc_sample import QC, SETTINGS, SHAPE, ball, has_colour, pixels_of, texts_of
from volume_entropy.errors import Rejection
from volume_entropy.figures.qc import colour_scale_top, number, render_qc
from volume_entropy.figures.tiles import INVALID, STATE_COLOURS, class_colours
from volume_entropy.stores.sealed import StoreError, write_rejection

CONVENTION = "Radiological convention"


def test_the_title_says_which_sample_and_how_uncertain(tmp_path):
    text = "\n".join(QC(tmp_path).texts(sample="sub-01_ses-2"))
    assert "sub-01_ses-2" in text
    assert "total 1\u2009234\u2009567 bit" in text
    assert "mean 0.25 bit/voxel" in text
    assert "foreground mean 0.5 bit/voxel" in text
    assert "16 × 18 × 14 voxels of 2 × 2 × 2 mm" in text
    assert "domain 321 voxels" in text


@pytest.mark.parametrize("n", [90, 250])
def test_long_ids_and_names_of_classes_stay_on_the_sheet(tmp_path, n):
    name = "a structure of an atlas whose names say everything, left"
    sample = ("sub-01_ses-2_task-rest_run-1_space-MNI152NLin2009cAsym_" * 5)[:n]
    svg = QC(tmp_path, classes=("background", "csf", "gm", name)).draw(sample=sample, slices=1, axes=["axial"])
    root = ElementTree.fromstring(svg)
    title = next(root.iter("{http://www.w3.org/2000/svg}text"))
    text, size = "".join(title.itertext()), float(title.get("font-size"))
    bold = FontProperties(family="DejaVu Sans", weight="bold")
    assert TextPath((0, 0), text, size, bold).get_extents().width < float(root.get("viewBox").split()[2]) - 30
    assert text == sample if n < 96 else text.startswith(sample[:40]) and text.endswith(sample[-40:])
    assert f"{name[:20]}…{name[-19:]}" in texts_of(svg)


def warning(code, message):
    return {"code": code, "message": message}


def test_warnings_stand_below_the_numbers_whole_and_on_the_sheet(tmp_path):
    message = (
        "Labels look permuted: `reference.labels: {background: 0, csf: 1, gm: 3, wm: 2}` would fit; find out why. "
    )
    warnings = [warning("members_identical", "All 5 members are the same."), warning("reference_permuted", message * 3)]
    sample = QC(tmp_path, warnings=warnings)
    root = ElementTree.fromstring(sample.draw(slices=1, axes=["axial"]))
    width = float(root.get("viewBox").split()[2])
    lines = [
        (float(element.get("y") or 0), "".join(element.itertext()))
        for element in root.iter("{http://www.w3.org/2000/svg}text")
        if element.get("fill") == "#ff8078"
    ]
    assert lines[0][1] == "Warning members_identical: All 5 members are the same."
    said = " ".join(text for _, text in lines[1:])
    assert said == f"Warning reference_permuted: {message * 3}".strip()
    assert len(lines) == 4
    font = FontProperties(family="DejaVu Sans")
    assert all(TextPath((0, 0), text, 9 * 100 / 72, font).get_extents().width < width - 30 for _, text in lines)
    # In the picture, too, and nothing lies over the tiles.
    picture = pixels_of(sample.draw(slices=1, axes=["axial"], format="png"))
    assert has_colour(picture, (255, 128, 120))
    plain = pixels_of(QC(tmp_path / "plain").draw(slices=1, axes=["axial"], format="png"))
    assert len(picture) - len(plain) == 4 * 18
    assert (picture[-400:] == plain[-400:]).all()


def test_many_and_long_warnings_leave_room_for_the_slices(tmp_path):
    many = [warning("axes_assumed", f"{number} " + "word " * 400) for number in range(9)]
    texts = QC(tmp_path, warnings=many).texts(slices=1, axes=["axial"])
    shown = [text for text in texts if text.startswith("Warning axes_assumed")]
    assert len(shown) == 6
    assert sum("word" in text for text in texts) == 18
    assert sum(text.endswith("…") for text in texts) == 6
    assert "and 3 more warnings, see the summary" in texts


def test_a_sample_without_warnings_has_no_word_of_them(tmp_path):
    assert not [text for text in QC(tmp_path).texts() if "arning" in text]


def test_columns_planes_classes_sides_and_convention_are_named(tmp_path):
    texts = QC(tmp_path).texts()
    for word in ("Sagittal", "Coronal", "Axial", "csf", "gm", "wm", "R", "L", "A", "P", "S", "I"):
        assert word in texts
    assert "background" not in texts
    assert any(text.startswith(CONVENTION) for text in texts)
    assert "predictive entropy, PE (bit)" in texts
    assert texts.count("image") == texts.count("predictive entropy") == 3


def test_right_is_left_of_left(tmp_path):
    for name, affine in (("las", np.diag([-2.0, 2, 2, 1])), ("ras", np.diag([2.0, 2, 2, 1]))):
        root = ElementTree.fromstring(QC(tmp_path / name, affine=affine).draw(axes=["axial"]))
        places = {}
        for element in root.iter("{http://www.w3.org/2000/svg}text"):
            found = re.search(r"(?:translate\(|\bx=\")([\d.]+)", ElementTree.tostring(element, encoding="unicode"))
            places.setdefault("".join(element.itertext()), float(found[1]))
        assert places["R"] < places["L"]


def test_mutual_information_has_a_column_where_there_are_members(tmp_path):
    assert "mutual information" not in QC(tmp_path / "one").texts()
    texts = QC(tmp_path / "five", members=5).texts()
    assert texts.count("mutual information") == texts.count("segmentation") > 0
    assert any(text.startswith("Mutual information: total") for text in texts)
    assert "mutual information, MI (bit)" in texts


def test_without_an_image_the_segmentation_stands_alone(tmp_path):
    sample = QC(tmp_path)
    assert "image" not in sample.texts(image=None)
    pixels = pixels_of(sample.draw(image=None, format="png"))
    assert all(has_colour(pixels, colour) for colour in class_colours(3))


IMAGE_FAULTS = {
    "missing": "no such file",
    "pipe": "a pipe",
    "directory": "a directory",
    "empty": "an empty file",
    "truncated": "ends in the middle",
    "several volumes": "holds 3 volumes, expected one",
    "colours": "voxels of type RGB",
    "other shape": "has 4 × 5 × 6 voxels, but the segmentation has",
    "other place": "2.5 voxels apart along x",
    "qform fits": "the qform of the former lies where the latter is",
}


@pytest.mark.parametrize("fault", IMAGE_FAULTS)
def test_an_image_that_cannot_be_used_is_a_note_and_not_the_end(tmp_path, fault):
    sample = QC(tmp_path)
    content, affine = sample.image.read_bytes(), np.diag([2.0, 2, 2, 1])
    sample.image.unlink()
    match fault:
        case "pipe":
            os.mkfifo(sample.image)
        case "directory":
            sample.image.mkdir()
        case "empty":
            sample.image.write_bytes(b"")
        case "truncated":
            sample.image.write_bytes(content[:-30])
        case "missing":
            pass
        case _:
            shape = (4, 5, 6) if fault == "other shape" else SHAPE[::-1]
            dtype = [(colour, "u1") for colour in "RGB"] if fault == "colours" else np.int16
            array = np.zeros((*shape, 3) if fault == "several volumes" else shape, dtype)
            image = nibabel.Nifti1Image(array, affine)
            if fault in ("other place", "qform fits"):
                image.set_sform(nibabel.affines.from_matvec(affine[:3, :3], [5, 0, 0]), 1)
                image.set_qform(affine, 1 if fault == "qform fits" else 0)
            nibabel.save(image, sample.image)
    texts = sample.texts()
    (note,) = [number for number, text in enumerate(texts) if text.startswith("The image is not shown.")]
    said = " ".join(texts[note:])
    assert IMAGE_FAULTS[fault] in said
    assert "image.nii.gz" in said
    assert str(tmp_path) not in said
    assert "image" not in texts
    assert "segmentation" in texts


@pytest.mark.parametrize("values", [np.nan, np.inf, 0, 1e30, -3e38, 1e-40])
def test_an_image_of_odd_values_is_drawn(tmp_path, values):
    sample = QC(tmp_path)
    nibabel.save(nibabel.Nifti1Image(np.full(SHAPE[::-1], values, np.float32), np.diag([2.0, 2, 2, 1])), sample.image)
    assert "image" in sample.texts()


def test_the_slice_with_the_highest_entropy_is_shown_and_marked(tmp_path):
    sample = QC(tmp_path, **{f"predictive_entropy_peak_slice_{axis}": 4 for axis in "xyz"})
    marked = [text for text in sample.texts() if text.startswith("▲ ")]
    assert [text.split(" · ")[0] for text in marked] == ["▲ x 4", "▲ y 4", "▲ z 4"]


def test_the_slice_where_members_disagree_most_is_shown_and_marked_too(tmp_path):
    peaks = {f"predictive_entropy_peak_slice_{axis}": 4 for axis in "xyz"}
    seconds = {f"mutual_information_peak_slice_{axis}": index for axis, index in zip("xyz", (4, 8, 9), strict=True)}
    texts = QC(tmp_path / "five", members=5, **peaks, **seconds).texts()
    marked = [text.split(" · ")[0] for text in texts if text.startswith(("▲ ", "△ ", "▲△ "))]
    assert sorted(marked) == sorted(["▲△ x 4", "▲ y 4", "△ y 8", "▲ z 4", "△ z 9"])
    assert "slice with the highest mean mutual information" in texts
    alone = QC(tmp_path / "one", **peaks, **seconds).texts()
    assert not [text for text in alone if "△" in text or "highest mean mutual" in text]


def test_a_peak_slice_that_the_summary_lacks_is_found_in_the_store(tmp_path):
    entropy = np.where(ball() > 0, 0.1, 0).astype(np.float32)
    entropy[9, ball()[9] > 0] = 0.9
    mask = np.ones(SHAPE, bool)
    entropy[0] = 1.5
    mask[0] = False
    texts = QC(tmp_path, entropy=entropy, mask=mask).texts(axes=["axial"])
    assert any(text.startswith("▲ z 9 ") for text in texts)


def test_slices_say_where_they_are_in_the_body(tmp_path):
    affine = np.diag([-2.0, 2, 3, 1])
    affine[:3, 3] = (15, -20, -18)
    texts = QC(tmp_path, affine=affine, **{f"predictive_entropy_peak_slice_{axis}": 4 for axis in "xyz"}).texts()
    assert "▲ x 4 · R 7 mm" in [text.removesuffix(" · highest mean entropy") for text in texts]
    assert "▲ y 4 · P 12 mm" in [text.removesuffix(" · highest mean entropy") for text in texts]
    assert "▲ z 4 · I 6 mm" in [text.removesuffix(" · highest mean entropy") for text in texts]


def test_lengths_of_a_file_in_other_units_are_given_in_mm(tmp_path):
    texts = QC(tmp_path, affine=np.diag([0.002, 0.002, 0.003, 1]), unit_mm=1000.0).texts(image=None)
    assert any("voxels of 2 × 2 × 3 mm" in text for text in texts)
    assert any(
        text.endswith("mm") and float(text.split()[0]) >= 1 for text in texts if re.fullmatch(r"[\d.]+ mm", text)
    )


def test_unknown_sides_are_not_marked(tmp_path):
    texts = QC(tmp_path, placed=False).texts()
    assert not {"R", "L", "A", "P"} & set(texts)
    assert any("right and left are unknown" in text for text in texts)
    assert not any(text.startswith(CONVENTION) for text in texts)


def test_oblique_volumes_are_said_to_be(tmp_path):
    angle = np.radians(14)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert any("Oblique by 14°" in text for text in QC(tmp_path, affine=affine).texts())


def test_invalid_voxels_stand_out_and_are_in_the_legend(tmp_path):
    entropy = np.full(SHAPE, 0.2, np.float32)
    clean = QC(tmp_path / "clean", entropy=entropy)
    assert "invalid" not in clean.texts()
    assert not has_colour(pixels_of(clean.draw(format="png")), STATE_COLOURS[INVALID])
    entropy[5:9, 7:11, 6:10] = np.nan
    broken = QC(tmp_path / "broken", entropy=entropy)
    assert "invalid" in broken.texts()
    assert has_colour(pixels_of(broken.draw(format="png")), STATE_COLOURS[INVALID])


def test_values_beyond_the_scale_are_marked(tmp_path):
    entropy = np.full(SHAPE, 0.2, np.float32)
    assert "beyond the scale" not in QC(tmp_path / "within", entropy=entropy).texts()
    entropy[5:9, 7:11, 6:10] = 2.5
    assert "beyond the scale" in QC(tmp_path / "beyond", entropy=entropy).texts()


@pytest.mark.parametrize(
    ("n", "kind", "unit", "top"),
    [(2, "softmax", "bit", 1), (3, "softmax", "bit", np.log2(3)), (33, "softmax", "bit", 2), (1, "softmax", "bit", 1),
     (3, "softmax", "nat", np.log(3)), (9, "softmax", "nat", 2 * np.log(2)), (1, "regions", "bit", 1),
     (3, "regions", "bit", 2)],
)  # fmt: skip
def test_one_colour_scale_serves_the_whole_cohort(n, kind, unit, top):
    attributes = {"classes": [str(i) for i in range(n)], "kind": kind, "unit": unit}
    assert colour_scale_top("predictive_entropy", attributes) == pytest.approx(top)
    assert colour_scale_top("mutual_information", attributes) == pytest.approx(top / 2)


def test_regions_are_outlined_each_in_its_colour(tmp_path):
    shells = ball()
    segmentation = np.stack([shells > 0, shells > 1, shells > 2]).astype(np.uint8)
    sample = QC(tmp_path, kind="regions", segmentation=segmentation, classes=("whole", "core", "enhancing"))
    assert {"whole", "core", "enhancing"} <= set(sample.texts())
    pixels = pixels_of(sample.draw(format="png"))
    assert all(has_colour(pixels, colour) for colour in class_colours(3))


@pytest.mark.parametrize("shape", [(1, 18, 16), (2, 18, 16), (14, 1, 16), (1, 1, 1), (3, 1, 1)])
def test_thin_volumes_are_drawn(tmp_path, shape):
    texts = QC(tmp_path, shape=shape, segmentation=np.ones(shape, np.uint8)).texts()
    assert "sub-01" in texts
    assert {"Sagittal", "Coronal", "Axial"} & set(texts)
    if shape == (1, 18, 16):
        assert any(text.startswith("Not shown") and "sagittal, coronal" in text for text in texts)


def test_an_empty_domain_is_drawn(tmp_path):
    nothing = {f"predictive_entropy_{key}": None for key in ("mean", "foreground_mean", "max")}
    sample = QC(tmp_path, segmentation=np.full(SHAPE, 255, np.uint8), entropy=np.zeros(SHAPE, np.float32),
                **{**nothing, "n_empty_voxels": 9})  # fmt: skip
    text = "\n".join(sample.texts())
    assert "mean – bit/voxel" in text
    assert "outside the field" in text
    assert "highest mean entropy" not in text


def test_all_slices_are_shown_if_asked_for(tmp_path):
    texts = QC(tmp_path).texts(slices="all", axes=["axial"])
    places = [int(found[1]) for text in texts if (found := re.match(r"(?:▲ )?z (\d+) ·", text))]
    assert places == list(range(SHAPE[0]))[::-1]


def test_many_classes_are_drawn_and_the_rest_of_the_legend_counted(tmp_path):
    classes = ("background", *(f"structure-{i}" for i in range(299)))
    segmentation = (np.arange(np.prod(SHAPE)).reshape(SHAPE) % 300).astype(np.uint16)
    assert "and 259 more" in QC(tmp_path, classes=classes, segmentation=segmentation).texts()


def test_a_rejected_sample_gets_a_page_that_says_why(tmp_path):
    path = "/data/" + "very_long_folder_name/" * 8
    rejection = Rejection("convert", "affine_mismatch", f"{path} lies $elsewhere$ than <b>that</b>.", "Resample it.")
    write_rejection(tmp_path / "measures.zarr", rejection, {})
    for kind in ("svg", "png"):
        output = tmp_path / f"figure.{kind}"
        settings = {**SETTINGS, "format": kind}
        render_qc(tmp_path / "measures.zarr", tmp_path / "no.json", None, output, sample="sub-9", settings=settings)
    svg = (tmp_path / "figure.svg").read_bytes()
    texts = texts_of(svg)
    assert {"sub-9", "Rejected: affine_mismatch", "Resample it."} <= set(texts)
    assert "lies $elsewhere$ than <b>that</b>." in " ".join(texts)
    assert path.strip("/").replace("/", "") in "".join(texts).replace("/", "")
    assert max(map(len, texts)) < 110
    assert pixels_of((tmp_path / "figure.png").read_bytes()).shape[1] > 900


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_sample_is_the_same_bytes(tmp_path, kind):
    first = QC(tmp_path / "a", members=2, chunk=64).draw(format=kind)
    assert QC(tmp_path / "b", members=2, chunk=8).draw(format=kind) == first


def test_a_damaged_store_gives_no_figure(tmp_path):
    sample = QC(tmp_path)
    shard = next(path for path in (tmp_path / "measures.zarr/predictive_entropy").rglob("c*") if path.is_file())
    shard.write_bytes(b"\0" * shard.stat().st_size)
    with pytest.raises(StoreError):
        sample.draw()
    assert not (tmp_path / "figure").exists()


def test_a_job_that_draws_imports_nothing_it_does_not_need(tmp_path):
    QC(tmp_path)
    code = (
        "import sys; from volume_entropy.figures.qc import render_qc; "
        f"p = {str(tmp_path)!r}\n"
        "for kind in ('png', 'svg'):\n"
        "    render_qc(p + '/measures.zarr', p + '/summary.json', p + '/image.nii.gz', p + '/figure', sample='sub-01', "
        "settings={'axes': ['axial'], 'slices': 1, 'format': kind}, thumbnail=p + '/thumbnail.png')\n"
        "print([m for m in ('numba', 'dask', 'pandas', 'scipy.ndimage', 'matplotlib') if m in sys.modules])"
    )
    scripts = Path(__file__).parents[2] / "scripts"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=scripts, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("slices", [1, 12, "all"])
def test_no_text_is_smaller_than_8_points(tmp_path, slices):
    svg = QC(tmp_path, members=2).draw(slices=slices).decode()
    points_a_unit = float(re.search(r' width="([\d.]+)pt"', svg)[1]) / float(re.search(r'viewBox="0 0 (\d+)', svg)[1])
    sizes = [float(size) * points_a_unit for size in re.findall(r'font-size="([\d.]+)"', svg)]
    assert len(sizes) > 20
    assert min(sizes) == pytest.approx(8, abs=0.01)


def test_numbers_are_written_for_reading():
    assert [number(v) for v in (None, 0.0, 0.24712, 1234.5, 1816349, 499338.75)] == [
        "–", "0", "0.2471", "1234", "1\u2009816\u2009349", "499\u2009339",
    ]  # fmt: skip
