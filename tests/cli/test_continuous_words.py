"""What the command says of continuous flows: estimates beside noise, what a check advises, whose key is wrong, paths of rounded columns."""
import unittest

import numpy as np

from command import CommandTest, table

SMALL = ["--steps", 60, "--set", "hidden=12", "-q"]


class Words(CommandTest):
    @classmethod
    def prepare(cls):
        x = table(600, 2)
        np.save(cls.path("x.npy"), x)
        np.save(cls.path("disc.npy"), np.column_stack([np.round(2 * x[:, 0]) / 2, x[:, 1]]))
        cls.done("fit", "x.npy", "-o", "m.rheo", "--arch", "cnf", *SMALL)
        cls.done("fit", "disc.npy", "-o", "disc.rheo", "--arch", "cnf", "--steps", 300, "--set", "hidden=2x16", "-q")

    def test_estimates_beside_the_noise_of_cells(self):
        """The average over draws is hardly higher by an estimate than by exact traces: all of a row's draws share its probes. With probes
        of their own it is 0.3 nats higher; what one probe's error differs by within a cell leaves some hundredths."""
        few = ("score", "disc.rheo", "disc.npy", "--draws", 16, "-q")
        exact = self.report(*few)["mean"]
        found = [self.report(*few, "--trace", "hutchinson", "--seed", seed)["mean"] for seed in range(8)]
        self.assertLess(abs(np.mean(found) - exact), 0.1)
        self.assertGreater(np.std(found), 1e-3)

    def test_bits_are_of_columns_that_are_all_discrete(self):
        """Probes are no noise of cells: with two of them and one discrete column of two there are no bits/dim."""
        for trace in ("exact", "hutchinson:2"):
            self.assertNotIn("bits_per_dim", self.report("score", "disc.rheo", "disc.npy", "--trace", trace, "-q"))


if __name__ == "__main__":
    unittest.main()
