"""Log-densities of a rheo model file in float64, by NumPy alone: its own reader of the file, its own mathematics, nothing of rheo.

usage: evaluate.py MODEL DATA.npy [OUT.npy]      prints the mean, writes log p of every row
"""
import json
import math
import struct
import sys

import numpy as np

TYPES = {"F32": "<f4", "F64": "<f8"}


def read(path):
    """A safetensors file -> its metadata and its tensors."""
    with open(path, "rb") as file:
        raw = file.read()
    (n,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + n])
    meta = header.pop("__metadata__", {})
    data = raw[8 + n :]
    tensors = {}
    for name, t in header.items():
        first, last = t["data_offsets"]
        tensors[name] = np.frombuffer(data[first:last], TYPES[t["dtype"]]).reshape(t["shape"]).astype(np.float64)
    return meta, tensors


# ---- noise: Philox4x32-10 (Salmon et al. 2011), keyed by the hash of a row's bytes ----

WORD = np.uint64(0xFFFFFFFF)
NOISE_STREAM = 5


def philox(counter, key):
    c = [np.asarray(x, np.uint64) for x in counter]
    k = [np.uint64(key[0]), np.uint64(key[1])]
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(b >> np.uint64(32)) ^ c[1] ^ k[0], b & WORD, (a >> np.uint64(32)) ^ c[3] ^ k[1], a & WORD]
        k = [(k[0] + np.uint64(0x9E3779B9)) & WORD, (k[1] + np.uint64(0xBB67AE85)) & WORD]
    return c


def mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def hash_rows(x):
    assert x.shape[1] <= 512  # longer rows are hashed in pieces
    words = np.ascontiguousarray(x + 0.0).view(np.uint64)
    h = mix(np.full(len(x), 0x9E3779B97F4A7C15 ^ (8 * x.shape[1]), np.uint64))
    for j in range(x.shape[1]):
        h = mix((h ^ words[:, j]) + np.uint64(0x9E3779B97F4A7C15))
    return h


def uniforms(rows, n, seed=0):
    """[rows, n] in (0, 1), a function of each row's own numbers."""
    key = seed ^ (((NOISE_STREAM << 32) * 0x9E3779B97F4A7C15) & (2**64 - 1))
    h = hash_rows(rows)
    u = np.empty((len(rows), n + n % 2))
    for block in range((n + 1) // 2):
        w = philox([np.full(len(h), block), h & WORD, h >> np.uint64(32), np.full(len(h), NOISE_STREAM)], (key & 0xFFFFFFFF, key >> 32))
        for i in range(2):
            bits = ((w[2 * i] << np.uint64(32)) | w[2 * i + 1]) >> np.uint64(12)
            u[:, 2 * block + i] = (bits.astype(np.float64) + 0.5) * 2.0**-52
    return u[:, :n]


# ---- networks ----

erf = np.vectorize(math.erf, otypes=[np.float64])
ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x * np.exp(-np.logaddexp(0, -x)),
    "tanh": np.tanh,
    "gelu": lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2))),
    "softplus": lambda x: np.logaddexp(0, x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "identity": lambda x: x,
}


class Model:
    def __init__(self, path):
        meta, self.tensors = read(path)
        self.dtype = meta["dtype"]
        self.spec = json.loads(meta["spec"])
        self.seen = set()  # types of what was evaluated

    def dense(self, name, x):
        return x @ self.tensors[name + ".weight"].T + self.tensors[name + ".bias"]

    def net(self, spec, name, x):
        kind = spec["type"]
        self.seen.add(kind)
        if kind == "constant":
            return self.tensors[name + ".value"]
        if kind == "linear":
            return self.dense(name, x)
        f = ACTIVATIONS[spec["activation"]]
        self.seen.add(spec["activation"])
        if kind == "mlp":
            for i in range(len(spec["hidden"])):
                x = f(self.dense(f"{name}.{i}", x))
            return self.dense(f"{name}.{len(spec['hidden'])}", x)
        assert kind == "residual", kind
        h = self.dense(name + ".initial", x)
        for i in range(spec["blocks"]):
            h = h + self.dense(f"{name}.blocks.{i}.1", f(self.dense(f"{name}.blocks.{i}.0", f(h))))
        return self.dense(name + ".final", h)

    # ---- context: raw columns [rows, c] -> features: standardized numbers first, then categories ----

    def encode(self, context):
        encoder = self.spec.get("context_encoder")
        if not encoder:
            return context
        numbers, categories = [], []
        for i, e in enumerate(encoder):
            v = context[:, i]
            self.seen.add("context " + e["type"])
            if e["type"] == "standardize":
                numbers.append((v - e["mean"]) / e["scale"])
            elif e["type"] != "drop":
                values = range(len(e["categories"])) if isinstance(e["categories"][0], str) else e["categories"]
                hot = (v[:, None] == np.array(values)).astype(np.float64)
                assert (hot.sum(axis=1) == 1).all()
                categories.append(hot if e["type"] == "one-hot" else hot @ self.tensors[f"context.{i}.weight"])
        return np.column_stack(numbers + categories)

    def arrange(self, table):
        """A table in the order of the fit's -> [data | context]."""
        places = [e["column"] for e in self.spec.get("context_encoder", [])]
        return table[:, [j for j in range(table.shape[1]) if j not in places] + places]

    # ---- parts: x [rows, d] -> y, log|det| [rows] or a number ----

    def part(self, spec, name, x):
        self.seen.add(spec["type"])
        return getattr(self, "part_" + spec["type"])(spec, name, x)

    def part_chain(self, spec, name, x, parts=None):
        total = 0.0
        for i, part in enumerate(spec["parts"] if parts is None else parts):
            x, ladj = self.part(part, f"{name}.{i}", x)
            total = total + ladj
        return x, total

    def part_standardize(self, spec, name, x):
        mean, scale = self.tensors[name + ".mean"], self.tensors[name + ".scale"]
        return (x - mean) / scale, -np.log(scale).sum()

    def part_drop(self, spec, name, x):
        gone = {c["column"] for c in spec.get("columns", [])}
        return x[:, [j for j in range(x.shape[1]) if j not in gone]], 0.0

    def part_dequantize(self, spec, name, x):
        columns = spec.get("columns", [{"column": j} for j in range(x.shape[1])])
        y = x.copy()
        for c in columns:
            self.seen.add("levels" if "levels" in c else "grid")
            y[:, c["column"]] += c.get("step", 1) * self.noise[:, self.used]
            self.used += 1
        return y, 0.0

    def part_support(self, spec, name, x):
        y, ladj = x.copy(), np.zeros(len(x))
        for c in spec["columns"]:
            v = x[:, c["column"]]
            self.seen.add(c["kind"])
            if c["kind"] == "logit":
                low, high = c["low"], c["high"]
                inside = (v > low) & (v < high)
                v = np.where(inside, v, (low + high) / 2)
                y[:, c["column"]] = np.log((v - low) / (high - v))
                ladj += np.log((high - low) / ((v - low) * (high - v)))
            else:
                sign = 1.0 if "low" in c else -1.0
                v = sign * (v - c.get("low", c.get("high")))
                inside = v > 0
                v = np.where(inside, v, 1.0)
                log = np.log(v) if c["kind"] == "log" else v + np.log1p(-np.exp(-v))
                ladj -= np.log(v) if c["kind"] == "log" else np.log1p(-np.exp(-v))
                y[:, c["column"]] = sign * log
            ladj = np.where(inside, ladj, -np.inf)
        return y, ladj

    def part_permutation(self, spec, name, x):
        d, order = x.shape[1], spec["order"]
        if order == "reverse":
            order = list(range(d))[::-1]
        elif order == "swap":
            order = [(i + d // 2) % d for i in range(d)]
        return x[:, order], 0.0

    def part_actnorm(self, spec, name, x):
        s = self.tensors[name + ".log_scale"]
        return (x + self.tensors[name + ".shift"]) * np.exp(s), s.sum()

    def part_lu(self, spec, name, x):
        d = x.shape[1]
        log_diagonal = spec["bound"] * np.tanh(self.tensors[name + ".log_diagonal"] / spec["bound"])
        lower, upper = np.eye(d), np.diag(np.exp(log_diagonal))
        if d > 1:
            lower[np.tril_indices(d, -1)] = self.tensors[name + ".lower"]
            upper[np.triu_indices(d, 1)] = self.tensors[name + ".upper"]
        return x @ (lower @ upper).T + self.tensors[name + ".bias"], log_diagonal.sum()

    def part_coupling(self, spec, name, x):
        d, mask = x.shape[1], spec["mask"]
        named = {"half": range(d // 2), "swap": range(d // 2, d), "even": range(0, d, 2), "odd": range(1, d, 2)}
        keep = [] if d == 1 else list(named[mask]) if isinstance(mask, str) else sorted(mask)
        return self.transform(spec, name, x, keep)

    def part_elementwise(self, spec, name, x):
        return self.transform(spec, name, x, [])

    def transform(self, spec, name, x, keep):
        change = [j for j in range(x.shape[1]) if j not in keep]
        kind, m, y = spec["transform"]["type"], len(change), x.copy()
        raw = np.broadcast_to(self.net(spec["net"], name + ".net", np.column_stack([x[:, keep], self.features])), (len(x), 2 * m if kind == "affine" else m))
        self.seen.add(kind)
        if kind == "additive":
            y[:, change] += raw
            return y, 0.0
        s = spec["transform"]["bound"] * np.tanh(raw[:, :m] / spec["transform"]["bound"])
        y[:, change] = y[:, change] * np.exp(s) + (raw[:, m:] if kind == "affine" else 0.0)
        return y, s.sum(axis=1)

    # ---- bases ----

    def base(self, spec, z):
        d, ladj, t = z.shape[1], 0.0, self.tensors
        self.seen.add(spec["type"])
        if spec["type"] == "full-normal":
            log_diagonal = spec["bound"] * np.tanh(t["base.log_diagonal"] / spec["bound"])
            a = np.diag(np.exp(log_diagonal))
            if d > 1:
                a[np.tril_indices(d, -1)] = t["base.lower"]
            z, ladj = (z - t["base.mean"]) @ a.T, log_diagonal.sum()
        elif spec.get("learn"):
            z, ladj = (z - t["base.mean"]) * np.exp(-t["base.log_scale"]), -t["base.log_scale"].sum()
        return -0.5 * (d * math.log(2 * math.pi) + (z * z).sum(axis=1)) + ladj

    def log_prob(self, rows, arithmetic=None):
        """rows [n, columns + context] -> log p [n]. arithmetic "f32": inputs as a float32 run gets them."""
        rows, d = np.asarray(rows, np.float64).reshape(len(rows), -1), self.spec["columns"]
        steps = [c for p in self.spec["preprocess"] if p["type"] == "dequantize" for c in p.get("columns", range(d))]
        self.noise, self.used = uniforms(rows, len(steps)), 0
        if (arithmetic or self.dtype) == "f32":
            rows = rows.astype(np.float32).astype(np.float64)
            self.noise = np.minimum(self.noise, 1 - 2.0**-24).astype(np.float32).astype(np.float64)
        self.features = self.encode(rows[:, d:])
        y, before = self.part_chain(None, "preprocess", rows[:, :d], self.spec["preprocess"])
        z, inside = self.part(self.spec["flow"], "flow", y)
        return self.base(self.spec["base"], z) + before + inside


def main(args):
    if not 3 <= len(args) <= 4:
        sys.exit(__doc__.strip())
    model, table = Model(args[1]), np.load(args[2])
    log_prob = model.log_prob(model.arrange(table.reshape(len(table), -1)))
    print(f"mean log p {log_prob.mean():.9f} nats a row, {len(log_prob)} rows")
    if len(args) == 4:
        np.save(args[3], log_prob)


if __name__ == "__main__":
    main(sys.argv)
