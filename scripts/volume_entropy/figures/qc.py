"""The QC figure of one sample: image, segmentation and uncertainty of chosen slices of every plane, side by side.

It reads the measure store, the summary and the image. Nothing here imports matplotlib, which would take as long as
all of the drawing.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import Rejection
from ..files import read_json
from ..joblog import phase, processed
from ..measures import MAIN, MEASURES, ONE_BIT
from ..stores.measures import MeasureStore, open_measures, require_same
from .canvas import MUTED, PLAIN, WARNING, Page, blank
from .legends import Bar, Footer, Key, Note
from .lettering import shortened, text_width, wrapped
from .magma import colour_scale
from .mosaics import DISAGREEMENT_PEAK, PEAK, annotate, paint
from .sheets import MARGIN, MIN_WIDTH, Sheet, arrange
from .slices import MOST_SLICES
from .thumbnails import save_rejection, save_thumbnail
from .tiles import INVALID, OUTSIDE, OVER, STATE_COLOURS, Bytes, Colour, class_colours, window_of
from .views import Views, coloured_classes, gather

PathLike = str | os.PathLike[str]

# Where the colours of an entropy end at the latest, in bit.
HIGHEST_BIT = 2.0
MAX_KEYS = 40
# Letters of an id, and of a class in the legend.
MAX_TITLE, MAX_NAME = 96, 40
TITLE_POINTS = (15, 14, 13, 12, 11, 10, 9, 8)
# Warnings below the title, and the lines that each has; the whole of them stands in the summary.
MAX_WARNINGS, WARNING_LINES = 6, 3
CONVENTION = "Radiological convention: the patient's right is at the left of axial and coronal slices."
UNPLACED = "The source does not say how its axes lie in the body: right and left are unknown, the planes assumed."


def render_qc(
    measures_path: PathLike,
    summary_path: PathLike,
    image_path: PathLike | None,
    output: PathLike,
    *,
    sample: str,
    settings: Mapping[str, Any],
    thumbnail: PathLike | None = None,
) -> None:
    """Draw the QC figure of one sample; of a rejected one, a page that says why and what to do.

    Parameters
    ----------
    measures_path, summary_path
        What `compute_entropy` wrote.
    image_path
        The image that was segmented, on the same grid, or None. If it cannot be read, the figure says so.
    output
        The figure, written whole or not at all; the same input gives the same bytes.
    sample
        Id, for the title.
    settings
        `axes`: of sagittal, coronal, axial; `slices`: how many of each, or "all"; `format`: png or svg.
    thumbnail
        Where a small PNG of the most uncertain slice goes, for the contact sheet; None for no such picture.

    Raises
    ------
    StoreError
        The measure store is not whole, or was not made with the summary.
    """
    store = open_measures(measures_path)
    if isinstance(store, Rejection):
        page = rejection_page(sample, store)
        if thumbnail is not None:
            save_rejection(thumbnail, store)
    else:
        summary = read_json(summary_path)
        require_same(store, summary)
        page = _qc_page(sample, store, summary, image_path, thumbnail, settings)
    with phase("write the figure"):
        page.save(output, settings["format"])


def colour_scale_top(measure: str, attributes: Mapping[str, Any]) -> float:
    """End of a measure's colour scale, in the store's unit: its share of the range, of an entropy of at most 2 bit.

    Of the cohort and not of the sample, so that figures can be compared.
    """
    its, unit, kind = MEASURES[measure], attributes["unit"], attributes["kind"]
    n_classes = len(attributes["classes"]) if kind == "regions" else max(len(attributes["classes"]), 2)
    most = HIGHEST_BIT * ONE_BIT[unit] if its.unit == "entropy" else math.inf
    return min(its.highest(kind, unit, n_classes, math.inf) or most, most) * its.scale


def _qc_page(
    sample: str,
    store: MeasureStore,
    summary: Mapping[str, Any],
    image: PathLike | None,
    thumbnail: PathLike | None,
    settings: Mapping[str, Any],
) -> Page:
    tops = {name: colour_scale_top(name, store.attributes) for name in MAIN if name in store.arrays}
    with phase("read the slices"):
        views = gather(store, summary, image, axes=settings["axes"], n_slices=settings["slices"], tops=tops)
    columns = [*(["image"] if views.image else []), "segmentation", *tops]
    counts = {name: len(indices) for name, indices in views.chosen.items()}
    sheet = arrange(views.planes, counts, len(columns), mosaic=settings["slices"] == "all")
    header = [*_header(store, summary, views), *_warnings(summary, sheet)]
    sheet = sheet.lowered(round((MARGIN + 48 + 18 * len(header)) * sheet.unit))
    names = coloured_classes(store.attributes)
    colours, scale, window = class_colours(len(names)), colour_scale(), _window(views)
    classes = {name: (int(red), int(green), int(blue)) for name, (red, green, blue) in zip(names, colours, strict=True)}
    footer = _footer(store, summary, views, sheet, tops, classes, scale, window)
    footer = min((replace(footer, place=place) for place in sheet.free_places()), key=lambda laid_out: laid_out.bottom)
    height = max(footer.bottom, sheet.bottom + round(MARGIN * sheet.unit))
    pixels = blank(height, sheet.width)
    with phase("paint the tiles"):
        for block in sheet.blocks:
            paint(pixels, block, views, columns, window=window, colours=colours, scale=scale)
    page = Page(pixels, footer.dpi)
    _draw_header(page, sample, header, sheet.unit)
    for block in sheet.blocks:
        annotate(page, block, views, columns)
    footer.draw(page)
    if thumbnail is not None:
        with phase("draw the thumbnail"):
            save_thumbnail(thumbnail, views, summary, window=window, colours=colours, scale=scale)
    processed(math.prod(views.shape))
    return page


def _window(views: Views) -> tuple[float, float] | None:
    if views.image is None:
        return None
    objects = [
        np.logical_or.reduce(
            [labels[plane.name] == 1 if views.by_region else labels[plane.name] > 0 for labels in views.labels]
        )
        for plane in views.planes
    ]
    return window_of([views.image[plane.name] for plane in views.planes], objects)


def number(value: float | None, digits: int = 4) -> str:
    """Write a value for reading: thousands apart, at least `digits` significant; a dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, int) or abs(value) >= 10**digits:
        return f"{value:,.0f}".replace(",", "\u2009")
    return f"{value:.{digits}g}"


def _header(store: MeasureStore, summary: Mapping[str, Any], views: Views) -> list[tuple[str, str]]:
    """Lines below the title and their colours: totals and means of each measure, then what the sample is."""
    unit = store.attributes["unit"]
    lines = []
    for name in MAIN:
        if f"{name}_total" in summary and name in store.arrays:
            its = MEASURES[name]
            unit = its.unit_in(store.attributes["unit"])
            total, mean, foreground = (summary[f"{name}_{key}"] for key in ("total", "mean", "foreground_mean"))
            lines.append(
                f"{its.words.capitalize()}: total {number(total)} {unit} · mean {number(mean)} {unit}/voxel of the "
                f"domain · foreground mean {number(foreground)} {unit}/voxel"
            )
    size = " × ".join(str(n) for n in views.shape[::-1])
    voxel = " × ".join(f"{length:.3g}" for length in views.orientation.voxel_mm)
    n_members, regions = summary["n_members"], views.by_region
    facts = [
        f"{size} voxels of {voxel} mm",
        f"domain {number(summary['n_domain_voxels'])} voxels",
        f"{len(store.attributes['classes'])} {'regions' if regions else 'classes'}",
        f"{n_members} member{'s' if n_members > 1 else ''}",
        f"{number(summary['n_invalid_voxels'])} invalid voxels",
    ]
    return [*((line, PLAIN) for line in lines), (" · ".join(facts), MUTED)]


def _warnings(summary: Mapping[str, Any], sheet: Sheet) -> list[tuple[str, str]]:
    """What a reader should know before the numbers above: the sample's warnings, broken into lines."""
    room, dpi = _room(sheet.width, MARGIN * sheet.unit), 100 * sheet.unit
    lines, warnings = [], summary["warnings"]
    for warning in warnings[:MAX_WARNINGS]:
        broken = wrapped(f"Warning {warning['code']}: {warning['message']}", 9, dpi, room)
        lines += broken[:WARNING_LINES]
        if len(broken) > WARNING_LINES:
            lines[-1] = f"{lines[-1][:-1]}…"
    if len(warnings) > MAX_WARNINGS:
        lines.append(f"and {len(warnings) - MAX_WARNINGS} more warnings, see the summary")
    return [(line, WARNING) for line in lines]


def _room(width: float, margin: float) -> float:
    """Pixels for a line of text. Letters of an SVG are as wide as its reader's font makes them."""
    return 0.97 * (width - 2 * margin)


def _draw_header(page: Page, sample: str, lines: list[tuple[str, str]], unit: float) -> None:
    _draw_title(page, MARGIN * unit, MARGIN * unit, sample)
    for row, (line, colour) in enumerate(lines):
        page.text(MARGIN * unit, (MARGIN + 30 + 18 * row) * unit, line, points=9, colour=colour)


def _draw_title(page: Page, x: float, y: float, sample: str) -> None:
    """Write the id as large as there is room; of one that is longer than any name of a person's making, both ends."""
    title, room = shortened(sample, MAX_TITLE), _room(page.width, x)
    fitting = (size for size in TITLE_POINTS if text_width(title, size, page.dpi, "bold") <= room)
    page.text(x, y, title, points=next(fitting, TITLE_POINTS[-1]), weight="bold")


def _footer(
    store: MeasureStore,
    summary: Mapping[str, Any],
    views: Views,
    sheet: Sheet,
    tops: Mapping[str, float],
    classes: Mapping[str, Colour],
    scale: Bytes,
    window: tuple[float, float] | None,
) -> Footer:
    unit = store.attributes["unit"]
    bars = [
        Bar(f"{its.words}, {its.symbol} ({its.unit_in(unit)})", top, _exceeds(its.name, top, summary, views))
        for its, top in ((MEASURES[name], top) for name, top in tops.items())
    ]
    keys = [Key(shortened(name, MAX_NAME), colour) for name, colour in list(classes.items())[:MAX_KEYS]]
    if len(classes) > MAX_KEYS:
        keys.append(Key(f"and {len(classes) - MAX_KEYS} more", (0, 0, 0)))
    if any(bar.exceeded for bar in bars):
        keys.append(Key("beyond the scale", STATE_COLOURS[OVER]))
    if summary["n_invalid_voxels"]:
        keys.append(Key("invalid", STATE_COLOURS[INVALID]))
    if summary["n_empty_voxels"]:
        keys.append(Key("outside the field", STATE_COLOURS[OUTSIDE]))
    keys.append(Key("slice with the highest mean predictive entropy", mark=PEAK))
    if any(index is not None for index in views.disagreement_peaks.values()):
        keys.append(Key("slice with the highest mean mutual information", mark=DISAGREEMENT_PEAK))
    notes = [Note(_convention(views, window), warning=not views.placed)]
    if summary.get("content") == "partial_volume":
        notes.append(
            Note("The values are partial volumes: entropy of a mixture of tissues is no uncertainty of a model.")
        )
    if views.thin:
        notes.append(Note(f"Not shown, since the volume is one voxel thin there: {', '.join(views.thin)}."))
    if views.skips:
        notes.append(Note(f"Of a plane of more than {MOST_SLICES} slices, every second, third, … is shown."))
    if views.image_fault:
        notes.append(Note(f"The image is not shown. {views.image_fault}", warning=True))
    return Footer(sheet.free_places()[0], sheet.unit, sheet.pixels_per_mm, bars, keys, notes, scale)


def _convention(views: Views, window: tuple[float, float] | None) -> str:
    """How slices lie on the sheet, and how grey values are shown."""
    sentences = [CONVENTION if views.placed else UNPLACED]
    if views.orientation.obliqueness > 0.5:
        angle = f"{views.orientation.obliqueness:.0f}°"
        sentences.append(f"Oblique by {angle}: slices follow the voxel grid, letters the nearest axis.")
    if window is not None:
        sentences.append(f"Image window {window[0]:.4g} … {window[1]:.4g}.")
    return " ".join(sentences)


def _exceeds(measure: str, top: float, summary: Mapping[str, Any], views: Views) -> bool:
    highest = summary.get(f"{measure}_max") or 0.0
    return highest > top * (1 + 1e-5) or any(bool((codes == OVER).any()) for codes in views.heat[measure].values())


def rejection_page(sample: str, rejection: Rejection) -> Page:
    """Code, message and remedy instead of slices."""
    parts = [("What was found", rejection.message), ("What to do", rejection.remedy)]
    width, left = MIN_WIDTH, 2 * MARGIN
    lines = [(heading, wrapped(text, 11, 100, width - 3 * MARGIN - left)) for heading, text in parts]
    height = 130 + sum(46 + 22 * len(text) for _, text in lines)
    pixels = blank(height, width)
    pixels[:, :8] = (255, 128, 120)
    page = Page(pixels, 100)
    _draw_title(page, left, 22, sample)
    page.text(left, 58, f"Rejected: {rejection.code}", points=12, weight="bold", colour=WARNING)
    page.text(
        left, 84, f"in stage {rejection.stage}; no number of this sample stands in any table", points=9, colour=MUTED
    )
    y = 126
    for heading, text in lines:
        page.text(left, y, heading, points=9, colour=MUTED)
        for row, line in enumerate(text):
            page.text(left, y + 20 + 22 * row, line, points=11, colour=PLAIN)
        y += 46 + 22 * len(text)
    return page
