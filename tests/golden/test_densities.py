"""Golden values: models fitted by the command, scored by it, against an independent evaluation of the same files (evaluate.py)."""
import json
import math
import os
import struct
import sys
import unittest

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small products: threads would only wait for each other
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
from command import ROOT, CommandTest
from evaluate import Model

PROTEIN = os.path.join(ROOT, "data", "protein_clean_{}.npy")
F64, F32 = 1e-11, 5e-5  # of max(1, |log p|)
ROWS = {"train": 6000, "test": 1500}
# name, table, options
FITS = [
    ("default", "protein", []),
    ("plain", "protein", ["--handle", "none", "--set", "mask=half", "--set", "permute=reverse", "--set", "activation=tanh", "--set", "bound=2", "--set", "lu=false"]),
    ("residual", "protein", ["--set", "net=residual", "--set", "hidden=24", "--set", "blocks=3", "--set", "activation=silu", "--set", "layers=4"]),
    ("masks", "protein", ["--set", "mask=random", "--set", "permute=random", "--set", "actnorm=true", "--set", "base=full-normal", "--set", "activation=gelu", "--set", "hidden=2x32"]),
    ("nice", "protein", ["--arch", "nice", "--set", "hidden=3x24", "--set", "activation=elu"]),
    ("nice-residual", "protein", ["--arch", "nice", "--set", "net=residual", "--set", "hidden=16", "--set", "activation=softplus", "--set", "mask=random", "--set", "base=full-normal", "--set", "lu=true"]),
    ("wild", "wild", ["--set", "hidden=2x32"]),
    ("wild-nice", "wild", ["--arch", "nice", "--set", "hidden=[16]", "--set", "activation=identity"]),
    ("column", "column", []),
    ("given", "given", ["--context", "2,5,7,8", "--categorical", "2,7", "--set", "hidden=2x32"]),
    ("maf", "protein", ["--arch", "maf", "--set", "hidden=[48,40]", "--set", "layers=3", "--set", "base=student-t"]),
    ("maf-residual", "protein", ["--arch", "maf", "--set", "net=residual", "--set", "hidden=24", "--set", "layers=2", "--set", "order=random", "--set", "activation=tanh", "--set", "base=mixture"]),
    ("iaf", "protein", ["--arch", "iaf", "--set", "hidden=2x32", "--set", "layers=3", "--set", "lu=false", "--set", "activation=silu"]),
    ("nsf", "protein", ["--arch", "nsf", "--set", "hidden=2x32", "--set", "layers=2", "--set", "box=1.2", "--set", "bins=7"]),
    ("nsf-coupling", "protein", ["--arch", "nsf-coupling", "--set", "hidden=2x32", "--set", "layers=2", "--set", "box=3", "--set", "bins=2"]),
    ("maf-given", "given", ["--arch", "maf", "--context", "2,5,7,8", "--categorical", "2,7", "--set", "hidden=2x32", "--set", "layers=2"]),
    ("nsf-column", "column", ["--arch", "nsf", "--set", "hidden=[8]", "--set", "layers=2"]),
    ("iaf-wild", "wild", ["--arch", "iaf", "--set", "hidden=2x32", "--set", "layers=2"]),
    ("mixture", "wild", ["--arch", "maf", "--set", "components=3", "--set", "hidden=[16]", "--set", "layers=2"]),
    ("cnf", "protein", ["--arch", "cnf", "--set", "hidden=[8,6]", "--set", "solver_steps=24", "--set", "activation=softplus", "--set", "actnorm=true", "--set", "lr=5e-3"]),
    ("rnode-given", "given", ["--arch", "rnode", "--context", "2,5,7,8", "--categorical", "2,7", "--set", "hidden=2x8", "--set", "residual=true", "--set", "solver_steps=24"]),
    ("planar", "pair", ["--arch", "cnf", "--context", "1,3", "--categorical", "1,3", "--set", "field=planar", "--set", "hidden=8", "--set", "layers=2", "--set", "solver_steps=24"]),
    ("column-given", "pair", ["--context", "1,3", "--categorical", "1,3", "--arch", "nice", "--set", "hidden=16"]),
]
# Every part, network, activation, transform and base that these architectures and --handle auto may use.
PARTS = set(
    "standardize drop dequantize grid levels support log logit chain permutation actnorm lu coupling elementwise affine additive scale "
    "constant mlp residual relu silu tanh gelu softplus elu identity autoregressive inverse rqs cnf time_mlp planar".split()
) | {"base normal", "base full-normal", "base student-t", "base mixture", "masked mlp", "masked residual", "order natural", "order reversed", "order list", "mixture of flows", "time concat", "time squash", "field residual", "context standardize", "context one-hot", "context embedding", "context drop"}


def wild(protein):
    """The protein table with columns of every kind that --handle auto looks for."""
    rng = np.random.default_rng(5)
    n = len(protein)
    levels = np.sqrt([0.0, 2.0, 3.0, 47.0, 60.0])  # on no grid
    return np.column_stack([
        protein[:, [0, 3, 9]],
        rng.poisson(3, n),
        np.round(rng.normal(0, 2, n) * 4) / 4,
        levels[rng.integers(0, 5, n)],
        np.full(n, 4.5),
        protein[:, 0],
        0.5 * protein[:, 0] - 2 * protein[:, 3] + 1,
        np.exp(rng.normal(0, 1.5, n)),
        1 / (1 + np.exp(-rng.normal(0, 2, n))),
    ]).astype(np.float64)


def given(protein):
    """Modelled columns among those of a context: few and many categories, numbers, a constant."""
    rng = np.random.default_rng(6)
    n = len(protein)
    many, few = rng.integers(0, 9, n), rng.integers(0, 3, n)
    return np.column_stack([
        protein[:, 0] + many * protein[:, 3], 10 * many - 30, protein[:, 9] * (1 + few), rng.poisson(3, n) + few, protein[:, 1], protein[:, 8], 5 - few, np.full(n, 2.5)
    ]).astype(np.float64)


def difference(got, want):
    """Largest |got - want| / max(1, |want|)."""
    return np.max(np.abs(got - want) / np.maximum(1, np.abs(want)))


class Golden(CommandTest):
    @classmethod
    def prepare(cls):
        for part in ("train", "test"):
            protein = np.load(PROTEIN.format(part))[:ROWS[part]]
            np.save(cls.path(f"protein-{part}.npy"), protein)
            np.save(cls.path(f"wild-{part}.npy"), wild(protein.astype(np.float64)))
            np.save(cls.path(f"column-{part}.npy"), protein[:, 4:5])
            np.save(cls.path(f"given-{part}.npy"), given(protein.astype(np.float64)))
            np.save(cls.path(f"pair-{part}.npy"), given(protein.astype(np.float64))[:, [6, 0, 1]])
        cls.model = {}
        for name, table, options in FITS:
            for dtype in ("f64", "f32"):
                file = f"{name}-{dtype}.rheo"
                cls.done("fit", f"{table}-train.npy", "-o", file, "--steps", 30, "--threads", 1, "--dtype", dtype, "--seed", 3, "-q", "--arch", "realnvp", "--set", "base=normal", *options)
                cls.model[name, dtype] = (file, table)

    def score(self, file, table, *more):
        self.done("score", file, f"{table}-test.npy", "-o", "score.npy", "-q", *more)
        return np.load(self.path("score.npy")).ravel()

    def test_densities(self):
        seen, worst = set(), {}
        for (name, dtype), (file, table) in self.model.items():
            model = Model(self.path(file))
            x = model.arrange(np.load(self.path(f"{table}-test.npy")))
            self.assertEqual(model.dtype, dtype)
            for arithmetic in ("f64", "f32"):
                want, got = model.log_prob(x, arithmetic), self.score(file, table, "--dtype", arithmetic)
                self.assertTrue(np.isfinite(want).all())
                off = difference(got, want)
                worst[arithmetic] = max(worst.get(arithmetic, 0), off)
                self.assertLess(off, F64 if arithmetic == "f64" else F32, f"{name}, fitted in {dtype}, scored in {arithmetic}")
                self.assertGreater(np.unique(want).size, len(x) // 2)
            seen |= model.seen
        self.assertEqual(PARTS - seen, set())
        print(f"golden: {len(self.model)} models of {len(PARTS)} kinds of parts, {len(x)} rows each; largest difference in float64 {worst['f64']:.1e}, float32 {worst['f32']:.1e}")

    def test_wrong_numbers_are_noticed(self):
        """Every tensor of the models in turn, times 1.01: the comparison must see it. Tensors that are zero have nothing to scale."""
        made, killed, survivors = 0, 0, []
        for (name, dtype), (file, table) in self.model.items():
            if dtype == "f32":
                continue
            model = Model(self.path(file))
            x = model.arrange(np.load(self.path(f"{table}-test.npy")))[:200]
            want = model.log_prob(x)
            for tensor, kept in model.tensors.items():
                if not kept.any():
                    continue
                model.tensors[tensor] = kept * 1.01
                made += 1
                off = difference(model.log_prob(x), want)
                if off <= F64:
                    survivors.append(f"{name}: {tensor}, {off:.1e}")
                killed += off > F64
                model.tensors[tensor] = kept
        print(f"golden: mutants of tensors: {made} made, {killed} killed")
        self.assertGreater(made, 100)
        self.assertEqual(survivors, [])


def write_model(path, spec, tensors):
    """A model file by hand; no seal, as a file changed on purpose has none."""
    header, data = {"__metadata__": {"rheo": "1", "dtype": "f64", "spec": json.dumps(spec)}}, b""
    for name, values in tensors.items():
        values = np.asarray(values, "<f8")
        header[name] = {"dtype": "F64", "shape": list(values.shape), "data_offsets": [len(data), len(data) + values.nbytes]}
        data += values.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


class Textbook(CommandTest):
    """The affine coupling of two columns with s = 0.5 and t = 1: y = (x1, x2 e^0.5 + 1), log-determinant 0.5."""

    @classmethod
    def prepare(cls):
        coupling = {"type": "coupling", "mask": [0], "transform": {"type": "affine", "bound": 5}, "net": {"type": "linear"}}
        write_model(
            cls.path("textbook.rheo"),
            {"columns": 2, "preprocess": [], "flow": {"type": "chain", "parts": [coupling]}, "base": {"type": "normal"}},
            {"flow.0.net.weight": np.zeros((2, 1)), "flow.0.net.bias": [5 * math.atanh(0.5 / 5), 1]},
        )
        cls.x = np.array([[0.3, -1.2], [0, 0], [-2.5, 4], [1, 1]])
        cls.y = np.column_stack([cls.x[:, 0], cls.x[:, 1] * math.exp(0.5) + 1])
        np.save(cls.path("x.npy"), cls.x)
        np.save(cls.path("y.npy"), cls.y)

    def rows(self, command, data):
        self.done(command, "textbook.rheo", data, "-o", "out.npy", "-q")
        return np.load(self.path("out.npy"))

    def test_forward(self):
        np.testing.assert_allclose(self.rows("encode", "x.npy"), self.y, rtol=0, atol=2e-15)

    def test_inverse(self):
        np.testing.assert_allclose(self.rows("decode", "y.npy"), self.x, rtol=0, atol=2e-15)
        self.done("encode", "textbook.rheo", "x.npy", "-o", "codes.npy", "-q")
        np.testing.assert_allclose(self.rows("decode", "codes.npy"), self.x, rtol=0, atol=2e-15)

    def test_log_det(self):
        normal = -0.5 * (self.y**2).sum(axis=1) - math.log(2 * math.pi)
        np.testing.assert_allclose(self.rows("score", "x.npy").ravel() - normal, 0.5, rtol=0, atol=2e-14)
        np.testing.assert_allclose(Model(self.path("textbook.rheo")).log_prob(self.x) - normal, 0.5, rtol=0, atol=2e-14)


if __name__ == "__main__":
    unittest.main()
