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


log_gamma = np.vectorize(math.lgamma, otypes=[np.float64])


def log_sum(x):
    """log sum exp over the last axis"""
    most = x.max(axis=-1, keepdims=True)
    return np.log(np.exp(x - most).sum(axis=-1)) + most[..., 0]


def rational_quadratic(spec, x, raw):
    """Durkan et al. 2019, equations (4) and (5), linear tails. x [rows, m], raw [rows, m, 3 K - 1] -> y, log-slope."""
    assert spec["tails"] == "linear"
    k, b = spec["bins"], spec["box"]

    def knots(v, least):
        e = np.exp(v - v.max(axis=-1, keepdims=True))
        ends = np.cumsum(least + (1 - k * least) * e / e.sum(axis=-1, keepdims=True), axis=-1)
        ends = np.concatenate([np.zeros_like(ends[..., :1]), ends], axis=-1) * 2 * b - b
        ends[..., -1] = b
        return ends

    at, to = knots(raw[..., :k], spec["min_width"]), knots(raw[..., k : 2 * k], spec["min_height"])
    slope = np.ones_like(at)
    slope[..., 1:-1] = spec["min_slope"] + np.logaddexp(0, raw[..., 2 * k :] + math.log(math.expm1(1 - spec["min_slope"])))
    v = np.clip(x, -b, b)
    i = np.minimum((at[..., 1:] <= v[..., None]).sum(axis=-1), k - 1)[..., None]
    pick = lambda a, j: np.take_along_axis(a, j, axis=-1)[..., 0]
    w, h, d0, d1 = pick(at, i + 1) - pick(at, i), pick(to, i + 1) - pick(to, i), pick(slope, i), pick(slope, i + 1)
    s, t = h / w, (v - pick(at, i)) / w
    below = s + (d1 + d0 - 2 * s) * t * (1 - t)
    y = pick(to, i) + h * (s * t * t + d0 * t * (1 - t)) / below
    log_slope = 2 * np.log(s) + np.log(d1 * t * t + 2 * s * t * (1 - t) + d0 * (1 - t) ** 2) - 2 * np.log(below)
    inside = abs(x) <= b
    return np.where(inside, y, x), np.where(inside, log_slope, 0.0)


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

    def masked(self, spec, name, x, params):
        """A masked network over sorted columns x [rows, d] -> [rows, d, params], by dense matrices: weights are stored without what the
        masks cut off, row j of a matrix as its first reach(j) numbers. Units stand in order of their degrees."""
        d, c, kind = x.shape[1], self.features.shape[1], spec["type"]
        self.seen.add("masked " + kind)
        if d == 1 and c == 0:
            return np.broadcast_to(self.tensors[name + ".value"].reshape(d, params), (len(x), d, params))
        degrees = np.arange(0 if c else 1, d)  # of a hidden unit: how many columns it may see; 0 wants a context
        f = ACTIVATIONS[spec["activation"]]
        self.seen.add(spec["activation"])

        def spread(units):
            return degrees[np.arange(units) * len(degrees) // units]

        def layer(which, v, sees, inputs):
            """sees [out], inputs [in]: the degrees on both sides; an output reads inputs of no higher degree, which stand first."""
            reach = (inputs[None, :] <= sees[:, None]).sum(axis=1)
            flat, matrix, at = self.tensors[f"{name}.{which}.weight"], np.zeros((len(sees), len(inputs))), 0
            for j, n in enumerate(reach):
                matrix[j, :n] = flat[at : at + n]
                at += n
            assert flat.shape == (at,)
            return v @ matrix.T + self.tensors[f"{name}.{which}.bias"]

        first = np.concatenate([np.zeros(c), 1 + np.arange(d)])  # a column counts itself: whoever sees i columns does not see column i
        last = np.repeat(np.arange(d), params)
        v = np.column_stack([self.features, x])
        if kind == "mlp":
            inputs = first
            for i, units in enumerate(spec["hidden"]):
                v = f(layer(i, v, spread(units), inputs))
                inputs = spread(units)
            v = layer(len(spec["hidden"]), v, last, inputs)
        else:
            units = spread(spec["hidden"])
            h = layer("initial", v, units, first)
            for i in range(spec["blocks"]):
                h = h + layer(f"blocks.{i}.1", f(layer(f"blocks.{i}.0", f(h), units, units)), units, units)
            v = layer("final", h, last, units)
        return v.reshape(len(x), d, params)

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
        params = {"affine": 2, "rqs": 3 * spec["transform"].get("bins", 0) - 1}.get(kind, 1)
        raw = np.broadcast_to(self.net(spec["net"], name + ".net", np.column_stack([x[:, keep], self.features])), (len(x), params * m))
        self.seen.add(kind)
        if kind == "rqs":
            y[:, change], each = rational_quadratic(spec["transform"], x[:, change], raw.reshape(len(x), m, -1))
            return y, each.sum(axis=1)
        if kind == "additive":
            y[:, change] += raw
            return y, 0.0
        s = spec["transform"]["bound"] * np.tanh(raw[:, :m] / spec["transform"]["bound"])
        y[:, change] = y[:, change] * np.exp(s) + (raw[:, m:] if kind == "affine" else 0.0)
        return y, s.sum(axis=1)

    def sorted_columns(self, spec, d):
        order = spec["order"]
        self.seen.add("order " + (order if isinstance(order, str) else "list"))
        return {"natural": np.arange(d), "reversed": np.arange(d)[::-1]}[order] if isinstance(order, str) else np.array(order)

    def params(self, transform):
        return 2 if transform["type"] == "affine" else 3 * transform["bins"] - 1

    def elements(self, transform, x, raw):
        """x [rows, m], raw [rows, m, params] -> y, log-slopes [rows, m]."""
        self.seen.add(transform["type"])
        if transform["type"] == "rqs":
            return rational_quadratic(transform, x, raw)
        s = transform["bound"] * np.tanh(raw[:, :, 0] / transform["bound"])
        return x * np.exp(s) + raw[:, :, 1], s

    def part_autoregressive(self, spec, name, x):
        order, t = self.sorted_columns(spec, x.shape[1]), spec["transform"]
        y, each = self.elements(t, x[:, order], self.masked(spec["net"], name + ".net", x[:, order], self.params(t)))
        out = np.empty_like(y)
        out[:, order] = y
        return out, each.sum(axis=1)

    def part_inverse(self, spec, name, y):
        """Of an affine autoregressive part, one column after the other."""
        spec, name = spec["part"], name + ".part"
        assert spec["type"] == "autoregressive" and spec["transform"]["type"] == "affine"
        order, t = self.sorted_columns(spec, y.shape[1]), spec["transform"]
        x, ladj = np.zeros_like(y), 0.0
        for i, column in enumerate(order):
            raw = self.masked(spec["net"], name + ".net", x[:, order], self.params(t))[:, i : i + 1]
            shift, s = self.elements(t, np.zeros((len(y), 1)), raw)
            x[:, column] = ((y[:, column, None] - shift) * np.exp(-s))[:, 0]
            ladj = ladj - s[:, 0]
        return x, ladj

    # ---- bases ----

    def field(self, spec, name, x, t, context):
        """Vector field of a continuous flow: x [n, d], complex where a derivative is asked for, by complex steps."""
        self.seen.add(spec["type"])
        w = lambda leaf: self.tensors[f"{name}.{leaf}"]
        if spec["type"] == "planar":
            z = x @ w("weight").T + w("bias") + w("time") * t + (context @ w("context").T if context.shape[1] else 0)
            return np.tanh(z) @ w("out").T
        assert spec["type"] == "time_mlp"
        self.seen |= {spec["activation"], "time " + spec["time"]} | ({"field residual"} if spec["residual"] else set())
        act = {"tanh": np.tanh, "softplus": lambda z: np.log(1 + np.exp(z)), "silu": lambda z: z / (1 + np.exp(-z))}[spec["activation"]]
        for l in range(len(spec["hidden"]) + 1):
            if spec["time"] == "hyper":
                phi = np.concatenate([[1.0], np.tanh(w(f"{l}.rate") * t + w(f"{l}.phase"))])
                matrices = w(f"{l}.weight").reshape(-1, len(phi), x.shape[1])
                z = x @ np.einsum("okj,k->oj", matrices, phi).T + w(f"{l}.bias") + w(f"{l}.shift") @ phi[1:]
            else:
                z = x @ w(f"{l}.weight").T + w(f"{l}.bias")
            if spec["time"] == "squash":
                z = z / (1 + np.exp(-(w(f"{l}.time") * t + w(f"{l}.gate")))) + w(f"{l}.shift") * t
            elif spec["time"] == "concat":
                z = z + w(f"{l}.time") * t
            if l == 0 and context.shape[1]:
                z = z + context @ w("0.context").T
            if l == len(spec["hidden"]):
                return z
            x = x + act(z) if spec["residual"] and l else act(z)

    def part_cnf(self, spec, name, x):
        """Kutta's method in many steps, with the trace column by column."""
        (n, d), steps, tiny = x.shape, 64, 1e-30
        context = np.repeat(self.features, d, axis=0)

        def rate(y, t):
            tall = np.repeat(y[:, :d], d, axis=0).astype(complex)
            tall[np.arange(n * d), np.tile(np.arange(d), n)] += 1j * tiny
            out = self.field(spec["field"], name + ".field", tall, t, context).reshape(n, d, d)
            return np.column_stack([out[:, 0].real, np.einsum("njj->n", out).imag / tiny])

        y, h = np.column_stack([x, np.zeros(n)]), spec["time"] / steps
        for i in range(steps):
            a = rate(y, i * h)
            b = rate(y + h / 2 * a, (i + 0.5) * h)
            c = rate(y + h / 2 * b, (i + 0.5) * h)
            y = y + h / 6 * (a + 2 * b + 2 * c + rate(y + h * c, (i + 1) * h))
        return y[:, :d], y[:, d]

    def base(self, spec, name, z):
        d, ladj, t = z.shape[1], 0.0, lambda leaf: self.tensors[f"{name}.{leaf}"]
        self.seen.add("base " + spec["type"])
        if spec["type"] == "student-t":
            nu = 0.5 + np.logaddexp(0, t("df"))
            at_0 = log_gamma((nu + 1) / 2) - log_gamma(nu / 2) - 0.5 * np.log(nu * math.pi)
            return (at_0 - (nu + 1) / 2 * np.log1p(z * z / nu)).sum(axis=1)
        if spec["type"] == "mixture":
            logits, scales = t("logits"), t("log_scales")
            away = (z[:, None, :] - t("means")) * np.exp(-scales)
            each = logits - log_sum(logits) - scales.sum(axis=1) - 0.5 * (away * away).sum(axis=2)
            return log_sum(each) - 0.5 * d * math.log(2 * math.pi)
        if spec["type"] == "full-normal":
            log_diagonal = spec["bound"] * np.tanh(t("log_diagonal") / spec["bound"])
            a = np.diag(np.exp(log_diagonal))
            if d > 1:
                a[np.tril_indices(d, -1)] = t("lower")
            z, ladj = (z - t("mean")) @ a.T, log_diagonal.sum()
        elif spec.get("learn"):
            z, ladj = (z - t("mean")) * np.exp(-t("log_scale")), -t("log_scale").sum()
        return -0.5 * (d * math.log(2 * math.pi) + (z * z).sum(axis=1)) + ladj

    # ---- flows, and mixtures of them ----

    def density(self, spec, prefix, x):
        y, before = self.part_chain(None, prefix + "preprocess", x, spec["preprocess"])
        z, inside = self.part(spec["flow"], prefix + "flow", y)
        return self.base(spec["base"], prefix + "base", z) + before + inside

    def mixture(self, spec, x):
        y, before = self.part_chain(None, "preprocess", x, spec["preprocess"])
        weights, used, each = spec["weights"], self.used, []
        self.seen.add("mixture of flows")
        weights = np.log(weights) if isinstance(weights, list) else self.tensors["mixture.logits"] if weights == "learned" else np.zeros(len(spec["mixture"]))
        for k, one in enumerate(spec["mixture"]):
            self.used = used  # all read the same noise
            each.append(self.density(one, f"mixture.{k}.", y))
        return log_sum(np.column_stack(each) + weights - log_sum(weights)) + before

    def log_prob(self, rows, arithmetic=None):
        """rows [n, columns + context] -> log p [n]. arithmetic "f32": inputs as a float32 run gets them."""
        rows, d = np.asarray(rows, np.float64).reshape(len(rows), -1), self.spec["columns"]
        parts = self.spec["preprocess"] + [p for one in self.spec.get("mixture", [])[:1] for p in one["preprocess"]]
        steps = [c for p in parts if p["type"] == "dequantize" for c in p.get("columns", range(d))]
        self.noise, self.used = uniforms(rows, len(steps)), 0
        if (arithmetic or self.dtype) == "f32":
            rows = rows.astype(np.float32).astype(np.float64)
            self.noise = np.minimum(self.noise, 1 - 2.0**-24).astype(np.float32).astype(np.float64)
        self.features = self.encode(rows[:, d:])
        return self.mixture(self.spec, rows[:, :d]) if "mixture" in self.spec else self.density(self.spec, "", rows[:, :d])


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
