"""What the tests of the command share: running it, small tables, and a test case with a folder of its own."""
import json
import os
import shutil
import struct
import subprocess
import tempfile
import unittest

import numpy as np

RHEO = os.path.abspath(os.environ.get("RHEO", "build/rheo"))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def table(rows=1000, columns=3, seed=1):
    """Correlated, skewed, bimodal columns: a density worth fitting."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((rows, columns))
    x = z.copy()
    for j in range(1, columns):
        x[:, j] = 0.5 * x[:, j - 1] ** 2 / (1 + 0.1 * abs(x[:, j - 1])) + z[:, j] + 2 * np.sign(z[:, 0])
    return x


def write_csv(path, x, header=None):
    with open(path, "w") as file:
        if header:
            file.write(",".join(header) + "\n")
        for row in np.atleast_2d(x):
            file.write(",".join(repr(float(v)) for v in row) + "\n")


class CommandTest(unittest.TestCase):
    """A folder of its own; run() runs the command in it."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="rheo-cli-")
        cls.prepare()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    @classmethod
    def prepare(cls):
        pass

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    @classmethod
    def bytes_of(cls, name):
        with open(cls.path(name), "rb") as file:
            return file.read()

    @classmethod
    def text_of(cls, name):
        return cls.bytes_of(name).decode()

    @classmethod
    def edit(cls, model, to, name, change):
        """A model with one tensor changed, and so without its seal (docs/file-format.md)."""
        data = cls.bytes_of(model)
        n = struct.unpack("<Q", data[:8])[0]
        head, body = json.loads(data[8 : 8 + n]), bytearray(data[8 + n :])
        first, last = head[name]["data_offsets"]
        body[first:last] = change(np.frombuffer(bytes(body[first:last]), "<f4")).astype("<f4").tobytes()
        del head["__metadata__"]["hash"]
        text = json.dumps(head).encode()
        with open(cls.path(to), "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text + body)

    @classmethod
    def run_rheo(cls, *args, stdin=None, timeout=300, **more):
        if isinstance(stdin, str):
            stdin = stdin.encode()
        return subprocess.run([RHEO, *map(str, args)], input=stdin if stdin is not None else b"", capture_output=True, timeout=timeout, cwd=cls.folder, **more)

    @classmethod
    def done(cls, *args, **more):
        """Runs and expects exit code 0."""
        run = cls.run_rheo(*args, **more)
        if run.returncode != 0:
            raise AssertionError(f"rheo {' '.join(map(str, args))}: exit {run.returncode}\n{run.stdout.decode()}{run.stderr.decode()}")
        return run

    @classmethod
    def report(cls, *args, **more):
        """The object on the last line of standard output."""
        return json.loads(cls.done(*args, "--json", **more).stdout.decode().splitlines()[-1])

    def refused(self, code, words, *args, **more):
        """Exit code, one line on standard error with all the words, nothing on standard output, nothing else changed in the folder."""
        before = self.snapshot()
        run = self.run_rheo(*args, **more)
        error = run.stderr.decode()
        said = f"rheo {' '.join(map(str, args))}: exit {run.returncode}\n{run.stdout.decode()}{error}"
        self.assertEqual(run.returncode, code, said)
        self.assertEqual(error.count("\n"), 1, said)
        self.assertTrue(error.startswith("rheo: "), said)
        for word in words.split("|"):
            self.assertIn(word, error, said)
        self.assertEqual(run.stdout, b"", said)
        self.assertEqual(self.snapshot(), before, said)

    @classmethod
    def snapshot(cls):
        """Every file of the folder with its bytes."""
        found = {}
        for name in sorted(os.listdir(cls.folder)):
            path = cls.path(name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    found[name] = file.read()
            else:
                found[name] = None
        return found
