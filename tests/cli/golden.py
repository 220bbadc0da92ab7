"""The densities of a model file in NumPy and float64, from the file alone: an independent reading of its format, its specification and its
mathematics. usage: golden.py MODEL ROWS.npy prints log p of every row."""
import json
import math
import struct
import sys

import numpy as np


def read(path):
    """(specification, tensors by name in float64) of a safetensors file."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header, data = json.loads(file.read(size)), file.read()
    spec = json.loads(header.pop("__metadata__")["spec"])
    types = {"F32": "<f4", "F64": "<f8"}
    tensors = {}
    for name, t in header.items():
        first, end = t["data_offsets"]
        tensors[name] = np.frombuffer(data[first:end], types[t["dtype"]]).reshape(t["shape"]).astype(np.float64)
    return spec, tensors


def bound(x, most):
    return most * np.tanh(x / most)


def erf(x):
    from math import erf as one

    return np.vectorize(one)(x)


ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "gelu": lambda x: x * 0.5 * (1 + erf(x / np.sqrt(2))),
    "softplus": lambda x: np.logaddexp(0, x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "identity": lambda x: x,
}


class Model:
    def __init__(self, path):
        self.spec, self.tensors = read(path)
        self.used = set()

    def __getitem__(self, name):
        self.used.add(name)
        return self.tensors[name]

    # ---- networks ----

    def dense(self, name, x):
        return x @ self[name + ".weight"].T + self[name + ".bias"]

    def net(self, spec, name, x):
        if spec["type"] == "constant" or x.shape[1] == 0:
            return np.tile(self[name + ".value"], (len(x), 1))
        a = ACTIVATIONS[spec["activation"]]
        if spec["type"] == "mlp":
            for i in range(len(spec["hidden"])):
                x = a(self.dense(f"{name}.{i}", x))
            return self.dense(f"{name}.{len(spec['hidden'])}", x)
        assert spec["type"] == "residual", spec
        h = self.dense(name + ".initial", x)
        for i in range(spec["blocks"]):
            h = h + self.dense(f"{name}.blocks.{i}.1", a(self.dense(f"{name}.blocks.{i}.0", a(h))))
        return self.dense(name + ".final", h)

    # ---- context: what networks read of it ----

    def encode(self, context):
        numbers, categories = [np.zeros((len(context), 0))], []
        if "context_encoder" not in self.spec:
            return context
        for i, (e, v) in enumerate(zip(self.spec["context_encoder"], context.T)):
            if e["type"] == "standardize":
                numbers.append(((v - e["mean"]) / e["scale"])[:, None])
            elif e["type"] != "drop":
                names = e["categories"]
                at = v.astype(int) if isinstance(names[0], str) else np.searchsorted(names, v)
                categories.append(np.eye(len(names))[at] if e["type"] == "one-hot" else self[f"context.{i}.weight"][at])
        return np.hstack(numbers + categories)

    # ---- bijections: x [n, d] -> y [n, d'], log|det| [n] ----

    def triangle(self, name, n, lower, diagonal):
        t = np.zeros((n, n))
        if n > 1:
            t[np.tril_indices(n, -1) if lower else np.triu_indices(n, 1)] = self[name]
        return t + np.diag(diagonal)

    def lu(self, spec, name, x):
        d = x.shape[1]
        log_diagonal = bound(self[name + ".log_diagonal"], spec["bound"])
        lower = self.triangle(name + ".lower", d, True, np.ones(d))
        upper = self.triangle(name + ".upper", d, False, np.exp(log_diagonal))
        return x @ upper.T @ lower.T + self[name + ".bias"], np.full(len(x), log_diagonal.sum())

    def coupling(self, spec, name, x):
        n, d = x.shape
        mask = spec.get("mask", [])
        i = np.arange(d)
        if spec["type"] == "elementwise" or d == 1:
            keep = np.zeros(d, bool)
        elif isinstance(mask, list):
            keep = np.isin(i, mask)
        else:
            keep = {"half": i < d // 2, "swap": i >= d // 2, "even": i % 2 == 0, "odd": i % 2 == 1}[mask]
        raw = self.net(spec["net"], name + ".net", np.hstack([x[:, keep], self.features]))
        changed, transform = x[:, ~keep], spec["transform"]
        m, y = changed.shape[1], x.copy()
        s = np.zeros((n, m)) if transform["type"] == "additive" else bound(raw[:, :m], transform["bound"])
        t = {"affine": raw[:, m:], "additive": raw, "scale": 0}[transform["type"]]
        y[:, ~keep] = changed * np.exp(s) + t
        return y, s.sum(axis=1)

    def standardize(self, spec, name, x):
        scale = self[name + ".scale"]
        return (x - self[name + ".mean"]) / scale, np.full(len(x), -np.log(scale).sum())

    def actnorm(self, spec, name, x):
        s = self[name + ".log_scale"]
        return (x + self[name + ".shift"]) * np.exp(s), np.full(len(x), s.sum())

    def permutation(self, spec, name, x):
        d, order = x.shape[1], spec["order"]
        if not isinstance(order, list):
            order = {"reverse": np.arange(d)[::-1], "swap": (np.arange(d) + d // 2) % d}[order]
        return x[:, order], np.zeros(len(x))

    def drop(self, spec, name, x):
        gone = [c["column"] for c in spec["columns"]]
        return np.delete(x, gone, axis=1), np.zeros(len(x))

    def support(self, spec, name, x):
        y, total = x.copy(), np.zeros(len(x))
        for c in spec["columns"]:
            v, j = x[:, c["column"]], c["column"]
            if c["kind"] == "logit":
                a, b = v - c["low"], c["high"] - v
                y[:, j] = np.log(a) - np.log(b)
                total += np.log(c["high"] - c["low"]) - np.log(a) - np.log(b)
            else:
                sign = 1 if "low" in c else -1
                v = sign * (v - c["low" if sign > 0 else "high"])
                each = np.log(v) if c["kind"] == "log" else np.log(np.expm1(v))
                y[:, j] = sign * each
                total += -np.log(v) if c["kind"] == "log" else v - each
        return y, total

    def chain(self, parts, name, x):
        total = np.zeros(len(x))
        for i, spec in enumerate(parts):
            part = f"{name}.{i}"
            kind = "coupling" if spec["type"] == "elementwise" else spec["type"]
            if kind == "chain":
                x, term = self.chain(spec["parts"], part, x)
            else:
                x, term = getattr(self, kind)(spec, part, x)
            total = total + term
        return x, total

    # ---- the whole ----

    def base(self, z):
        spec, extra = self.spec["base"], 0
        if spec["type"] == "full-normal":
            log_diagonal = bound(self["base.log_diagonal"], spec["bound"])
            z = (z - self["base.mean"]) @ self.triangle("base.lower", z.shape[1], True, np.exp(log_diagonal)).T
            extra = log_diagonal.sum()
        elif spec["type"] == "student-t":
            lgamma = np.vectorize(math.lgamma)
            nu = 0.5 + np.logaddexp(0, self["base.df"])
            each = lgamma((nu + 1) / 2) - lgamma(nu / 2) - 0.5 * np.log(nu * np.pi) - (nu + 1) / 2 * np.log1p(z * z / nu)
            return each.sum(axis=1)
        elif spec.get("learn"):
            s = self["base.log_scale"]
            z, extra = (z - self["base.mean"]) * np.exp(-s), -s.sum()
        return extra - 0.5 * (z * z).sum(axis=1) - 0.5 * z.shape[1] * np.log(2 * np.pi)

    def log_prob(self, x):
        """x: [n, columns + context]"""
        flow, d, x = self.spec["flow"], self.spec["columns"], np.asarray(x, np.float64)
        self.features = self.encode(x[:, d:])
        x, first = self.chain(self.spec["preprocess"], "preprocess", x[:, :d])
        z, second = self.chain(flow["parts"] if flow["type"] == "chain" else [flow], "flow", x)
        result = self.base(z) + first + second
        assert self.used == set(self.tensors), "tensors that nothing has read: %s" % sorted(set(self.tensors) - self.used)
        return result


if __name__ == "__main__":
    for value in Model(sys.argv[1]).log_prob(np.load(sys.argv[2])):
        print(repr(float(value)))
