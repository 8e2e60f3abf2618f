"""What the main process finds before any job."""

import os
from pathlib import Path

import pytest
from volume_entropy.errors import ConfigError
from volume_entropy.files import fingerprint, remove, write_json
from volume_entropy.measures import SCHEMA_VERSION
from volume_entropy.runs import preflight


def made(sample, *, readable=True, tolerance=0.01):
    source = [f"/data/{sample}.nii", 10 if readable else None, 5, readable]
    return {"sample": sample, "sources": [source], "settings": {"sum_tolerance": tolerance}, "revision": 1}


@pytest.fixture
def results(tmp_path):
    def write(sample, status="ok", schema=SCHEMA_VERSION, maps=None, **changes):
        content = {"status": status, "recipe": made(sample, **changes), "schema_version": schema, "maps": maps or {}}
        write_json(tmp_path / sample / f"{sample}_summary.json", content)
        (tmp_path / sample / "maps").mkdir()
        for name, n_files in (maps or {}).items():
            for number in range(n_files):
                path = tmp_path / sample / "maps" / (name if n_files == 1 else f"{name}/c/{number}")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()

    write.path = str(tmp_path)
    write.tables = (f"{tmp_path}/subjects.csv", f"{tmp_path}/rejected.csv")
    return write


def check(results, *recipes, scores=None):
    paths = [f"{results.path}/{recipe['sample']}/{recipe['sample']}_summary.json" for recipe in recipes]
    return preflight.check(dict(zip(paths, recipes, strict=True)), results.tables, scores)


def test_fresh_results_and_new_samples_are_left_alone(results):
    results("a")
    assert check(results, made("a"), made("b")) == set()


def test_a_changed_setting_makes_a_sample_again_and_says_which(results, caplog):
    results("a", tolerance=0.5)
    assert check(results, made("a"), made("b")) == {f"{results.path}/a/a_summary.json"}
    assert "settings.sum_tolerance was 0.5, is 0.01" in caplog.text


def test_half_a_summary_is_made_again(results):
    results("a")
    with open(f"{results.path}/a/a_summary.json", "w") as stream:
        stream.write('{"status": "o')
    assert len(check(results, made("a"))) == 1


@pytest.mark.parametrize("status", ["ok", "rejected"])
def test_what_a_version_with_another_schema_made_is_made_again(results, status, caplog):
    # A column that is new, say, with the same recipe.
    results("a", status=status, schema="1.0")
    assert check(results, made("a")) == {f"{results.path}/a/a_summary.json"}
    assert f"a is computed again: its results are of schema 1.0, this version has {SCHEMA_VERSION}" in caplog.text
    assert not preflight.is_fresh({"recipe": made("a"), "schema_version": "1.0"}, made("a"))
    assert not preflight.is_fresh({"recipe": made("a")}, made("a"))
    assert preflight.is_fresh({"recipe": made("a"), "schema_version": SCHEMA_VERSION}, made("a"))


MAPS = {"a_desc-x_map.nii.gz": 1, "a_desc-x_map.json": 1, "a_maps.ome.zarr": 5}


@pytest.mark.parametrize("gone", [*MAPS, "a_maps.ome.zarr/c/3", ""])
def test_a_sample_that_lacks_a_map_or_a_part_of_one_is_made_again(results, gone, caplog):
    results("a", maps=MAPS)
    folder = Path(results.path, "a/maps")
    (folder / "of a user.txt").touch()
    assert check(results, made("a")) == set()
    remove(folder / gone)
    assert check(results, made("a")) == {f"{results.path}/a/a_summary.json"}
    what = "a part of a_maps.ome.zarr" if gone.endswith("3") else gone or "maps"
    assert f"a is computed again: {what} is gone" in caplog.text


def test_a_lost_source_of_a_finished_sample_stops_everything(results):
    results("a")
    with pytest.raises(ConfigError, match=r"a: /data/a\.nii does not exist"):
        check(results, made("a", readable=False))


def test_a_lost_source_of_a_rejected_or_new_sample_does_not(results):
    results("a", status="rejected", readable=False)
    assert check(results, made("a", readable=False), made("b", readable=False)) == set()


def test_every_source_that_is_not_there_is_named_before_any_job(results, caplog):
    check(results, made("a"), made("b", readable=False), made("c"))
    assert "b: /data/b.nii does not exist" in caplog.text and "the other samples run" in caplog.text
    assert "/data/a.nii" not in caplog.text and "/data/c.nii" not in caplog.text
    caplog.clear()
    check(results, made("a"))
    assert not caplog.records
    check(results, *(made(f"s{number}", readable=False) for number in range(25)))
    assert caplog.text.count("does not exist") == 10 and "… and 15 more" in caplog.text


def test_an_image_that_never_could_be_read_stops_nothing_later(results):
    results("a")
    image = ["/data/a_T1w.nii", None, None, False]
    recipe = made("a")
    recipe["sources"].append(image)
    content = {"status": "ok", "recipe": recipe, "schema_version": SCHEMA_VERSION}
    write_json(f"{results.path}/a/a_summary.json", content)
    assert check(results, recipe) == set()
    lost = made("a", readable=False)
    lost["sources"].append(image)
    with pytest.raises(ConfigError, match=r"a: /data/a\.nii does not exist"):
        check(results, lost)


@pytest.fixture
def folder(tmp_path):
    """A folder, its record of the form before, and the record of today."""
    path = tmp_path / "p.zarr"
    path.mkdir()
    (path / "0").write_bytes(b"12")
    os.utime(path / "0", ns=(1, 10**18))
    os.utime(path, ns=(1, 10**18))
    return path, [str(path), 2, 10**18, True], fingerprint(path)


@pytest.mark.parametrize("made_by", ["summary", "store"])
def test_a_record_of_the_form_before_is_kept_while_it_holds_and_all_else_is_the_same(tmp_path, folder, made_by):
    path, before, today = folder
    summary, store = tmp_path / "s.json", tmp_path / "store"
    recipe = {**made("a"), "sources": [today, ["/data/m.nii", 5, 6, True]]}
    recipe["settings"]["model"] = {"checkpoints": [today]}
    old = {**recipe, "sources": [before, ["/data/m.nii", 5, 6, True]]}
    old["settings"] = {"sum_tolerance": 0.01, "model": {"checkpoints": [before]}}
    if made_by == "summary":
        write_json(summary, {"recipe": old})
    else:
        # What depends on fewer settings.
        recipe["settings"] = {**recipe["settings"], "unit": "bit"}
        write_json(store / "zarr.json", {"attributes": {"recipe": old}})
    kept = preflight.as_recorded(recipe, str(summary), str(store))
    assert kept["sources"] == old["sources"]
    assert kept["settings"] == {**recipe["settings"], **old["settings"]}
    assert list(kept) == list(recipe)
    another = {**recipe, "revision": 2}
    assert preflight.as_recorded(another, str(summary), str(store)) == another
    os.utime(path / "0", ns=(1, 10**18 + 1))
    assert preflight.as_recorded(recipe, str(summary), str(store)) == recipe


def test_a_recipe_without_folders_reads_no_results(tmp_path):
    assert preflight.as_recorded(made("a"), "/no/such", "/no/such") == made("a")


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"recipe": 3}', '{"recipe": {"settings": 3}}', '{"recipe": {}}'])
def test_half_a_summary_says_nothing_of_the_form(tmp_path, folder, content):
    recipe = {**made("a"), "sources": [folder[2]]}
    (tmp_path / "s.json").write_text(content)
    assert preflight.as_recorded(recipe, str(tmp_path / "s.json"), str(tmp_path)) == recipe


def test_tables_of_another_cohort_are_made_again(results):
    results("a")
    for table, names in zip(results.tables, (["a", "b"], []), strict=True):
        write_table(table, names)
    assert check(results, made("a")) == {results.tables[0]}
    assert check(results, made("a"), made("b")) == set()


def write_table(path, names):
    Path(path).write_text("\n".join(["sample,x", *(f"{name},1" for name in names)]) + "\n")


def test_tables_in_another_order_are_made_again_those_of_scores_too(results):
    for sample in "abc":
        results(sample)
    scores = f"{results.path}/scores.csv"
    write_table(results.tables[0], "ab")
    write_table(results.tables[1], "c")
    write_table(scores, "ab")
    in_order, others = ([made(sample) for sample in order] for order in ("abc", "cba"))
    assert check(results, *in_order, scores=(scores, list("abc"))) == set()
    assert check(results, *others, scores=(scores, list("cba"))) == {results.tables[0], scores}
    # A rejected sample has no scores; one whose reference was taken away has none either.
    assert check(results, *in_order, scores=(scores, list("ac"))) == {scores}


def test_a_store_of_another_recipe_is_stale_and_none_is_not(tmp_path):
    store = tmp_path / "probabilities.zarr"
    assert not preflight.store_is_stale(str(store), made("a"))
    write_json(store / "zarr.json", {"attributes": {"recipe": made("a", tolerance=0.5)}})
    assert preflight.store_is_stale(str(store), made("a"))
    assert not preflight.store_is_stale(str(store), made("a", tolerance=0.5))
    (store / "zarr.json").write_text("{")
    assert preflight.store_is_stale(str(store), made("a"))


def test_a_config_that_needs_networks_is_refused_where_they_are_not_installed():
    preflight.check_extra(["model.methods"], ["json", "csv"])
    with pytest.raises(ConfigError, match=r"model\.methods and images\.folder: .*no_such.*make env-predict"):
        preflight.check_extra(["model.methods", "images.folder"], ["json", "no_such_package"])
