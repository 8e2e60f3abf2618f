"""A browser for each file of tests, and two cohorts to look at: one through the real stages, one of two thousand."""

import os
import random
from pathlib import Path

import cohorts
import numpy as np
import pytest
from browser import chromium
from in_process import run_cohort
from looked import FORMULA, MANY, REJECTED, SCRIPT, SITES
from phantoms import CLASSES, head
from PIL import Image
from programs import Unavailable
from report_page import SETTINGS, write_page
from study import save
from volume_entropy.samples import Sample


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    try:
        with chromium(tmp_path_factory.mktemp("browser")) as driver:
            yield driver
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def small_page(tmp_path_factory) -> Path:
    """Nine heads through every stage, one of which is no file of probabilities; texts of two are hostile."""
    folder = tmp_path_factory.mktemp("small")
    samples = {}
    for seed in range(10):
        name = f"sub-{seed:02}"
        phantom = head(seed, contrast=0.85 if seed == 3 else 1, members=1)
        probabilities, image = folder / f"data/{name}.nii.gz", folder / f"data/{name}_T1w.nii.gz"
        save(phantom.p[0].transpose(3, 2, 1, 0), probabilities)
        save(phantom.image.T, image)
        if seed == 9:
            probabilities.write_bytes(b"no gzip")
        note = {1: SCRIPT, 2: FORMULA}.get(seed, "plain, usual")
        metadata = {"site": "AB"[seed % 2], "age": str(20 + seed), "<b>note</b>": note}
        samples[name] = Sample(name, str(probabilities), image=str(image), metadata=metadata)
    results = run_cohort(folder, samples, figures=True, probabilities={"classes": list(CLASSES)})
    return results / "report.html"


@pytest.fixture(scope="session")
def large_page(tmp_path_factory) -> Path:
    """Two thousand made-up summaries through the real tables and the real page."""
    folder = tmp_path_factory.mktemp("large")
    seeded = random.Random(0)
    summaries, metadata = [], {}
    for number in range(MANY):
        name = f"sub-{number:04}"
        metadata[name] = {"site": SITES[number % len(SITES)], "age": str(seeded.randint(20, 90))}
        if number < REJECTED:
            summaries.append(cohorts.rejected(name, {"members": 5}))
            continue
        total = seeded.gauss(3e5, 2e4) * (1.5 if number == 1234 else 1)
        changed = {f"predictive_entropy_{key}": total for key in ("total", "total_mm3")}
        summaries.append(cohorts.summary(name, n_members=5, **changed))
    page = write_page(folder, summaries, metadata, settings={**SETTINGS, "members": list("01234")})
    # Names of one file: four thousand files take seconds.
    Image.fromarray(np.zeros((212, 400, 3), np.uint8)).save(folder / "picture.png")
    for name in metadata:
        os.link(folder / "picture.png", page.parent / name / f"{name}_thumb.png")
        os.link(folder / "picture.png", page.parent / name / f"{name}_qc.png")
    return page
