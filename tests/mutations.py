"""Mutations of files, seeded: from a flipped bit to a rewritten header. A tree of files goes in, another comes out."""

import gzip
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

Tree = dict[str, bytes]
Random = np.random.Generator

NUMBERS = (0, 1, 2, 3, 4, 5, 6, 7, -1, -7, 8, 16, 64, 127, 255, 256, 348, 352, 540, 544, 2**15 - 1, 2**31 - 1)
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e-3, 1e-30, 1e-45, 1e30, 3e38, 352.0, 356.0, np.nan, np.inf, -np.inf)


def mutated(tree: Tree, rng: Random) -> Tree:
    """Mutate one file of a tree, or the tree."""
    tree = dict(tree)
    if len(tree) > 1 and rng.random() < 0.25:
        return one_of(rng, TREES)(tree, rng)
    name = one_of(rng, list(tree))
    tree[name] = mutated_file(name, tree[name], rng)
    return tree


def mutated_file(name: str, content: bytes, rng: Random) -> bytes:
    """Mutate a file in a way of its format, or as bytes."""
    ways = [way for pattern, way in FORMATS if re.search(pattern, name)]
    if not ways or rng.random() < 0.3:
        return one_of(rng, BYTES)(content, rng)
    try:
        return one_of(rng, ways)(name, content, rng)
    except Exception:
        # A second mutation may find a file that its format's own ways cannot take apart any more.
        return one_of(rng, BYTES)(content, rng)


def one_of(rng: Random, choices: Any) -> Any:
    return choices[rng.integers(len(choices))]


# Bytes, whatever they mean.


def flip(content: bytes, rng: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.integers(1, 4) if content else 0):
        changed[rng.integers(len(changed))] ^= 1 << rng.integers(8)
    return bytes(changed)


def overwrite(content: bytes, rng: Random) -> bytes:
    changed, (start, end) = bytearray(content), span(content, rng)
    changed[start:end] = one_of(rng, [bytes(end - start), b"\xff" * (end - start), rng.bytes(end - start)])
    return bytes(changed)


def overwrite_start(content: bytes, rng: Random) -> bytes:
    start = rng.integers(min(len(content), 400) + 1)
    return content[:start] + rng.bytes(rng.integers(1, 5)) + content[start + 4 :]


def cut(content: bytes, rng: Random) -> bytes:
    return content[: rng.integers(len(content) + 1)]


def cut_end(content: bytes, rng: Random) -> bytes:
    return content[: -int(rng.integers(1, 17))]


def cut_start(content: bytes, rng: Random) -> bytes:
    return content[rng.integers(1, 17) :]


def append(content: bytes, rng: Random) -> bytes:
    n = int(rng.integers(1, 600))
    return content + one_of(rng, [bytes(n), rng.bytes(n), content, content[:n], content[-n:]])


def remove(content: bytes, rng: Random) -> bytes:
    start, end = span(content, rng)
    return content[:start] + content[end:]


def repeat(content: bytes, rng: Random) -> bytes:
    start, end = span(content, rng)
    return content[:end] + content[start:]


def exchange(content: bytes, rng: Random) -> bytes:
    (a, b), (c, d) = sorted([span(content, rng), span(content, rng)])
    return content if b > c else content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def replace(content: bytes, rng: Random) -> bytes:
    return one_of(
        rng, [b"", b"\x1f\x8b", b"{}", b"PK\5\6" + bytes(18), rng.bytes(len(content)), b"probabilities\n" * 90]
    )


def span(content: bytes, rng: Random) -> tuple[int, int]:
    start = int(rng.integers(len(content) + 1))
    return start, min(len(content), start + int(2 ** (rng.random() * 10)))


BYTES = (
    flip, flip, flip, overwrite, overwrite_start, cut, cut_end, cut_start, append, remove, repeat, exchange, replace,
)  # fmt: skip

# gzip: what is in it, and how it is put together.


def inside_gzip(name: str, content: bytes, rng: Random) -> bytes:
    """Mutate the content and compress it again, so that every checksum is right."""
    inner = name[: -len(".gz")] if name.endswith(".gz") else name.replace(".mgz", ".mgh")
    return compressed(mutated_file(inner, gzip.decompress(content), rng), rng)


def gzip_again(name: str, content: bytes, rng: Random) -> bytes:
    return compressed(gzip.decompress(content), rng)


def compressed(content: bytes, rng: Random) -> bytes:
    """One or several members, with every optional field; sometimes what must not be there."""
    cuts = sorted(int(place) for place in rng.integers(0, len(content) + 1, rng.integers(0, 4)))
    parts = [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    members = [member(part, rng) for part in parts]
    odd = rng.integers(12)
    if odd == 0 and len(members) > 1:
        members.reverse()
    extra = {1: b"\0" * 7, 2: b"garbage", 3: member(b"", rng), 4: member(b"more", rng), 5: b"\x1f\x8b", 6: members[0]}
    return b"".join(members) + extra.get(int(odd), b"")


def member(content: bytes, rng: Random) -> bytes:
    """A gzip member (RFC 1952) with a random set of its optional fields."""
    flags = int(rng.choice([0, 0, 0, 1, 2, 4, 8, 16, 31]))
    head = b"\x1f\x8b\x08" + bytes([flags]) + rng.bytes(4) + b"\0\xff"
    head += struct.pack("<H", 5) + b"extra" if flags & 4 else b""
    head += b"name.nii\0" if flags & 8 else b""
    head += b"comment\0" if flags & 16 else b""
    head += struct.pack("<H", zlib.crc32(head) & 0xFFFF) if flags & 2 else b""
    deflate = zlib.compressobj(int(rng.integers(0, 10)), zlib.DEFLATED, -15)
    trailer = struct.pack("<LL", zlib.crc32(content), len(content) & 0xFFFFFFFF)
    return head + deflate.compress(content) + deflate.flush() + trailer


def gzip_bomb(name: str, content: bytes, rng: Random) -> bytes:
    return compressed(gzip.decompress(content) + bytes(2 ** int(rng.integers(12, 25))), rng)


def other_wrapper(name: str, content: bytes, rng: Random) -> bytes:
    inner = gzip.decompress(content)
    return one_of(rng, [zlib.compress(inner), inner, gzip.compress(content, mtime=0)])


# NIfTI and MGH headers: a field by its format and place.

NIFTI_1 = {
    "sizeof_hdr": ("i", 0), "dim": ("8h", 40), "datatype": ("h", 70), "bitpix": ("h", 72), "pixdim": ("8f", 76),
    "vox_offset": ("f", 108), "scl_slope": ("f", 112), "scl_inter": ("f", 116), "xyzt_units": ("B", 123),
    "qform_code": ("h", 252), "sform_code": ("h", 254), "quatern": ("6f", 256), "srow": ("12f", 280),
    "magic": ("4s", 344), "extension": ("4s", 348),
}  # fmt: skip
NIFTI_2 = {
    "sizeof_hdr": ("i", 0), "magic": ("8s", 4), "datatype": ("h", 12), "bitpix": ("h", 14), "dim": ("8q", 16),
    "pixdim": ("8d", 104), "vox_offset": ("q", 168), "scl_slope": ("d", 176), "scl_inter": ("d", 184),
    "qform_code": ("i", 344), "sform_code": ("i", 348), "quatern": ("6d", 352), "srow": ("12d", 400),
    "xyzt_units": ("i", 500), "extension": ("4s", 540),
}  # fmt: skip
MGH = {"version": ("i", 0), "dims": ("4i", 4), "type": ("i", 20), "good": ("h", 28), "zooms": ("15f", 30)}
MAGICS = (b"n+1", b"ni1", b"n+2", b"ni2", b"", b"n+1\0\r\n\x1a\n", b"n+2\0\r\n\x1a\n")
DATATYPES = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 511, 512, 768, 1024, 1280, 1536, 1792, 2304, 12345)


def nifti_header(name: str, content: bytes, rng: Random) -> bytes:
    order = "<" if content[0] in (348 & 255, 540 & 255) else ">"
    fields = NIFTI_2 if 540 in (struct.unpack("<i", content[:4])[0], struct.unpack(">i", content[:4])[0]) else NIFTI_1
    field = one_of(rng, list(fields))
    if field in ("magic", "extension"):
        code, place = fields[field]
        return put(content, place, struct.pack(code, one_of(rng, MAGICS)))
    if field == "datatype":
        return put(content, fields[field][1], struct.pack(f"{order}h", one_of(rng, DATATYPES)))
    return rewritten(content, order, fields[field], rng)


def nifti_extension(name: str, content: bytes, rng: Random) -> bytes:
    """Put a header extension in front of the voxels, and say so, in NIfTI-1."""
    order = "<" if content[0] == 348 & 255 else ">"
    (offset,) = struct.unpack(f"{order}f", content[108:112])
    extra = 16 * int(rng.integers(1, 5))
    content = put(content, 108, struct.pack(f"{order}f", offset + extra))
    return content[:352] + struct.pack(f"{order}ii", extra, 6) + b"e" * (extra - 8) + content[352:]


def mgh_header(name: str, content: bytes, rng: Random) -> bytes:
    field = one_of(rng, list(MGH))
    return rewritten(content, ">", MGH[field], rng)


def rewritten(content: bytes, order: str, field: tuple[str, int], rng: Random) -> bytes:
    """Exchange or replace numbers of a field."""
    code, place = order + field[0], field[1]
    numbers = list(struct.unpack_from(code, content, place))
    at, other = rng.integers(len(numbers), size=2)
    if rng.random() < 0.4 and len(numbers) > 1:
        numbers[at], numbers[other] = numbers[other], numbers[at]
    elif isinstance(numbers[at], float):
        numbers[at] = one_of(rng, [*FLOATS, numbers[at] * 2, numbers[at] + 1e-4, -numbers[at], float(rng.normal())])
        numbers[at] = float(np.float32(numbers[at])) if field[0].endswith("f") else numbers[at]
    else:
        limit = 2 ** (8 * struct.calcsize(code[-1]) - 1) - 1
        numbers[at] = min(one_of(rng, [*NUMBERS, numbers[at] + 1, numbers[at] - 1, numbers[at] * 2]), limit)
        numbers[at] = abs(numbers[at]) if code[-1].isupper() else numbers[at]
    return put(content, place, struct.pack(code, *numbers))


def put(content: bytes, place: int, part: bytes) -> bytes:
    return content[:place] + part + content[place + len(part) :]


# numpy's header, and zip files.

DESCRS = ("<f4", ">f4", "<f8", "<f2", "|u1", "|b1", "<i8", "<c8", "|O", "<U3", "|V4", "f4", "<f16", "=f4", "<M8[s]")


def npy_header(name: str, content: bytes, rng: Random) -> bytes:
    length = int.from_bytes(content[8:10], "little")
    header, voxels = content[10 : 10 + length].decode("latin-1"), content[10 + length :]
    shape = re.search(r"\(([^)]*)\)", header)
    sizes = [int(number) for number in re.findall(r"\d+", shape[1])]
    a, b = rng.integers(len(sizes), size=2)
    how = rng.integers(7)
    if how == 0:
        sizes[a], sizes[b] = sizes[b], sizes[a]
    elif how == 1:
        sizes[a] = one_of(rng, [*NUMBERS, 10**9, 2**63, 10**30])
    elif how == 2:
        sizes = one_of(rng, [sizes[:-1], [*sizes, 1], [1, *sizes], [int(np.prod(sizes))], []])
    header = header[: shape.start(1)] + "".join(f"{size}, " for size in sizes) + header[shape.end(1) :]
    if how == 3:
        header = re.sub(r"('descr': )'[^']*'", lambda found: f"{found[1]}{one_of(rng, DESCRS)!r}", header)
    elif how == 4:
        header = header.replace("False", "?").replace("True", "False").replace("?", "True")
    elif how == 5:
        evil = ("__import__('os').abort()", "{'descr': '<f4'}", "[[['<f4']]]", "(" * 300, "'" * 5, "9" * 5000)
        header = one_of(rng, evil) if rng.random() < 0.5 else header.replace("'<f4'", one_of(rng, evil))
    elif how == 6:
        header = header.replace(", ", one_of(rng, [",", " , ", ",\t", ""])).replace("'", one_of(rng, ['"', "'"]))
    version = one_of(rng, [1, 1, 1, 1, 2, 3, 4])
    width = 2 if version == 1 else 4
    text = header.rstrip().encode("latin-1")
    if rng.random() < 0.9:
        text = text.ljust(-(-(len(text) + 9 + width) // 64) * 64 - 9 - width) + b"\n"
    return content[:6] + bytes([version, 0]) + len(text).to_bytes(width, "little") + text + voxels


def inside_zip(name: str, content: bytes, rng: Random) -> bytes:
    members = unzipped(content)
    which = one_of(rng, list(members))
    members[which] = mutated_file(which, members[which], rng)
    return zipped(members, rng)


def rezip(name: str, content: bytes, rng: Random) -> bytes:
    return zipped(unzipped(content), rng)


def unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members: dict[str, bytes], rng: Random) -> bytes:
    """Zip again: in another order, by another method, with further members, behind other bytes."""
    first = next(iter(members.values()))
    further = [
        [], [], [], [], [("evil.pkl", b"\x80\x04cos\nabort\n.")], [("other.npy", first)], [("readme.txt", b"")],
        [("softmax.npy", first)], [("../up.npy", first)], [("nothing.npy", b"")], [("probabilities.npy/x", first)],
    ]  # fmt: skip
    items = [*members.items(), *one_of(rng, further)]
    items = [items[place] for place in rng.permutation(len(items))]
    how = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    file = io.BytesIO()
    file.write(one_of(rng, [b"", b"", b"", b"", b"#!/bin/sh\n", content_start(first)]))
    with zipfile.ZipFile(file, "a", one_of(rng, how)) as archive:
        archive.comment = one_of(rng, [b"", b"", b"comment", b"PK\5\6" + bytes(18)])
        for name, content in items:
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=rng.random() < 0.5) as stream:
                stream.write(content)
    return file.getvalue() + one_of(rng, [b"", b"", b"", b"\0" * 9, file.getvalue()])


def content_start(content: bytes) -> bytes:
    return content[:60]


def zip_records(name: str, content: bytes, rng: Random) -> bytes:
    """Change a field of a local header, of the directory or of its end: names, sizes, sums, offsets, methods."""
    mark, length = one_of(rng, [(b"PK\3\4", 30), (b"PK\1\2", 46), (b"PK\5\6", 22)])
    places = [found.start() for found in re.finditer(re.escape(mark), content)]
    place = one_of(rng, places) + int(rng.integers(4, length))
    changed = one_of(rng, [b"\0", b"\1", b"\xff", b"\xff\xff\xff\xff", bytes([(content[place] + 1) % 256]), bytes(4)])
    return put(content, place, changed)


def npz_object(name: str, content: bytes, rng: Random) -> bytes:
    file = io.BytesIO()
    np.savez(file, probabilities=np.array([{"a": 1}], dtype=object))
    return file.getvalue()


# JSON, as Zarr's metadata are.

VALUES = (
    None, True, False, 0, 1, -1, 7, 2**31, 10**30, 0.5, 1e308, "", "x", "NaN", "gzip", "zstd", "blosc", "object", "|O",
    "<f8", ">f4", "float64", "int8", "bool", "C", "F", "big", "../..", [], {}, [1], [0, 0, 0, 0], [5, 6, 7, 3],
    [10**6] * 4, [[[]]], {"id": "pickle"}, {"name": "vlen-utf8"}, "0xffffffff", "Infinity", "\ud800", "x" * 5000,
)  # fmt: skip


def json_value(name: str, content: bytes, rng: Random) -> bytes:
    """Replace, remove, exchange or add a value anywhere in a JSON file."""
    parsed = json.loads(content)
    places = list(walk(parsed))
    owner, key = one_of(rng, places)
    how = rng.integers(4)
    if how == 0:
        del owner[key]
    elif how == 1:
        other_owner, other_key = one_of(rng, places)
        owner[key], other_owner[other_key] = other_owner[other_key], owner[key]
    elif how == 2 and isinstance(owner[key], int):
        owner[key] = owner[key] + int(rng.integers(-3, 4))
    else:
        owner[key] = one_of(rng, VALUES)
    try:
        return json.dumps(parsed).encode()
    except (ValueError, RecursionError):  # exchanged with its own inside
        return content[: len(content) // 2]


def json_text(name: str, content: bytes, rng: Random) -> bytes:
    return one_of(rng, [b"\xef\xbb\xbf" + content, b"[" * 100_000, b"[" + content + b"]", b"null", b"{}", b'{"a":NaN}'])


def walk(value: Any) -> Any:
    """Every place of a JSON value: its owner and its key."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from walk(inner)


# Trees: whole files.


def drop(tree: Tree, rng: Random) -> Tree:
    del tree[one_of(rng, list(tree))]
    return tree


def swap(tree: Tree, rng: Random) -> Tree:
    a, b = one_of(rng, list(tree)), one_of(rng, list(tree))
    tree[a], tree[b] = tree[b], tree[a]
    return tree


def stray(tree: Tree, rng: Random) -> Tree:
    """A file more, beside one that is there, with its content."""
    name = one_of(rng, list(tree))
    return {**tree, re.sub(r"\d", lambda found: str(int(found[0]) + 1), name, count=1): tree[name]}


def folder_instead(tree: Tree, rng: Random) -> Tree:
    name = one_of(rng, list(tree))
    return {f"{name}/inside" if key == name else key: content for key, content in tree.items()}


TREES: tuple[Callable[[Tree, Random], Tree], ...] = (drop, drop, swap, stray, folder_instead)

# A pattern of names and a way to mutate such files; the last one that stands more often is taken more often.
FORMATS: tuple[tuple[str, Callable[[str, bytes, Random], bytes]], ...] = (
    (r"\.(gz|mgz)$", inside_gzip), (r"\.(gz|mgz)$", inside_gzip), (r"\.(gz|mgz)$", inside_gzip),
    (r"\.(gz|mgz)$", gzip_again), (r"\.(gz|mgz)$", gzip_bomb), (r"\.(gz|mgz)$", other_wrapper),
    (r"\.nii$", nifti_header), (r"\.nii$", nifti_header), (r"\.nii$", nifti_extension),
    (r"\.mgh$", mgh_header),
    (r"\.npy$", npy_header),
    (r"\.npz$", inside_zip), (r"\.npz$", inside_zip), (r"\.npz$", rezip), (r"\.npz$", zip_records),
    (r"\.npz$", zip_records), (r"\.npz$", npz_object),
    (r"(zarr\.json|\.zarray|\.zattrs|\.zgroup)$", json_value), (r"(zarr\.json|\.zarray|\.zattrs)$", json_value),
    (r"(zarr\.json|\.zarray|\.zattrs|\.zgroup)$", json_text),
)  # fmt: skip
