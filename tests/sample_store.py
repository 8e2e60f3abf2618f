"""Probability stores of small random samples, written without a reader, for tests of what comes after conversion."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from volume_entropy.compute_entropy import compute_sample
from volume_entropy.files import read_json
from volume_entropy.labels import ReferenceCodes, reference_codes
from volume_entropy.readers.base import Geometry
from volume_entropy.stores.layout import Layout, choose_layout
from volume_entropy.stores.probabilities import ProbabilityWriter

SHAPE = (13, 21, 17)
NAMES = ("background", "csf", "gm", "wm", "bone", "skin")
# Turned, anisotropic and left-handed.
AFFINE = np.array([[-0.8, 0.3, 0.0, 10.0], [0.2, 1.1, 0.1, -20.0], [0.0, -0.2, 2.5, 30.0], [0, 0, 0, 1]])
VOXEL = abs(float(np.linalg.det(AFFINE[:3, :3])))


@dataclass
class SampleStore:
    """What a probability store is made of; `write` makes it, `compute` runs the stage on it.

    `p` is (member, stored class, z, y, x); `settings` adds to or replaces settings of the recipe. `reference` has
    label values, of which `labels` gives those of each class (its index, if None) and `ignored` those left out. Members
    that are streamed are named by the store, which does not hold them.
    """

    p: np.ndarray
    mask: np.ndarray | None = None
    kind: str = "softmax"
    complement: bool = False
    layout: Layout | None = None
    quantum: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)
    reference: np.ndarray | None = None
    labels: list[list[int]] | None = None
    ignored: list[int] = field(default_factory=list)
    atlas: np.ndarray | None = None
    dtype: str = "float32"
    streamed: bool = False

    @property
    def codes_labels(self) -> list[list[int]]:
        return self.labels or [[index] for index in range(len(self.classes))]

    @property
    def codes(self) -> ReferenceCodes:
        codes = reference_codes(self.kind, self.codes_labels, self.ignored)
        return codes if self.reference is None else codes.with_unlisted(self.reference)

    @property
    def classes(self) -> list[str]:
        n = self.p.shape[1] + self.complement
        return [*NAMES[:n], *(f"class-{i}" for i in range(len(NAMES), n))]

    @property
    def geometry(self) -> Geometry:
        z, y, x = self.p.shape[2:]
        zooms = tuple(float(edge) for edge in np.sqrt((AFFINE[:3, :3] ** 2).sum(axis=0)))
        return Geometry((x, y, z), AFFINE, zooms, qform=AFFINE, qform_code=1, sform_code=2, xyzt_units=2)

    @property
    def recipe(self) -> dict[str, Any]:
        conversion = {
            "classes": self.classes,
            "kind": self.kind,
            "background": "complement" if self.complement else "given",
            "scale": None,
            "sum_tolerance": 0.01,
            "max_invalid_fraction": 0.001,
            "mask_threshold": None,
            "background_class": "background",
            "content": "posterior",
            "dtype": "float32",
        }
        entropy = {"unit": "bit", "measures": ["predictive_entropy"], "threshold": 0.5, "maps": ["nifti"]}
        if self.reference is not None:
            conversion["reference"] = {"labels": self.codes_labels, "ignore_labels": self.ignored}
        sources = [["/data/sub-01_probseg.nii.gz", 1234, 5678, True]]
        return {
            "sample": "sub-01",
            "sources": sources,
            "settings": {**conversion, **entropy, **self.settings},
            "revision": 1,
        }

    @property
    def conversion_recipe(self) -> dict[str, Any]:
        entropy = ("unit", "measures", "threshold", "maps")
        settings = {key: value for key, value in self.recipe["settings"].items() if key not in entropy}
        return {**self.recipe, "settings": settings}

    def write(self, path: Path) -> Path:
        n_members, n_stored = self.p.shape[:2]
        layout = self.layout or choose_layout(self.p.shape[2:], n_stored, 4, 64)
        geometry = self.geometry
        attributes = {
            "classes": self.classes,
            "members": [str(member) for member in range(n_members)],
            "kind": self.kind,
            "complement": self.complement,
            "affine": AFFINE.tolist(),
            "geometry": geometry.header(),
            "voxel_volume_mm3": geometry.voxel_volume_mm3,
            "source": self.recipe["sources"],
            "recipe": self.conversion_recipe,
            "quantum": self.quantum,
            "counts": {},
        }
        if self.reference is not None:
            attributes["reference_classes"] = self.codes.classes
            attributes["reference_unlisted"] = list(self.codes.found or ())
        writer = ProbabilityWriter(
            path,
            layout=layout,
            n_members=0 if self.streamed else n_members,
            n_stored_classes=n_stored,
            dtype=self.dtype,
            attributes=attributes,
            with_mask=self.mask is not None,
            reference_dtype=None if self.reference is None else self.codes.dtype,
            with_atlas=self.atlas is not None,
        )
        with writer:
            for box in layout.blocks():
                z, y, x = (part.start for part in box)
                for member, index in np.ndindex(0 if self.streamed else n_members, n_stored):
                    writer.write(member, index, z, self.p[(member, index, *box)], y, x)
                if self.mask is not None:
                    writer.write_mask(z, self.mask[box].astype(np.uint8), y, x)
                if self.reference is not None:
                    writer.write_reference(z, self.codes.encode(self.reference[box]), y, x)
                if self.atlas is not None:
                    writer.write_atlas(z, self.atlas[box], y, x)
            writer.seal()
        return path

    def compute(self, folder: Path, threads: int = 2, scheduler: str = "threads") -> dict[str, Any]:
        """Write the store, run the stage, and give the summary; maps are in `folder / "maps"`."""
        store = self.write(folder / "probabilities.zarr")
        compute_sample(
            store,
            recipe=self.recipe,
            measures_path=folder / "measures.zarr",
            summary_path=folder / "summary.json",
            maps_dir=folder / "maps",
            threads=threads,
            scheduler=scheduler,
            stream=(lambda: (member.copy() for member in self.p)) if self.streamed else None,
        )
        return read_json(folder / "summary.json")


def softmax_members(seed: int, shape=SHAPE, n_members=1, n_classes=4) -> np.ndarray:
    """(member, class, z, y, x) float32 with smooth structures, so that there are boundaries and interiors."""
    rng = np.random.default_rng(seed)
    z, y, x = np.indices(shape)
    waves = [np.sin((z * a + y * b + x * c) / 5 + d) for a, b, c, d in rng.uniform(-1, 1, (n_classes, 4)) * 2]
    logits = 4 * np.stack(waves) + rng.normal(scale=0.7, size=(n_members, n_classes, *shape))
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def region_members(seed: int, shape=SHAPE, n_members=1, n_regions=3) -> np.ndarray:
    """(member, region, z, y, x) float32 of independent sigmoids."""
    return softmax_members(seed, shape, n_members, n_regions + 1)[:, 1:] ** 0.5


def random_mask(seed, shape=SHAPE):
    return np.random.default_rng(seed).random(shape) < 0.7


def with_empty_margin(p):
    p = p.copy()
    p[:, :, :2], p[..., -3:] = 0, 0
    return p


SAMPLES = {
    "one member": SampleStore(softmax_members(1)),
    "empty margin": SampleStore(with_empty_margin(softmax_members(2))),
    "mask": SampleStore(softmax_members(3), mask=random_mask(3)),
    "members": SampleStore(softmax_members(4, n_members=5)),
    "members, mask, empty margin": SampleStore(with_empty_margin(softmax_members(5, n_members=3)), mask=random_mask(5)),
    "complement": SampleStore(softmax_members(6)[:, 1:], complement=True),
    "regions": SampleStore(region_members(7), kind="regions"),
    "regions, members, mask": SampleStore(region_members(8, n_members=4), kind="regions", mask=random_mask(8)),
    "every class is foreground": SampleStore(softmax_members(9), settings={"background_class": None}),
    "nat": SampleStore(softmax_members(10, n_members=2), settings={"unit": "nat", "threshold": 0.7}),
}
