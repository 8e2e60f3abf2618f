"""A page says the same as PNG and as SVG: text where it was put, boxes to the pixel, and colour bars that read true."""

import base64
import re
from itertools import pairwise
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from qc_sample import pixels_of, texts_of
from volume_entropy.figures import lettering
from volume_entropy.figures.canvas import ACCENT, BACKGROUND, MUTED, Page, blank
from volume_entropy.figures.lettering import text_width, wrapped
from volume_entropy.figures.magma import colour_scale

SVG = "{http://www.w3.org/2000/svg}"
HEIGHT, WIDTH, DPI = 80, 300, 120
SCALE = colour_scale()
ACCENT_RGB, MUTED_RGB = (tuple(bytes.fromhex(colour[1:])) for colour in (ACCENT, MUTED))


def saved(page, folder, kind="png"):
    page.save(folder / "page", kind)
    content = (folder / "page").read_bytes()
    return pixels_of(content) if kind == "png" else content


def ink(pixels):
    """Left, top, right and bottom of what is lighter than the background."""
    there = pixels[..., :3].astype(int).sum(axis=-1) > 150
    rows, columns = (np.flatnonzero(there.any(axis=along)) for along in (1, 0))
    return np.array([columns[0], rows[0], columns[-1], rows[-1]])


def outlined_width(text, size):
    """Width of the letters' outlines in pixels, by matplotlib."""
    return TextPath((0, 0), text, size, FontProperties(family="DejaVu Sans")).get_extents().width if text else 0


def elements(svg, name):
    return list(ElementTree.fromstring(svg).iter(SVG + name))


@pytest.mark.parametrize("align", ["left", "center", "right"])
@pytest.mark.parametrize("vertical", ["top", "center", "bottom"])
@pytest.mark.parametrize(("text", "points", "weight"), [("sub-01 lp", 8, "normal"), ("dgx_1", 15, "bold")])
def test_text_stands_where_matplotlib_puts_it(tmp_path, text, points, weight, align, vertical):
    page = Page(blank(HEIGHT, WIDTH), DPI)
    page.text(150, 40, text, points=points, weight=weight, align=align, vertical=vertical)
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "text.parse_math": False}):
        figure = Figure((WIDTH / DPI, HEIGHT / DPI), DPI, facecolor="black")
        figure.text(0.5, 0.5, text, fontsize=points, color="white", weight=weight, ha=align, va=vertical)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    expected = ink(np.asarray(canvas.buffer_rgba()))
    np.testing.assert_allclose(ink(saved(page, tmp_path)), expected, atol=2)
    element = elements(saved(page, tmp_path, "svg"), "text")[0]
    # Below the baseline are the descenders, a quarter of the size.
    assert float(element.get("y")) == pytest.approx(expected[3] - 0.22 * points * DPI / 72, abs=2)
    assert element.get("x") == "150"
    assert element.get("text-anchor", "start") == {"left": "start", "center": "middle", "right": "end"}[align]
    assert element.get("font-weight", "normal") == weight


def test_a_plate_darkens_what_is_below_the_letters_and_little_else(tmp_path):
    page = Page(np.full((HEIGHT, WIDTH, 3), 200, np.uint8), DPI)
    page.text(150, 40, "RL", points=10, align="center", vertical="center", plate=True)
    pixels = saved(page, tmp_path)
    dark = np.argwhere((pixels == 90).all(axis=-1))
    low, high = dark.min(axis=0), dark.max(axis=0)
    width = outlined_width("RL", 10 * DPI / 72)
    np.testing.assert_allclose((low + high) / 2, (40, 150), atol=1)
    assert width < high[1] - low[1] < width + 8
    assert 0.9 < (high[0] - low[0]) / (10 * DPI / 72) < 1.4
    plate = elements(saved(page, tmp_path, "svg"), "rect")[0]
    assert [int(plate.get(key)) for key in ("x", "y")] == low[::-1].tolist()
    assert float(plate.get("fill-opacity")) == 0.55


def test_frames_and_swatches_lie_on_their_pixels(tmp_path):
    page = Page(blank(HEIGHT, WIDTH), 160)
    page.frame(10, 12, 30, 20, ACCENT)
    page.swatch(60.4, 12.4, 14, 10, (1, 200, 3))
    pixels = saved(page, tmp_path)
    accent = (pixels == ACCENT_RGB).all(axis=-1)
    expected = np.zeros_like(accent)
    expected[12:32, 10:40] = True
    expected[14:30, 12:38] = False
    np.testing.assert_array_equal(accent, expected)
    green = np.argwhere((pixels == (1, 200, 3)).all(axis=-1))
    assert (green.min(axis=0).tolist(), green.max(axis=0).tolist()) == ([13, 61], [20, 72])
    assert tuple(pixels[12, 60]) == tuple(pixels[21, 73]) == MUTED_RGB
    frame = elements(saved(page, tmp_path, "svg"), "rect")[0]
    box = [float(frame.get(key)) for key in ("x", "y", "width", "height", "stroke-width")]
    assert box == pytest.approx([10.96, 12.96, 28.08, 18.08, 1.92])


@pytest.mark.parametrize("over", [None, (255, 255, 255)])
@pytest.mark.parametrize("top", [1.0, 2.0, np.log2(3), np.log(3) / 2])
def test_a_colour_bar_has_at_each_tick_the_colour_of_its_value(tmp_path, top, over):
    page = Page(blank(100, 300), 100)
    page.colour_bar((20, 40, 250, 11), SCALE, top, "entropy (bit)", over=over)
    pixels, svg = saved(page, tmp_path), saved(page, tmp_path, "svg")
    ticks = np.flatnonzero((pixels[52] == MUTED_RGB).all(axis=-1))
    texts = [text for text in texts_of(svg) if text != "entropy (bit)"]
    assert 4 <= len(ticks) == len(texts)
    for tick, value in zip(ticks, map(float, texts), strict=True):
        share = value / top
        colour = SCALE[min(round(share * 252), 252)].astype(int)
        # Just inside the frame.
        assert np.abs(pixels[45, np.clip(tick, 21, ticks[-1] - 1)] - colour).sum() < 20
    assert float(texts[-1]) == pytest.approx(top, rel=0.01)
    assert (ticks[0], ticks[-1]) == (20, 269 if over is None else 257)
    centres = [float(text.get("x")) for text in elements(svg, "text")][: len(ticks)]
    np.testing.assert_allclose(centres, ticks + 0.5, atol=0.01)
    arrow = (pixels[40:51, 258:270] == 255).all(axis=-1)
    if over is None:
        assert not elements(svg, "polygon")
    else:
        # Widest where it meets the bar, a point in the middle of its height.
        assert arrow[:, 0].sum() > 8
        assert 0 < arrow[5].sum() == arrow.any(axis=0).sum()
        assert not arrow[0, 4:].any()
        assert elements(svg, "polygon")[0].get("points") == "258,40 270,45.5 258,51"


def test_an_svg_holds_the_pixels_as_they_are(tmp_path):
    pixels = np.random.default_rng(3).integers(0, 256, (20, 30, 3), np.uint8)
    page = Page(pixels.copy(), 144)
    page.text(1, 1, "above", points=8)
    root = ElementTree.fromstring(saved(page, tmp_path, "svg"))
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("15pt", "10pt", "0 0 30 20")
    picture = next(root.iter(SVG + "image")).get("{http://www.w3.org/1999/xlink}href")
    np.testing.assert_array_equal(pixels_of(base64.b64decode(picture.removeprefix("data:image/png;base64,"))), pixels)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ('<b>&amp; $x_1$ "q"', '<b>&amp; $x_1$ "q"'),
        ("Großhirn é ]]> \u2009", "Großhirn é ]]> \u2009"),
        ("a\x00b\x1bc\x7f\ufffe", "a\ufffdb\ufffdc\ufffd\ufffd"),
        ("bytes of Latin-1: caf\udce9", "bytes of Latin-1: caf\ufffd"),
        ("two\nlines\tand\ra tab", "two lines and a tab"),
        ("脳 🧠 白質", "脳 🧠 白質"),
    ],
)
def test_any_name_can_be_written(tmp_path, given, shown):
    page = Page(blank(HEIGHT, WIDTH), DPI)
    page.text(10, 10, given, plate=True)
    assert texts_of(saved(page, tmp_path, "svg")) == [shown]
    assert ink(saved(page, tmp_path))[2] > 40


def test_a_letter_that_the_font_lacks_is_a_box(tmp_path):
    drawn = []
    for text in ("脳", "\u0378"):
        page = Page(blank(HEIGHT, WIDTH), DPI)
        page.text(10, 10, text, points=20)
        drawn.append(saved(page, tmp_path))
    np.testing.assert_array_equal(*drawn)
    left, top, right, bottom = ink(drawn[0])
    assert right - left > 12
    assert bottom - top > 20
    assert tuple(drawn[0][(top + bottom) // 2, (left + right) // 2]) == BACKGROUND


WORDS = st.lists(
    st.tuples(st.sampled_from("aWié-"), st.integers(1, 40), st.sampled_from(" /")).map(
        lambda word: word[0] * word[1] + word[2]
    ),
    max_size=12,
).map("".join)


@settings(max_examples=20)
@given(WORDS, st.integers(40, 300))
def test_wrapped_text_fits_and_loses_nothing(text, width):
    lines = wrapped(text, 9, 100, width)
    # Drawn letters are hinted; their outlines are a little narrower or wider.
    for line in lines:
        assert outlined_width(line, 12.5) < 1.06 * width + 2
    assert re.sub(" ", "", "".join(lines)) == re.sub(" ", "", text)
    for word in re.findall("[^ /]+/?", text):
        assert text_width(word, 9, 100) > width or any(word in line for line in lines)
    for line, following in pairwise(lines):
        word = re.match("[^ /]*/?", following)[0]
        assert text_width(f"{line} {word}", 9, 100) > width


def test_text_is_as_wide_as_it_is_drawn(tmp_path):
    for weight in ("normal", "bold"):
        page = Page(blank(HEIGHT, WIDTH), DPI)
        page.text(10, 10, "mutual information", points=9, weight=weight)
        left, _, right, _ = ink(saved(page, tmp_path))
        assert right - left + 1 == pytest.approx(text_width("mutual information", 9, DPI, weight), abs=3)


def test_a_font_that_is_not_there_is_named(monkeypatch, tmp_path):
    def without_fonts(name):
        return type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})

    for find_spec, place in ((without_fonts, str(tmp_path)), (lambda name: None, "any matplotlib")):
        monkeypatch.setattr(lettering, "find_spec", find_spec)
        lettering.fonts_folder.cache_clear()
        with pytest.raises(FileNotFoundError, match=r"DejaVuSans\.ttf.*" + re.escape(place)):
            lettering.fonts_folder()
    lettering.fonts_folder.cache_clear()


def test_heat_maps_have_the_colours_of_magma():
    expected = matplotlib.colormaps["magma"](np.linspace(0, 1, 253), bytes=True)[:, :3]
    np.testing.assert_array_equal(colour_scale(), expected)
