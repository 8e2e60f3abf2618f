"""A sample as the figures find it: measure store, summary and image, written without computing anything."""

import io
from pathlib import Path
from xml.etree import ElementTree

import nibabel
import numpy as np
from PIL import Image
from volume_entropy.figures.qc import render_qc
from volume_entropy.files import write_json
from volume_entropy.measures import SCHEMA_VERSION
from volume_entropy.stores.layout import choose_layout
from volume_entropy.stores.measures import MeasureWriter

SHAPE = (14, 18, 16)  # z, y, x
CLASSES = ("background", "csf", "gm", "wm")
SETTINGS = {"axes": ["sagittal", "coronal", "axial"], "slices": 3, "format": "svg"}


def ball(shape=SHAPE):
    """0 outside, 1 … 3 in nested shells."""
    z, y, x = np.indices(shape)
    distance = np.sqrt(sum(((a - (n - 1) / 2) / max(n / 2, 1)) ** 2 for a, n in zip((z, y, x), shape, strict=True)))
    return 3 - np.digitize(distance, [0.3, 0.6, 0.9])


class QC:
    """A sample's measure store, summary and image below `folder`; `draw` gives the figure's bytes.

    `measures`: maps by name, besides predictive entropy and, with members, mutual information.
    """

    def __init__(
        self,
        folder: Path,
        *,
        shape=SHAPE,
        affine=None,
        kind="softmax",
        unit="bit",
        members=1,
        chunk=64,
        entropy=None,
        placed=True,
        mask=None,
        segmentation=None,
        classes=CLASSES,
        unit_mm=1.0,
        axes=None,
        measures=None,
        **summary,
    ):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        affine = np.diag([2.0, 2.0, 2.0, 1.0]) if affine is None else affine
        rng = np.random.default_rng(7)
        if segmentation is None:
            segmentation = ball(shape).astype(np.uint8)
        if entropy is None:
            entropy = np.where(ball(shape) > 0, rng.random(shape), 0).astype(np.float32)
        maps = {"predictive_entropy": entropy}
        if members > 1:
            maps["mutual_information"] = entropy / 3
        maps |= measures or {}
        code = 1 if placed else 0
        geometry = {
            "shape": list(shape[::-1]), "affine": affine.tolist(), "zooms": [2.0, 2.0, 2.0], "unit_mm": unit_mm,
            "placed": placed, "qform": None, "qform_code": code, "sform_code": code, "xyzt_units": 2,
        }  # fmt: skip
        settings = {"background_class": "background", "axes": axes}
        made = {"recipe": {"settings": settings}, "schema_version": SCHEMA_VERSION}
        attributes = {
            "classes": list(classes), "kind": kind, "unit": unit, "affine": affine.tolist(), "geometry": geometry,
            **made,
        }  # fmt: skip
        layout = choose_layout(shape, len(classes), 4, chunk)
        n_regions = len(classes) if kind == "regions" else 0
        with MeasureWriter(
            folder / "measures.zarr", layout=layout, measures=list(maps), n_regions=n_regions, attributes=attributes,
            segmentation_dtype=str(segmentation.dtype), with_mask=mask is not None,
        ) as writer:  # fmt: skip
            for box in layout.blocks():
                part = {name: values[box] for name, values in maps.items()}
                writer.write(box, part, segmentation[(..., *box)], None if mask is None else mask[box])
            writer.seal()
        totals = {
            f"{name}_{key}": value
            for name in maps
            for key, value in (("total", 1234567.0), ("mean", 0.25), ("foreground_mean", 0.5), ("max", 1.0))
        }
        facts = {
            "n_members": members, "n_domain_voxels": 321, "n_invalid_voxels": int(np.isnan(entropy).sum()),
            "n_empty_voxels": 0, "content": "posterior", "warnings": [],
        }  # fmt: skip
        write_json(folder / "summary.json", {"sample": "sub-01", **made, **totals, **facts, **summary})
        self.image = folder / "image.nii.gz"
        image = nibabel.Nifti1Image((100 * ball(shape) + 20).astype(np.int16).T, affine)
        if not placed:
            image.header["sform_code"] = image.header["qform_code"] = 0
        nibabel.save(image, self.image)

    def draw(self, *, image=True, sample="sub-01", **settings) -> bytes:
        output = self.folder / "figure"
        render_qc(
            self.folder / "measures.zarr",
            self.folder / "summary.json",
            (self.image if image is True else image) or None,
            output,
            sample=sample,
            settings={**SETTINGS, **settings},
        )
        return output.read_bytes()

    def texts(self, **options) -> list[str]:
        return texts_of(self.draw(**options))


def texts_of(svg: bytes) -> list[str]:
    root = ElementTree.fromstring(svg)
    return ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]


def pixels_of(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def has_colour(pixels: np.ndarray, colour: tuple[int, ...]) -> bool:
    return bool((pixels == np.array(colour)).all(axis=-1).any())
