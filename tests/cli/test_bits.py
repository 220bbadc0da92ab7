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
                options = options or ["--arch", name, "--set", "hidden=2x24"]
                cls.done("fit", data + ".npy", "-o", model, "--steps", 30, "--set", "layers=3", "--set", "init=scaled", "-q", *more, *options)
                cls.made.append((name, data, model))

    def rows(self, command, model, rows, context, *more):
        """What a command makes of rows; context: [n, 2] or None."""
        np.save(self.path("in.npy"), rows)
        args = ["--context", "context.npy"] if context is not None and command == "decode" else []
        if args:
            np.save(self.path("context.npy"), context)
        self.done(command, model, "in.npy", "-o", "out.npy", "-q", *args, *more)
        return np.load(self.path("out.npy")).reshape(len(rows), -1)

    def test_rows(self):
        for name, data, model in self.made:
            x = np.load(self.path(data + ".npy"))
            context = x[:, 5:] if data == "given" else None
            codes = None
            for command in ("score", "encode", "decode"):
                with self.subTest(f"{model}, {command}"):
                    rows = codes if command == "decode" else x
                    some = lambda at, *more: self.rows(command, model, rows[at], context if context is None else context[at], *more)
                    want = some(slice(None), "--threads", 1)
                    self.assertTrue(np.isfinite(want).all())
                    for threads in (2, 3):
                        np.testing.assert_array_equal(some(slice(None), "--threads", threads), want)
                    for at in (slice(0, 1), slice(5, 12), slice(ROWS - 1, ROWS), slice(3, 520), slice(None, None, -1)):
                        np.testing.assert_array_equal(some(at), want[at])
                    if command == "encode":
                        codes = want

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
