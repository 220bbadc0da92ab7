"""What the command says of continuous flows: estimates beside noise, what a check advises, whose key is wrong, paths of rounded columns."""
import json
import unittest

import numpy as np

from command import CommandTest, table
from pictures import read_png

SMALL = ["--steps", 60, "--set", "hidden=12", "-q"]


class Words(CommandTest):
    @classmethod
    def prepare(cls):
        x = table(600, 2)
        np.save(cls.path("x.npy"), x)
        np.save(cls.path("disc.npy"), np.column_stack([np.round(2 * x[:, 0]) / 2, x[:, 1]]))
        cls.done("fit", "x.npy", "-o", "m.rheo", "--arch", "cnf", *SMALL)
        cls.specify("affine", {"type": "cnf", "field": {"type": "time_mlp", "hidden": []}})
        cls.specify("within", {"type": "inverse", "part": {"type": "cnf"}}, {"type": "cnf"}, {"type": "inverse", "part": {"type": "cnf"}})
        cls.edit("affine.rheo", "decay.rheo", "flow.0.field.0.weight", lambda w: -10 * np.eye(2).ravel())
        cls.done("fit", "x.npy", "-o", "soft.rheo", "--arch", "cnf", "--set", "activation=softplus", *SMALL)
        cls.edit("soft.rheo", "burst.rheo", "flow.0.field.1.weight", lambda w: 200 * w)
        cls.done("fit", "disc.npy", "-o", "disc.rheo", "--arch", "cnf", "--steps", 300, "--set", "hidden=2x16", "-q")

    @classmethod
    def specify(cls, name, *parts):
        with open(cls.path(f"{name}.json"), "w") as file:
            json.dump({"flow": {"type": "chain", "parts": parts}}, file)
        cls.done("fit", "x.npy", "-o", f"{name}.rheo", "--spec", f"{name}.json", "--steps", 20, "-q")

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

    def test_what_averages_of_estimates_are(self):
        self.done("ensemble", "m.rheo", "m.rheo", "-o", "both.rheo", "-q")
        many, trace = ("--draws", 4), ("--trace", "hutchinson")
        for model, options, said in (("both.rheo", trace, True), ("both.rheo", (), False), ("m.rheo", trace, False), ("disc.rheo", trace, False), ("disc.rheo", trace + many, True), ("disc.rheo", many, False), ("m.rheo", trace + many, False)):
            with self.subTest(model=model, options=options):
                notes = self.report("score", model, "disc.npy", *options, "-q")["notes"]
                self.assertEqual(any("averages of estimates, over a mixture's components or over draws, are too high" in n for n in notes), said)

    def test_estimates_that_cannot_be(self):
        """Within a part that hands on no noise traces stay exact, and that is said."""
        report = self.report("score", "within.rheo", "x.npy", "--trace", "hutchinson", "-q")
        self.assertIn("traces of 2 differential equations are exact, not estimated (hutchinson): within another part, such as inverse,", report["notes"][0])
        self.assertEqual(report["estimate"]["trace"], "hutchinson")  # of the one between
        self.specify("only", {"type": "inverse", "part": {"type": "cnf"}})
        report = self.report("score", "only.rheo", "x.npy", "--trace", "hutchinson", "-q")
        self.assertIn("trace of 1 differential equation is exact, not estimated", report["notes"][0])
        self.assertNotIn("estimate", report)
        self.assertEqual(report["mean"], self.report("score", "only.rheo", "x.npy", "-q")["mean"])
        for model, options in (("only.rheo", ()), ("only.rheo", ("--trace", "exact")), ("m.rheo", ("--trace", "hutchinson"))):
            self.assertFalse(any("are exact" in n or "is exact" in n for n in self.report("score", model, "x.npy", *options, "-q")["notes"]))

    def test_what_a_failed_check_advises(self):
        """A decay by exp(-10) leaves few digits for the way back; what helps is the solver's, in f64 that alone."""
        equal, tolerance = "take more solver_steps, or rtol and atol for steps by tolerance", "tighten rtol and atol, with more max_steps where that takes them"
        for model, options, words in (
            ("decay.rheo", [], f"inverse error|; {tolerance}, and try dtype f64"),
            ("decay.rheo", ["--dtype", "f64"], f"inverse error|; {tolerance}\n"),
            ("decay.rheo", ["--dtype", "f64", "--solver", "rk4", "--solver-steps", 20], f"inverse error|; {equal}\n"),
            ("m.rheo", ["--solver", "euler", "--solver-steps", 2], f"inverse error|; {equal}; and try dtype f64"),
            ("burst.rheo", ["--max-steps", 5], "do not stay finite|raise max_steps"),
        ):
            with self.subTest(model=model, options=options):
                run = self.run_rheo("check", model, "x.npy", "--rows", 50, "--json", *options)
                report, error = json.loads(run.stdout.decode().splitlines()[-1]), run.stderr.decode()
                self.assertEqual((run.returncode, report["ok"]), (1, False))
                for word in words.split("|"):
                    self.assertIn(word, error)
        self.assertTrue(self.report("check", "decay.rheo", "x.npy", "--rows", 50, "--dtype", "f64", "--rtol", 1e-13, "--atol", 1e-15, "--max-steps", 10000)["ok"])  # it is as advised
        self.assertNotIn("remedy", self.report("check", "m.rheo", "x.npy", "--rows", 50))

    def test_detect_by_another_solver(self):
        """The same scores as rheo score's with the same options; of a fit they are none."""
        for options in (["--solver", "rk4", "--solver-steps", 3], ["--rtol", 1e-2, "--atol", 1e-2], ["--trace", "hutchinson:2"], ["--solver", "bs32", "--max-steps", 500, "--min-step", 0, "--fallback-steps", 10]):
            with self.subTest(str(options)):
                self.done("score", "m.rheo", "x.npy", "-o", "s.npy", "-q", *options)
                self.done("detect", "--model", "m.rheo", "x.npy", "-o", "d.npy", "-q", *options)
                np.testing.assert_array_equal(np.load(self.path("d.npy"))[:, 1], np.load(self.path("s.npy")).ravel())
        self.refused(2, "detect: --rtol is for a model that is given, --model MODEL", "detect", "x.npy", "x.npy", "--rtol", 1e-3)
        self.refused(2, "detect: --trace is for a model", "detect", "x.npy", "x.npy", "--trace", "exact")

    def test_detect_says_whose_rows_are_not_found(self):
        x = np.load(self.path("x.npy"))
        self.done("score", "burst.rheo", "x.npy", "-o", "s.npy", "-q")
        lost = np.isnan(np.load(self.path("s.npy")).ravel())
        self.assertTrue(20 < lost.sum() < 580, lost.sum())
        np.save(self.path("found.npy"), x[~lost])
        np.save(self.path("lost.npy"), x[lost][:7])
        sampled = self.report("detect", "--model", "burst.rheo", "found.npy", "-q")
        self.assertEqual(sampled["unfinished"], 0)
        self.assertGreater(sampled["reference_unfinished"], 0)
        self.assertEqual(len(sampled["warnings"]), 1)
        self.assertIn(f"{sampled['reference_unfinished']} sampled row", sampled["warnings"][0])
        given = self.report("detect", "--model", "burst.rheo", "x.npy", "lost.npy", "-q")
        self.assertEqual((given["unfinished"], given["reference_unfinished"]), (7, lost.sum()))
        self.assertRegex(given["warnings"][0], "^7 rows have no log-density")
        self.assertRegex(given["warnings"][1], f"^{lost.sum()} normal rows have no log-density")

    def test_whose_key_is_wrong(self):
        """Errors name the user's key, not what it expands to, and are wrong usage."""
        fit = ("fit", "x.npy", "-o", "m", "--arch", "cnf")
        self.refused(2, "rheo: cnf.solver: rk4 has no error estimate: give a number of steps (solver_steps), or take heun,", *fit, "--set", "solver=rk4")
        self.refused(2, "rheo: cnf.hidden: residual layers add to what they read, so they are of one width, not of 8 and 9", *fit, "--set", "residual=true", "--set", "hidden=[8,9]")
        self.refused(2, "options.solver: rk4 has no error estimate, so no tolerance controls its steps: give their number, solver_steps (--solver-steps N)", "score", "m.rheo", "x.npy", "--solver", "rk4")
        self.done("fit", "x.npy", "-o", "rk4.rheo", "--arch", "cnf", "--set", "solver=rk4", "--set", "solver_steps=4", *SMALL)
        self.refused(2, "options.solver: rk4 has no error estimate, so no tolerance", "score", "rk4.rheo", "x.npy", "--rtol", 1e-3)
        self.done("score", "rk4.rheo", "x.npy", "--solver", "euler")

    def test_labels_of_a_picture_stay_in_it(self):
        """The last one below the last panel, too, where a tick stands at its end: its last digits are not cut off."""
        x = np.load(self.path("x.npy"))
        for name, scale, middle, limits in (("near", 2e-3, 1, "0.99,1.01"), ("big", 1e6, 1.005e9, "1.001e9,1.01e9")):
            np.save(self.path("far.npy"), scale * x + middle)
            self.done("fit", "far.npy", "-o", f"{name}.rheo", "--arch", "cnf", "--dtype", "f64", *SMALL)
            self.assertEqual(self.report("plot", f"{name}.rheo", "-o", "p.png", "--range", f"{limits},{limits}", "-q")["paths"], 60)
            edge = read_png(self.bytes_of("p.png"))[:, -2:]
            self.assertGreater(edge.min(), 250)

    def test_how_many_probes(self):
        for trace, words in (
            ("hutchinson: 3", "options.trace: 'hutchinson: 3': K of hutchinson:K must be 1 to 64"),
            ("hutchinson:+3", "must be 1 to 64"),
            ("hutchinson:0", "must be 1 to 64"),
            ("exact:3", "only hutchinson has probes"),
        ):
            self.refused(2, words, "score", "m.rheo", "x.npy", "--trace", trace)
        self.refused(2, "cnf.trace: 'hutchinson:0': K of hutchinson:K must be 1 to 64", "fit", "x.npy", "-o", "m", "--arch", "cnf", "--set", "trace=hutchinson:0")

    def test_one_number_is_the_most(self):
        """The command's and the library's."""
        self.refused(2, "give an integer from 0 to 1048576", "score", "m.rheo", "x.npy", "--solver-steps", 1048577)
        self.refused(2, "give an integer from 1 to 1048576", "score", "m.rheo", "x.npy", "--max-steps", 1048577)
        self.report("score", "m.rheo", "x.npy", "--max-steps", 1048576)

    def test_one_column(self):
        np.save(self.path("one.npy"), np.load(self.path("x.npy"))[:, :1])
        self.refused(1, "one.npy: has 1 column, the model takes 2", "score", "m.rheo", "one.npy")


if __name__ == "__main__":
    unittest.main()
