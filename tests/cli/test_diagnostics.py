"""What rheo check says of the fit: modes that lie apart are named, a normal table is not."""
import unittest

import numpy as np

from command import CommandTest

FIT = ["--epochs", "20", "--arch", "realnvp", "-q"]
NORMAL = ["--set", "base=normal"]  # kurtosis is measured against it


class Diagnostics(CommandTest):
    @classmethod
    def prepare(cls):
        rng = np.random.default_rng(1)
        z = rng.standard_normal((3000, 2))
        side = (rng.random(3000) < 0.5)[:, None] * [1, 0]
        np.save(cls.path("normal.npy"), z)
        np.save(cls.path("modes.npy"), z + 16 * side)
        for name in ("normal", "modes"):
            cls.done("fit", f"{name}.npy", "-o", f"{name}.rheo", *NORMAL, *FIT)

    def test_a_normal_table(self):
        report = self.report("check", "normal.rheo", "normal.npy", "-q")
        self.assertLessEqual(report["log_det_min"], report["log_det_median"])
        self.assertLessEqual(report["log_det_median"], report["log_det_max"])
        self.assertGreaterEqual(report["log_det_low"], 0)
        self.assertLess(abs(report["latent_kurtosis"]), 0.5)
        self.assertNotIn("advice", report)
        self.assertNotIn("look:", self.done("check", "normal.rheo", "normal.npy").stdout.decode())

    def test_modes_that_lie_apart(self):
        report = self.report("check", "modes.rheo", "modes.npy", "-q")
        self.assertTrue(report["ok"])
        self.assertLess(report["latent_kurtosis"], -1.5)
        for word in ("look: ", "base=mixture", "components=K"):
            self.assertIn(word, self.done("check", "modes.rheo", "modes.npy").stdout.decode())

    def test_codes_of_every_base_are_judged(self):
        np.save(self.path("t8.npy"), np.random.default_rng(4).standard_t(8, (3000, 2)))
        for base, table in (("full-normal", "normal.npy"), ("mixture", "normal.npy"), ("student-t", "t8.npy")):
            self.done("fit", table, "-o", "other.rheo", "--set", f"base={base}", *FIT)
            report = self.report("check", "other.rheo", table, "-q")
            self.assertLess(abs(report["latent_kurtosis"]), 0.5)
            self.assertLess(abs(report["latent_kurtosis_most"]), 0.5)
            self.assertNotIn("advice", report)
            self.assertIn("kurtosis of codes", self.done("check", "other.rheo", table).stdout.decode())

    def test_tails_that_the_base_has_not(self):
        rng = np.random.default_rng(3)
        np.save(self.path("heavy.npy"), rng.standard_t(2, (1000, 2)))
        report = self.report("check", "normal.rheo", "heavy.npy", "-q")
        self.assertGreater(report["latent_kurtosis_most"], 3)
        self.assertIn("heavier tails than the base", report["advice"])


if __name__ == "__main__":
    unittest.main()
