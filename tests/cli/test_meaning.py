"""What the figures mean: bits a dimension whatever the unit, codes only where there are any, a check that blames the right row."""
import json
import os
import unittest

import numpy as np

from command import CommandTest, write_csv


class Meaning(CommandTest):
    @classmethod
    def prepare(cls):
        rng = np.random.default_rng(3)
        cls.dice = rng.integers(0, 6, (600, 2)).astype(float)
        cls.dice[:, 1] = (cls.dice[:, 0] + rng.integers(0, 2, 600)) % 6
        bounded = np.column_stack([rng.random(500), rng.standard_normal(500)])
        write_csv(cls.path("bounded.csv"), bounded)
        cls.done("fit", "bounded.csv", "-o", "bounded.rheo", "--arch", "realnvp", "--set", "base=normal", "--steps", "60", "-q")

    def bits(self, unit):
        write_csv(self.path("dice.csv"), self.dice * unit)
        self.done("fit", "dice.csv", "-o", "dice.rheo", "--val", "dice.csv", "--steps", "300", "-q")
        return self.report("score", "dice.rheo", "dice.csv", "-q")["bits_per_dim"]

    def test_bits_are_those_of_the_values_not_of_their_unit(self):
        whole, half = self.bits(1), self.bits(0.5)
        self.assertAlmostEqual(whole, half, delta=0.25)  # of the noise; a forgotten unit would be 1
        exact = (np.log2(6) + 1) / 2  # of the source
        self.assertGreater(whole, exact - 0.1)
        self.assertLess(whole, np.log2(6) + 0.1)

    def test_rows_outside_of_the_support_have_no_code(self):
        write_csv(self.path("out.csv"), [[0.5, 0], [0.25, 1], [7, 0]])
        self.assertEqual(self.report("score", "bounded.rheo", "out.csv", "-q")["zero_density"], 1)
        self.refused(1, "out.csv: row 3|outside of the model's support", "encode", "bounded.rheo", "out.csv", "-o", "z.csv")

    def test_codes_that_decode_to_nothing_are_refused(self):
        write_csv(self.path("far.csv"), [[0, 0], [1e38, -1e38]])
        self.refused(1, "far.csv: row 2|no finite numbers", "decode", "bounded.rheo", "far.csv", "-o", "x.csv")

    def test_check_leaves_rows_of_density_zero_alone(self):
        write_csv(self.path("some.csv"), [[0.5, 0], [0.25, 1], [7, 0], [0.75, -1]])
        report = self.report("check", "bounded.rheo", "some.csv", "-q")
        self.assertTrue(report["ok"])
        self.assertEqual((report["rows"], report["outside"], report["non_finite"]), (4, 1, 0))

    def test_check_counts_values_on_no_level(self):
        self.bits(1)
        rows = self.dice[:50].copy()
        rows[7, 0] += 0.5
        write_csv(self.path("new.csv"), rows)
        report = self.report("check", "dice.rheo", "new.csv", "-q")
        self.assertTrue(report["ok"])
        self.assertEqual(report["rounded"], 1)

    def test_names_that_the_model_does_not_know_are_noted(self):
        rows = np.column_stack([np.linspace(0.1, 0.9, 20), np.linspace(-1, 1, 20)])
        write_csv(self.path("named.csv"), np.tile(rows, (5, 1)) + 1e-3 * np.random.default_rng(5).standard_normal((100, 2)), ["a", "b"])
        write_csv(self.path("others.csv"), rows, ["x", "\x1b[1mz"])
        note = "others.csv: none of the names x, ?[1mz is the model's (a, b): columns are taken in order"
        fitted = self.report("fit", "named.csv", "-o", "named.rheo", "--val", "others.csv", "--steps", "20")
        self.assertIn(note, fitted["notes"])
        run = self.done("score", "named.rheo", "others.csv")
        self.assertEqual(run.stdout.decode().splitlines()[0], note)
        self.assertEqual(self.report("score", "named.rheo", "others.csv", "-q")["notes"], [note])
        self.assertEqual(self.report("encode", "named.rheo", "others.csv", "-o", "z.npy", "-q")["notes"], [note])
        write_csv(self.path("others.csv"), rows[:, ::-1], ["b", "a"])
        self.assertEqual(self.report("score", "named.rheo", "others.csv", "-q")["notes"], [])
        write_csv(self.path("others.csv"), rows)
        self.assertEqual(self.report("score", "named.rheo", "others.csv", "-q")["notes"], [])
        write_csv(self.path("others.csv"), rows, ["x", "y"])  # chosen: no need to say it
        self.assertEqual(self.report("score", "named.rheo", "others.csv", "--columns", "x,y", "-q")["notes"], [])

    def test_rows_that_contradict_a_dropped_column_are_counted_by_check(self):
        x = np.random.default_rng(6).standard_normal((200, 2))
        table = np.column_stack([x, x[:, 0], np.full(200, 3.0)])
        write_csv(self.path("dropped.csv"), table)
        self.done("fit", "dropped.csv", "-o", "dropped.rheo", "--steps", "20", "-q")
        fits = self.report("score", "dropped.rheo", "dropped.csv", "-q")["mean"]
        table[3, 2] += 1
        table[5, 3] = 4
        write_csv(self.path("dropped.csv"), table)
        self.assertEqual(self.report("score", "dropped.rheo", "dropped.csv", "-q")["mean"], fits)
        self.assertEqual(self.report("check", "dropped.rheo", "dropped.csv", "-q")["rounded"], 2)

    def test_check_names_the_worst_row(self):
        rng = np.random.default_rng(4)
        table = np.column_stack([rng.standard_normal(400), rng.standard_normal(400)])
        write_csv(self.path("n.csv"), table)
        self.done("fit", "n.csv", "-o", "n.rheo", "--steps", "20", "-q", "--handle", "none")
        table[33, 1] = 1e30  # what float32 cannot bring back
        write_csv(self.path("far.csv"), table[:60])
        run = self.run_rheo("check", "n.rheo", "far.csv", "--json", "-q")
        worst = json.loads(run.stdout.decode().splitlines()[-1])["worst"]
        self.assertEqual(set(worst), {"row", "column", "value", "back"})
        self.assertEqual((run.returncode, worst["row"]), (1, 34))
        self.assertIn(f"row 34, column {worst['column']} of far.csv", run.stderr.decode())

    def test_one_row_is_looked_at_too(self):
        report = self.report("check", "bounded.rheo", "bounded.csv", "--rows", "1", "-q")
        self.assertTrue(report["ok"])
        self.assertIn("worst", report)
        self.assertTrue(os.path.exists(self.path("bounded.rheo")))


if __name__ == "__main__":
    unittest.main()
