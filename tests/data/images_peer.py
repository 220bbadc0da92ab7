"""Image files written and read without rheo (struct, zlib, gzip, numpy), against which its readers and its PNG writer are held.

images_peer.py make FOLDER        every format, all of the values of value(), and files that must be refused
images_peer.py png FILE H W C     check that a PNG decodes to value(0, y, x, k)
images_peer.py grid FILE N H W C COLUMNS     the same of a grid
"""
import gzip
import os
import struct
import sys
import zlib

import numpy as np

N, H, W = 3, 5, 4


def value(n, h, w, c, most=255):
    """test_images.c knows the same formula."""
    i, y, x, k = np.meshgrid(*(np.arange(m) for m in (n, h, w, c)), indexing="ij")
    return ((131 * i + 31 * y + 7 * x + 53 * k + 3 * i * y * x) % (most + 1)).astype("u1")


# ---- PNG ----

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]  # y, x, step y, step x


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def paeth(a, b, c):
    p = a + b - c
    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
    return a if pa <= pb and pa <= pc else b if pb <= pc else c


def predicted(kind, row, above, j, bpp):
    a = row[j - bpp] if j >= bpp else 0
    b = above[j]
    c = above[j - bpp] if j >= bpp else 0
    return (0, a, b, (a + b) // 2, paeth(a, b, c))[kind]


def filtered(rows, bpp):
    """Every filter in turn."""
    out, above = b"", bytes(len(rows[0])) if rows else b""
    for y, row in enumerate(rows):
        kind = y % 5
        out += bytes([kind]) + bytes((row[j] - predicted(kind, row, above, j, bpp)) & 255 for j in range(len(row)))
        above = row
    return out


def packed(row, depth):
    """row: [w, c] of values below 2^depth."""
    flat = row.reshape(-1)
    if depth == 16:
        return flat.astype(">u2").tobytes()
    if depth == 8:
        return flat.astype("u1").tobytes()
    bits = (flat[:, None] >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.reshape(-1)).tobytes()


def scan(x, depth):
    bpp = max(1, x.shape[2] * depth // 8)
    return filtered([packed(row, depth) for row in x], bpp) if x.size else b""


def png(x, colour, depth=8, interlaced=False, before=b"", plte=b""):
    h, w, _ = x.shape
    head = struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, int(interlaced))
    parts = [x[y::dy, c::dx] for y, c, dy, dx in PASSES] if interlaced else [x]
    raw = zlib.compress(b"".join(scan(p, depth) for p in parts))
    half = len(raw) // 2
    return (SIGNATURE + chunk(b"IHDR", head) + plte + before + chunk(b"tEXt", b"Title\0made by hand") + chunk(b"IDAT", raw[:half]) +
            chunk(b"IDAT", raw[half:]) + chunk(b"IEND", b""))


def decode(path):
    """An 8-bit grey or RGB image that is not interlaced: [h, w, c]; and the kinds of its chunks."""
    with open(path, "rb") as file:
        raw = file.read()
    assert raw[:8] == SIGNATURE
    at, chunks = 8, []
    while at < len(raw):
        (n,) = struct.unpack(">I", raw[at:at + 4])
        kind, data = raw[at + 4:at + 8], raw[at + 8:at + 8 + n]
        assert struct.unpack(">I", raw[at + 8 + n:at + 12 + n])[0] == zlib.crc32(kind + data), "checksum"
        chunks.append((kind, data))
        at += 12 + n
    w, h, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    assert depth == 8 and interlaced == 0 and colour in (0, 2)
    c, data = CHANNELS[colour], zlib.decompress(b"".join(d for k, d in chunks if k == b"IDAT"))
    assert len(data) == h * (w * c + 1)
    above, out = bytes(w * c), []
    for y in range(h):
        kind, line = data[y * (w * c + 1)], data[y * (w * c + 1) + 1:(y + 1) * (w * c + 1)]
        row = bytearray()
        for j, byte in enumerate(line):
            row.append(0)
            row[j] = (byte + predicted(kind, row, above, j, c)) & 255
        above = bytes(row)
        out.append(list(row))
    return np.array(out, "u1").reshape(h, w, c), [k for k, _ in chunks]


# ---- the others ----

def idx(x, code=8):
    return bytes([0, 0, code, x.ndim]) + b"".join(struct.pack(">I", n) for n in x.shape) + x.tobytes()


def pnm(x, kind, most=255, comment=b""):
    h, w, _ = x.shape
    head = b"P%d %s\n%d\t%d\r\n%s%d\n" % (kind, comment, w, h, comment, most)
    if kind in (5, 6):
        return head + x.tobytes()
    return head + b"".join(b" ".join(b"%d" % v for v in row.reshape(-1)) + b"\n" + comment for row in x)


def cifar(x, labels):
    """x: [n, 32, 32, 3]; labels: [n, 1 or 2]"""
    return np.concatenate([labels.astype("u1"), x.transpose(0, 3, 1, 2).reshape(len(x), -1)], axis=1).tobytes()


def make(folder):
    def put(name, data):
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)

    grey, colour, deep = value(N, H, W, 1), value(N, H, W, 3), value(N, H, W, 1, 16)
    y = np.array([7, 0, 255], "u1")
    put("grey.idx", idx(grey[..., 0]))
    put("grey.idx.gz", gzip.compress(idx(grey[..., 0])))
    put("colour.idx", idx(colour))
    put("deep.idx", idx(deep[..., 0]))
    put("labels.idx", idx(y))
    put("labels.idx.gz", gzip.compress(idx(y)))
    put("labels4.idx", idx(np.zeros(4, "u1")))
    put("short-axes.idx", idx(grey[..., 0])[:15])
    put("short.idx", idx(grey[..., 0])[:-1])
    put("long.idx", idx(grey[..., 0]) + b"\0\0")
    put("floats.idx", idx(grey[..., 0].astype(">f4"), 0x0D))
    put("strange.idx", idx(grey[..., 0])[:2] + b"\x0E\x03" + idx(grey[..., 0])[4:])
    put("flat.idx", idx(grey[:, :, 0, 0]))
    put("huge.idx", b"\0\0\x08\x04" + b"\xff\xff\xff\xff" * 4 + bytes(9))
    put("none.idx", b"\0\0\x08\x03" + b"\0\0\0\0" * 3)
    put("channels.idx", idx(np.zeros((2, 3, 3, 2), "u1")))
    put("cut.idx.gz", gzip.compress(idx(grey[..., 0]))[:-9])
    put("empty.idx", b"")
    put("text.txt", b"these are no images\n")

    for name, x in {"grey": grey[..., 0], "grey1": grey, "hwc": colour, "chw": colour.transpose(0, 3, 1, 2), "fortran": np.asfortranarray(colour),
                    "fortran-chw": np.asfortranarray(colour.transpose(0, 3, 1, 2)), "both": value(N, 3, W, 3),
                    "both-chw": value(N, 4, 3, 3).transpose(0, 3, 1, 2), "wide": grey.astype("i4"), "channels": np.zeros((2, 4, 4, 2), "u1"),
                    "table": grey[:, :, 0, 0], "axes5": np.zeros((1, 1, 1, 1, 1), "u1"), "y-i8": y.astype("i8"),
                    "y-column": y.astype(">i2")[:, None], "y-256": np.array([0, 256, 1]), "y-minus": np.array([0, 1, -1]),
                    "y-half": np.array([0, 0.5, 1]), "y-nan": np.array([0, np.nan, 1]), "y4": np.zeros(4, "u1"), "none": np.zeros((0, 3, 3), "u1"),
                    "flat": np.zeros((3, 2, 0), "u1")}.items():
        with open(os.path.join(folder, name + ".npy"), "wb") as file:
            np.lib.format.write_array(file, x if x.flags.f_contiguous and not x.flags.c_contiguous else np.ascontiguousarray(x))
    np.savez(os.path.join(folder, "stored.npz"), X=grey[..., 0], y=y.astype("i8"))
    np.savez_compressed(os.path.join(folder, "packed.npz"), X=grey[..., 0], y=y.astype("i8"))
    np.savez_compressed(os.path.join(folder, "named.npz"), pictures=colour, classes=y, other=np.zeros((7, 2)))
    np.savez(os.path.join(folder, "two.npz"), a=colour, b=colour)
    np.savez(os.path.join(folder, "bare.npz"), X=colour)
    np.savez(os.path.join(folder, "tables.npz"), a=np.zeros((3, 3), "u1"))

    big10, big100 = value(N, 32, 32, 3), value(N, 32, 32, 3)
    labels10, labels100 = np.array([[9], [0], [4]]), np.array([[19, 99], [0, 0], [3, 42]])
    put("batch.bin", cifar(big10, labels10))
    put("batch.bin.gz", gzip.compress(cifar(big10, labels10)))
    put("fine.bin", cifar(big100, labels100))
    put("cifar/data_batch_1.bin", cifar(big10[:2], labels10[:2]))
    put("cifar/data_batch_2.bin", cifar(big10[2:], labels10[2:]))
    put("cifar/batches.meta.txt", b"airplane\n")
    put("cifar-mixed/data_batch_1.bin", cifar(big10[:2], labels10[:2]))
    put("cifar-mixed/data_batch_2.bin", cifar(big100[2:], labels100[2:]))
    put("cifar-cut/data_batch_1.bin", cifar(big10[:2], labels10[:2]))
    put("cifar-cut/data_batch_2.bin", cifar(big10[2:], labels10[2:])[:-1])
    put("label10.bin", cifar(big10, np.array([[9], [10], [4]])))
    put("zero-first.bin", b"\0\0\x08\x03" + bytes(3069))  # a record that begins like an IDX file

    put("zero-axis.bin", b"\0\0\x08\x01\0\0\0\x01" + bytes(3065))  # its axis divides the length, but does not say it
    put("cifar-length.idx", idx(value(N, 1019, 1, 1)[..., 0]))  # 3073 bytes

    for i in range(N):
        put(f"grey-png/{i}.png", png(grey[i], 0))
        put(f"colour-png/{i}.png", png(colour[i], 2, interlaced=i == 1))
        put(f"mixed-kinds/{i}", png(colour[i], 2) if i % 2 else pnm(colour[i], 6))
        put(f"grey-pnm/{i}.pgm", pnm(grey[i], 5 if i % 2 else 2, comment=b"# a comment\n"))
        put(f"colour-pnm/{i}.ppm", pnm(colour[i], 6 if i % 2 else 3, comment=b"#\n"))
        put(f"classes/{'bac'[i]}/only.png", png(grey[(1, 0, 2)[i]], 0))
    put("grey-png/.hidden", b"no image")
    put("classes/.hidden/file", b"no image")
    put("order/B.png", png(grey[0], 0))  # in the order of bytes, not of letters
    put("order/a.png", png(grey[1], 0))
    put("order/\u00e4.png", png(grey[2], 0))
    for depth in (1, 2, 4):
        put(f"depth{depth}.png", png(value(1, H, W, 1, 2**depth - 1)[0], 0, depth))
    put("depth2-interlaced.png", png(value(1, 9, 11, 1, 3)[0], 0, 2, interlaced=True))
    put("depth15.pgm", pnm(value(1, H, W, 1, 15)[0], 5, 15))
    put("one.png", png(colour[0], 2))
    put("one.ppm", pnm(colour[0], 3))
    put("glued.pgm", b"P5 4 5 255# a comment behind the greatest value\n" + grey[0].tobytes())
    put("one.pgm.gz", gzip.compress(pnm(grey[0], 5)))

    whole = png(grey[0], 0)
    put("palette.png", png(value(1, H, W, 1, 3)[0], 3, plte=chunk(b"PLTE", bytes(12))))
    put("alpha.png", png(value(1, H, W, 4)[0], 6))
    put("grey-alpha.png", png(value(1, H, W, 2)[0], 4))
    put("deep.png", png(grey[0].astype("u2"), 0, 16))
    put("transparent.png", png(grey[0], 0, before=chunk(b"tRNS", b"\0\x05")))
    put("cut.png", whole[:-20])
    put("long.png", whole + b"xyz")
    put("checksum.png", whole.replace(b"IDAT", b"IDAU", 1))
    put("bomb.png", SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 8000, 8000, 8, 0, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(bytes(100))))
    put("giant.png", SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 1 << 24, 1 << 24, 8, 0, 0, 0, 0)) + chunk(b"IDAT", b""))
    put("rows.png", SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", W, H + 1, 8, 0, 0, 0, 0)) +
        chunk(b"IDAT", zlib.compress(scan(grey[0], 8))) + chunk(b"IEND", b""))
    put("sizes/0.png", png(grey[0], 0))
    put("sizes/1.png", png(grey[0][:-1], 0))
    put("kinds/0.png", png(grey[0], 0))
    put("kinds/1.png", png(colour[0], 2))
    put("depths/0.pgm", pnm(grey[0], 5))
    put("depths/1.pgm", pnm(value(1, H, W, 1, 15)[0], 5, 15))
    put("stranger/0.png", png(grey[0], 0))
    put("stranger/1.txt", b"notes\n")
    put("beside/0.png", png(grey[0], 0))
    put("beside/more/0.png", png(grey[0], 0))
    put("deeper/a/b/0.png", png(grey[0], 0))
    put("hollow/a/0.png", png(grey[0], 0))
    os.makedirs(os.path.join(folder, "hollow/b"))
    os.makedirs(os.path.join(folder, "nothing"))
    put("p4.pbm", b"P4\n8 1\n\0")
    put("deep.pgm", b"P5\n1 1\n65535\n\0\0")
    put("cut.pgm", pnm(grey[0], 5)[:-1])
    put("long.pgm", pnm(grey[0], 5) + b"P5")
    put("cut.pgm2", b"P2 2 2 255 1 2 3")
    put("cut-late.pgm2", b"P2 2 2 255 100 200 30")
    put("long.pgm2", b"P2 1 1 255 1 2")
    put("above.pgm", pnm(grey[0], 5, 16))
    put("above.pgm2", b"P2 2 1 16 16 17")
    put("word.pgm2", b"P2 2 1 16 16 x7")
    put("header.pgm", b"P5 2")
    put("zero.pgm", b"P5 0 3 255\n")
    put("zero-most.pgm", b"P5 3 3 0\n")
    put("giant.pgm", b"P5 99999999 99999999 255\n")
    put("comma/a.bin", b"x")


def main():
    command, path = sys.argv[1:3]
    if command == "make":
        make(path)
        return
    numbers = [int(v) for v in sys.argv[3:]]
    found, chunks = decode(path)
    assert chunks == [b"IHDR"] + [b"IDAT"] * (len(chunks) - 2) + [b"IEND"], chunks
    if command == "png":
        assert np.array_equal(found, value(1, *numbers)[0])
    if command == "grid":
        n, h, w, c, columns = numbers
        x, rows = value(n, h, w, c), -(-n // columns)
        want = np.full((rows * (h + 1) + 1, columns * (w + 1) + 1, c), 128, "u1")
        for i in range(n):
            y0, x0 = i // columns * (h + 1) + 1, i % columns * (w + 1) + 1
            want[y0:y0 + h, x0:x0 + w] = x[i]
        assert np.array_equal(found, want)


main()
