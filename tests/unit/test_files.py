"""A file is whole or absent."""

import os

import pytest
from volume_entropy import files


def test_a_file_appears_only_when_whole(tmp_path):
    target = tmp_path / "deep" / "table.csv"
    with files.replaced_when_whole(target) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
        assert temporary.suffix == ".csv"
    assert target.read_text() == "whole"
    assert os.listdir(target.parent) == ["table.csv"]


def test_a_failure_leaves_the_old_content(tmp_path):
    target = tmp_path / "store.zarr"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(OSError, match="disk full"), files.replaced_when_whole(target) as temporary:
        temporary.mkdir()
        raise OSError("disk full")
    assert os.listdir(target) == ["old"]
    assert os.listdir(tmp_path) == ["store.zarr"]


def test_a_directory_replaces_a_directory(tmp_path):
    target = tmp_path / "store.zarr"
    for name in ("first", "second"):
        with files.replaced_when_whole(target) as temporary:
            temporary.mkdir()
            (temporary / name).touch()
    assert os.listdir(target) == ["second"]
    assert os.listdir(tmp_path) == ["store.zarr"]


def test_leftovers_of_a_dead_process_go_and_those_of_a_living_one_stay(tmp_path):
    target = tmp_path / "out.json"
    with files.replaced_when_whole(target) as temporary:
        temporary.touch()
        name = temporary.name
    process = name.split(str(os.getpid()))
    dead = tmp_path / "4194305".join(process)  # above the largest process id of Linux
    alive = tmp_path / name
    dead.touch()
    alive.touch()
    with files.replaced_when_whole(target) as temporary:
        temporary.touch()
    assert not dead.exists()
    assert alive.exists()


def test_json_with_a_number_that_json_has_not_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", {"mean": float("nan")})
    assert os.listdir(tmp_path) == []


def test_the_fingerprint_of_a_folder_sees_every_file_in_it(tmp_path):
    store = tmp_path / "p.zarr" / "c"
    store.mkdir(parents=True)
    (store / "0").write_bytes(b"12")
    before = files.fingerprint(tmp_path / "p.zarr")
    os.utime(store / "0", ns=(1, 2**62))
    after = files.fingerprint(tmp_path / "p.zarr")
    assert before[1] == after[1] == 2
    assert before[2] < after[2]
    assert files.fingerprint(tmp_path / "absent") == [str(tmp_path / "absent"), None, None, False]
