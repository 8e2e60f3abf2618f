"""A producer's tree on its way through the product: discovery by its command, then the stages in this process."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import reference
import yaml
from study import ROOT, environment
from volume_entropy.compute_entropy import compute_sample
from volume_entropy.config import REVISION, conversion_settings, entropy_settings, load_config
from volume_entropy.convert import convert_sample
from volume_entropy.errors import DataError
from volume_entropy.files import read_json
from volume_entropy.samples import Sample, check_samples, read_samples, recipe, source_paths

SCHEMAS = ROOT / "workflow/schemas"
PRESETS = ROOT / "workflow/presets"


def configured(preset: str | None, **config: Any) -> dict[str, Any]:
    """The whole config of a study that sets a preset, and what else is given."""
    return load_config({"preset": preset, **config}, SCHEMAS / "config.schema.yaml", PRESETS)


def settings_of(preset: str | None, **probabilities: Any) -> dict[str, Any]:
    """What a preset says of files, with other `probabilities` where given."""
    return conversion_settings(configured(preset, probabilities=probabilities))


def rejected(call: Callable[..., Any], *arguments: Any) -> DataError:
    """The error with which a call rejects a sample."""
    with pytest.raises(DataError) as caught:
        call(*arguments)
    return caught.value


@dataclass
class PresetStudy:
    """A study folder of one preset.

    Attributes
    ----------
    folder
        Holds `config/config.yaml`, and after `discover` the samples table.
    config
        What its config file says.
    """

    folder: Path
    config: dict[str, Any]

    def __post_init__(self) -> None:
        (self.folder / "config").mkdir(parents=True)
        (self.folder / "config/config.yaml").write_text(yaml.safe_dump(self.config))
        self.whole = load_config(self.config, SCHEMAS / "config.schema.yaml", PRESETS)
        self.conversion = conversion_settings(self.whole)

    def discover(self, tree: Path, *options: str) -> str:
        """Run `scripts/discover.py` on a tree as a user would; return what it says."""
        command = [sys.executable, str(ROOT / "scripts/discover.py"), self.config["preset"], str(tree), *options]
        process = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, env=environment())
        assert process.returncode == 0, process.stderr
        return process.stdout

    def samples(self) -> dict[str, Sample]:
        """The rows of the table, after the checks that a run makes of it."""
        table = self.folder / "config/samples.tsv"
        check_samples(table, SCHEMAS / "samples.schema.yaml", self.conversion)
        return read_samples(table)

    def process(self, sample: Sample) -> tuple[dict[str, Any], np.ndarray]:
        """Convert and compute one sample; return its summary and its map of predictive entropy (x, y, z)."""
        settings = entropy_settings(self.whole)
        wanted = recipe(sample, source_paths(sample, self.conversion), self.conversion, REVISION)
        out = self.folder / "results" / sample.id
        store = self.folder / f"work/{sample.id}/probabilities.zarr"
        store.parent.mkdir(parents=True)
        out.mkdir(parents=True)
        convert_sample(sample, store, recipe=wanted, chunk=64, in_place=True)
        compute_sample(
            store,
            recipe={**wanted, "settings": settings},
            measures_path=store.parent / "measures.zarr",
            summary_path=out / "summary.json",
            maps_dir=out / "maps",
            threads=2,
        )
        return read_json(out / "summary.json"), self.map(sample.id)

    def map(self, sample: str) -> np.ndarray:
        """The map of predictive entropy of a sample that was computed, (x, y, z)."""
        path = self.folder / f"results/{sample}/maps/{sample}_desc-predictiveEntropy_map.nii.gz"
        return np.asarray(nibabel.load(path).dataobj)


def expected(
    stored: np.ndarray, settings: dict[str, Any], mask: Path | None = None, quantum: float = 0.0
) -> reference.Block:
    """The float64 reference of stored values (member, x, y, z, stored class); its arrays are (z, y, x)."""
    inside = None if mask is None else np.asarray(nibabel.load(mask).dataobj).T != 0
    return reference.block(
        stored.transpose(0, 4, 3, 2, 1),
        kind=settings["kind"],
        complement=settings["background"] == "complement",
        sum_tolerance=settings["sum_tolerance"],
        quantum=quantum,
        mask=inside,
    )


def assert_numbers_of(summary: dict[str, Any], entropy: np.ndarray, block: reference.Block, affine: np.ndarray) -> None:
    """Hold a summary and a map against the reference: what is where, what is which class, and every total."""
    assert summary["status"] == "ok", summary.get("message")
    n = entropy.size
    right = block.maps["predictive_entropy"].T
    np.testing.assert_array_equal(np.isnan(entropy), np.isnan(right))
    np.testing.assert_allclose(entropy, right, rtol=0, atol=1e-6)
    assert summary["n_voxels"] == n
    for name in ("n_empty", "n_invalid"):
        assert summary[f"{name}_voxels"] == block.counts[name], name
    totals = {"predictive_entropy": 3e-8, "mutual_information": 5e-8}
    for measure, slack in totals.items():
        if f"{measure}_total" in summary:
            total = float(np.nansum(block.maps[measure]))
            assert abs(summary[f"{measure}_total"] - total) <= 1e-5 * total + slack * n, measure
    total = float(np.nansum(right))
    assert abs(summary["predictive_entropy_total"] - total) <= 1e-6 * total + 3e-8 * n
    voxel = abs(np.linalg.det(affine[:3, :3]))
    assert summary["voxel_volume_mm3"] == abs(voxel) or abs(summary["voxel_volume_mm3"] / voxel - 1) < 1e-6
    volumes = [structure["expected_volume_mm3"] for structure in summary["structures"]]
    np.testing.assert_allclose(volumes, block.expected * voxel, rtol=1e-5)
