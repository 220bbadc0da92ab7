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

    def test_fields_of_the_plane_start_steeper(self):
        for columns, gain in ((1, 2), (2, 2), (3, 0.577)):
            with self.subTest(columns):
                self.done("fit", "x.npy", "-o", "steep.rheo", "--arch", "cnf", "--columns", f"1-{columns}", "--steps", 1, "-q")
                field = self.report("info", "steep.rheo", "-q")["spec"]["flow"]["parts"][0]["field"]
                self.assertAlmostEqual(field["gain"], gain, places=3)

    def test_a_row_s_bits(self):
        """Alone, in a batch of 7 and in one of 10,000, some of which are far out and take more steps: by exact traces, by estimates, in codes."""
        many = table(10000, 3, seed=7)
        many[::9] *= 3
        for arch in ("cnf", "ffjord", "rnode"):
            for how in (["score"], ["score", "--trace", "hutchinson:2", "--seed", 3], ["encode"]):
                with self.subTest(arch=arch, how=how):

                    def of(rows):
                        np.save(self.path("rows.npy"), rows)
                        self.done(how[0], f"{arch}.rheo", "rows.npy", "-o", "out.npy", "-q", *how[1:])
                        return np.load(self.path("out.npy")).reshape(len(rows), -1)

                    want = of(many)
                    self.assertTrue(np.isfinite(want).all())
                    for first in (0, 4321, 9993):
                        np.testing.assert_array_equal(of(many[first : first + 7]), want[first : first + 7])
                    for row in (0, 9, 4323, 9999):
                        np.testing.assert_array_equal(of(many[row : row + 1]), want[row : row + 1])
        np.save(self.path("rows.npy"), many)
        check = self.report("check", "cnf.rheo", "rows.npy", "--rows", 100)
        self.assertLess(check["evaluations_mean"], check["evaluations_most"])  # they do differ

    def test_of_a_context(self):
        self.done("fit", "given.npy", "-o", "given.rheo", "--arch", "rnode", "--context", "4", *SMALL)
        self.assertTrue(self.report("check", "given.rheo", "given.npy", "-q")["ok"])

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
        self.assertIn("traces are estimated (hutchinson, 1 rademacher probe a row): that alone leaves a standard error of", notes[1][0])
        self.assertIn("trace exact leaves none", notes[1][0])
        self.assertLess((mean - exact).std(), 2 * (one - exact).std() / many**0.5)
        self.assertLess(abs((mean - exact).mean()), 5 * (one - exact).std() / (many * len(exact)) ** 0.5)

    def test_the_recipe_of_tables(self):
        """Continuous flows of four columns and more have their own rate and decay, until they are given."""
        for arch, columns, more, want in (("cnf", 4, [], (0.01, 0.3)), ("cnf", 3, [], (0.005, 2)), ("realnvp", 4, [], (0.005, 2)), ("rnode", 4, ["--set", "lr=0.003", "--set", "weight_decay=0.5"], (0.003, 0.5)), ("ffjord", 4, ["--set", "optimizer=adam"], (0.01, 0))):
            with self.subTest(arch=arch, columns=columns):
                self.done("fit", "given.npy", "-o", "m.rheo", "--arch", arch, "--columns", f"1-{columns}", "--steps", 2, "--set", "hidden=8", "-q", *more)
                recipe = self.report("info", "m.rheo", "-q")["fit"]["recipe"]
                self.assertEqual((recipe["lr"], recipe["weight_decay"]), want)

    def test_the_standard_error_of_an_estimate(self):
        """That of a row is how far rows are from the exact trace's; that of the mean is how far means are, over many seeds."""
        exact = self.scores("exact.rheo")
        for how, probes in (("hutchinson", 1), ("hutchinson:4", 4)):
            means, rows, told = [], [], []
            for seed in range(40):
                report = self.report("score", "exact.rheo", "x.npy", "-o", "s.npy", "--trace", how, "--seed", seed)
                off = np.load(self.path("s.npy")).ravel() - exact
                means.append(off.mean())
                rows.append(off.std())
                told.append(report["estimate"])
            self.assertEqual({(e["trace"], e["probes"], e["probe"], e["rows"]) for e in told}, {("hutchinson", probes, "rademacher", 600)})
            row, mean = (np.mean([e[key] ** 2 for e in told]) ** 0.5 for key in ("row_stderr", "stderr"))
            self.assertLess(abs(row / np.mean(np.square(rows)) ** 0.5 - 1), 0.02)
            self.assertAlmostEqual(mean, row / 600**0.5, delta=1e-12)
            self.assertLess(abs(mean / np.mean(np.square(means)) ** 0.5 - 1), 0.35)  # of 40 numbers: 11 % give or take
            if probes == 1:
                one = row
        self.assertLess(abs(one / row - 2), 0.1)  # a quarter of the variance
        self.assertNotIn("estimate", self.report("score", "exact.rheo", "x.npy"))
        self.assertIn("1 row scored again under other probes tells", self.done("score", "exact.rheo", "-", "--trace", "hutchinson", stdin="1,2,3\n").stdout.decode())

    def test_an_estimate_that_was_not_asked_for(self):
        """Beyond exact_columns a model is scored by its estimate, and says so; the exact one is a word away."""
        field = {"type": "mlp", "hidden": [8], "activation": "tanh"}
        with open(self.path("spec.json"), "w") as file:
            json.dump({"flow": {"type": "chain", "parts": [{"type": "lu"}, {"type": "cnf", "field": field, "exact_columns": 2, "probes": 3, "probe": "gaussian"}]}}, file)
        fit = self.report("fit", "x.npy", "-o", "wide.rheo", "--spec", "spec.json", "--steps", 60, "-q")
        self.assertTrue(any("val and test hold traces that are estimated" in note for note in fit["notes"]))
        self.assertEqual(self.report("info", "wide.rheo")["exact"], False)
        estimate = self.report("score", "wide.rheo", "x.npy")["estimate"]
        self.assertEqual((estimate["probes"], estimate["probe"]), (3, "gaussian"))
        self.assertGreater(estimate["row_stderr"], 0)
        off = self.scores("wide.rheo") - self.scores("wide.rheo", "--trace", "exact")
        self.assertLess(abs(off.std() / estimate["row_stderr"] - 1), 0.2)
        report = self.report("score", "wide.rheo", "x.npy", "--trace", "exact")
        self.assertNotIn("estimate", report)
        self.assertEqual(report["notes"], [])

    def test_evaluations_are_told(self):
        """Of scoring the mean of what check tells row by row; of training what equal steps take by arithmetic, by whatever gradient."""
        report, check = (self.report(*what, "x.npy") for what in (("score", "exact.rheo"), ("check", "exact.rheo", "--rows", 600)))
        self.assertLess(abs(report["evaluations_mean"] - check["evaluations_mean"]), 0.2 * check["evaluations_mean"])
        self.assertEqual(self.report("score", "cnf.rheo", "x.npy", "--solver", "rk4", "--solver-steps", 3)["evaluations_mean"], 12)
        self.assertNotIn("evaluations_mean", self.report("score", "nsf.rheo", "x.npy"))
        text = self.done("score", "cnf.rheo", "x.npy", "--solver", "rk4", "--solver-steps", 3).stdout.decode()
        self.assertIn("evaluations of the field 12.0 a row\n", text)
        fit = ["fit", "x.npy", "-o", "m.rheo", "--arch", "cnf", "--steps", 12, "--set", "hidden=8", "--log", "log", "--set", "solver=rk4", "--set", "solver_steps=3"]
        for gradient, layers, back in (("replay", 1, 12), ("store", 1, 12), ("adjoint", 1, 12), ("replay", 2, 36)):  # the second one also for the first one's sake
            with self.subTest(gradient=gradient, layers=layers):
                run = self.done(*fit, "--set", f"gradient={gradient}", "--set", f"layers={layers}", "--json", "--threads", 2)
                text, report = run.stdout.decode(), json.loads(run.stdout.decode().splitlines()[-1])
                self.assertEqual((report["evaluations_forward"], report["evaluations_back"], report["unfinished"]), (12 * layers, back, 0))
                self.assertIn(f"evaluations of the field {12 * layers}.0 a row forwards, {back}.0 back", text)
                lines = [json.loads(line) for line in self.text_of("log").splitlines()]
                self.assertEqual({line["evaluations_back"] for line in lines if line["event"] in ("epoch", "done")}, {back})
                self.assertEqual(self.report("info", "m.rheo")["fit"]["evaluations_back"], back)
        plain = self.done("fit", "x.npy", "-o", "m.rheo", "--arch", "rnode", "--epochs", 300, "--set", "hidden=8").stderr.decode()
        self.assertIn(" evals/row 32 + 32 ", plain)
        self.assertNotIn("evaluations_forward", self.report("fit", "x.npy", "-o", "m.rheo", "--arch", "nsf", *SMALL))

    def test_what_is_refused(self):
        for options, words in (
            (["--solver", "rk4"], "options.solver: rk4 has no error estimate|solver_steps (--solver-steps N)"),
            (["--solver", "euler"], "or take heun, bs32, dp54, ts54 or dop853"),
            (["--solver", "dopri5"], "options.solver"),
            (["--trace", "guess"], "options.trace: 'guess' is none of"),
            (["--trace", "exact:3"], "only hutchinson has probes"),
        ):
            with self.subTest(str(options)):
                self.refused(2, words, "score", "cnf.rheo", "x.npy", *options)
        self.refused(2, "the model solves no differential equation", "score", "nsf.rheo", "x.npy", "--rtol", 1e-3)
        self.refused(2, "cnf.activation", "fit", "x.npy", "-o", "m", "--arch", "cnf", "--set", "activation=relu", *SMALL)

    def test_rows_that_fall_back(self):
        """They are counted and said by every report; the other rows keep their bits; more equal steps come nearer to the solution."""
        hard = ["--solver", "heun", "--rtol", 1e-4, "--atol", 1e-4, "--dtype", "f64", "--max-steps", 20]
        lost = np.isnan(self.scores("cnf.rheo", *hard))
        self.assertTrue(0 < lost.sum() < len(lost))
        solution, error = self.scores("cnf.rheo", "--rtol", 1e-11, "--atol", 1e-11, "--dtype", "f64"), []
        for steps in (1, 2, 4):
            fallen = self.scores("cnf.rheo", *hard, "--fallback-steps", steps)
            np.testing.assert_array_equal(fallen[~lost], self.scores("cnf.rheo", *hard)[~lost])
            error.append(abs(fallen - solution)[lost].max())
        self.assertTrue(all(3 < a / b < 5 for a, b in zip(error, error[1:])), error)  # of order 2
        fallback = [*hard, "--fallback-steps", 16]
        report = self.report("score", "cnf.rheo", "x.npy", *fallback)
        self.assertEqual((report["fell_back"], report["unfinished"]), (lost.sum(), 0))
        self.assertIn(f"{lost.sum()} solutions ran out of steps and went on to the end in equal ones", report["warnings"][0])
        self.assertEqual(self.report("score", "cnf.rheo", "x.npy")["fell_back"], 0)
        self.assertNotIn("fell_back", self.report("score", "nsf.rheo", "x.npy"))
        for command in (["encode", "cnf.rheo", "x.npy", "-o", "z.npy"], ["decode", "cnf.rheo", "x.npy", "-o", "d.npy"], ["sample", "cnf.rheo", "-n", 300, "-o", "s.npy"], ["check", "cnf.rheo", "x.npy"]):
            with self.subTest(command[0]):
                report = self.report(*command, *fallback)
                self.assertGreater(report["fell_back"], 0)
                self.assertIn("fallback_steps", report["warnings"][0])
        shortest = np.isnan(self.scores("cnf.rheo", "--rtol", 1e-9, "--atol", 1e-9, "--dtype", "f64", "--min-step", 0.2))
        self.assertGreater(shortest.sum(), 0)

    def test_a_fit_that_falls_back(self):
        """Tolerances that one step cannot keep: the steps of a fit go on in equal ones, are taken back exactly, and are counted."""
        hard = ["--set", "rtol=1e-9", "--set", "atol=1e-9", "--set", "max_steps=1", "--set", "fallback_steps=8", "--dtype", "f64"]
        fit = ["fit", "x.npy", "--arch", "cnf", *SMALL[:-1]]
        report = self.report(*fit, "-o", "fallen.rheo", *hard)
        self.assertGreater(report["fell_back"], 100)
        self.assertEqual(report["unfinished"], 0)
        self.assertTrue(any("went on to the end in equal ones" in w for w in report["warnings"]))
        self.assertEqual(self.report("info", "fallen.rheo")["spec"]["flow"]["parts"][0]["fallback_steps"], 8)
        equal = self.report(*fit, "-o", "equal.rheo", "--set", "solver_steps=8", "--dtype", "f64")
        self.assertAlmostEqual(report["val"], equal["val"], delta=1e-3)
        self.assertEqual((equal["fell_back"], equal["unfinished"]), (0, 0))

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
