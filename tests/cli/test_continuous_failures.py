"""Continuous flows that cannot be solved, and tolerances that cannot be kept: what is said, what is written, how it ends."""
import json
import time
import unittest

import numpy as np

from command import CommandTest, table

FIT = ["fit", "x.npy", "--steps", 60, "--set", "hidden=12"]
FIELD = "flow.0.field."


class Failures(CommandTest):
    @classmethod
    def prepare(cls):
        np.save(cls.path("x.npy"), table(600, 3))
        cls.done(*FIT, "-o", "soft.rheo", "--arch", "cnf", "--set", "activation=softplus", "-q")
        with open(cls.path("affine.json"), "w") as file:
            json.dump({"flow": {"type": "chain", "parts": [{"type": "cnf", "field": {"type": "time_mlp", "hidden": []}}]}}, file)
        cls.done("fit", "x.npy", "-o", "affine.rheo", "--spec", "affine.json", "--steps", 20, "-q")
        cls.edit("soft.rheo", "burst.rheo", FIELD + "1.weight", lambda w: 300 * w)
        cls.edit("soft.rheo", "gone.rheo", FIELD + "1.weight", lambda w: 3e38 + 0 * w)
        cls.edit("affine.rheo", "stiff.rheo", FIELD + "0.weight", lambda w: -1e5 * np.eye(3).ravel())

    def scores(self, model, data="x.npy", *more):
        self.done("score", model, data, "-o", "s.npy", "-q", *more)
        return np.load(self.path("s.npy")).ravel()

    def test_a_field_that_blows_up(self):
        """NaN in the rows that it is true of, the same alone and in company; the others have their numbers."""
        x, all_rows = np.load(self.path("x.npy")), self.scores("burst.rheo")
        lost = np.isnan(all_rows)
        self.assertTrue(50 < lost.sum() < 590)
        self.assertTrue(np.isfinite(all_rows[~lost]).all())
        for i in (np.flatnonzero(lost)[0], np.flatnonzero(~lost)[0]):
            np.save(self.path("one.npy"), x[i : i + 1])
            np.testing.assert_array_equal(self.scores("burst.rheo", "one.npy"), all_rows[i : i + 1])
        run = self.done("score", "burst.rheo", "x.npy", "--json")
        report, text = json.loads(run.stdout.decode().splitlines()[-1]), run.stdout.decode()
        self.assertEqual((report["unfinished"], report["zero_density"], report["mean"]), (lost.sum(), 0, None))
        self.assertAlmostEqual(report["finite_mean"], all_rows[~lost].mean(dtype=float), delta=1e-9 * abs(report["finite_mean"]))
        self.assertRegex(text, rf"warning: {lost.sum()} rows have no log-density: it was not found: .*stopped after t = 0\.\d+ of T = 1; .*fit with kinetic and jacobian")
        self.assertIn(f"{lost.sum()} of 600 rows have no log-density that was found", text)
        for command in ("encode", "decode"):
            self.refused(1, "was not found|stopped after t = |of T = 1", command, "burst.rheo", "x.npy", "-o", "z.npy")
        self.refused(1, "sample: row|was not found", "sample", "burst.rheo", "-n", 100, "-o", "z.npy")
        run = self.run_rheo("check", "burst.rheo", "x.npy", "--rows", 50, "-q")
        self.assertEqual(run.returncode, 1)
        self.assertRegex(run.stderr.decode(), r"the check failed: of the rows of x.npy \d+ do not stay finite, there and back; what is solved for was not found: ")

    def test_a_field_that_is_not_finite(self):
        """Overflow at the start is known at once, and a fallback does not step over it."""
        report = self.report("score", "gone.rheo", "x.npy")
        self.assertEqual(report["unfinished"], 600)
        self.assertLess(report["evaluations_mean"], 30)
        self.assertIn("met what is no finite number; the one that came least far stopped after t = 0 of T = 1; the field blows up there: try dtype f64", report["warnings"][0])
        self.assertEqual(self.report("score", "gone.rheo", "x.npy", "--fallback-steps", 1000)["fell_back"], 0)

    def test_a_stiff_field(self):
        """Explicit steps of a decay of rate 1e5 are 3e-5 long: the cap ends them, and says where; more of them arrive."""
        began = time.monotonic()
        run = self.done("score", "stiff.rheo", "x.npy", "--max-steps", 1000, "--json")
        self.assertLess(time.monotonic() - began, 60)
        report = json.loads(run.stdout.decode().splitlines()[-1])
        self.assertEqual(report["unfinished"], 600)
        self.assertLess(report["evaluations_mean"], 1001 * 6 + 2)
        found = float(report["warnings"][0].split("stopped after t = ")[1].split(" ")[0])
        self.assertTrue(0.01 < found < 0.1, report["warnings"])  # 1,000 steps of some 3e-5
        self.assertIn("ran out of steps; the one that came least far", report["warnings"][0])
        self.assertIn("raise max_steps, loosen rtol and atol, or give (more) fallback_steps; a stiff field", report["warnings"][0])
        twice = self.report("score", "stiff.rheo", "x.npy", "--max-steps", 2000)["warnings"][0]
        self.assertAlmostEqual(float(twice.split("stopped after t = ")[1].split(" ")[0]) / found, 2, delta=0.2)
        np.save(self.path("one.npy"), np.load(self.path("x.npy"))[:1])
        self.assertLess(self.scores("stiff.rheo", "one.npy", "--max-steps", 100000)[0], -2e5)  # the trace, -3e5
        few = self.report("score", "stiff.rheo", "x.npy", "--fallback-steps", 100)["warnings"][0]  # too long to be stable
        self.assertIn("give (more) fallback_steps", few)

    def test_a_cap_that_is_hit_while_fitting(self):
        hard = ["--arch", "cnf", "--set", "max_steps=2", "--set", "rtol=1e-10", "--set", "atol=1e-10", "--dtype", "f64"]
        run = self.done(*FIT, "-o", "m.rheo", *hard, "--log", "log", "--json")
        report, text = json.loads(run.stdout.decode().splitlines()[-1]), run.stdout.decode()
        self.assertGreater(report["unfinished"], 100)
        self.assertRegex(text, rf"warning: {report['unfinished']} solutions, in \d+ rows of training steps, ran out of steps; the one that came least far stopped after t = \S+ of T = 1; .*raise max_steps")
        self.assertGreater(report["val_unfinished"], 0)
        self.assertIsNone(report["val"])
        self.assertRegex(text, rf"warning: {report['val_unfinished']} validation rows have no log-density: it was not found: a differential equation ran out of steps")
        self.assertNotIn("val_zero_density", report)
        last = [json.loads(line) for line in self.text_of("log").splitlines()][-1]
        self.assertEqual((last["event"], last["unfinished"], last["val_unfinished"]), ("done", report["unfinished"], report["val_unfinished"]))
        again = self.report(*FIT, "-o", "m.rheo", *hard, "--resume")
        self.assertTrue(again["already_done"])
        self.assertEqual((again["unfinished"], again["val_unfinished"]), (report["unfinished"], report["val_unfinished"]))
        self.assertFalse([w for w in self.report(*FIT, "-o", "m.rheo", "--arch", "cnf")["warnings"] if "steps" in w])

    def test_tolerances(self):
        raised = {"f32": "finer than f32 keeps: solved with rtol 4.8e-07 instead; give dtype f64, which keeps 8.9e-16", "f64": "finer than f64 keeps: solved with rtol 8.9e-16 instead"}
        for rtol, dtype, warned in ((0, "f32", True), (1e-12, "f32", True), (1e-6, "f32", False), (1e-12, "f64", False), (1e-17, "f64", True), (0, "f64", True)):
            for command in (["score", "soft.rheo", "x.npy"], ["encode", "soft.rheo", "x.npy", "-o", "z.npy"], ["check", "soft.rheo", "x.npy", "--rows", 20]):
                with self.subTest(rtol=rtol, dtype=dtype, command=command[0]):
                    warnings = self.report(*command, "--rtol", rtol, "--dtype", dtype).get("warnings", [])
                    self.assertEqual([raised[dtype] in w for w in warnings], [True] if warned else [])
        np.testing.assert_array_equal(self.scores("soft.rheo", "x.npy", "--rtol", 0), self.scores("soft.rheo", "x.npy", "--rtol", 2.0**-21))
        for options, words in ((["--rtol", -1], "--rtol -1: give a number from 0 to 0.1"), (["--rtol", "nan"], "--rtol nan: give a number"), (["--atol", 0], "options.atol: 0 is out of range, it must be 1e-300 to 0.1"), (["--atol", -1e-9], "--atol -1e-09: give a number"), (["--rtol", 1], "from 0 to 0.1"), (["--min-step", -1], "--min-step -1"), (["--max-steps", 0], "--max-steps 0"), (["--fallback-steps", -1], "--fallback-steps -1")):
            with self.subTest(str(options)):
                self.refused(2, words, "score", "soft.rheo", "x.npy", *options)
        self.assertIn(raised["f32"], self.report(*FIT, "-o", "m.rheo", "--arch", "cnf", "--set", "rtol=1e-12", "--set", "training_tolerance=0")["warnings"][0])
        for key, value in (("rtol", -1), ("rtol", "NaN"), ("atol", 0), ("atol", -1), ("min_step", -1), ("fallback_steps", -1), ("max_steps", 0)):
            with self.subTest(key=key, value=value):
                self.refused(2, f"cnf.{key}", *FIT, "-o", "n.rheo", "--arch", "cnf", "--set", f"{key}={value}")


if __name__ == "__main__":
    unittest.main()
