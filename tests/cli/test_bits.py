"""A row's numbers are its own: the same bits alone, in any batch and for any number of threads, both ways through every architecture."""
import unittest

import numpy as np

from command import CommandTest, table

ARCHS = {
    "realnvp": [], "nice": [], "maf": [], "iaf": [], "nsf": [], "nsf-coupling": [],
    "maf-residual": ["--arch", "maf", "--set", "net=residual", "--set", "hidden=24", "--set", "activation=silu", "--set", "base=student-t"],
    "iaf-random": ["--arch", "iaf", "--set", "order=random", "--set", "activation=tanh", "--set", "actnorm=true", "--set", "base=mixture"],
}
ROWS = 777  # no multiple of any block


class Bits(CommandTest):
    @classmethod
    def prepare(cls):
        x = table(ROWS, 5)
        np.save(cls.path("plain.npy"), x)
        np.save(cls.path("given.npy"), np.column_stack([x, x[:, :1] * x[:, 1:2], np.arange(ROWS) % 3]))
        cls.made = []
        for name, options in ARCHS.items():
            for data, more in (("plain", []), ("given", ["--context", "6,7", "--categorical", "7"])):
                if data == "given" and options:
                    continue
                model = f"{name}-{data}.rheo"
                cls.done("fit", data + ".npy", "-o", model, "--steps", 30, "--set", "layers=3", "--set", "init=scaled", "-q", *more, *(options or ["--arch", name, "--set", "hidden=2x24"]))
                cls.made.append((name, data, model))

    def rows(self, command, model, rows, *more):
        np.save(self.path("in.npy"), rows)
        self.done(command, model, "in.npy", "-o", "out.npy", "-q", *more)
        return np.load(self.path("out.npy")).reshape(len(rows), -1)

    def test_rows(self):
        self.assertEqual(len(self.made), 14)
        for name, data, model in self.made:
            x = np.load(self.path(data + ".npy"))
            codes = None
            for command in ("score", "encode", "decode"):
                with self.subTest(f"{model}, {command}"):
                    rows = codes if command == "decode" else x
                    some = lambda at, *more: self.rows(command, model, rows[at], *more)
                    want = some(slice(None), "--threads", 1)
                    self.assertTrue(np.isfinite(want).all())
                    for threads in (2, 3):
                        np.testing.assert_array_equal(some(slice(None), "--threads", threads), want)
                    for at in (slice(0, 1), slice(5, 12), slice(ROWS - 1, ROWS), slice(3, 520), slice(None, None, -1)):
                        np.testing.assert_array_equal(some(at), want[at])
                    if command == "encode":
                        codes = want if data == "plain" or want.shape[1] == x.shape[1] else np.column_stack([want, x[:, 5:]])

    def test_samples(self):
        for name, data, model in self.made:
            with self.subTest(model):
                args = []
                if data == "given":
                    np.save(self.path("context.npy"), np.load(self.path("given.npy"))[:40, 5:])
                    args = ["--context", "context.npy"]
                n = 5 if args else 300

                def some(n, *more):
                    self.done("sample", model, "-n", n, "--seed", 4, "-o", "samples.npy", "-q", *args, *more)
                    return np.load(self.path("samples.npy"))

                want = some(n, "--threads", 1)
                self.assertTrue(np.isfinite(want).all())
                for threads in (2, 3):
                    np.testing.assert_array_equal(some(n, "--threads", threads), want)
                if args:
                    np.save(self.path("context.npy"), np.load(self.path("given.npy"))[:7, 5:])
                    np.testing.assert_array_equal(some(n), want[: 7 * n])
                else:
                    np.testing.assert_array_equal(some(7), want[:7])
                    np.testing.assert_array_equal(some(1), want[:1])


if __name__ == "__main__":
    unittest.main()
