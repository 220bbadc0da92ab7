"""rheo detect on images: the bundled digits against noise, a digit that was left out and digits upside down; scores against their definitions
and rheo score's; labels from everywhere; what does not fit."""
import math
import os
import unittest

import numpy as np

from command import ROOT, CommandTest, table
from pictures import idx, png
from test_detect import SCORES, auroc

FIT = ["--steps", "300", "--set", "hidden=32", "--set", "steps=4", "-q"]
TINY = ["--steps", "5", "--set", "hidden=4", "--set", "steps=1", "-q"]
TRAIN = 1300


class DetectImages(CommandTest):
    @classmethod
    def prepare(cls):
        with np.load(os.path.join(ROOT, "data", "digits8.npz")) as file:
            order = np.random.default_rng(0).permutation(len(file["X"]))
            cls.x, cls.digit = file["X"][order], file["y"][order]
        cls.train, cls.rest = cls.x[:TRAIN], cls.x[TRAIN:]
        np.save(cls.path("train.npy"), cls.train)
        shuffled = np.random.default_rng(1).permuted(cls.rest.reshape(-1, 64), axis=1).reshape(-1, 8, 8)
        cls.y = cls.against("noise", shuffled)
        cls.against("upside", cls.rest[:, ::-1])
        np.savez(cls.path("zeros.npz"), X=cls.rest, y=(cls.digit[TRAIN:] == 0).astype(np.uint8))
        np.save(cls.path("others.npy"), cls.train[cls.digit[:TRAIN] != 0])
        cls.report_ = cls.report("detect", "train.npy", "noise.npz", "--labels", "y", "-o", "out.csv", *FIT)
        cls.out = np.genfromtxt(cls.path("out.csv"), delimiter=",", names=True)

    @classmethod
    def against(cls, name, strange):
        y = np.r_[np.zeros(len(cls.rest)), np.ones(len(strange))].astype(np.uint8)
        np.savez(cls.path(name + ".npz"), X=np.concatenate([cls.rest, strange]), y=y)
        return y

    def test_finds_what_is_strange(self):
        self.assertGreater(min(self.report_["auroc"].values()), 0.99)
        self.assertGreater(self.report_["detected"], 0.95)
        self.assertLess(self.report_["false_alarms"], 0.04)
        zeros = self.report("detect", "others.npy", "zeros.npz", "--labels", "own", *FIT)
        self.assertGreater(zeros["auroc"]["log_density"], 0.85)
        upside = self.report("detect", "train.npy", "upside.npz", "--labels", "y", *FIT)
        self.assertGreater(upside["auroc"]["log_density"], 0.7)

    def test_rows_and_report(self):
        out, report = self.out, self.report_
        self.assertEqual(out.dtype.names, ("row", "log_density", "typicality", "latent_norm", "p_value", "flag", "bits_per_dim"))
        np.testing.assert_allclose(out["bits_per_dim"], -out["log_density"] / 64 / math.log(2), rtol=1e-5)
        np.testing.assert_allclose(out["typicality"], abs(out["log_density"] - report["typical_log_density"]), atol=1e-3)
        self.assertAlmostEqual(report["typical_bits_per_dim"], -report["typical_log_density"] / 64 / math.log(2), places=9)
        self.assertEqual((report["rows"], report["anomalies"], report["reference_rows"], report["by"]), (994, 497, 200, "log_density"))
        self.assertEqual(report["fit"]["image"]["shape"], [8, 8, 1])
        for name in SCORES:
            score = -out[name] if name == "log_density" else out[name]
            self.assertAlmostEqual(report["auroc"][name], auroc(score, self.y), places=6)

    def test_the_same_bytes(self):
        for threads in (1, 2, 3):
            self.done("detect", "train.npy", "noise.npz", "--labels", "y", "-o", "again.csv", "--threads", threads, *FIT)
            self.assertEqual(self.bytes_of("again.csv"), self.bytes_of("out.csv"))

    def test_a_model_gives_the_scores_of_rheo_score(self):
        self.done("fit", "train.npy", "-o", "m.rheo", *TINY)
        np.save(self.path("held.npy"), self.rest)
        few = np.concatenate([self.x[:40], self.x[:40]])  # noise goes by an image's values, not by its place
        np.save(self.path("few.npy"), few)
        self.done("detect", "--model", "m.rheo", "held.npy", "few.npy", "-o", "few.csv", "-q")
        self.done("score", "m.rheo", "few.npy", "-o", "score.csv", "-q")
        out = np.genfromtxt(self.path("few.csv"), delimiter=",", names=True)
        np.testing.assert_array_equal(out["log_density"][:40], out["log_density"][40:])
        np.testing.assert_allclose(out["log_density"], np.loadtxt(self.path("score.csv"), skiprows=0, usecols=0, delimiter=","), rtol=1e-6)
        own = self.report("detect", "--model", "m.rheo", "few.npy", "--alarm", "0.1", "-q")
        self.assertEqual((own["reference"], own["reference_rows"]), ("samples of the model", 1000))

    def test_a_conditional_model_has_classes_beside_the_labels(self):
        np.savez(self.path("classes.npz"), X=self.train, y=self.digit[:TRAIN])
        self.done("fit", "classes.npz", "--labels", "own", "-o", "c.rheo", *TINY)
        strange = np.r_[np.zeros(200), np.ones(50)].astype(np.uint8)
        np.savez(self.path("both.npz"), X=self.x[-250:], y=self.digit[-250:], strange=strange)
        report = self.report("detect", "--model", "c.rheo", "classes.npz", "both.npz", "--labels", "strange", "-q")
        self.assertEqual((report["anomalies"], report["normal"]), (50, 200))

    def test_labels_from_everywhere(self):
        x, y = np.concatenate([self.rest[:30], 16 - self.rest[:30]]), np.r_[np.zeros(30), np.ones(30)].astype(np.uint8)
        np.savez(self.path("d.npz"), X=x, y=y, odd=y)
        np.save(self.path("d.npy"), x)
        with open(self.path("d.idx"), "wb") as file:
            file.write(idx(x))
        with open(self.path("y.idx"), "wb") as file:
            file.write(idx(y))
        for k in range(60):
            os.makedirs(self.path(f"folder/{y[k]}"), exist_ok=True)
            with open(self.path(f"folder/{y[k]}/{k:03}.png"), "wb") as file:
                file.write(png(x[k]))
        want = self.report("detect", "train.npy", "d.npz", "--labels", "own", *TINY)["auroc"]
        for args in (["d.npz", "--labels", "odd"], ["d.npy", "--labels", "y.idx"], ["d.idx", "--labels", "d.npz:y"], ["folder", "--labels", "own"]):
            self.assertEqual(self.report("detect", "train.npy", *args, *TINY)["auroc"], want, args)

    def test_only_normal_images_train(self):
        np.savez(self.path("both.npz"), X=np.concatenate([self.train, 16 - self.train[:100]]), y=np.r_[np.zeros(TRAIN), np.ones(100)].astype(np.uint8))
        report = self.report("detect", "both.npz", "noise.npz", "--labels", "y", *FIT)
        self.assertEqual(report["auroc"], self.report_["auroc"])
        self.assertIn("both.npz: 100 rows of label 1 are left out, the 1300 of label 0 are taken as normal", report["notes"])

    def test_bad_input(self):
        np.save(self.path("wide.npy"), np.zeros((5, 8, 9), np.uint8))
        np.save(self.path("bright.npy"), np.full((5, 8, 8), 200, np.uint8))
        np.savez(self.path("twos.npz"), X=self.rest, y=np.full(len(self.rest), 2, np.uint8))
        np.savez(self.path("short.npz"), X=self.rest, y=np.zeros(7, np.uint8))
        np.savez(self.path("all.npz"), X=self.train, y=np.ones(TRAIN, np.uint8))
        np.save(self.path("table.npy"), table(50, 3))
        np.save(self.path("few.npy"), self.train[:10])
        for code, words, args in (
            (1, "wide.npy: images of 8 x 9 x 1|those of train.npy are of 8 x 8 x 1", ["train.npy", "wide.npy"]),
            (1, "bright.npy: image 1: 200 is beyond the 5 bits|--bits", ["train.npy", "bright.npy"]),
            (1, "twos.npz: image 1: the label 2 is neither 0", ["train.npy", "twos.npz", "--labels", "y"]),
            (1, "short.npz|497 images but 7 labels", ["train.npy", "short.npz", "--labels", "y"]),
            (1, "no array|nothing", ["train.npy", "noise.npz", "--labels", "nothing"]),
            (2, "train.npy: these|labels", ["train.npy", "train.npy", "--labels", "own"]),
            (1, "all.npz: every row is labelled an anomaly", ["all.npz", "noise.npz", "--labels", "y"]),
            (1, "table.npy", ["train.npy", "table.npy"]),
            (1, "few.npy: 10 rows|at least 20", ["few.npy", "train.npy"]),
            (2, "columns: is for tables", ["train.npy", "noise.npz", "--columns", "1-5"]),
            (2, "handle: is for tables", ["train.npy", "noise.npz", "--handle", "none"]),
            (2, "bits: is for images", ["table.npy", "table.npy", "--bits", "5"]),
            (2, "bits|1 to 8|9", ["train.npy", "noise.npz", "--bits", "9"]),
            (2, "read twice", ["train.npy", "-", "--labels", "y"]),
        ):
            with self.subTest(args):
                self.refused(code, words, "detect", *args, "-q")
        self.report("detect", "train.npy", "bright.npy", "--bits", "8", *TINY)
        self.done("fit", "train.npy", "-o", "given.rheo", *TINY)
        self.refused(2, "--bits|--model", "detect", "--model", "given.rheo", "noise.npz", "--bits", "4")
        self.refused(1, "wide.npy: images of 8 x 9 x 1|the model takes 8 x 8 x 1", "detect", "--model", "given.rheo", "wide.npy", "-q")
        self.refused(2, "columns", "detect", "--model", "given.rheo", "noise.npz", "--columns", "1-5", "-q")


if __name__ == "__main__":
    unittest.main()
