"""Every command does what it says."""
import gzip
import io
import json
import math
import os
import subprocess
import unittest

import numpy as np

from command import RHEO, CommandTest, table, write_csv

QUICK = ["--epochs", "3", "-q"]


class Commands(CommandTest):
    @classmethod
    def prepare(cls):
        cls.x = table()
        write_csv(cls.path("train.csv"), cls.x, ["a", "b", "c"])
        np.save(cls.path("train.npy"), cls.x)
        cls.fit = cls.report("fit", "train.csv", "-o", "model.rheo", "--epochs", "20", "-q")

    def test_fit_report(self):
        for key in ("val", "test", "epochs", "seconds", "skipped_steps"):
            self.assertIn(key, self.fit)
        self.assertEqual(self.fit["skipped_steps"], 0)
        self.assertEqual(self.fit["arch"], "nsf")
        # Better than the best normal density of these columns, on rows that it has not seen.
        d = self.x.shape[1]
        normal = -0.5 * (d * (1 + math.log(2 * math.pi)) + np.linalg.slogdet(np.cov(self.x.T))[1])
        self.assertGreater(self.fit["test"], normal)

    def test_score(self):
        report = self.report("score", "model.rheo", "train.csv", "-o", "logp.csv")
        lines = self.text_of("logp.csv").split()
        self.assertEqual(lines[0], "log_prob")
        logp = np.array(lines[1:], dtype=float)
        self.assertEqual(len(logp), 1000)
        self.assertEqual(report["n"], 1000)
        self.assertAlmostEqual(report["mean"], logp.mean(), places=6)
        self.assertAlmostEqual(report["stderr"], logp.std(ddof=1) / math.sqrt(1000), places=6)
        # The same rows in another format, order of columns, precision of storage.
        for name, write in {
            "again.npy": lambda path: np.save(path, self.x),
            "fortran.npy": lambda path: np.save(path, np.asfortranarray(self.x)),
            "again.npz": lambda path: np.savez(path, x=self.x),
            "swapped.csv": lambda path: write_csv(path, self.x[:, [2, 0, 1]], ["c", "a", "b"]),
        }.items():
            write(self.path(name))
            self.assertEqual(self.report("score", "model.rheo", name, "-q"), report, name)
        with gzip.open(self.path("again.csv.gz"), "wt") as file:
            file.write(self.text_of("train.csv"))
        self.assertEqual(self.report("score", "model.rheo", "again.csv.gz", "-q"), report)

    def test_words_about_few_rows(self):
        say = lambda model, x: (np.save(self.path("said.npy"), x), self.done("score", model, "said.npy").stdout.decode())[1]
        self.assertRegex(say("model.rheo", self.x[:2]), r"^mean log p -?[0-9.]+ \+- [0-9.]+ nats a row, 2 rows\n$")
        self.assertRegex(say("model.rheo", self.x[:1]), r"^mean log p -?[0-9.]+ nats a row, 1 row\n$")
        positive = np.column_stack([self.x, np.random.default_rng(1).exponential(1, 1000)])
        np.save(self.path("positive.npy"), positive)
        self.done("fit", "positive.npy", "-o", "positive.rheo", *QUICK)
        positive[:2, 3] = -1
        self.assertEqual(say("positive.rheo", positive[:2]), "every row has density 0 (2 rows)\n")
        self.assertEqual(say("positive.rheo", positive[:1]), "every row has density 0 (1 row)\n")
        self.assertRegex(say("positive.rheo", positive), r"^2 of 1000 rows have density 0; the others have a mean of -?[0-9.]+ nats a row\n$")

    def test_a_row_alone(self):
        self.done("score", "model.rheo", "train.csv", "-o", "all.npy", "-q")
        every = np.load(self.path("all.npy"))
        for i in (0, 1, 500, 999):
            np.save(self.path("one.npy"), self.x[i : i + 1])
            self.done("score", "model.rheo", "one.npy", "-o", "one-out.npy", "-q")
            self.assertEqual(np.load(self.path("one-out.npy")).ravel()[0], every.ravel()[i])

    def test_standard_input_and_output(self):
        text = self.text_of("train.csv")
        out = self.done("score", "model.rheo", "-", "-o", "-", stdin=text).stdout.decode().split()
        self.done("score", "model.rheo", "train.csv", "-o", "logp.csv", "-q")
        self.assertEqual(out, self.text_of("logp.csv").split())
        self.done("fit", "-", "-o", "from-stdin.rheo", *QUICK, stdin=text)
        self.done("fit", "train.csv", "-o", "from-file.rheo", *QUICK)
        self.assertEqual(self.bytes_of("from-stdin.rheo"), self.bytes_of("from-file.rheo"))

    def test_output_to_a_pipe_and_to_dev_null(self):
        self.done("sample", "model.rheo", "-n", 10, "-o", "/dev/null", "-q")
        self.assertTrue(os.path.exists("/dev/null") and not os.path.isfile("/dev/null"))
        self.done("score", "model.rheo", "train.csv", "-o", "/dev/null", "-q")
        self.done("fit", "train.csv", "-o", "/dev/null", "--steps", "2", "-q")
        self.assertFalse(os.path.isfile("/dev/null"))
        os.mkfifo(self.path("pipe"))
        reader = subprocess.Popen(["cat", self.path("pipe")], stdout=subprocess.PIPE)
        self.done("sample", "model.rheo", "-n", 5, "-o", "pipe", "-q")
        text = reader.communicate(timeout=30)[0].decode()
        self.assertEqual(len(text.split()), 6)
        os.unlink(self.path("pipe"))
        sampler = subprocess.Popen([RHEO, "sample", self.path("model.rheo"), "-n", "100000", "-o", "-"], stdout=subprocess.PIPE)
        sampler.stdout.read(100)
        sampler.stdout.close()  # as head does
        self.assertNotEqual(sampler.wait(timeout=30), 0)

    def test_sample(self):
        self.done("sample", "model.rheo", "-n", 2000, "--seed", 3, "-o", "samples.csv", "-q")
        lines = self.text_of("samples.csv").splitlines()
        self.assertEqual(lines[0], "a,b,c")
        x = np.loadtxt(lines[1:], delimiter=",")
        self.assertEqual(x.shape, (2000, 3))
        self.assertTrue(np.isfinite(x).all())
        # A sample's row depends on the seed and its number alone.
        self.done("sample", "model.rheo", "-n", 50, "--seed", 3, "-o", "few.csv", "-q", "--threads", 3)
        self.assertEqual(self.text_of("few.csv").splitlines(), lines[:51])
        self.done("sample", "model.rheo", "-n", 50, "--seed", 4, "-o", "other.csv", "-q")
        self.assertNotEqual(self.text_of("other.csv").splitlines()[1:], lines[1:51])
        # The density knows its own samples: both means of log p agree within 5 standard errors.
        own, data = self.report("score", "model.rheo", "samples.csv", "-q"), self.report("score", "model.rheo", "train.csv", "-q")
        self.assertLess(abs(own["mean"] - data["mean"]), 0.5)
        self.done("sample", "model.rheo", "-n", 2000, "--seed", 3, "--temperature", "0.5", "-o", "cold.csv", "-q")
        self.assertGreater(self.report("score", "model.rheo", "cold.csv", "-q")["mean"], own["mean"])

    def test_no_samples(self):
        self.assertEqual(self.report("sample", "model.rheo", "-n", 0, "-o", "none.csv", "-q"), {"rows": 0, "columns": 3})
        self.assertEqual(self.text_of("none.csv"), "a,b,c\n")
        self.done("sample", "model.rheo", "-n", 0, "-o", "none.npy", "-q")
        self.assertEqual(np.load(self.path("none.npy")).shape, (0, 3))
        self.done("fit", "train.npy", "-o", "nameless.rheo", *QUICK)
        self.assertEqual(self.done("sample", "nameless.rheo", "-n", 0, "-o", "-").stdout, b"")

    def test_encode_and_decode(self):
        report = self.report("encode", "model.rheo", "train.csv", "-o", "codes.npy", "-q", "--dtype", "f64")
        self.assertEqual(report, {"rows": 1000, "columns": 3, "notes": []})
        z = np.load(self.path("codes.npy"))
        self.assertEqual(z.shape, (1000, 3))
        self.assertLess(abs(z.mean()), 0.3)
        self.assertLess(abs(z.std() - 1), 0.3)
        self.done("decode", "model.rheo", "codes.npy", "-o", "back.npy", "-q", "--dtype", "f64")
        self.assertLess(abs(np.load(self.path("back.npy")) - self.x).max(), 1e-9)

    def test_info(self):
        info = self.report("info", "model.rheo", "-q")
        self.assertEqual((info["columns"], info["names"], info["dtype"]), (3, ["a", "b", "c"], "f32"))
        self.assertEqual(info["parameters"], self.fit["parameters"])
        plan = self.report("info", "model.rheo", "--plan", "-q")["plan"]
        self.assertGreater(plan["block_rows"], 0)
        self.assertGreater(plan["flops_row"], 0)
        text = self.done("info", "model.rheo", "--plan").stdout.decode()
        for word in ("rows", "bytes", "parameters", "nsf"):
            self.assertIn(word, text)
        self.assertGreater(len(self.done("info", "model.rheo", "--plan", "--nodes").stdout), len(text))

    def test_check(self):
        for args in (["train.csv"], []):
            report = self.report("check", "model.rheo", *args, "-q")
            self.assertTrue(report["ok"], report)
            self.assertEqual(report["non_finite"], 0)
            self.assertEqual(report["jacobians"], 10)
            self.assertLess(report["log_det_error"], 1e-3)
            self.assertLess(report["log_det_inverse_error"], 1e-3)
            self.assertLess(report["inverse_error_relative"], 1e-3)
            self.assertLess(report["log_det_min"], report["log_det_max"])
        report = self.report("check", "model.rheo", "train.csv", "-q", "--dtype", "f64")
        self.assertLess(report["log_det_error"], 1e-8)
        self.assertLess(report["log_det_inverse_error"], 1e-8)
        self.assertLess(report["inverse_error"], 1e-8)

    def test_bytes_do_not_depend_on_threads(self):
        for threads in (1, 2, 3):
            self.done("fit", "train.csv", "-o", f"threads-{threads}.rheo", "--threads", threads, *QUICK)
        one = self.bytes_of("threads-1.rheo")
        self.assertEqual(self.bytes_of("threads-2.rheo"), one)
        self.assertEqual(self.bytes_of("threads-3.rheo"), one)
        self.done("fit", "train.csv", "-o", "seed.rheo", "--seed", 1, *QUICK)
        self.assertNotEqual(self.bytes_of("seed.rheo"), one)

    def test_set(self):
        info = lambda: self.report("info", "set.rheo", "-q")
        self.done("fit", "train.csv", "-o", "set.rheo", *QUICK, "--set", "hidden=2x7", "--set", "lr=2e-3")
        repeated = info()
        self.done("fit", "train.csv", "-o", "set.rheo", *QUICK, "--set", "hidden=[7,7]", "--set", "lr=0.002")
        self.assertEqual(info(), repeated)
        self.assertEqual(repeated["fit"]["recipe"]["lr"], 2e-3)
        self.assertIn("[7, 7]", json.dumps(repeated["spec"]))
        self.done("fit", "train.csv", "-o", "set.rheo", *QUICK, "--arch", "nice")
        self.assertEqual(info()["arch"], "nice")

    def test_given_validation_and_test(self):
        np.save(self.path("val.npy"), table(200, seed=2))
        np.save(self.path("test.npy"), table(300, seed=3))
        report = self.report("fit", "train.npy", "--val", "val.npy", "--test", "test.npy", "-o", "given.rheo", *QUICK)
        self.assertEqual((report["val_rows"], report["test_rows"], report["train_rows"]), (200, 300, 1000))
        again = self.report("score", "given.rheo", "test.npy", "-q")
        self.assertAlmostEqual(again["mean"], report["test"], places=5)
        split = self.report("fit", "train.npy", "--split", "0.5,0.3,0.2", "-o", "split.rheo", *QUICK)
        self.assertEqual((split["val_rows"], split["test_rows"], split["train_rows"]), (300, 200, 500))

    def test_columns(self):
        self.done("fit", "train.csv", "--columns", "a,c", "-o", "two.rheo", *QUICK)
        self.assertEqual(self.report("info", "two.rheo", "-q")["names"], ["a", "c"])
        by_name = self.report("score", "two.rheo", "train.csv", "-q")  # the header says which
        np.save(self.path("ac.npy"), self.x[:, [0, 2]])
        self.assertEqual(self.report("score", "two.rheo", "ac.npy", "-q"), by_name)
        self.assertEqual(self.report("score", "two.rheo", "train.csv", "--columns", "1,3", "-q"), by_name)

    def test_log_and_plain_progress(self):
        run = self.done("fit", "train.csv", "-o", "logged.rheo", "--epochs", 3, "--log", "log.jsonl")
        events = [json.loads(line) for line in self.text_of("log.jsonl").splitlines()]
        self.assertEqual([e["event"] for e in events if e["event"] in ("start", "epoch", "done")], ["start", "epoch", "epoch", "epoch", "done"])
        self.assertNotIn("\r", run.stderr.decode())
        self.assertIn("nats", run.stdout.decode())

    def test_quiet(self):
        for args in (["fit", "train.csv", "-o", "quiet.rheo", "--epochs", 2], ["score", "model.rheo", "train.csv"], ["info", "model.rheo"], ["check", "model.rheo"]):
            run = self.done(*args, "-q")
            self.assertEqual((run.stdout, run.stderr), (b"", b""), args)
            run = self.done(*args, "-q", "--json")
            self.assertEqual(run.stdout.count(b"\n"), 1, args)
            json.loads(run.stdout)

    def test_isa(self):
        base = self.report("score", "model.rheo", "train.csv", "--isa", "ref", "-q")
        best = self.report("score", "model.rheo", "train.csv", "-q")
        self.assertAlmostEqual(base["mean"], best["mean"], places=3)


class Shapes(CommandTest):
    def test_one_column(self):
        np.save(self.path("one.npy"), table(500, 1))
        report = self.report("fit", "one.npy", "-o", "one.rheo", "--epochs", 3, "-q")
        self.assertTrue(math.isfinite(report["val"]))
        self.assertTrue(self.report("check", "one.rheo", "one.npy", "-q")["ok"])
        np.save(self.path("flat.npy"), table(500, 1).ravel())  # a 1-D array is one column
        self.assertEqual(self.report("score", "one.rheo", "flat.npy", "-q")["n"], 500)

    def test_one_column_through_every_architecture(self):
        np.save(self.path("one.npy"), table(500, 1))
        np.save(self.path("two.npy"), np.column_stack([table(500, 1), np.arange(500) % 3]))
        for arch in ("realnvp", "nice", "maf", "iaf", "nsf", "nsf-coupling"):
            for base in ("normal", "student-t", "mixture"):
                with self.subTest(f"{arch}, {base}"):
                    small = ["--arch", arch, "--epochs", 3, "-q", "--set", f"base={base}", "--set", "hidden=8"]
                    self.assertTrue(math.isfinite(self.report("fit", "one.npy", "-o", "one.rheo", *small)["val"]))
                    self.assertTrue(self.report("check", "one.rheo", "one.npy", "-q")["ok"])
                    self.assertTrue(math.isfinite(self.report("fit", "two.npy", "-o", "two.rheo", "--context", "2", *small)["val"]))
                    self.assertTrue(self.report("check", "two.rheo", "two.npy", "-q")["ok"])

    def test_heavy_tails(self):
        """A Cauchy column, and one row of 1e30 besides: no fit diverges, and every row has a density or none, never NaN."""
        rng = np.random.default_rng(3)
        x = np.column_stack([rng.standard_cauchy(1200), rng.standard_normal(1200)])
        np.save(self.path("cauchy.npy"), x)
        x[7, 1] = 1e30
        np.save(self.path("outlier.npy"), x)
        for arch in ("realnvp", "maf", "iaf", "nsf", "nsf-coupling"):
            for base in ("normal", "student-t"):
                for data in ("cauchy.npy", "outlier.npy"):
                    with self.subTest(f"{arch}, {base}, {data}"):
                        report = self.report("fit", data, "-o", "heavy.rheo", "--arch", arch, "--set", f"base={base}", "--set", "hidden=2x16", "--set", "layers=3", "--epochs", 4, "-q")
                        self.assertNotEqual(report["stopped"], "diverged")
                        self.done("score", "heavy.rheo", data, "-o", "heavy.npy", "-q")
                        log_prob = np.load(self.path("heavy.npy")).ravel()
                        self.assertFalse(np.isnan(log_prob).any())
                        self.assertGreater(np.isfinite(log_prob).mean(), 0.99)

    def test_ten_thousand_columns(self):
        rng = np.random.default_rng(1)
        np.save(self.path("wide.npy"), rng.standard_normal((60, 10000)).astype(np.float32))
        run = self.run_rheo("fit", "wide.npy", "-o", "wide.rheo", "--steps", 2, "-q", "--json", timeout=900)
        if run.returncode == 1:  # it may refuse, saying how much memory is missing
            self.assertRegex(run.stderr.decode(), r"^rheo: .*[0-9.]+ [GM]i?B")
            self.assertFalse(os.path.exists(self.path("wide.rheo")))
            return
        self.assertEqual(run.returncode, 0, run.stderr.decode())
        report = self.report("score", "wide.rheo", "wide.npy", "-q", timeout=900)
        self.assertEqual(report["n"], 60)
        self.assertTrue(math.isfinite(report["mean"]))

    def test_few_rows(self):
        for rows in (2, 3, 10, 25):
            np.save(self.path("few.npy"), table(rows, 2))
            self.assertEqual(self.report("fit", "few.npy", "-o", "few.rheo", "--epochs", 2, "-q")["skipped_steps"], 0)
            self.assertEqual(self.report("score", "few.rheo", "few.npy", "-q")["n"], rows)

    def test_awkward_columns(self):
        rng = np.random.default_rng(2)
        x = table(2000, 3)
        wild = np.column_stack([x, np.full(2000, 4.5), x[:, 0], x[:, 0] + x[:, 1], rng.integers(0, 4, 2000), rng.exponential(1, 2000), rng.standard_cauchy(2000)])
        np.save(self.path("wild.npy"), wild)
        run = self.done("fit", "wild.npy", "-o", "wild.rheo", "--epochs", 3)
        for word in ("column 4 is 4.5 in every row", "column 5 equals column 1", "column 6 is a linear combination", "column 7 has 4 different values"):
            self.assertIn(word, run.stdout.decode())
        self.assertTrue(math.isfinite(self.report("score", "wild.rheo", "wild.npy", "-q")["finite_mean"]))
        self.done("sample", "wild.rheo", "-n", 500, "-o", "wild-samples.npy", "-q")
        s = np.load(self.path("wild-samples.npy"))
        self.assertEqual(s.shape, (500, 9))
        self.assertTrue((s[:, 3] == 4.5).all())
        self.assertTrue((s[:, 4] == s[:, 0]).all())
        self.assertTrue((s[:, 6] == np.floor(s[:, 6])).all())
        self.assertGreater(np.isin(s[:, 6], [0, 1, 2, 3]).mean(), 0.8)
        self.assertTrue((s[:, 7] >= -1e-3).all())  # the bound is taken from the rows: a little below their least

    def test_bits_per_dim(self):
        rng = np.random.default_rng(3)
        x = rng.integers(0, 16, (3000, 2)).astype(np.uint8)
        np.save(self.path("whole.npy"), x)
        self.done("fit", "whole.npy", "-o", "whole.rheo", "--epochs", 5, "-q")
        report = self.report("score", "whole.rheo", "whole.npy", "-q")
        self.assertGreater(report["bits_per_dim"], 3.9)  # uniform on 16 values: 4 bits at best, on average
        self.assertLess(report["bits_per_dim"], 4.8)
        self.assertAlmostEqual(report["bits_per_dim"], -report["mean"] / 2 / math.log(2), places=9)


if __name__ == "__main__":
    unittest.main()
