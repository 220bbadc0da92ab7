"""Continuous flows through the command: fit, score, sample, there and back, check; other solvers than the model's; estimates of the trace."""
import json
import unittest

import numpy as np

from command import CommandTest, table

SMALL = ["--steps", 60, "--set", "hidden=12", "-q"]


class Continuous(CommandTest):
    @classmethod
    def prepare(cls):
        x = table(600, 3)
        np.save(cls.path("x.npy"), x)
        np.save(cls.path("given.npy"), np.column_stack([x, x[:, :1] * x[:, 1:2]]))
        for arch in ("cnf", "ffjord", "rnode"):
            cls.done("fit", "x.npy", "-o", f"{arch}.rheo", "--arch", arch, *SMALL)
        cls.done("fit", "x.npy", "-o", "exact.rheo", "--arch", "cnf", "--dtype", "f64", "--set", "rtol=1e-8", "--set", "atol=1e-8", *SMALL)
        cls.done("fit", "x.npy", "-o", "nsf.rheo", "--arch", "nsf", *SMALL)

    def scores(self, model, *more):
        self.done("score", model, "x.npy", "-o", "s.npy", "-q", *more)
        return np.load(self.path("s.npy")).ravel()

    def test_every_architecture_every_command(self):
        x = np.load(self.path("x.npy"))
        for arch in ("cnf", "ffjord", "rnode"):
            with self.subTest(arch):
                model = f"{arch}.rheo"
                info = self.report("info", model, "-q")
                self.assertEqual((info["arch"], info["exact"]), (arch, True))  # whatever training estimated
                self.assertTrue(np.isfinite(self.scores(model)).all())
                self.assertTrue(self.report("check", model, "x.npy", "-q")["ok"])
                self.done("encode", model, "x.npy", "-o", "z.npy", "-q")
                self.done("decode", model, "z.npy", "-o", "back.npy", "-q")
                self.assertLess(abs(np.load(self.path("back.npy")) - x).max(), 1e-2)
                self.done("sample", model, "-n", 300, "-o", "drawn.npy", "-q")
                drawn = np.load(self.path("drawn.npy"))
                self.assertLess(abs((drawn.mean(0) - x.mean(0)) / x.std(0)).max(), 0.5)

    def test_of_a_context(self):
        self.done("fit", "given.npy", "-o", "given.rheo", "--arch", "rnode", "--context", "4", *SMALL)
        self.assertTrue(self.report("check", "given.rheo", "given.npy", "-q")["ok"])

    def test_images(self):
        """Fields of convolutions at two scales, with and without a trace in closed form; the noise of pixels is no estimate of a trace."""
        r = np.random.default_rng(3)
        shade = r.integers(0, 5, (300, 1, 1))
        np.save(self.path("i.npy"), (shade + r.integers(0, 3, (300, 4, 4)) + np.arange(4)).astype(np.uint8))
        field = {"type": "time_conv", "hidden": [4, 4, 4]}
        with open(self.path("wide.json"), "w") as file:
            json.dump({"flow": {"type": "chain", "parts": [{"type": "image", "shape": [4, 4, 1]}, {"type": "cnf", "field": field, "exact_columns": 3}]}}, file)
        for name, log_det, more in (("closed", "exact", ["--set", "hidden=2x4"]), ("columns", "exact", ["--set", "hidden=3x4", "--set", "field=squash"]), ("wide", "estimated", ["--spec", "wide.json"])):
            with self.subTest(name):
                model = f"{name}.rheo"
                if name != "wide":
                    more += ["--arch", "ffjord-image", "--set", "levels=2", "--set", "steps=1"]
                self.done("fit", "i.npy", "-o", model, "--threads", 1, "-q", "--steps", 20, *more)
                info = self.report("info", model, "-q")
                self.assertEqual((info["exact"], info["log_det"]), (False, log_det))
                report = self.report("score", model, "i.npy")
                self.assertTrue(np.isfinite(report["bits_per_dim"]))
                self.assertEqual(any("hutchinson" in note for note in report["notes"]), log_det == "estimated")
                exact, estimate = (self.report("score", model, "i.npy", "--trace", trace)["mean"] for trace in ("exact", "hutchinson"))
                self.assertNotEqual(exact, estimate)
                self.assertEqual(report["mean"], exact if log_det == "exact" else estimate)
                self.assertTrue(self.report("check", model, "i.npy", "-q")["ok"])
                self.done("sample", model, "-n", 4, "-o", "drawn.npy", "-q")
                self.assertEqual(np.load(self.path("drawn.npy")).shape[:3], (4, 4, 4))
                self.assertEqual(self.report("reconstruct", model, "i.npy")["exact"], 300)

    def test_the_same_fit_twice(self):
        """Probes are a function of the seed."""
        for name in ("a", "b"):
            self.done("fit", "x.npy", "-o", f"{name}.rheo", "--arch", "ffjord", "--threads", 1 if name == "a" else 2, *SMALL)
        self.assertEqual(self.bytes_of("a.rheo"), self.bytes_of("b.rheo"))

    def test_other_solvers(self):
        tight = self.scores("exact.rheo", "--rtol", 1e-11, "--atol", 1e-11)
        for options, near in (([], 1e-6), (["--solver", "rk4", "--solver-steps", 100], 1e-6), (["--solver", "heun", "--rtol", 1e-5, "--atol", 1e-5, "--max-steps", 100000], 1e-2), (["--solver", "bs32"], 1e-5), (["--solver", "ts54"], 1e-6), (["--solver", "dop853"], 1e-6), (["--rtol", 1e-3, "--atol", 1e-3], 0.1)):
            with self.subTest(str(options)):
                error = abs(self.scores("exact.rheo", *options) - tight).max()
                self.assertLess(error, near)
                self.assertGreater(error, 0)
        self.assertTrue(self.report("check", "exact.rheo", "x.npy", "-q")["ok"])
        run = self.run_rheo("check", "exact.rheo", "x.npy", "--solver", "euler", "--solver-steps", 5, "-q")
        self.assertEqual(run.returncode, 1)
        self.assertIn("the check failed: inverse error", run.stderr.decode())

    def test_check_tells_the_solver_s_error(self):
        """It is the difference from tolerances of a hundredth, row by row; evaluations are those of the method."""
        x, rows = np.load(self.path("x.npy")), np.arange(60) * 10
        for loose in (1e-2, 1e-4):
            with self.subTest(str(loose)):
                report = self.report("check", "exact.rheo", "x.npy", "--rows", 60, "--rtol", loose, "--atol", loose, "-q")
                found = {}
                for tolerance in (loose, loose / 100):
                    score = self.scores("exact.rheo", "--rtol", tolerance, "--atol", tolerance)
                    self.done("encode", "exact.rheo", "x.npy", "-o", "z.npy", "--rtol", tolerance, "--atol", tolerance, "-q")
                    found[tolerance] = np.column_stack([score, np.load(self.path("z.npy"))])[rows]
                error = abs(found[loose] - found[loose / 100])
                self.assertEqual(report["solve_rows"], 60)
                self.assertEqual(report["solve_error_log_density"], error[:, 0].max())
                self.assertEqual(report["solve_error_codes"], error[:, 1:].max())
                self.assertGreater(error[:, 0].max(), 0)
                self.assertLess(report["evaluations_mean"], report["evaluations_most"] + 1e-9)
                self.assertGreater(report["evaluations_mean"], 6)
        run = self.run_rheo("check", "exact.rheo", "x.npy", "--solver", "euler", "--solver-steps", 5, "--json")
        euler = json.loads(run.stdout.decode().splitlines()[-1])
        self.assertEqual((euler["solve_rows"], euler["evaluations_mean"], euler["evaluations_most"]), (100, 5, 5))
        self.assertGreater(euler["solve_error_log_density"], 1e-3)
        fine = self.report("check", "exact.rheo", "x.npy", "-q")
        self.assertLess(fine["solve_error_log_density"], 1e-5)
        single = self.report("check", "exact.rheo", "x.npy", "--dtype", "f32", "-q")
        self.assertGreater(single["solve_error_log_density"], fine["solve_error_log_density"])  # against f64
        text = self.done("check", "cnf.rheo", "x.npy").stdout.decode()
        self.assertRegex(text, r"the solver's error +\S+ nats, \S+ in codes: 100 rows")
        self.assertRegex(text, r"evaluations of the field +\S+ a row, \d+ at most")
        self.assertNotIn("solve_rows", self.report("check", "nsf.rheo", "x.npy", "-q"))

    def test_estimates(self):
        exact, mean, many = self.scores("exact.rheo"), 0, 60
        np.testing.assert_array_equal(self.scores("exact.rheo", "--trace", "exact"), exact)
        for seed in range(many):
            mean = mean + self.scores("exact.rheo", "--trace", "hutchinson:4", "--seed", seed) / many
        one = self.scores("exact.rheo", "--trace", "hutchinson:4", "--seed", 1)
        np.testing.assert_array_equal(one, self.scores("exact.rheo", "--trace", "hutchinson:4", "--seed", 1, "--threads", 1))
        self.assertGreater(abs(one - exact).max(), 1e-3)
        np.testing.assert_array_equal(one, self.scores("exact.rheo", "--trace", "hutchinson:4", "--seed", 1, "--draws", 20))  # no importance weights
        notes = [self.report("score", "exact.rheo", "x.npy", *more)["notes"] for more in ([], ["--trace", "hutchinson"])]
        self.assertFalse(notes[0])
        self.assertIn("estimated by random probes", notes[1][0])
        self.assertLess((mean - exact).std(), 2 * (one - exact).std() / many**0.5)
        self.assertLess(abs((mean - exact).mean()), 5 * (one - exact).std() / (many * len(exact)) ** 0.5)

    def test_what_is_refused(self):
        for options, words in (
            (["--solver", "rk4"], "rk4 has no error estimate: give a number of steps"),
            (["--solver", "euler"], "or take heun, bs32, dp54, ts54 or dop853"),
            (["--solver", "dopri5"], "options.solver"),
            (["--trace", "guess"], "options.trace: 'guess' is none of"),
            (["--trace", "exact:3"], "only hutchinson has probes"),
        ):
            with self.subTest(str(options)):
                self.refused(1 if options[1] in ("rk4", "euler") else 2, words, "score", "cnf.rheo", "x.npy", *options)
        self.refused(2, "the model solves no differential equation", "score", "nsf.rheo", "x.npy", "--rtol", 1e-3)
        self.refused(2, "cnf.activation", "fit", "x.npy", "-o", "m", "--arch", "cnf", "--set", "activation=relu", *SMALL)

    def test_rows_out_of_steps(self):
        """They are counted, they are NaN, and files of codes are refused."""
        run = self.done("score", "cnf.rheo", "x.npy", "-o", "s.npy", "--max-steps", 1, "--rtol", 1e-7, "--json")
        report = json.loads(run.stdout.decode().splitlines()[-1])
        lost = np.isnan(np.load(self.path("s.npy"))).sum()
        self.assertGreater(lost, 0)
        self.assertEqual(report["unfinished"], lost)
        self.assertTrue(any("not found" in w for w in report["warnings"]))
        self.refused(1, "was not found", "encode", "cnf.rheo", "x.npy", "-o", "z.npy", "--max-steps", 1, "--rtol", 1e-7)

    def test_a_picture_of_rows_out_of_steps(self):
        """Cells and samples that were not found are left out and counted, and what helps is an option of the command itself."""
        np.save(self.path("two.npy"), table(600, 2))
        self.done("fit", "two.npy", "-o", "two.rheo", "--arch", "cnf", "--steps", 150, "--set", "hidden=2x12", "--set", "atol=1e-8", "--set", "rtol=1e-8", "-q")
        whole = self.report("plot", "two.rheo", "-o", "p.png", "-q")
        self.assertEqual((whole["unfinished"], whole["paths"]), (0, 60))
        steps = next(n for n in range(20, 0, -1) if self.report("score", "two.rheo", "two.npy", "--max-steps", n, "-q")["unfinished"] > 60)
        few = self.report("plot", "two.rheo", "-o", "p.png", "--max-steps", steps, "-q")
        self.assertGreater(few["unfinished"], 0)
        self.assertLess(few["paths"], 60)
        self.assertIn("more --max-steps", few["warnings"][0])


if __name__ == "__main__":
    unittest.main()
