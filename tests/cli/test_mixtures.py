"""Mixtures of flows: components=K in a fit, and models averaged by rheo ensemble."""
import unittest

import numpy as np

from command import CommandTest, table, write_csv

SMALL = ["-q", "--set", "layers=2", "--set", "hidden=8"]


class Mixtures(CommandTest):
    @classmethod
    def prepare(cls):
        rng = np.random.default_rng(0)
        centre = np.array([[0, 0], [4, 4], [-4, 4]])[rng.integers(0, 3, 2000)]
        cls.x = centre + 0.3 * rng.standard_normal((2000, 2))
        write_csv(cls.path("t.csv"), cls.x, ["a", "b"])
        write_csv(cls.path("swapped.csv"), cls.x[:, ::-1], ["b", "a"])
        write_csv(cls.path("three.csv"), table(300, 3), ["a", "b", "c"])
        for name, extra in {
            "one": ["--seed", "1"],
            "two": ["--arch", "nice", "--seed", "2"],
            "mix": ["--arch", "realnvp", "--set", "components=3", "--steps", "800"],
            "plain": ["--arch", "realnvp", "--steps", "800"],
            "f64": ["--dtype", "f64", "--handle", "none"],
        }.items():
            cls.done("fit", "t.csv", "-o", name, *SMALL, *(extra if "--steps" in extra else [*extra, "--steps", "100"]))
        k = rng.integers(0, 6, 2000)
        write_csv(cls.path("given.csv"), np.column_stack([cls.x[:, 0] + 30 * cls.x[:, 1] + k, 40 + 30 * cls.x[:, 1], k]), ["a", "b", "k"])
        for name, extra in {
            "number": ["--columns", "a,b", "--context", "b"],
            "number2": ["--columns", "a,b", "--context", "b", "--arch", "realnvp"],
            "other-rows": ["--columns", "a,b", "--context", "b", "--seed", "3"],
            "hot": ["--columns", "b,k,a", "--context", "k,b", "--categorical", "k", "--embedding", "2"],
            "hot2": ["--columns", "b,k,a", "--context", "k,b", "--categorical", "k", "--embedding", "2", "--seed", "3", "--val", "given.csv"],
        }.items():
            cls.done("fit", "given.csv", "-o", name, *SMALL, "--steps", "60", *extra)
        cls.done("fit", "swapped.csv", "-o", "swapped", *SMALL, "--steps", "5")
        cls.done("fit", "three.csv", "-o", "three", *SMALL, "--steps", "5")

    def logp(self, model, *extra, data="t.csv"):
        self.done("score", model, data, "-o", "logp.npy", "-q", *extra)
        return np.load(self.path("logp.npy")).ravel().astype(float)

    def test_components(self):
        spec = self.report("info", "mix", "-q")["spec"]
        self.assertEqual(len(spec["mixture"]), 3)
        self.assertIn("mixture", self.done("info", "mix").stdout.decode())
        # Three clusters: each flow takes one, which one smooth flow of that size does not.
        self.assertGreater(self.logp("mix").mean(), self.logp("plain").mean() + 0.3)
        self.done("sample", "mix", "-n", "3000", "-o", "s.npy", "-q")
        s = np.load(self.path("s.npy"))
        near = (np.abs(s[:, None, :] - np.array([[0, 0], [4, 4], [-4, 4]])[None]).max(2) < 1.5).mean(0)
        self.assertTrue((np.abs(near - 1 / 3) < 0.06).all(), near)
        for threads in ("1", "2"):
            self.done("sample", "mix", "-n", "3000", "-o", f"s{threads}.npy", "-q", "--threads", threads)
        self.assertEqual(self.bytes_of("s1.npy"), self.bytes_of("s2.npy"))

    def test_no_codes(self):
        for command in (["encode", "mix", "t.csv", "-o", "z"], ["decode", "mix", "t.csv", "-o", "z"], ["check", "mix", "t.csv"]):
            self.refused(1, "a mixture of 3 flows has no codes", *command)

    def test_the_average(self):
        each = [self.logp(m) for m in ("one", "two", "f64")]
        for weights in (None, (2, 1, 5)):
            self.done("ensemble", "one", "two", "f64", "-o", "all", "-q", *(["--weights", "2,1,5"] if weights else []))
            w = np.array(weights or (1, 1, 1)) / sum(weights or (1, 1, 1))
            want = np.log(sum(wi * np.exp(e) for wi, e in zip(w, each)))
            self.assertLess(np.abs(self.logp("all") - want).max(), 2e-4)
        info = self.report("info", "all", "-q")
        self.assertEqual((info["dtype"], info["names"], info["arch"]), ("f64", ["a", "b"], "ensemble"))
        self.done("sample", "all", "-n", "5", "-o", "s.csv")

    def test_mixtures_in_it(self):
        report = self.report("ensemble", "one", "mix", "-o", "both", "-q")
        self.assertEqual(len(report["spec"]["mixture"]), 4)
        want = np.logaddexp(self.logp("one"), self.logp("mix")) - np.log(2)
        self.assertLess(np.abs(self.logp("both") - want).max(), 2e-4)
        self.done("ensemble", "both", "two", "-o", "more", "-q")  # an ensemble in an ensemble
        want = np.logaddexp(self.logp("both"), self.logp("two")) - np.log(2)
        self.assertLess(np.abs(self.logp("more") - want).max(), 2e-4)
        self.done("ensemble", "one", "mix", "-o", "again", "-q")
        self.assertEqual(self.bytes_of("again"), self.bytes_of("both"))

    def test_alone(self):
        self.done("ensemble", "mix", "-o", "same", "-q")
        self.assertLess(np.abs(self.logp("same") - self.logp("mix")).max(), 1e-5)

    def test_of_a_context(self):
        for model in ("number", "hot"):
            self.done("ensemble", model, model, "-o", "same", "-q")
            want = self.logp(model, data="given.csv")
            self.assertLess(np.abs(self.logp("same", data="given.csv") - want).max(), 1e-5 * max(1, np.abs(want).max()))
            encoder = [self.report("info", name, "-q")["spec"]["context_encoder"] for name in (model, "same")]
            self.assertEqual(encoder[0], encoder[1])
        self.done("ensemble", "number", "number2", "-o", "both", "-q")
        want = np.logaddexp(*(self.logp(model, data="given.csv") for model in ("number", "number2"))) - np.log(2)
        self.assertLess(np.abs(self.logp("both", data="given.csv") - want).max(), 2e-4)
        words = "number|other-rows|context column 1 (b)|'mean' is not the same|the same TRAIN and --val FILE"
        self.refused(2, words, "ensemble", "number", "other-rows", "-o", "x")
        self.done("fit", "given.csv", "-o", "hot3", *SMALL, "--steps", "5", "--columns", "b,k,a", "--context", "k,b", "--categorical", "k", "--embedding", "2", "--val", "given.csv")
        self.refused(2, "hot3 and hot2 have each learned an embedding of context column", "ensemble", "hot2", "hot3", "-o", "x")

    def test_what_is_refused(self):
        self.refused(2, "-o FILE", "ensemble", "one", "two")
        self.refused(2, "argument is missing", "ensemble", "-o", "x")
        self.refused(2, "such as 2,1,1", "ensemble", "one", "-o", "x", "--weights", "much")
        self.refused(2, "a list of 2 numbers", "ensemble", "one", "two", "-o", "x", "--weights", "1")
        self.refused(2, "the weight of two is -1", "ensemble", "one", "two", "-o", "x", "--weights", "1,-1")
        self.refused(2, "other names", "ensemble", "one", "swapped", "-o", "x")
        self.refused(2, "fit all members to the same columns", "ensemble", "one", "three", "-o", "x")
        self.refused(1, "nowhere", "ensemble", "one", "nowhere", "-o", "x")
        self.refused(2, "components", "fit", "t.csv", "-o", "x", "--set", "components=0")


if __name__ == "__main__":
    unittest.main()
