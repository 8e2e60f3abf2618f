"""Conversion: the store holds what the files say, to the bit; or the reason names the file."""

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nilearn
import numpy as np
import pytest
from files import AFFINE, SHAPE, damaged, recipe, settings, softmax_field, write, write_nifti
from volume_entropy.convert import convert_sample
from volume_entropy.errors import DataError
from volume_entropy.samples import Sample
from volume_entropy.stores import layout as layouts
from volume_entropy.stores.probabilities import ProbabilityStore, open_probabilities

SCRIPTS = Path(layouts.__file__).parents[2]
TEMPLATES = Path(nilearn.__file__).parent / "datasets/data"


def convert(sample: Sample, folder: Path, resolved: dict[str, Any] | None = None, chunk: int = 64) -> ProbabilityStore:
    """Convert and open."""
    resolved = resolved or settings()
    convert_sample(sample, folder / "p.zarr", recipe=recipe(sample, resolved), chunk=chunk)
    store = open_probabilities(folder / "p.zarr")
    assert isinstance(store, ProbabilityStore)
    return store


def refused(sample: Sample, folder: Path, resolved: dict[str, Any] | None = None) -> DataError:
    """The error of a conversion, which leaves nothing behind."""
    (folder / "out").mkdir()
    with pytest.raises(DataError) as caught:
        convert(sample, folder / "out", resolved)
    assert list((folder / "out").iterdir()) == []
    assert len(caught.value.remedy) > 10
    return caught.value


def one_file_a_class(folder: Path, p: np.ndarray, name: str = "class", **how: Any) -> str:
    """Write p (x, y, z, class) as 3-D files; returns the pattern."""
    for index in range(p.shape[-1]):
        write_nifti(folder / f"{name}{index}.nii.gz", p[..., index], **how)
    return str(folder / "{class}.nii.gz")


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("chunk", [8, 64])
@pytest.mark.parametrize("block_bytes", [2**25, 2000, 60])
def test_a_4_d_file_is_stored_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, chunk: int, block_bytes: int
) -> None:
    monkeypatch.setattr(layouts, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(layouts, "SLAB_BYTES", block_bytes)
    p = softmax_field()
    p[0, 0, 0] = np.nan
    p[1, 1, 1] = [-3, 5, np.inf]
    sample = Sample("s", write_nifti(tmp_path / f"p{ending}", p))
    np.testing.assert_array_equal(convert(sample, tmp_path, chunk=chunk).array[:], p.T[None])


def test_one_file_a_class_is_stored_in_the_order_of_the_classes(tmp_path: Path) -> None:
    p = softmax_field()
    store = convert(Sample("s", one_file_a_class(tmp_path, p)), tmp_path)
    np.testing.assert_array_equal(store.array[:], p.T[None])
    assert store.classes == ["class0", "class1", "class2"]
    assert [source[0] for source in store.source] == [str(tmp_path / f"class{i}.nii.gz") for i in range(3)]


def test_members_are_stored_in_the_order_of_the_config(tmp_path: Path) -> None:
    fields = [softmax_field(seed=seed) for seed in range(3)]
    for token, p in zip("cab", fields, strict=True):
        write_nifti(tmp_path / f"pass-{token}.nii.gz", p)
    store = convert(Sample("s", str(tmp_path / "pass-{member}.nii.gz")), tmp_path, settings(members=["c", "a", "b"]))
    np.testing.assert_array_equal(store.array[:], np.stack([p.T for p in fields]))
    assert store.members == ["c", "a", "b"]


def test_members_and_classes_may_both_be_files(tmp_path: Path) -> None:
    fields = [softmax_field(seed=seed) for seed in range(2)]
    for member, p in enumerate(fields):
        one_file_a_class(tmp_path / str(member), p)
    store = convert(Sample("s", str(tmp_path / "{member}/{class}.nii.gz")), tmp_path, settings(members=["0", "1"]))
    np.testing.assert_array_equal(store.array[:], np.stack([p.T for p in fields]))


def test_a_sample_without_member_in_its_path_has_one(tmp_path: Path) -> None:
    sample = Sample("s", write_nifti(tmp_path / "p.nii", softmax_field()))
    store = convert(sample, tmp_path, settings(members=["0", "1", "2"]))
    assert (store.members, store.array.shape[0]) == (["0"], 1)


@pytest.mark.parametrize("block_bytes", [2**25, 2000, 60])
def test_the_class_axis_may_be_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int) -> None:
    monkeypatch.setattr(layouts, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(layouts, "SLAB_BYTES", block_bytes)
    p = softmax_field()
    sample = Sample("s", write_nifti(tmp_path / "p.nii.gz", np.moveaxis(p, -1, 0)))
    np.testing.assert_array_equal(convert(sample, tmp_path, settings(class_axis="first")).array[:], p.T[None])


def test_a_complemented_background_takes_no_room(tmp_path: Path) -> None:
    p = softmax_field()[..., :2]
    sample = Sample("s", write_nifti(tmp_path / "p.nii", p))
    store = convert(sample, tmp_path, settings(2, background="complement"))
    assert store.classes == ["background", "class0", "class1"]
    assert store.complement
    np.testing.assert_array_equal(store.array[:], p.T[None])


def test_one_class_is_passed_on_as_it_is(tmp_path: Path) -> None:
    p = softmax_field()[..., :1]
    sample = Sample("s", write_nifti(tmp_path / "p.nii", p[..., 0]))
    np.testing.assert_array_equal(convert(sample, tmp_path, settings(1)).array[:], p.T[None])


def test_half_precision_is_stored_where_configured(tmp_path: Path) -> None:
    p = softmax_field()
    sample = Sample("s", write_nifti(tmp_path / "p.nii", p))
    store = convert(sample, tmp_path, settings(dtype="float16"))
    np.testing.assert_array_equal(store.array[:], p.T[None].astype(np.float16))


def test_the_coarsest_storage_of_all_files_gives_the_quantum(tmp_path: Path) -> None:
    for index, slope in enumerate([1 / 255, 1 / 128, 1 / 200]):
        write_nifti(tmp_path / f"class{index}.nii", np.ones(SHAPE, np.uint8), slope=slope)
    store = convert(Sample("s", str(tmp_path / "{class}.nii")), tmp_path)
    assert store.quantum == 1 / 128


def test_the_attributes_say_where_the_voxels_lie_and_what_they_came_from(tmp_path: Path) -> None:
    sample = Sample("s", write_nifti(tmp_path / "p.nii", softmax_field()))
    store = convert(sample, tmp_path)
    np.testing.assert_array_equal(store.affine, AFFINE)
    assert store.voxel_volume_mm3 == pytest.approx(3.0)
    assert store.geometry["sform_code"] == 1
    assert store.recipe == recipe(sample, settings())
    status = (tmp_path / "p.nii").stat()
    assert store.source == [[sample.probabilities, status.st_size, status.st_mtime_ns, True]]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("block_bytes", [2**25, 60])
def test_whatever_is_not_zero_in_the_mask_is_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, block_bytes: int
) -> None:
    monkeypatch.setattr(layouts, "BLOCK_BYTES", block_bytes)
    mask = np.random.default_rng(0).integers(0, 3, SHAPE).astype(dtype)
    mask_path = write_nifti(tmp_path / "m.nii.gz", mask)
    store = convert(Sample("s", write_nifti(tmp_path / "p.nii", softmax_field()), mask=mask_path), tmp_path)
    np.testing.assert_array_equal(store.read_mask((slice(None),) * 3), mask.T != 0)
    assert store.counts == {"mask_voxels": np.count_nonzero(mask)}
    assert mask_path in [source[0] for source in store.source]


def second_of(
    kind: str, folder: Path, shape: tuple[int, int, int] = SHAPE, **how: Any
) -> tuple[Sample, dict[str, Any]]:
    """A sample whose second class, second member, mask or image is of `shape` and `how`."""
    p, other = softmax_field(), softmax_field(shape)
    match kind:
        case "class":
            pattern = one_file_a_class(folder, p)
            write_nifti(folder / "class1.nii.gz", other[..., 1], **how)
            return Sample("s", pattern), settings()
        case "member":
            write_nifti(folder / "0.nii", p)
            write_nifti(folder / "1.nii", other, **how)
            return Sample("s", str(folder / "{member}.nii")), settings(members=["0", "1"])
        case _:
            path = write_nifti(folder / f"{kind}.nii.gz", (other[..., 0] > 0.5).astype(np.uint8), **how)
            return Sample("s", write_nifti(folder / "p.nii", p), **{kind: path}), settings()


SECONDS = {"class": "class1.nii.gz", "member": "1.nii", "mask": "mask.nii.gz"}


@pytest.mark.parametrize("kind", SECONDS)
def test_files_of_other_shapes_are_rejected_naming_both(tmp_path: Path, kind: str) -> None:
    sample, resolved = second_of(kind, tmp_path, shape=(5, 6, 8))
    error = refused(sample, tmp_path, resolved)
    assert error.code == "shape_mismatch"
    assert SECONDS[kind] in error.message
    assert error.message.count(str(tmp_path)) == 2


@pytest.mark.parametrize("kind", SECONDS)
def test_files_in_other_places_are_rejected_naming_both(tmp_path: Path, kind: str) -> None:
    sample, resolved = second_of(kind, tmp_path, srow_z=[0, 0, 2.0, -71.7])
    error = refused(sample, tmp_path, resolved)
    assert error.code == "affine_mismatch"
    assert SECONDS[kind] in error.message
    assert error.message.count(str(tmp_path)) == 2
    assert "0.15 voxels apart along z" in error.message


@pytest.mark.parametrize("kind", [*SECONDS, "image"])
def test_less_than_a_tenth_of_a_voxel_is_no_other_place(tmp_path: Path, kind: str) -> None:
    sample, resolved = second_of(kind, tmp_path, srow_z=[0, 0, 2.0, -71.85])
    convert(sample, tmp_path, resolved)


IMAGES = {
    "another shape": lambda folder: write_nifti(folder / "i.nii", np.zeros((9, 9, 9))),
    "the shape in another order": lambda folder: write_nifti(folder / "i.nii", np.zeros(SHAPE[::-1])),
    "another place": lambda folder: write_nifti(folder / "i.nii", np.zeros(SHAPE), srow_x=[1.0, 0, 0, 90]),
    "further axes": lambda folder: write_nifti(folder / "i.nii", np.zeros((*SHAPE, 9), np.int16)),
    "colours": lambda folder: write_nifti(folder / "i.nii", np.zeros(SHAPE, [(c, "u1") for c in "RGB"])),
    "nothing": lambda folder: str(folder / "i.nii"),
    "an empty file": lambda folder: write(folder / "i.nii", b""),
    "a pipe": lambda folder: os.mkfifo(folder / "i.nii") or str(folder / "i.nii"),
    "another format": lambda folder: write(folder / "i.png", b"x"),
}


@pytest.mark.parametrize("fault", IMAGES)
def test_an_image_rejects_no_sample(tmp_path: Path, fault: str) -> None:
    p = softmax_field()
    sample = Sample("s", write_nifti(tmp_path / "p.nii", p), image=IMAGES[fault](tmp_path))
    store = convert(sample, tmp_path)
    np.testing.assert_array_equal(store.array[0], p.T)
    np.testing.assert_array_equal(store.affine, AFFINE)


@pytest.mark.parametrize("fault", [fault for fault in IMAGES if "order" not in fault and "place" not in fault])
def test_nor_does_the_image_of_an_array_that_it_could_have_lent_its_place(tmp_path: Path, fault: str) -> None:
    np.save(tmp_path / "p.npy", softmax_field())
    sample = Sample("s", str(tmp_path / "p.npy"), image=IMAGES[fault](tmp_path))
    lent = fault == "further axes"
    np.testing.assert_array_equal(convert(sample, tmp_path).affine, AFFINE if lent else np.eye(4))


def test_an_image_whose_axes_are_those_of_the_array_in_another_order_tells_that_they_are_misread(
    tmp_path: Path,
) -> None:
    np.save(tmp_path / "p.npy", softmax_field())
    sample = Sample("s", str(tmp_path / "p.npy"), image=IMAGES["the shape in another order"](tmp_path))
    assert "permuted" in refused(sample, tmp_path).remedy


@pytest.mark.parametrize("kind", ["mask", "reference", "atlas"])
@pytest.mark.parametrize("code", ["file_missing", "not_this_format"])
def test_a_mask_or_labels_that_cannot_be_read_are_rejected(tmp_path: Path, kind: str, code: str) -> None:
    path = tmp_path / "other.nii"
    if code == "not_this_format":
        path.write_bytes(b"")
    sample = Sample("s", write_nifti(tmp_path / "p.nii", softmax_field()), **{kind: str(path)})
    error = refused(sample, tmp_path)
    assert error.code == code
    assert "other.nii" in error.message


@pytest.mark.parametrize(("configured", "background"), [(2, "given"), (4, "given"), (3, "complement")])
def test_a_file_with_another_number_of_classes_is_rejected(tmp_path: Path, configured: int, background: str) -> None:
    stored = softmax_field(n_classes=4) if background == "complement" else softmax_field()
    sample = Sample("s", write_nifti(tmp_path / "p.nii.gz", stored))
    error = refused(sample, tmp_path, settings(configured, background=background))
    assert error.code == "class_mismatch"


def test_a_missing_class_file_is_rejected(tmp_path: Path) -> None:
    pattern = one_file_a_class(tmp_path, softmax_field())
    (tmp_path / "class2.nii.gz").unlink()
    error = refused(Sample("s", pattern), tmp_path)
    assert error.code == "file_missing"
    assert "class2.nii.gz" in error.message


@pytest.mark.parametrize("damage", ["cut", "no trailer", "crc", "length", "flip", "garbage"])
@pytest.mark.parametrize("kind", ["probabilities", "mask"])
def test_a_damaged_file_leaves_no_store(tmp_path: Path, damage: str, kind: str) -> None:
    p = softmax_field((20, 20, 20))
    paths = {
        "probabilities": write_nifti(tmp_path / "p.nii.gz", p),
        "mask": write_nifti(
            tmp_path / "m.nii.gz", np.random.default_rng(1).integers(0, 99, p.shape[:3]).astype(np.int16)
        ),
    }
    damaged(paths[kind], damage)
    error = refused(Sample("s", **paths), tmp_path)
    assert error.code in ("file_truncated", "file_corrupt")
    assert paths[kind] in error.message


def traced_peak(call: Callable[[], object]) -> int:
    """Bytes of a call's peak: the smaller of two, since imports and what other tests left running allocate as well."""
    peaks = []
    for _ in range(2):
        tracemalloc.start()
        try:
            call()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return min(peaks)


def test_memory_does_not_grow_with_the_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "BLOCK_BYTES", 2**21)
    sample = Sample("s", write_nifti(tmp_path / "p.nii.gz", np.zeros((64, 64, 400, 4), np.float32)))
    assert traced_peak(lambda: convert(sample, tmp_path, settings(4), chunk=32)) < 12 * 2**20


def test_memory_does_not_grow_with_the_classes_that_lie_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layouts, "BLOCK_BYTES", 2**20)
    monkeypatch.setattr(layouts, "SLAB_BYTES", 2**20)
    sample = Sample("s", write_nifti(tmp_path / "p.nii.gz", np.zeros((64, 32, 32, 64), np.float32)))
    assert traced_peak(lambda: convert(sample, tmp_path, settings(64, class_axis="first"))) < 8 * 2**20


def test_a_conversion_imports_no_other_stage(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import volume_entropy.convert, volume_entropy.readers.nifti, zarr.codecs\n"
        "print(*{'dask', 'numba', 'pandas', 'matplotlib', 'jsonschema'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code, SCRIPTS], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_maps_of_the_mni_template_are_read_as_nibabel_reads_them(tmp_path: Path) -> None:
    import nibabel

    pattern = TEMPLATES / "mni_icbm152_{class}_tal_nlin_sym_09a_converted.nii.gz"
    store = convert(Sample("mni", str(pattern)), tmp_path, settings(2, tokens=["gm", "wm"]))
    for index, token in enumerate(["gm", "wm"]):
        expected = np.asarray(nibabel.load(str(pattern).replace("{class}", token)).dataobj, dtype=np.float32).T
        np.testing.assert_array_equal(store.array[0, index], expected)
