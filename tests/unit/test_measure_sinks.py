"""A measure that stands in the table is everywhere: in config, tables, maps, figures, texts, docs and twins."""

import json
import re
from functools import cache

import cohorts
import document_measures
import nibabel
import numba
import numpy as np
import pytest
import reference
import strategies as own
from hypothesis import given, settings
from hypothesis import strategies as st
from qc_sample import QC, SHAPE
from sample_store import SampleStore, region_members, softmax_members, with_empty_margin
from study import ROOT
from volume_entropy import uncertainty
from volume_entropy.columns import subject_columns
from volume_entropy.config import load_config
from volume_entropy.errors import ConfigError
from volume_entropy.figures import qc
from volume_entropy.kernels.sums import VALUE_LIMIT
from volume_entropy.measures import MEASURES, default_measures, statistic_keys
from volume_entropy.report.methods import methods
from volume_entropy.samples import check_samples
from volume_entropy.stores.measures import open_measures
from volume_entropy.tables import measure_entries

JIT = not numba.config.DISABLE_JIT
few = settings(max_examples=30 if JIT else 2, deadline=None)
FORMS = [(name, kind) for name, measure in MEASURES.items() for kind in measure.kinds]
every_measure = pytest.mark.parametrize("name", MEASURES)
every_form = pytest.mark.parametrize(("name", "kind"), FORMS)


def volume(kind):
    return region_members(3, n_members=3) if kind == "regions" else with_empty_margin(softmax_members(3, n_members=3))


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """The folder of a sample of a kind, of three members, with every measure there is in every format of maps."""

    @cache
    def compute(kind):
        folder = tmp_path_factory.mktemp(kind)
        asked = {"measures": [name for name, of in FORMS if of == kind], "maps": ["nifti", "ome-zarr"], "unit": "nat"}
        SampleStore(volume(kind), kind=kind, settings=asked).compute(folder)
        return folder

    return compute


@every_measure
@pytest.mark.parametrize("kind", ["softmax", "regions"])
def test_the_config_takes_a_measure_where_it_is_defined(name, kind):
    config = {"entropy": {"measures": [name]}, "probabilities": {"kind": kind, "background_class": None}}
    schema, presets = ROOT / "workflow/schemas/config.schema.yaml", ROOT / "workflow/presets"
    if kind in MEASURES[name].kinds:
        assert load_config(config, schema, presets)["entropy"]["measures"] == [name]
    else:
        with pytest.raises(ConfigError, match=f"{name} is not defined for kind `regions`"):
            load_config(config, schema, presets)


@every_measure
def test_a_column_of_the_samples_table_may_not_have_its_name(name, tmp_path):
    table = tmp_path / "samples.tsv"
    table.write_text(f"sample\tprobabilities\t{name}_mean\na\tp.nii\t1\n")
    with pytest.raises(ConfigError, match=f"'{name}_mean' has the name of one of the columns of subjects.csv"):
        check_samples(table, ROOT / "workflow/schemas/samples.schema.yaml", {"members": None, "tokens": ["a"]}, None)


@every_form
def test_its_columns_and_its_entry_stand_in_the_data_dictionaries(name, kind):
    measure, form = MEASURES[name], MEASURES[name].form(kind)
    columns = {column.name: column for column in subject_columns([name], "nat", kind, members=True)}
    assert set(statistic_keys(name)) <= set(columns)
    assert (columns[f"{name}_mean"].unit, columns[f"{name}_mean"].range) == (measure.unit_in("nat"), form.range)
    assert measure_entries(2, [name], kind)[name] == {
        "symbol": measure.symbol, "definition": form.definition, "source": measure.source,
    }  # fmt: skip


@every_form
def test_its_summary_is_that_of_its_map(name, kind, computed):
    folder = computed(kind)
    store, summary = open_measures(folder / "measures.zarr"), json.loads((folder / "summary.json").read_text())
    values = store.array(name)[:].astype(np.float64)
    assert {key for key in summary if key.startswith(f"{name}_")} == set(statistic_keys(name))
    assert summary[f"{name}_total"] == pytest.approx(values.sum(), rel=1e-9, abs=1e-9)
    assert summary[f"{name}_max"] == values.max() < VALUE_LIMIT


@every_form
def test_its_nifti_map_has_its_values_its_window_and_a_sidecar(name, kind, computed):
    measure, folder = MEASURES[name], computed(kind)
    stem = folder / "maps" / f"sub-01_desc-{measure.suffix}_map"
    image = nibabel.load(f"{stem}.nii.gz")
    store = open_measures(folder / "measures.zarr")
    np.testing.assert_array_equal(np.asarray(image.dataobj), store.array(name)[:].T)
    header = image.header
    highest = measure.highest(kind, "nat", volume(kind).shape[1], 3)
    assert header["cal_max"] == np.float32(highest) and header["cal_min"] == 0
    assert header["descrip"].item().decode() == f"{name} [{measure.unit_in('nat')}]"
    assert header["intent_name"].item().decode() == measure.symbol
    sidecar = json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
    said = [sidecar[key] for key in ("Measure", "Symbol", "Units", "Range", "Definition", "Reference")]
    form = measure.form(kind)
    wanted = [name, measure.symbol, measure.unit_in("nat"), form.range, form.definition, measure.source or None]
    assert said == wanted


@every_form
def test_its_channel_of_an_image_has_its_colour_and_its_window(name, kind, computed):
    measure, folder = MEASURES[name], computed(kind)
    attributes = json.loads((folder / "maps/sub-01_maps.ome.zarr/zarr.json").read_text())["attributes"]
    place = default_measures(3, [name for name, of in FORMS if of == kind], kind).index(name)
    channel = attributes["ome"]["omero"]["channels"][place]
    assert channel["label"].split(" [")[0] == name
    assert channel["color"] == measure.colour
    highest = measure.highest(kind, "nat", volume(kind).shape[1], 3)
    found = float(open_measures(folder / "measures.zarr").array(name)[:].max())
    assert channel["window"]["end"] == pytest.approx(highest or found) and channel["window"]["start"] == 0


def test_no_two_measures_share_a_colour_or_a_symbol():
    assert all(re.fullmatch("[0-9A-F]{6}", measure.colour) for measure in MEASURES.values())
    assert len({measure.colour for measure in MEASURES.values()}) == len(MEASURES)
    assert len({measure.symbol for measure in MEASURES.values()}) == len(MEASURES)


@every_form
def test_a_figure_can_show_it_on_a_scale_that_it_reaches(name, kind, tmp_path, monkeypatch):
    measure = MEASURES[name]
    attributes = {"classes": ["a", "b", "c", "d"], "kind": kind, "unit": "nat"}
    top = qc.colour_scale_top(name, attributes)
    highest = measure.highest(kind, "nat", 4, np.inf) or np.inf
    two_bit = measure.highest(kind, "nat", 4, np.inf) if measure.unit == "1" else 2 * np.log(2)
    assert top == pytest.approx(min(highest, two_bit) * measure.scale)
    monkeypatch.setattr(qc, "MAIN", ("predictive_entropy", name))
    values = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    texts = QC(tmp_path, measures={name: values}, unit="nat").texts()
    assert f"{measure.words}, {measure.symbol} ({measure.unit_in('nat')})" in texts
    assert any(text.startswith(f"{measure.words.capitalize()}: total") for text in texts)


@every_form
def test_the_methods_text_defines_it_and_names_the_works_behind_it(name, kind):
    more = {"classes": ["a", "b"], "background": "given", "sum_tolerance": 0.01, "max_invalid_fraction": 0.001}
    asked = cohorts.settings(measures=[name], kind=kind, content="posterior", threshold=0.5, **more)
    text = methods(asked, group=None, n_members=3, citation=None)
    form = MEASURES[name].form(kind)
    (entry,) = [entry for entry in text["measures"] if entry["name"] == MEASURES[name].words]
    assert (entry["definition"], entry["range"]) == (form.definition, form.range)
    assert set(MEASURES[name].references) <= set(text["references"])


@every_measure
def test_each_author_of_its_source_has_a_reference(name):
    for author, year in re.findall(r"(\w+)(?: and \w+| et al\.)? (\d{4})", MEASURES[name].source):
        assert any(work.startswith(author) and year in work for work in MEASURES[name].references)


def test_the_page_of_measures_is_what_the_table_says():
    page = document_measures.PAGE.read_text(encoding="utf-8")
    assert page == document_measures.page()
    for name, kind in FORMS:
        _, section = page.split(f"## {MEASURES[name].words.capitalize()}\n")
        section = section.split("\n## ")[0]
        assert f"`{MEASURES[name].form(kind).definition}`" in section
        assert MEASURES[name].good_for in section
    assert "generalised Jensen–Shannon divergence" in page


@every_measure
@pytest.mark.parametrize("kind", ["softmax", "regions"])
def test_it_has_a_twin_for_the_kinds_that_it_is_defined_for(name, kind):
    assert (name in reference.measures(np.full((2, 3, 1), 1 / 3), kind)) == (kind in MEASURES[name].kinds)


@pytest.mark.parametrize("kind", ["softmax", "regions"])
@few
@given(st.data())
def test_its_values_lie_within_its_range(kind, data):
    p = data.draw(own.region_volumes() if kind == "regions" else own.softmax_volumes())
    names = [name for name, of in FORMS if of == kind]
    for unit in ("bit", "nat"):
        maps = uncertainty(p, kind=kind, measures=names, unit=unit)
        for name, values in maps.items():
            bound = MEASURES[name].form(kind).bound
            assert (values >= 0).all(), name
            if bound is None:
                continue
            # Rounded to float32 themselves.
            highest = np.float32(MEASURES[name].highest(kind, unit, p.shape[1], len(p))) * np.float32(1 + 3e-7)
            assert (values <= highest).all(), name
            if bound.measure is not None:
                assert (values <= maps[bound.measure]).all(), name


@every_form
def test_one_member_gives_what_the_table_says_beforehand(name, kind):
    p = volume(kind)[:1]
    of_one = MEASURES[name].of_one_member
    maps = uncertainty(p, kind=kind, measures=(name, "predictive_entropy"))
    twin = reference.block(p, kind=kind).maps[name]
    np.testing.assert_allclose(maps[name], twin, rtol=0, atol=MEASURES[name].accuracy)
    if of_one is not None:
        np.testing.assert_array_equal(maps[name], 0 if of_one == "0" else maps[of_one])


@every_form
@pytest.mark.parametrize("n_members", [1, 3])
def test_the_unit_scales_entropies_and_nothing_else(name, kind, n_members):
    p = volume(kind)[:n_members]
    in_bit, in_nat = (uncertainty(p, kind=kind, unit=unit, measures=(name,))[name] for unit in ("bit", "nat"))
    if MEASURES[name].unit == "entropy":
        np.testing.assert_allclose(in_nat, in_bit * np.log(2), rtol=1e-6, atol=1e-12)
    else:
        np.testing.assert_allclose(in_nat, in_bit, rtol=2e-7)
