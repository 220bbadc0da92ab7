"""An independent reader and writer of safetensors files (struct, json, numpy), against which rheo's are held.

safetensors_peer.py read FILE     check what test_safetensors.c wrote
safetensors_peer.py write FILE    write what it reads, laid out as another program might
"""
import json
import struct
import sys

import numpy as np

TYPES = {"BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "F16": "<f2", "U32": "<u4", "I32": "<i4", "F32": "<f4",
         "U64": "<u8", "I64": "<i8", "F64": "<f8"}
MASK = (1 << 64) - 1


def read(path):
    with open(path, "rb") as file:
        raw = file.read()
    (length,) = struct.unpack("<Q", raw[:8])
    assert raw[8:9] == b"{", "the header begins with a brace"
    header = json.loads(raw[8:8 + length])
    data = raw[8 + length:]
    meta = header.pop("__metadata__", {})
    tensors, end = {}, 0
    for name, info in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, stop = info["data_offsets"]
        assert begin == end, f"{name}: no hole, no overlap"
        end = stop
        tensors[name] = np.frombuffer(data[begin:stop], dtype=TYPES[info["dtype"]]).reshape(info["shape"])
        assert begin % tensors[name].itemsize == 0, f"{name}: aligned to its elements"
    assert end == len(data), "the tensors fill the file"
    assert (8 + length) % 64 == 0, "the data begins at a multiple of 64"
    return tensors, meta, header


def mix(z):
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


def hash64(raw):
    h = mix(0x9E3779B97F4A7C15 ^ len(raw))
    for i in range(0, len(raw), 8):
        h = mix((h ^ int.from_bytes(raw[i:i + 8].ljust(8, b"\0"), "little")) + 0x9E3779B97F4A7C15 & MASK)
    return h


def seal(tensors, meta, header):
    """The hash of a file's content, as docs/file-format.md describes it."""
    def words(*values):
        return hash64(struct.pack(f"<{len(values)}Q", *values))

    total = sum(words(hash64(name.encode()), hash64(header[name]["dtype"].encode()), t.ndim, t.nbytes, hash64(t.tobytes()), *t.shape)
                for name, t in tensors.items())
    total += sum(words(hash64(key.encode()), hash64(text.encode())) for key, text in meta.items() if key != "hash")
    return f"{words(len(tensors), total & MASK):016x}"


def same(tensor, dtype, shape, values):
    want = np.array(values).astype(dtype).reshape(shape)
    assert tensor.dtype == want.dtype and tensor.shape == want.shape, (tensor.dtype, tensor.shape)
    assert tensor.tobytes() == want.tobytes()


def check(path):
    tensors, meta, header = read(path)
    assert sorted(tensors) == ["a.weight", "bytes", "count", "empty", "scalar", "z.bias", "\u03b8"], sorted(tensors)
    same(tensors["a.weight"], "<f4", (3, 4), np.arange(12) * 0.5 - 3)
    same(tensors["z.bias"], "<f8", (5,), np.arange(5) * 0.1 - 3)
    same(tensors["count"], "<i8", (2,), [-7, 1 << 62])
    same(tensors["bytes"], "u1", (3,), [0, 128, 255])
    same(tensors["scalar"], "<f8", (), 2.5)
    same(tensors["empty"], "<f4", (0, 7), [])
    same(tensors["\u03b8"], "<f4", (1,), [np.inf])
    assert meta["rheo"] == "1" and json.loads(meta["spec"]) == {"arch": "realnvp", "text": "\"\u00e9\n"}, meta
    assert meta["hash"] == seal(tensors, meta, header), "the hash of the content"


def write(path):
    """Unsorted, unpadded, so that nothing is aligned; white space where the format allows it."""
    tensors = [("flag", "BOOL", np.array([True, False, True])), ("half", "F16", np.array([1.5, -2.0, 6e-8, 65504, np.inf], "<f2")),
               ("w", "F32", (np.arange(6, dtype="<f4") / 7).reshape(2, 3)), ("v", "F64", np.array([1 / 3, -1e300])),
               ("brain", "BF16", np.array([0x3FC0, 0xC000, 0x7F80], "<u2")), ("index", "I32", np.array([[-1], [2]], "<i4")),
               ("none", "F64", np.zeros((2, 0)))]
    header, blob = {}, b""
    for name, dtype, array in tensors:
        header[name] = {"shape": list(array.shape), "data_offsets": [len(blob), len(blob) + array.nbytes], "dtype": dtype}
        blob += array.tobytes()
    header["__metadata__"] = {"format": "np"}
    text = json.dumps(header, indent=1).encode() + b"  "
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + blob)


if __name__ == "__main__":
    {"read": check, "write": write}[sys.argv[1]](sys.argv[2])
