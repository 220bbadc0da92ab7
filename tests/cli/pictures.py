"""Small images for the tests of models of images: arrays, and PNG and IDX files, written and read by a few lines of their own."""
import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def digits(n=240, side=8, most=16, seed=3):
    """Rings and bars, 0 to `most`: [n, side, side] and their kind, 0 to 2."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % 3
    at = np.arange(side) - (side - 1) / 2
    y, x = np.meshgrid(at, at, indexing="ij")
    images = np.zeros((n, side, side))
    for i in range(n):
        a, b = rng.normal(0, 0.5, 2)
        r = np.hypot(y - a, x - b)
        images[i] = (np.exp(-((r - side / 3) ** 2)), np.exp(-((x - b) ** 2) / 2), np.exp(-((y - a) ** 2) / 2))[kind[i]]
    images *= most * rng.uniform(0.7, 1, (n, 1, 1))
    return np.clip(images + rng.normal(0, 0.4, images.shape), 0, most).astype(np.uint8), kind.astype(np.uint8)


def idx(a):
    return bytes([0, 0, 8, a.ndim]) + b"".join(struct.pack(">I", n) for n in a.shape) + a.tobytes()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(a, depth=8, kind=None, before=b""):
    """[h, w] or [h, w, c]; kind: PNG's colour type, by the channels where None."""
    a = np.atleast_3d(a)
    h, w, c = a.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[c] if kind is None else kind
    rows = a.astype(">u2" if depth == 16 else np.uint8).reshape(h, -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    return SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, kind, 0, 0, 0)) + before + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def read_png(data):
    """8 bits, grey or RGB, any filter -> [h, w, c]"""
    assert data[:8] == SIGNATURE
    at, packed = 8, b""
    while at < len(data):
        n, name = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + n]
        at += 12 + n
        if name == b"IHDR":
            w, h, _, kind = struct.unpack(">IIBB", body[:10])
        packed += body if name == b"IDAT" else b""
    c = 3 if kind == 2 else 1
    raw = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(h, 1 + w * c).astype(int)
    out = np.zeros((h + 1, (w + 1) * c), int)  # a row above, a pixel to the left
    for y in range(h):
        for x in range(c, (w + 1) * c):
            left, above, corner = out[y + 1, x - c], out[y, x], out[y, x - c]
            guess = left + above - corner
            near = min((abs(guess - left), 0, left), (abs(guess - above), 1, above), (abs(guess - corner), 2, corner))[2]
            out[y + 1, x] = (raw[y, 1 + x - c] + (0, left, above, (left + above) // 2, near)[raw[y, 0]]) % 256
    return out[1:, c:].reshape(h, w, c).astype(np.uint8)


def cells(picture, side):
    """The images of a grid with lines of one pixel: [rows, columns, side, side, c]"""
    h, w, c = picture.shape
    rows, columns = (h - 1) // (side + 1), (w - 1) // (side + 1)
    assert (h, w) == (rows * (side + 1) + 1, columns * (side + 1) + 1)
    inner = picture[1:, 1:].reshape(rows, side + 1, columns, side + 1, c)
    return inner[:, :side, :, :side].transpose(0, 2, 1, 3, 4)
