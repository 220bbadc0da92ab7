"""rheo detect: scores, p-values and ranks against their definitions; labels from everywhere; bad labels."""
import math
import os
import unittest

import numpy as np

from command import CommandTest, table, write_csv

FIT = ["--epochs", "5", "-q"]
SCORES = ("log_density", "typicality", "latent_norm")


def auroc(score, label):
    a, b = score[label == 1], score[label == 0]
    return ((a[:, None] > b).sum() + 0.5 * (a[:, None] == b).sum()) / (len(a) * len(b))


def average_precision(score, label):
    return np.mean([(label[score >= s].sum()) / (score >= s).sum() for s in score[label == 1]])


class Detect(CommandTest):
    @classmethod
    def prepare(cls):
        rng = np.random.default_rng(7)
        cls.normal = table(2000, 3)
        cls.x = np.vstack([table(300, 3, seed=5), 6 * rng.standard_normal((60, 3))])
        cls.y = np.r_[np.zeros(300), np.ones(60)]
        np.save(cls.path("normal.npy"), cls.normal)
        np.save(cls.path("x.npy"), cls.x)
        np.save(cls.path("y.npy"), cls.y)
        np.savez(cls.path("x.npz"), X=cls.x, y=cls.y.astype(np.uint8))
        cls.report_ = cls.report("detect", "normal.npy", "x.npy", "--labels", "y.npy", "-o", "out.csv", *FIT)
        cls.out = np.genfromtxt(cls.path("out.csv"), delimiter=",", names=True)

    def test_rows_and_report(self):
        out, report = self.out, self.report_
        self.assertEqual(out.dtype.names, ("row", "log_density", "typicality", "latent_norm", "p_value", "flag"))
        np.testing.assert_array_equal(out["row"], np.arange(1, 361))
        np.testing.assert_array_equal(out["flag"], out["p_value"] <= 0.01)
        np.testing.assert_allclose(out["typicality"], abs(out["log_density"] - report["typical_log_density"]), atol=1e-4)
        self.assertEqual(report["flagged"], out["flag"].sum())
        self.assertEqual((report["rows"], report["anomalies"], report["normal"], report["reference_rows"]), (360, 60, 300, 200))
        self.assertAlmostEqual(report["detected"], out["flag"][300:].mean(), places=9)
        self.assertAlmostEqual(report["false_alarms"], out["flag"][:300].mean(), places=9)
        for name in SCORES:
            score = -out[name] if name == "log_density" else out[name]
            self.assertAlmostEqual(report["auroc"][name], auroc(score, self.y), places=6)
            self.assertAlmostEqual(report["average_precision"][name], average_precision(score, self.y), places=6)
        self.assertGreater(report["auroc"]["log_density"], 0.8)

    def test_p_values_are_conformal(self):
        """With a model: ranks among the rows given, by each score."""
        self.done("fit", "normal.npy", "-o", "m.rheo", "--arch", "realnvp", "--set", "base=normal", *FIT)
        held_out = table(150, 3, seed=9)
        np.save(self.path("held.npy"), held_out)
        for by in SCORES:
            self.done("detect", "--model", "m.rheo", "held.npy", "x.npy", "--by", by, "-o", "by.csv", "-q")
            self.done("detect", "--model", "m.rheo", "held.npy", "held.npy", "--by", by, "-o", "own.csv", "-q")
            out, own = (np.genfromtxt(self.path(name), delimiter=",", names=True) for name in ("by.csv", "own.csv"))
            sign = -1 if by == "log_density" else 1
            want = (1 + (sign * own[by][None, :] >= sign * out[by][:, None]).sum(1)) / 151
            np.testing.assert_allclose(out["p_value"], want, atol=1e-6)
        self.done("score", "m.rheo", "x.npy", "-o", "logp.csv", "-q")
        np.testing.assert_allclose(out["log_density"], np.loadtxt(self.path("logp.csv")), rtol=1e-6)
        self.done("encode", "m.rheo", "x.npy", "-o", "z.npy", "-q")
        np.testing.assert_allclose(out["latent_norm"], (np.load(self.path("z.npy")).astype(float) ** 2).sum(1), rtol=1e-5)

    def test_a_model_alone_goes_by_its_samples(self):
        self.done("fit", "normal.npy", "-o", "m.rheo", *FIT)
        report = self.report("detect", "--model", "m.rheo", "x.npy", "-q")
        self.assertEqual((report["reference"], report["reference_rows"]), ("samples of the model", 2000))
        self.done("sample", "m.rheo", "-n", 3000, "--seed", 8, "-o", "own.npy", "-q")
        own = self.report("detect", "--model", "m.rheo", "own.npy", "--alarm", "0.1", "-q")
        self.assertAlmostEqual(own["flagged"] / 3000, 0.1, delta=0.05)  # 200 references: a standard error of 0.02

    def test_labels_from_a_column_an_array_a_file(self):
        want = self.report_["auroc"]
        write_csv(self.path("named.csv"), np.column_stack([self.x[:, 0], self.y, self.x[:, 1:]]), ["a", "is_odd", "b", "c"])
        for args in (["named.csv", "--labels", "is_odd"], ["named.csv", "--labels", "2"], ["x.npz", "--labels", "y"], ["x.npz:X", "--labels", "y"], ["x.npy", "--labels", "x.npz:y"]):
            got = self.report("detect", "normal.npy", *args, *FIT)["auroc"]
            self.assertEqual(got, want, args)

    def test_only_normal_rows_train(self):
        both = np.vstack([self.normal, 50 + np.zeros((100, 3))])
        write_csv(self.path("train.csv"), np.column_stack([both, np.r_[np.zeros(2000), np.ones(100)]]), ["a", "b", "c", "y"])
        write_csv(self.path("data.csv"), np.column_stack([self.x, self.y]), ["a", "b", "c", "y"])
        report = self.report("detect", "train.csv", "data.csv", "--labels", "y", *FIT)
        self.assertEqual(report["auroc"], self.report_["auroc"])
        self.assertIn("train.csv: 100 rows of label 1 are left out, the 2000 of label 0 are taken as normal", report["notes"])
        np.savez(self.path("train.npz"), X=both, y=np.r_[np.zeros(2000), np.ones(100)])
        self.assertEqual(self.report("detect", "train.npz", "x.npz", "--labels", "y", *FIT)["auroc"], self.report_["auroc"])
        self.assertTrue(any("has no labels" in note for note in self.report("detect", "normal.npy", "x.npz", "--labels", "y", *FIT)["notes"]))

    def test_ranks_by_codes_where_the_density_has_no_bound(self):
        rng = np.random.default_rng(11)
        spiked = np.where(rng.random((2000, 1)) < 0.3, 0.25, rng.standard_normal((2000, 1)))
        levels = rng.integers(0, 5, (2000, 1)) - 2.0
        mixed, counts = np.hstack([self.normal[:, :2], spiked]), np.hstack([self.normal[:, :2], levels])
        for name, rows in (("mixed", mixed), ("counts", counts)):
            np.save(self.path(name + ".npy"), rows)
        short = ["--epochs", "1", "-q"]
        for args, by in (
            (["mixed.npy", "mixed.npy"], "latent_norm"),
            (["mixed.npy", "mixed.npy", "--by", "log_density"], "log_density"),
            (["mixed.npy", "mixed.npy", "--by", "auto", "--columns", "1,2"], "log_density"),
            (["counts.npy", "counts.npy"], "log_density"),  # noise of a step makes a density of them
            (["counts.npy", "counts.npy", "--handle", "none"], "latent_norm"),
            (["normal.npy", "normal.npy"], "log_density"),
        ):
            report = self.report("detect", *args, *short)
            self.assertEqual(report["by"], by, args)
            told = [note for note in report["notes"] if "ranked by latent_norm" in note]
            self.assertEqual(told, ["column 3 has repeated values among continuous ones, where a density has no bound: rows are ranked by latent_norm instead of log_density"] * (by == "latent_norm"))
        self.done("fit", "mixed.npy", "-o", "mixed.rheo", *short)  # a model knows it of its columns
        self.assertEqual(self.report("detect", "--model", "mixed.rheo", "mixed.npy", "-q")["by"], "latent_norm")

    def test_a_mixture_of_flows_has_no_latent_norm(self):
        mixture = ["--set", "components=2", "--arch", "realnvp", "--epochs", "5"]
        report = self.report("detect", "normal.npy", "x.npy", "--labels", "y.npy", "-o", "mixed.csv", "-q", *mixture)
        self.assertEqual(report["by"], "log_density")
        self.assertIsNone(report["auroc"]["latent_norm"])
        self.assertIsNone(report["average_precision"]["latent_norm"])
        self.assertIn("latent_norm is not given: a mixture of 2 flows has no codes", report["notes"])
        out = np.genfromtxt(self.path("mixed.csv"), delimiter=",", names=True)
        self.assertAlmostEqual(report["auroc"]["log_density"], auroc(-out["log_density"], self.y), places=6)
        self.assertTrue(np.isnan(out["latent_norm"]).all() and np.isfinite(out["log_density"]).all())
        self.assertIn("undefined: the model has no codes", self.done("detect", "normal.npy", "x.npy", "--labels", "y.npy", *mixture).stdout.decode())
        self.refused(1, "no latent_norm", "detect", "normal.npy", "x.npy", "--by", "latent_norm", "-q", *mixture)

    def test_few_rows_cannot_be_flagged(self):
        np.save(self.path("few.npy"), self.normal[:60])
        report = self.report("detect", "few.npy", "x.npy", *FIT)
        self.assertEqual(report["flagged"], 0)
        self.assertTrue(any("no row can be flagged at 0.01" in note for note in report["notes"]))
        os.unlink(self.path("few.npy"))

    def test_one_class(self):
        write_csv(self.path("zeros.csv"), np.zeros((360, 1)))
        report = self.report("detect", "normal.npy", "x.npy", "--labels", "zeros.csv", *FIT)
        self.assertEqual(report["auroc"], dict.fromkeys(SCORES))
        self.assertTrue(any("both classes" in note for note in report["notes"]))
        self.assertIn("undefined", self.done("detect", "normal.npy", "x.npy", "--labels", "zeros.csv", "--epochs", "2").stdout.decode())

    def test_rows_outside_of_the_support_are_the_strangest(self):
        positive = np.column_stack([self.normal, np.random.default_rng(1).exponential(1, 2000)])
        rows = positive[:50].copy()
        rows[3, 3] = -5
        np.save(self.path("positive.npy"), positive)
        np.save(self.path("out.npy"), rows)
        self.done("detect", "positive.npy", "out.npy", "-o", "strange.npy", *FIT)
        out = np.load(self.path("strange.npy"))
        self.assertEqual((out[3, 1], out[3, 3]), (-math.inf, math.inf))
        self.assertEqual(out[3, 4], np.float32(1 / 201))
        self.assertTrue(np.isfinite(np.delete(out, 3, 0)).all())

    def test_bad_labels(self):
        write_csv(self.path("twos.csv"), np.r_[self.y[:-1], 2][:, None])
        write_csv(self.path("short.csv"), self.y[:-1, None])
        write_csv(self.path("wide.csv"), np.column_stack([self.y, self.y]))
        write_csv(self.path("all.csv"), np.column_stack([self.normal[:50], np.ones(50)]), ["a", "b", "c", "y"])
        write_csv(self.path("named.csv"), np.column_stack([self.x, self.y]), ["a", "b", "c", "y"])
        for code, words, args in ((1, "twos.csv: row 360|label 2|neither 0", ["x.npy", "--labels", "twos.csv"]), (1, "short.csv|359 labels for 360 rows", ["x.npy", "--labels", "short.csv"]),
                                  (1, "wide.csv|2 columns", ["x.npy", "--labels", "wide.csv"]), (2, "x.npy|no labels|'nothing'", ["x.npy", "--labels", "nothing"]),
                                  (2, "no labels|'9'", ["x.npy", "--labels", "9"]), (1, "row 1|neither 0", ["x.npy", "--labels", "1"])):
            with self.subTest(args):
                self.refused(code, words, "detect", "normal.npy", *args, "-q")
        self.refused(1, "all.csv: every row is labelled an anomaly", "detect", "all.csv", "named.csv", "--labels", "y", "-q")

    def test_bad_use(self):
        self.refused(2, "what is normal?", "detect", "x.npy")
        self.refused(2, "--model", "detect", "m.rheo", "x.npy")
        self.refused(2, "standard input", "detect", "-", "-")
        self.refused(2, "another name", "detect", "normal.npy", "x.npy", "-o", "x.npy", "-q")
        self.refused(2, "--alarm|0", "detect", "normal.npy", "x.npy", "--alarm", "0")
        self.refused(2, "--json", "detect", "normal.npy", "x.npy", "-o", "-", "--json")
        self.refused(2, "options.split", "detect", "normal.npy", "x.npy", "--split", "0.9,0.1,0", "-q")
        np.save(self.path("tiny.npy"), self.normal[:10])
        self.refused(1, "tiny.npy: 10 rows|at least 20", "detect", "tiny.npy", "x.npy", "-q")
        np.save(self.path("two.npy"), self.x[:, :2])
        self.refused(1, "two.npy|2 columns", "detect", "normal.npy", "two.npy", "--steps", "2", "-q")
        self.done("fit", "normal.npy", "-o", "given.rheo", *FIT)
        self.refused(2, "--epochs|--model", "detect", "--model", "given.rheo", "x.npy", "--epochs", "3")


if __name__ == "__main__":
    unittest.main()
