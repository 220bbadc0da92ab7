"""rheo's log-densities against an independent NumPy evaluation of the same model file (golden.py)."""
import unittest

import numpy as np

import golden
from command import CommandTest, table

MODELS = {
    "realnvp": [],
    "realnvp, normal base": ["--set", "base=normal"],
    "realnvp, reversed": ["--set", "lu=false", "--set", "permute=reverse", "--set", "actnorm=true", "--set", "mask=half"],
    "realnvp, random": ["--set", "mask=random", "--set", "permute=random", "--set", "base=full-normal", "--set", "bound=2"],
    "nice": ["--arch", "nice"],
    "residual": ["--set", "net=residual", "--set", "hidden=16", "--set", "activation=silu"],
    "one layer": ["--set", "layers=1", "--set", "init=scaled"],
    **{f"activation {a}": ["--set", f"activation={a}", "--set", "layers=3"] for a in ("silu", "tanh", "gelu", "softplus", "elu")},
}


class Golden(CommandTest):
    @classmethod
    def prepare(cls):
        x = table(1500, 5)
        rng = np.random.default_rng(5)
        share = 1 / (1 + np.exp(-3 * x[:, 4]))
        cls.tables = {
            "plain": x,
            "awkward": np.column_stack([x, np.exp(2 * x[:, 0]), share, np.full(1500, 2.5), x[:, 1], x[:, 0] - 2 * x[:, 1] + 3, rng.standard_cauchy(1500)]),
            "one": x[:, :1],
        }
        for name, values in cls.tables.items():
            np.save(cls.path(name + ".npy"), values)

    def compare(self, data, args, dtype, absolute):
        self.done("fit", data + ".npy", "-o", "model.rheo", "--epochs", 4, "--dtype", dtype, "-q", "--set", "hidden=2x16", *([] if "--arch" in args else ["--arch", "realnvp"]), *args)
        self.done("score", "model.rheo", data + ".npy", "-o", "logp.npy", "-q")
        ours = np.load(self.path("logp.npy")).ravel().astype(np.float64)
        theirs = golden.Model(self.path("model.rheo")).log_prob(self.tables[data])
        self.assertTrue(np.isfinite(theirs).all())
        worst = (abs(ours - theirs) / (1 + abs(theirs))).max()
        self.assertLess(worst, absolute, f"{data} {args} {dtype}")

    def test_context(self):
        rng = np.random.default_rng(6)
        many, few = rng.integers(0, 11, 1500), rng.integers(0, 4, 1500)
        np.save(self.path("given.npy"), np.column_stack([self.tables["plain"], many * 3, few - 2, rng.standard_normal(1500)]))
        self.tables["given"] = np.load(self.path("given.npy"))  # the context is last: rows as a model takes them
        for dtype, absolute in (("f64", 1e-11), ("f32", 2e-5)):
            for args in ([], ["--arch", "nice", "--set", "net=residual", "--set", "hidden=16", "--set", "activation=tanh"]):
                self.compare("given", ["--context", "6-8", "--categorical", "6,7", *args], dtype, absolute)
        del self.tables["given"]

    def test_float64(self):
        for data in self.tables:
            for name, args in MODELS.items():
                with self.subTest(f"{data}, {name}"):
                    self.compare(data, args, "f64", 1e-11)

    def test_float32(self):
        for name, args in MODELS.items():
            with self.subTest(name):
                self.compare("plain", args, "f32", 2e-5)


if __name__ == "__main__":
    unittest.main()
