"""Trees as each producer writes them: the same names, types, axes, scaling and decoys, one function a preset.

Each function takes probabilities `(x, y, z, class)` of all classes, a background first where the preset complements
it, writes one subject below a folder, and returns what a right reader gets out of the files.
"""

import gzip
import json
import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage

# Radiological storage, as scanners and most tools write it: x runs from right to left.
AFFINE = np.array([[-1.5, 0, 0, 7], [0, 2, 0, -9], [0, 0, 1, -5], [0, 0, 0, 1.0]])
SHAPE = (9, 8, 7)


@dataclass(frozen=True)
class Written:
    """What lies on disk.

    Attributes
    ----------
    stored
        (member, x, y, z, stored class), float64: the values that the files hold, after their scaling.
    affine
        Voxel (x, y, z) to mm, RAS+.
    image, mask
        What belongs beside the probabilities, or None.
    """

    stored: np.ndarray
    affine: np.ndarray
    image: Path | None = None
    mask: Path | None = None


def probabilities(classes: int, seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """Random softmax probabilities (x, y, z, class), float64, from near certain to undecided."""
    logits = np.random.default_rng(seed).normal(scale=3, size=(*shape, classes))
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


def save(array: np.ndarray, path: Path, affine: np.ndarray = AFFINE, slope: float | None = None) -> np.ndarray:
    """Write a NIfTI (or, by its name, MGH) file and return the values in it, float64. With `slope` it is uint8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = array if slope is None else np.round(array / slope).astype(np.uint8)
    image = nibabel.Nifti1Image(raw, affine)
    image.header.set_xyzt_units("mm")
    if slope is None:
        nibabel.save(image, path)
        return array.astype(np.float64)
    # nibabel chooses a slope of its own when it writes; the field is the float32 at byte 112 of the header.
    content = bytearray(image.to_bytes())
    content[112:120] = struct.pack("<ff", slope, 0)
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)
    return raw * np.float64(np.float32(slope))


def brain(shape: tuple[int, ...]) -> np.ndarray:
    """A brain mask: all but a rim of one voxel in x and y."""
    mask = np.zeros(shape[:3], bool)
    mask[1:-1, 1:-1] = True
    return mask


def save_image(path: Path, shape: tuple[int, ...], affine: np.ndarray = AFFINE) -> Path:
    save(np.random.default_rng(9).integers(0, 1000, shape[:3]).astype(np.int16), path, affine)
    return path


def fmriprep(folder: Path, p: np.ndarray, subject: str = "sub-01", session: str = "", space: str = "") -> Written:
    """`sub-01[_ses-2][_space-X_res-1]_label-GM_probseg.nii.gz`, float32; in a standard space each map is resampled."""
    stem = "_".join(part for part in (subject, session, space) if part)
    anat = folder / subject / session / "anat"
    inside = brain(p.shape)
    tissues = (p * inside[..., None])[..., 1:].astype(np.float32)
    affine = AFFINE
    if space:
        # Half a voxel off, each tissue on its own: sums below 1 at every edge. Standard spaces are RAS.
        tissues = np.stack([ndimage.shift(tissues[..., c], 0.5, order=1) for c in range(tissues.shape[-1])], axis=-1)
        affine = np.diag([1.5, 2, 1, 1.0])
    for index, label in enumerate(("GM", "WM", "CSF")):
        save(tissues[..., index], anat / f"{stem}_label-{label}_probseg.nii.gz", affine)
    image = save_image(anat / f"{stem}_desc-preproc_T1w.nii.gz", p.shape, affine)
    mask = anat / f"{stem}_desc-brain_mask.nii.gz"
    save(inside.astype(np.uint8), mask, affine)
    save(tissues.argmax(axis=-1).astype(np.uint8), anat / f"{stem}_dseg.nii.gz", affine)
    (anat / f"{stem}_desc-preproc_T1w.json").write_text('{"SkullStripped": false}')
    (anat / f"{subject}_from-T1w_to-fsnative_mode-image_xfm.txt").write_text("#Insight Transform File V1.0\n")
    return Written(tissues[None].astype(np.float64), affine, image, mask)


def bids_probseg(folder: Path, p: np.ndarray, subject: str = "sub-01", labels: list[str] | None = None) -> Written:
    """One 4-D file, and its sidecar with LabelMap."""
    anat = folder / subject / "anat"
    stored = save(p.astype(np.float32), anat / f"{subject}_space-orig_probseg.nii.gz")
    sidecar = {"LabelMap": labels or ["BG", "GM", "WM", "CSF"], "Manual": False}
    (anat / f"{subject}_space-orig_probseg.json").write_text(json.dumps(sidecar, indent=4))
    mask = anat / f"{subject}_space-orig_desc-brain_mask.nii.gz"
    save(brain(p.shape).astype(np.uint8), mask)
    return Written(stored[None], AFFINE, None, mask)


def fast(folder: Path, p: np.ndarray, subject: str = "sub-01", kind: str = "pve") -> Written:
    """`<base>_pve_0.nii.gz`, float32, 0 outside the brain, with the label images that FAST writes beside them."""
    base = f"{subject}_T1w_brain"
    image = save_image(folder / f"{base}.nii.gz", p.shape)
    values = (p * brain(p.shape)[..., None]).astype(np.float32)
    other = {"pve": "prob", "prob": "pve"}[kind]
    for index in range(3):
        save(values[..., index], folder / f"{base}_{kind}_{index}.nii.gz")
        save(values[..., index].round(1), folder / f"{base}_{other}_{index}.nii.gz")
    labels = ((values.argmax(axis=-1) + 1) * brain(p.shape)).astype(np.int32)
    for decoy in ("pveseg", "seg", "mixeltype"):
        save(labels, folder / f"{base}_{decoy}.nii.gz")
    return Written(values[None].astype(np.float64), AFFINE, image)


def fast_prob(folder: Path, p: np.ndarray, subject: str = "sub-01") -> Written:
    """`fast -p`: posteriors beside the partial volumes."""
    return fast(folder, p, subject, kind="prob")


def atropos(folder: Path, p: np.ndarray, subject: str = "sub-01", digits: int = 1) -> Written:
    """`<prefix>BrainSegmentationPosteriors1.nii.gz`, float32, numbers from 1, 0 outside the mask."""
    prefix = folder / subject / f"{subject}_"
    inside = brain(p.shape)
    values = (p * inside[..., None]).astype(np.float32)
    for index in range(p.shape[-1]):
        save(values[..., index], Path(f"{prefix}BrainSegmentationPosteriors{index + 1:0{digits}d}.nii.gz"))
    save(((p.argmax(axis=-1) + 1) * inside).astype(np.uint32), Path(f"{prefix}BrainSegmentation.nii.gz"))
    image = save_image(Path(f"{prefix}BrainSegmentation0N4.nii.gz"), p.shape)
    mask = Path(f"{prefix}BrainExtractionMask.nii.gz")
    save(inside.astype(np.float32), mask)
    return Written(values[None].astype(np.float64), AFFINE, image, mask)


def atropos_nipype(folder: Path, p: np.ndarray, subject: str = "sub-01") -> Written:
    """As `atropos`, with two-digit numbers."""
    return atropos(folder, p, subject, digits=2)


def spm(
    folder: Path, p: np.ndarray, subject: str = "sub-01", air: bool = False, ending: str = ".nii", classes: int = 5
) -> Written:
    """`c1…c5<name>.nii`, uint8 with slope 1/255 (c6 only if asked for), and modulated and smoothed files beside."""
    name = f"{subject}_T1w{ending}"
    tissues = np.concatenate([p[..., 1:], p[..., :1]], axis=-1)
    stored = [
        save(tissues[..., index], folder / f"c{index + 1}{name}", slope=1 / 255)
        for index in range(6 if air else classes)
    ]
    save_image(folder / name, p.shape)
    image = save_image(folder / f"m{name}", p.shape)
    for decoy in ("mwc1", "smwc1", "swc1"):
        save((tissues[..., 0] * 1.3).astype(np.float32), folder / f"{decoy}{name}", np.diag([1.5, 1.5, 1.5, 1]))
    save(np.zeros((*p.shape[:3], 1, 3), np.float32), folder / f"y_{name}")
    return Written(np.stack(stored[:5], axis=-1)[None], AFFINE, image)


def cat12(folder: Path, p: np.ndarray, subject: str = "sub-01", ending: str = ".nii", warped: bool = False) -> Written:
    """`mri/p1…p3<name>.nii`, uint8 with slope 1/255; labels with fractions, modulated and smoothed maps beside."""
    name, mri = f"{subject}_T1w{ending}", folder / subject / "mri"
    image = save_image(folder / subject / name, p.shape)
    stored = [save(p[..., index], mri / f"p{index}{name}", slope=1 / 255) for index in (1, 2, 3)]
    # 1 CSF, 2 gray matter, 3 white matter.
    save((p[..., 1:] * [2, 3, 1]).sum(axis=-1).astype(np.float32), mri / f"p0{name}")
    grid = np.diag([1.5, 1.5, 1.5, 1])
    for tissue in (1, 2, 3):
        volumes = (p[..., tissue] * 0.8).astype(np.float32)
        for decoy in ("mwp", "m0wp", "s6mwp"):
            save(volumes, mri / f"{decoy}{tissue}{name}", grid)
        if warped:
            save(p[..., tissue], mri / f"wp{tissue}{name}", grid, slope=1 / 255)
    save_image(mri / f"wm{name}", p.shape, grid)
    save(np.zeros((*p.shape[:3], 1, 3), np.float32), mri / f"y_{name}")
    for other in ("report/catreport_{}.pdf", "report/cat_{}.xml", "label/catROI_{}.xml", "surf/lh.thickness.{}"):
        path = folder / subject / other.format(f"{subject}_T1w")
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return Written(np.stack(stored, axis=-1)[None], AFFINE, image)


def clinica(folder: Path, p: np.ndarray, subject: str = "sub-01", warped: bool = False) -> Written:
    """SPM's maps in a CAPS folder, compressed: native ones, and in other folders normalised, modulated and imported."""
    name = f"{subject}_ses-M00"
    spm = folder / "subjects" / subject / "ses-M00/t1/spm"
    stored = []
    for index, tissue in enumerate(("graymatter", "whitematter", "csf"), start=1):
        base = f"{name}_T1w_segm-{tissue}"
        native = spm / f"segmentation/native_space/{base}_probability.nii.gz"
        stored.append(save(p[..., index], native, slope=1 / 255))
        save(p[..., index], spm / f"segmentation/dartel_input/{base}_dartelinput.nii.gz", slope=1 / 255)
        modulated = (p[..., index] * 0.8).astype(np.float32)
        for kind in ("modulated-on", "modulated-on_fwhm-8mm"):
            save(modulated, spm / f"dartel/group-all/{base}_space-Ixi549Space_{kind}_probability.nii.gz")
        if warped:
            off = f"normalized_space/{base}_space-Ixi549Space_modulated-off_probability.nii.gz"
            save(p[..., index], spm / "segmentation" / off, slope=1 / 255)
    if warped:
        save_image(spm / f"segmentation/normalized_space/{name}_space-Ixi549Space_T1w.nii.gz", p.shape)
    return Written(np.stack(stored, axis=-1)[None], AFFINE)


def synthseg(folder: Path, p: np.ndarray, subject: str = "sub-01", suffix: str = ".nii.gz") -> Written:
    """`<img>_posteriors.nii.gz`, `.mgz` or `.npz` (key `vol_data`, no geometry): float32, 33 classes, 1 mm."""
    affine = np.diag([-1, 1, 1, 1.0]) + 0
    affine[:3, 3] = 90, -126, -72
    values = p.astype(np.float32)
    base = f"{subject}_T1w"
    folder.mkdir(parents=True, exist_ok=True)
    if suffix == ".npz":
        np.savez_compressed(folder / f"{base}_posteriors.npz", vol_data=values)
        np.savez_compressed(folder / f"{base}_synthseg.npz", vol_data=values.argmax(axis=-1).astype(np.int32))
        return Written(values[None].astype(np.float64), np.eye(4))
    save(values, folder / f"{base}_posteriors{suffix}", affine)
    save(values.argmax(axis=-1).astype(np.int32), folder / f"{base}_synthseg{suffix}", affine)
    image = save_image(folder / f"{base}_resampled{suffix}", p.shape, affine)
    return Written(values[None].astype(np.float64), affine, image)


class Poison:
    """An object that leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return _leave_trace, (str(self.trace),)


def _leave_trace(path: str) -> None:
    Path(path).touch()


def nnunet(
    folder: Path,
    p: np.ndarray,
    subject: str = "case_001",
    key: str = "probabilities",
    dtype: type = np.float32,
    reader: str = "SimpleITKIO",
) -> Written:
    """`<case>.npz`, deflated, (class, z, y, x), with `<case>.pkl`, which must not be opened, and `<case>.nii.gz`."""
    folder.mkdir(parents=True, exist_ok=True)
    values = p.astype(dtype)
    np.savez_compressed(folder / f"{subject}.npz", **{key: np.ascontiguousarray(values.transpose(3, 2, 1, 0))})
    (folder / f"{subject}.pkl").write_bytes(pickle.dumps(Poison(folder / f"{subject}.pkl was opened")))
    save(values.argmax(axis=-1).astype(np.uint8), folder / f"{subject}.nii.gz")
    names = ["background", "foreground", *(f"structure {index}" for index in range(2, p.shape[-1]))]
    describe(folder, {"labels": {name: index for index, name in enumerate(names[: p.shape[-1]])}})
    (folder / "plans.json").write_text(json.dumps({"image_reader_writer": reader, "plans_name": "nnUNetPlans"}))
    (folder / "predict_from_raw_data_args.json").write_text(json.dumps({"save_probabilities": True}))
    return Written(values[None].astype(np.float64), AFFINE)


def describe(folder: Path, dataset: dict[str, object]) -> None:
    """Write `dataset.json`, as every prediction into a folder does anew."""
    content = {"channel_names": {"0": "T1"}, **dataset, "numTraining": 2, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(content, indent=4))


BRATS = {
    "labels": {"background": 0, "whole_tumor": [1, 2, 3], "tumor_core": [2, 3], "enhancing_tumor": 3},
    "regions_class_order": [1, 2, 3],
}


def nnunet_regions(folder: Path, p: np.ndarray, subject: str = "case_001") -> Written:
    """Sigmoids of overlapping regions: the last region inside the one before, sums far from 1."""
    written = nnunet(folder, np.flip(np.cumsum(p, axis=-1), axis=-1) * 0.999, subject)
    describe(folder, BRATS)
    return written


def nnunet_v1(folder: Path, p: np.ndarray, subject: str = "case_001", crop: int = 0) -> Written:
    """Key `softmax`; with `crop` the array lacks that many slices in x, as where an image has an empty margin."""
    written = nnunet(folder, p, subject, key="softmax")
    if crop:
        array = np.ascontiguousarray(p[crop:].astype(np.float32).transpose(3, 2, 1, 0))
        np.savez_compressed(folder / f"{subject}.npz", softmax=array)
    for name in ("dataset.json", "plans.json", "predict_from_raw_data_args.json"):
        (folder / name).unlink()
    return written


def totalsegmentator(folder: Path, p: np.ndarray, subject: str = "sub-01", geometry: bool = True) -> Written:
    """`<subject>/probs.npz` and `.pkl` on the model's grid; the NIfTI of that grid is what a user has to add."""
    affine = np.diag([1.5, 1.5, 1.5, 1.0])
    values = p.astype(np.float32)
    place = folder / subject
    place.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(place / "probs.npz", probabilities=np.ascontiguousarray(values.transpose(3, 2, 1, 0)))
    (place / "probs.pkl").write_bytes(pickle.dumps(Poison(place / "probs.pkl was opened")))
    if geometry:
        save(np.zeros(p.shape[:3], np.uint8), place / "probs.nii.gz", affine)
    full = tuple(2 * size for size in p.shape[:3])
    save(np.zeros(full, np.uint8), place / "segmentations" / "liver.nii.gz", np.diag([0.75, 0.75, 0.75, 1]))
    return Written(values[None].astype(np.float64), affine)


def dipy(folder: Path, p: np.ndarray, subject: str = "sub-01") -> Written:
    """`<out_dir>/tissue_classified_pve.nii.gz`, float64 (x, y, z, tissue), without the background that was fitted."""
    place = folder / subject
    stored = save(p[..., 1:], place / "tissue_classified_pve.nii.gz")
    save(p.argmax(axis=-1).astype(np.int16), place / "tissue_classified.nii.gz")
    (place / "tissue_classified.csv").write_text("Label,Name\n0,Background\n1,Tissue_1\n")
    return Written(stored[None], AFFINE)


def monai(folder: Path, p: np.ndarray, subject: str = "sub-01") -> Written:
    """`<img>/<img>_trans.nii.gz`: the one channel of the foreground, squeezed to 3-D."""
    name = f"{subject}_T1w"
    stored = save(p[..., 1].astype(np.float32), folder / name / f"{name}_trans.nii.gz")
    save((p[..., 1] > 0.5).astype(np.uint8), folder / name / f"{name}_seg.nii.gz")
    return Written(stored[None, ..., None], AFFINE)


def ivadomed(folder: Path, p: np.ndarray, subject: str = "sub-01", members: int = 20) -> Written:
    """`<subj>_pred_00.nii.gz` … (x, y, z, class), a sigmoid a channel; and what ivadomed derives from them."""
    masks = folder / "pred_masks"
    base = f"{subject}_T2w"
    random = np.random.default_rng(5)
    stored = []
    for member in range(members):
        noisy = np.clip(p[..., 1:] + random.normal(scale=0.05, size=p[..., 1:].shape), 0, 1).astype(np.float32)
        stored.append(save(noisy, masks / f"{base}_pred_{member:02d}.nii.gz"))
    mean = np.mean(stored, axis=0)
    save(mean, masks / f"{base}_soft.nii.gz")
    save((mean > 0.5).astype(np.uint8), masks / f"{base}_pred.nii.gz")
    for derived in ("unc-vox", "unc-iou", "unc-cv", "unc-avgUnc"):
        save(mean, masks / f"{base}_{derived}.nii.gz")
    return Written(np.stack(stored), AFFINE)


# Each preset with its producer and the number of classes to give it.
PRODUCERS: dict[str, tuple[Callable[..., Written], int]] = {
    "fmriprep": (fmriprep, 4),
    "bids_probseg": (bids_probseg, 4),
    "dipy": (dipy, 4),
    "fast": (fast, 3),
    "fast_prob": (fast_prob, 3),
    "atropos": (atropos, 3),
    "atropos_nipype": (atropos_nipype, 3),
    "spm": (spm, 6),
    "cat12": (cat12, 4),
    "clinica": (clinica, 4),
    "synthseg": (synthseg, 33),
    "nnunet": (nnunet, 2),
    "nnunet_regions": (nnunet_regions, 3),
    "nnunet_v1": (nnunet_v1, 2),
    "totalsegmentator": (totalsegmentator, 2),
    "monai": (monai, 2),
    "ivadomed": (ivadomed, 2),
}
