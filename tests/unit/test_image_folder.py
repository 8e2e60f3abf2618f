"""A folder of PNG files: what is read, how it is split, and what is rejected in words."""

import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from volume_entropy.classification.folder import (
    class_counts,
    folder_digest,
    list_folder,
    read_folder,
    read_images,
    write_images,
)
from volume_entropy.classification.pictures import read_picture
from volume_entropy.classification.recipes import check_images
from volume_entropy.classification.stages import collect_images
from volume_entropy.errors import CODES, ConfigError, DataError

SPLIT = {"validation": 0.2, "test": 0.3}


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)


def fill(folder, counts, size=(6, 5), seed=0):
    draws = np.random.default_rng(seed)
    for name, count in counts.items():
        for number in range(count):
            save(folder / name / f"{number:03}.png", draws.integers(0, 256, size=size))
    return folder


def test_pixels_are_what_was_written_whatever_the_mode(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, size=(4, 7), dtype=np.uint8)
    rgb = np.random.default_rng(1).integers(0, 256, size=(4, 7, 3), dtype=np.uint8)
    deep = np.random.default_rng(2).integers(0, 65536, size=(4, 7), dtype=np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(rgb).save(tmp_path / "rgb.png")
    Image.fromarray(deep).save(tmp_path / "deep.png")
    Image.fromarray(grey).convert("P").save(tmp_path / "palette.png")
    Image.fromarray(grey).convert("RGBA").save(tmp_path / "opaque.png")
    Image.fromarray(np.eye(4, 7, dtype=bool)).save(tmp_path / "bits.png")
    for name in ("grey", "palette", "opaque"):
        assert_array_equal(read_picture(tmp_path / f"{name}.png", 1), grey[None].astype(np.float32) / 255)
    assert_array_equal(
        read_picture(tmp_path / "grey.png", 3), np.repeat(grey[None], 3, axis=0).astype(np.float32) / 255
    )
    assert_array_equal(read_picture(tmp_path / "rgb.png", 3), np.moveaxis(rgb, 2, 0).astype(np.float32) / 255)
    luma = rgb @ [0.299, 0.587, 0.114] / 255
    assert_allclose(read_picture(tmp_path / "rgb.png", 1)[0], luma, atol=0.51 / 255)
    assert_allclose(read_picture(tmp_path / "deep.png", 1)[0], deep / 65535, atol=1e-7)
    assert_array_equal(read_picture(tmp_path / "bits.png", 1)[0], np.eye(4, 7))


def test_a_picture_is_brought_to_a_size_by_averaging(tmp_path):
    save(tmp_path / "a.png", np.kron([[0, 255], [255, 0]], np.ones((8, 8))))
    small = read_picture(tmp_path / "a.png", 1, (4, 4))
    assert small.shape == (1, 4, 4)
    assert small.mean() == pytest.approx(0.5, abs=1e-3)
    assert small[0, 0, 0] < 0.05 and small[0, 0, -1] > 0.95


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def faulty(folder):
    """PNG files that cannot be used, by the code they get."""
    save(folder / "good.png", np.arange(30).reshape(6, 5))
    good = (folder / "good.png").read_bytes()
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("a digit")
    (folder / "cut.png").write_bytes(good[: len(good) // 2])
    (folder / "endless.png").write_bytes(good[:-12])
    place = good.index(b"IDAT") + 6
    (folder / "flipped.png").write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
    head = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 0, 0, 0, 0)
    (folder / "huge.png").write_bytes(good[:8] + chunk(b"IHDR", head) + chunk(b"IEND", b""))
    (folder / "short.png").write_bytes(good[:33] + chunk(b"IDAT", zlib.compress(b"\0" * 3)) + chunk(b"IEND", b""))
    (folder / "scrambled.png").write_bytes(good[:33] + chunk(b"IDAT", b"no deflate") + chunk(b"IEND", b""))
    clear = np.zeros((6, 5, 4), np.uint8)
    Image.fromarray(clear).save(folder / "clear.png")
    frames = [Image.fromarray(np.full((6, 5), value, np.uint8)) for value in (0, 200)]
    frames[0].save(folder / "moving.png", save_all=True, append_images=frames[1:])
    (folder / "folder.png").mkdir()
    (folder / "dangling.png").symlink_to(folder / "nowhere")
    return {
        "empty": "not_this_format", "text": "not_this_format", "cut": "file_truncated", "endless": "file_truncated",
        "flipped": "file_corrupt", "huge": "header_invalid", "short": "file_corrupt", "scrambled": "file_corrupt",
        "clear": "type_unsupported", "moving": "type_unsupported", "folder": "file_missing",
        "dangling": "file_missing",
    }  # fmt: skip


def test_a_bad_png_is_named_with_what_is_wrong(tmp_path):
    for name, code in faulty(tmp_path).items():
        with pytest.raises(DataError) as caught:
            read_picture(tmp_path / f"{name}.png", 1)
        assert caught.value.code == code and code in CODES, name
        assert f"{name}.png" in caught.value.message and caught.value.remedy


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(0, 255), st.booleans())
def test_a_damaged_png_is_rejected_and_never_another_picture(place, value, cut):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.png"
        save(path, np.random.default_rng(0).integers(0, 256, size=(9, 9)))
        whole, data = read_picture(path, 1), path.read_bytes()
        place %= len(data)
        damaged = data[:place] if cut else data[:place] + bytes([value]) + data[place + 1 :]
        path.write_bytes(damaged)
        try:
            assert_array_equal(read_picture(path, 1), whole)
        except DataError:
            assert damaged != data


def test_classes_are_split_alike_and_every_image_once(tmp_path):
    fill(tmp_path, {"a": 20, "b": 30})
    save(tmp_path / "alone.png", np.zeros((6, 5)))
    found, rejected = read_folder(tmp_path, split=SPLIT, seed=4)
    assert not rejected
    assert found.classes == ("a", "b")
    assert class_counts(found) == [
        {"class": "a", "n_training": 10, "n_validation": 4, "n_test": 6, "n": 20},
        {"class": "b", "n_training": 15, "n_validation": 6, "n_test": 9, "n": 30},
    ]
    assert found.splits[found.images == "alone.png"].tolist() == ["unlabelled"]
    assert found.labels[found.images == "alone.png"].tolist() == [-1]
    training = found.pixels[found.where("training")].astype(float)
    assert_allclose(found.mean, training.mean(axis=(0, 2, 3)), rtol=1e-6)
    assert_allclose(found.std, training.std(axis=(0, 2, 3)), rtol=1e-6)
    again, _ = read_folder(tmp_path, split=SPLIT, seed=4)
    assert_array_equal(again.splits, found.splits)
    other, _ = read_folder(tmp_path, split=SPLIT, seed=5)
    assert (other.splits != found.splits).any()


def test_an_image_that_is_rejected_is_in_no_split_and_the_counts_say_so(tmp_path):
    folder = fill(tmp_path / "images", {"a": 12, "b": 12})
    save(folder / "a/000.png", np.zeros((9, 9)))
    (folder / "b/001.png").write_text("not an image")
    (folder / "b/notes.txt").write_text("left out")
    settings_ = {"folder": str(folder), "channels": 1, "size": None, "split": SPLIT, "seed": 0}
    collect_images(settings_, tmp_path / "i.npz", tmp_path / "r.json", tmp_path / "counts.png")
    found = read_images(tmp_path / "i.npz")
    assert found.classes == ("a", "b") and len(found.images) == 22
    rejected = json.loads((tmp_path / "r.json").read_text())["images"]
    assert [(row["image"], row["code"]) for row in rejected] == [
        ("a/000.png", "shape_mismatch"), ("b/001.png", "not_this_format"),
    ]  # fmt: skip
    assert "images.size: [6, 5]" in rejected[0]["remedy"]
    lines = (tmp_path / "counts.csv").read_text().splitlines()
    assert lines == ["class,n_training,n_validation,n_test,n", "a,6,2,3,11", "b,6,2,3,11"]
    collect_images({**settings_, "size": [6, 5]}, tmp_path / "i.npz", tmp_path / "r.json", tmp_path / "counts.png")
    assert len(read_images(tmp_path / "i.npz").images) == 23


def test_splits_that_are_folders_are_used_as_they_are(tmp_path):
    for split, counts in {"train": {"a": 10, "b": 10}, "test": {"a": 3, "b": 4}}.items():
        fill(tmp_path / split, counts)
    found, _ = read_folder(tmp_path, split=SPLIT)
    assert class_counts(found)[1] | {"n_training": 0, "n_validation": 0} == {
        "class": "b", "n_training": 0, "n_validation": 0, "n_test": 4, "n": 14,
    }  # fmt: skip
    # Without one, a fifth of the training is held back.
    assert len(found.where("validation")) == 4
    assert all(name.startswith("test/") for name in found.images[found.where("test")])


def test_images_come_back_from_their_file_as_they_were(tmp_path):
    found, _ = read_folder(fill(tmp_path / "f", {"a": 8, "b": 8}), split=SPLIT, channels=3)
    write_images(found, tmp_path / "i.npz")
    again = read_images(tmp_path / "i.npz")
    for name in ("pixels", "images", "labels", "splits", "mean", "std"):
        assert_array_equal(getattr(again, name), getattr(found, name))
    assert again.classes == found.classes


def test_a_folder_without_two_classes_is_refused(tmp_path):
    for folder in (tmp_path / "gone", fill(tmp_path / "one", {"a": 3})):
        with pytest.raises(ConfigError, match=r"images\.folder"):
            list_folder(folder)


def test_the_digest_tells_a_file_that_was_replaced_by_one_as_old_and_as_large(tmp_path):
    import os

    folder = fill(tmp_path, {"a": 2, "b": 2})
    before = folder_digest(folder)
    assert folder_digest(folder) == before
    path = folder / "a/001.png"
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - 10**12))
    assert folder_digest(folder) != before


def test_what_cannot_be_used_is_refused_before_any_job(tmp_path):
    plain = {"table": None, "folder": None, "labelling": {"seeds": 0, "first": 2, "step": 1, "last": 4}}
    (tmp_path / "m.xlsx").write_text("")
    for table, words in (("gone.npz", "does not exist"), ("m.xlsx", r"expected a \.npz or \.csv file")):
        with pytest.raises(ConfigError, match=words):
            check_images({**plain, "table": tmp_path / table})
    folder = fill(tmp_path / "f", {"a": 3, "b": 3})
    check_images({**plain, "folder": folder})
    with pytest.raises(ConfigError, match="first 2 and last 7, expected"):
        check_images({**plain, "folder": folder, "labelling": {**plain["labelling"], "seeds": 1, "last": 7}})
