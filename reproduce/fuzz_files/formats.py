"""Files of each format, changed by its grammar: a function for each, of a `Random` and a valid file's bytes.

What is changed is a value, where a format has values, or bytes.  Checksums are mostly made right again, so
that what comes after them is reached as well.
"""

import contextlib
import copy
import gzip
import hashlib
import io
import json
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import numpy as np

_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, 10**400),
    *(0.0, -0.0, 0.5, 1.5, -1.5, 1e-320, 1e308, -1e308, float("nan"), float("inf"), -float("inf")),
    *(
        "",
        "x",
        "nan",
        "sigmoid",
        "os",
        "__class__",
        "../x",
        "\0",
        "\ud800",
        "é" * 99,
        "9" * 5000,
        "x" * 100_000,
    ),
    *(
        [],
        [[]],
        {},
        {"kind": "os", "options": {}},
        {"kind": "Adam", "options": {"beta_1": 2}},
        [0, 1, 2],
        [None],
    ),
)
_ZEROS = b"0" * 64


# ---------------------------------------------------------------- bytes and trees of JSON


def changed_bytes(chance: Random, content: bytes) -> bytes:
    """The content with a few bytes changed, cut out, repeated, or put in."""
    found = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 5, 20))):
        first, last = sorted(chance.randrange(len(found) + 1) for _ in range(2))
        last = min(last, first + chance.choice((1, 4, 8, 64, len(found))))
        kind = chance.randrange(7)
        if kind == 0 and first < len(found):
            found[first] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del found[first:last]
        elif kind == 2:
            found[first:last] = chance.randbytes(last - first)
        elif kind == 3:
            found[first:first] = found[first:last] * chance.choice((1, 2, 9))
        elif kind == 4:
            del found[first:]
        elif kind == 5:
            found[first:first] = chance.randbytes(chance.choice((1, 2, 8, 500)))
        else:
            found[first:last] = chance.choice((b"\0", b"\xff")) * (last - first)
    return bytes(found)


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _places(item, (*place, key))


def changed_tree(chance: Random, value: Any) -> Any:
    """A tree of JSON with a few of its values replaced, removed, moved, repeated or renamed."""
    root = [json.loads(json.dumps(value))]
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        *way, last = chance.choice([place for place in _places(root) if place])
        holder: Any = root
        for key in way:
            holder = holder[key]
        kind = chance.randrange(7)
        if kind <= 2 or (kind == 3 and holder is root):
            holder[last] = copy.deepcopy(chance.choice(_VALUES))
        elif kind == 3:
            del holder[last]
        elif kind == 4:
            other = chance.choice([place for place in _places(root) if place])
            taken: Any = root
            for key in other:
                taken = taken[key]
            holder[last] = json.loads(json.dumps(taken))
        elif kind == 5 and isinstance(holder[last], list):
            holder[last] = holder[last] * chance.choice((2, 3, 1000))
        elif kind == 5 and isinstance(holder[last], (int, float)):
            with contextlib.suppress(OverflowError):
                holder[last] = holder[last] * chance.choice((-1, 2, 0.5, 1e300)) + chance.choice((-1, 0, 1))
        elif isinstance(holder, dict):
            holder[chance.choice((*holder, "more", "", "__init__", f"{last}x"))] = holder.pop(last)
        else:
            holder.insert(last, copy.deepcopy(chance.choice(_VALUES)))
    return root[0]


def as_text(chance: Random, value: Any) -> str:
    """JSON of a tree; now and then with a key twice, or nested without end."""
    text = json.dumps(value, separators=(",", ":"))
    kind = chance.random()
    if kind < 0.02 and text.startswith('{"'):
        text = text[:-1] + "," + text[1:]
    elif kind < 0.04:
        depth = chance.choice((100, 999, 100_000))
        text = text[:-1] + ',"deep":' + "[" * depth + "]" * chance.choice((0, depth)) + text[-1]
    return text


# ---------------------------------------------------------------- networks, ensembles and checkpoints


def signed(header: dict[str, Any] | str, data: bytes = b"") -> bytes:
    """A file of fastbp's format with a right checksum, whatever its header says.

    The header has 64 zeros where the checksum is to be.
    """
    text = header if isinstance(header, str) else json.dumps(header, separators=(",", ":"))
    content = text.encode(errors="surrogatepass")
    start = len(content).to_bytes(8, "little") + content
    place = start.find(_ZEROS)
    if place < 0:
        return start + data
    digest = hashlib.sha256(start + data).hexdigest().encode()
    return start[:place] + digest + start[place + 64 :] + data


def container(chance: Random, content: bytes) -> bytes:
    """A network, an ensemble or a checkpoint with other values in its metadata, its header or its arrays."""
    length = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    about = header["__metadata__"]
    about["sha256"] = _ZEROS.decode()
    kind = chance.random()
    if kind < 0.55:
        about["fastbp"] = as_text(chance, changed_tree(chance, json.loads(about["fastbp"])))
    elif kind < 0.75:
        entries = {name: value for name, value in header.items() if name != "__metadata__"}
        entries = changed_tree(chance, entries)
        header = {"__metadata__": about, **(entries if isinstance(entries, dict) else {"x": entries})}
    elif kind < 0.9 and len(data) >= 8:
        numbers = bytearray(data)
        for _ in range(chance.choice((1, 3, 50))):
            size = chance.choice((4, 8))
            number = chance.choice((np.nan, np.inf, 1e308, 5e-324, 0.0, -0.0, chance.gauss(0, 1e3)))
            with np.errstate(over="ignore"):
                packed = np.array([number], f"<f{size}").tobytes()
            place = chance.randrange(len(numbers) // size) * size
            numbers[place : place + size] = packed
        data = bytes(numbers)
    else:
        data = changed_bytes(chance, data) if data else b"\0"
    return signed(as_text(chance, header), data)


# ---------------------------------------------------------------- IDX, .npy, .npz


def idx(chance: Random, content: bytes) -> bytes:
    """An IDX file of any type and shape, whose numbers may be fewer or more; often gzipped."""
    code = chance.choice((0x08, 0x09, 0x0B, 0x0C, 0x0D, 0x0E, 0x08, 0x0A, 0xFF))
    shape = [
        chance.choice((0, 1, 2, 3, 28, 2**16, 2**31, 2**32 - 1))
        for _ in range(chance.choice((0, 1, 1, 2, 3, 9, 70)))
    ]
    if chance.random() < 0.7:
        shape = [min(n, 30) for n in shape[:3]]
    size = {0x08: 1, 0x09: 1, 0x0B: 2, 0x0C: 4, 0x0D: 4, 0x0E: 8}.get(code, 1)
    count = min(int(np.prod(shape, dtype=object)) * size, 100_000) + chance.choice((0, 0, 0, 0, 1, -1, 7))
    head = struct.pack(f">HBB{len(shape)}I", chance.choice((0, 0, 0, 0, 1)), code, len(shape), *shape)
    whole = head + (chance.randbytes(max(0, count)) if chance.random() < 0.5 else bytes(max(0, count)))
    return gzipped(chance, whole) if chance.random() < 0.5 else whole


def gzipped(chance: Random, content: bytes) -> bytes:
    """A gzip file of one or several members, whose end may be wrong."""
    place = chance.randrange(len(content) + 1)
    whole = b"".join(
        gzip.compress(part, chance.choice((0, 1, 9)))
        for part in ((content[:place], content[place:]) if chance.random() < 0.2 else (content,))
    )
    kind = chance.random()
    if kind < 0.1:
        return whole[:-4] + chance.randbytes(4)
    if kind < 0.2:
        return whole[:-8] + struct.pack("<I", zlib.crc32(b"")) + whole[-4:]
    if kind < 0.3:
        return whole + chance.choice((b"\0", b"\x1f\x8b", b"\1" * 30))
    return whole


_DESCRIPTIONS = (
    *(
        "<f8",
        "<f4",
        "<f2",
        "<f16",
        "|u1",
        "|i1",
        ">i4",
        "<i8",
        "<u8",
        "|b1",
        "<c16",
        "|O",
        "|S5",
        "|S0",
        "<U3",
    ),
    *("<U0", "|V8", "<M8[ns]", "<m8", "nonsense", "f8,f4", "(2,)<f8", "<f8" * 9),
)
_SHAPES = (
    (),
    (0,),
    (1,),
    (3,),
    (2, 3),
    (3, 2, 1),
    (0, 2**62),
    (2**62,),
    (2**63,),
    (-1,),
    (2**31, 2**31, 4),
    (1,) * 70,
)


_NO_HEADERS = (
    *("", "\0\0", "\udcff", "(" * 200, "9" * 9999, "-" * 9000 + "1", "{" + "'a':1," * 2000 + "}"),
    "__import__('os').system('touch canary')",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1," * 3000 + ")}",
)


def npy(chance: Random, content: bytes = b"") -> bytes:
    """An .npy file of any type, shape, order and version; its header may be no dict, or code."""
    description: Any = chance.choice(_DESCRIPTIONS)
    if chance.random() < 0.1:
        description = [("a", "<f4"), ("b", chance.choice(("|O", "<i2", [("c", "<f8")])))]
    shape = chance.choice(_SHAPES) if chance.random() < 0.5 else (chance.randrange(5), chance.randrange(4))
    header: Any = {
        "descr": description,
        "fortran_order": chance.choice((True, False, False, 1, None)),
        "shape": shape,
    }
    if chance.random() < 0.2:
        header[chance.choice(("more", "shape", "descr", ""))] = chance.choice(
            (1, "x", (1.0,), (True,), [3], None)
        )
    text = repr(header)
    if chance.random() < 0.15:
        text = chance.choice((*_NO_HEADERS, f"dict({text})", f"[{text} for _ in range(10**9)]"))
    text = text + " " * chance.choice((0, 1, 63)) + chance.choice(("\n", "\n", "", "\n\n"))
    version = chance.choice((1, 1, 1, 2, 2, 3, 0, 255))
    coded = text.encode("utf-8", "surrogateescape")
    length = chance.choice((len(coded), len(coded), len(coded), len(coded) + 1, 0, 65535))
    head = b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", length)
    try:
        wanted = int(np.prod(shape, dtype=object)) * np.dtype(description).itemsize
    except (TypeError, ValueError, SyntaxError):
        wanted = 8
    count = max(0, min(wanted, 5000) + chance.choice((0, 0, 0, 1, -1, 100)))
    return head + coded + (chance.randbytes(count) if chance.random() < 0.7 else bytes(count))


def npz(chance: Random, content: bytes) -> bytes:
    """A zip of such arrays by many names, whose directory and headers may lie."""
    file = io.BytesIO()
    names = [
        "X.npy",
        "y.npy",
        *chance.choice(((), (), ("X_test.npy", "y_test.npy"), ("X_test.npy",), ("X.npy",))),
    ]
    names += chance.choice(
        ((), (), ("../X.npy", "/etc/passwd", "C:\\X.npy"), ("Z.npy",), ("y",), ("\0.npy",))
    )
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            array = io.BytesIO()
            np.save(
                array,
                np.zeros(chance.choice(((3, 2), (3,), (0,), (2, 2, 2))), chance.choice(("f8", "u1", "<U2"))),
            )
            data = array.getvalue() if chance.random() < 0.7 else npy(chance)
            if chance.random() < 0.05:
                data = changed_bytes(chance, data)
            methods = (
                zipfile.ZIP_STORED,
                zipfile.ZIP_DEFLATED,
                zipfile.ZIP_DEFLATED,
                zipfile.ZIP_BZIP2,
                zipfile.ZIP_LZMA,
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a name twice
                archive.writestr(zipfile.ZipInfo(name), data, chance.choice(methods))
        archive.comment = chance.choice((b"", b"", b"PK\5\6" * 9))
    found = bytearray(file.getvalue())
    for _ in range(chance.choice((0, 0, 1, 2))):  # a field of a header
        record = chance.choice((b"PK\1\2", b"PK\3\4", b"PK\5\6"))
        places = [i for i in range(len(found) - 30) if found[i : i + 4] == record]
        if places:
            field = chance.choice(places) + chance.randrange(4, 30, 2)
            size = chance.choice((2, 4))
            value = chance.choice((0, 1, 8, 255, 2**15, 2**16 - 1, 2**31, 2**32 - 1)) & (256**size - 1)
            found[field : field + size] = value.to_bytes(size, "little")[: len(found) - field]
    return bytes(found)


# ---------------------------------------------------------------- tables and the book's JSON


_CELLS = (
    *(
        "1",
        "-2.5",
        "1e3",
        ".5",
        "5.",
        "1e999",
        "-1e-999",
        "nan",
        "inf",
        "NA",
        "",
        " ",
        "x",
        "1_000",
        "0x10",
        "1,5",
    ),
    *(
        "\u0663",
        "\uff11",
        "1\0",
        '"1"',
        '"',
        "'1'",
        "1e",
        "+-1",
        "9" * 400,
        "é",
        "a" * 200_000,
        "\u2028",
        "=1+1",
    ),
)


def csv(chance: Random, content: bytes) -> bytes:
    """A table of numbers by any separator, with or without a header, and cells that are no number."""
    columns, separator = chance.choice((1, 2, 2, 2, 3, 50)), chance.choice((",", ";", "\t", " ", ", ", ",;"))
    odd = chance.choice((0.0, 0.0, 0.02, 0.3))

    def cell() -> str:
        return chance.choice(_CELLS) if chance.random() < odd else f"{chance.gauss(0, 9):.4g}"

    rows = [
        [cell() for _ in range(columns + (chance.random() < odd / 9))] for _ in range(chance.randrange(9))
    ]
    if chance.random() < 0.4:
        rows.insert(0, [chance.choice(("a", "b", f"of {i}", "1", "", f"{i}")) for i in range(columns)])
    end = chance.choice(("\n", "\n", "\r\n", "\r", "\n\n", "\n \n"))
    text = end.join(separator.join(row) for row in rows) + chance.choice((end, "", "\x1a", "\0"))
    coding = chance.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "latin-1", "utf-16"))
    return text.encode(coding, "replace")


def book_json(chance: Random, content: bytes) -> bytes:
    """The JSON of the book's second network with other values."""
    return as_text(chance, changed_tree(chance, json.loads(content))).encode(errors="surrogatepass")


def machine_code(chance: Random, content: bytes) -> bytes:
    """Machine code that is damaged anywhere; whoever can make its checksum right may run code anyhow."""
    return changed_bytes(chance, content)


Format = Callable[[Random, bytes], bytes]


def drawn(seed: int, make: Format, content: bytes) -> bytes:
    """The file of a seed: changed by the format's grammar, by bytes, or by both."""
    chance = Random(seed)
    kind = chance.random()
    if kind < 0.8:
        content = make(chance, content)
    if kind > 0.72:
        content = changed_bytes(chance, content)
    return content
