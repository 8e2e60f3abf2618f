"""A store that its job had just renamed when everything was killed: it exists, and Snakemake marks it as incomplete."""

from base64 import b64encode
from collections import Counter

from study import Study, softmax_volume


def test_all_that_follows_an_incomplete_store_is_made_in_the_same_run(tmp_path):
    study = Study(tmp_path)
    study.add("sub-01", softmax_volume(1))
    assert study.run("--until", "convert", "--notemp").code == 0
    store = "work/sub-01/probabilities.zarr"
    assert (tmp_path / store).is_dir()
    (tmp_path / ".snakemake/incomplete" / b64encode(store.encode()).decode()).touch()
    run = study.run()
    assert run.code == 0, run.output
    assert run.jobs == Counter(
        {"convert": 1, "compute_entropy": 1, "render_qc": 1, "aggregate": 1, "report": 1, "all": 1}
    )
    assert [row["sample"] for row in study.table("subjects")] == ["sub-01"]
