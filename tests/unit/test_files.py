"""A file is whole or absent."""

import os
import shutil

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


@pytest.fixture
def store(tmp_path):
    """A folder of four files, all of one size and time."""
    for name in ("zarr.json", "c/0/0", "c/0/1", "c/1/0"):
        file = tmp_path / "p.zarr" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"12")
        os.utime(file, ns=(1, 10**18))
    return tmp_path / "p.zarr"


def test_the_fingerprint_of_a_folder_is_its_path_its_size_a_hash_and_whether_it_can_be_read(store):
    path, size, digest, readable = files.fingerprint(store)
    assert (path, size, readable) == (str(store), 8, True)
    assert len(digest) == 32
    assert files.fingerprint(store) == [path, size, digest, readable]
    assert files.fingerprint(store / "absent") == [str(store / "absent"), None, None, False]


def _swap(store):
    os.utime(store / "c/0/0", ns=(1, 10**18 + 1))
    before = files.fingerprint(store)
    (store / "c/0/0").rename(store / "aside")
    (store / "c/0/1").rename(store / "c/0/0")
    (store / "aside").rename(store / "c/0/1")
    return before


def _link_to_nothing(store):
    (store / "c/2").symlink_to(store / "nowhere")


CHANGES = {
    "a newer file": lambda store: os.utime(store / "c/0/1", ns=(1, 10**18 + 1)),
    "an older file": lambda store: os.utime(store / "c/0/1", ns=(1, 10**18 - 1)),
    "two files in each other's place": _swap,
    "a file less": lambda store: (store / "c/0/1").unlink(),
    "a file more, empty": lambda store: (store / "c/1/1").touch(),
    "another name": lambda store: (store / "c/0/1").rename(store / "c/0/2"),
    "another folder": lambda store: (store / "c/0/1").rename(store / "c/1/1"),
    "a link to nothing": _link_to_nothing,
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_fingerprint_of_a_folder_sees_every_change_of_a_file(store, change):
    before = files.fingerprint(store)
    before = CHANGES[change](store) or before
    assert files.fingerprint(store) != before


def test_a_copy_with_its_times_has_the_same_fingerprint_but_for_the_path(store, tmp_path):
    shutil.copytree(store, tmp_path / "copy.zarr")
    os.chmod(store / "c/0/0", 0o600)  # another ctime
    os.utime(store)
    assert files.fingerprint(store)[1:] == files.fingerprint(tmp_path / "copy.zarr")[1:]


def test_files_behind_a_linked_folder_count_and_one_that_leads_back_ends(store, tmp_path):
    (store / "c/1").rename(tmp_path / "elsewhere")
    (store / "c/1").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(store)
    before = files.fingerprint(store)
    os.utime(tmp_path / "elsewhere/0", ns=(1, 5))
    assert files.fingerprint(store) != before
    names = [name for name, _ in files.files_below(store)]
    assert sorted(names) == ["c/0/0", "c/0/1", "c/1/0", "c/1/back", "zarr.json"]


def test_of_a_folder_inside_a_group_the_metadata_of_the_group_count(store):
    inside = store / "c"
    before = files.fingerprint(inside)
    assert before[1] == 8
    (store / "zarr.json").write_bytes(b"123")
    assert files.fingerprint(inside) != before
    before = files.fingerprint(inside)
    (store / "beside").mkdir()
    (store / "beside/0").touch()
    assert files.fingerprint(inside) == before


def test_what_is_neither_a_file_nor_a_folder_is_not_readable(tmp_path):
    os.mkfifo(tmp_path / "p.nii")
    (tmp_path / "device.nii").symlink_to("/dev/zero")
    assert files.fingerprint(tmp_path / "p.nii")[3] is False
    assert files.fingerprint(tmp_path / "device.nii")[3] is False


def test_a_record_of_the_form_before_holds_as_long_as_it_says_what_there_is(store):
    """Then it was the sum of the sizes and the latest of all times, the folder's own included."""
    os.utime(store, ns=(1, 10**18 + 7))
    before = [str(store), 8, 10**18 + 7, True]
    assert files.is_unchanged(before)
    assert files.is_unchanged(files.fingerprint(store))
    os.utime(store / "c/0/0", ns=(1, 10**18 + 8))
    assert not files.is_unchanged(before)
    assert not files.is_unchanged([str(store / "zarr.json"), 2, 5, True])
