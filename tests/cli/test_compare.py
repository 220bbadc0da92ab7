"""rheo compare: the same rows and bytes as fits, paired errors, ties, failures in a row, Ctrl-C."""
import json
import math
import os
import re
import signal
import subprocess
import time
import unittest

import numpy as np

from command import RHEO, CommandTest, table

EPOCHS = ["--epochs", "4"]


def without_seconds(report):
    if isinstance(report, dict):
        return {key: without_seconds(value) for key, value in report.items() if key not in ("seconds",)}
    return [without_seconds(item) for item in report] if isinstance(report, list) else report


class Compare(CommandTest):
    @classmethod
    def prepare(cls):
        np.save(cls.path("x.npy"), table(1500, 3))
        np.save(cls.path("val.npy"), table(400, 3, seed=2))
        np.save(cls.path("test.npy"), table(300, 3, seed=3))
        cls.files = ["x.npy", "--val", "val.npy", "--test", "test.npy"]
        cls.both = cls.report("compare", *cls.files, "--arch", "realnvp,nice", "--all", "each", "-o", "best.rheo", *EPOCHS, "-q")

    def rows(self, model, name):
        self.done("score", model, name, "-o", "rows.npy", "-q")
        return np.load(self.path("rows.npy")).ravel().astype(float)

    def test_models_are_those_of_fits(self):
        for arch in ("realnvp", "nice"):
            self.done("fit", *self.files, "--arch", arch, "-o", "alone.rheo", *EPOCHS, "-q")
            self.assertEqual(self.bytes_of("alone.rheo"), self.bytes_of(f"each-{arch}.rheo"))
        self.assertEqual(self.bytes_of("best.rheo"), self.bytes_of(f"each-{self.both['best']}.rheo"))

    def test_order_and_paired_errors(self):
        first, second = self.both["candidates"]
        self.assertEqual(first["name"], self.both["best"])
        self.assertGreater(first["val"], second["val"])
        self.assertNotIn("difference", first)
        for part, file, prefix in (("val", "val.npy", ""), ("test", "test.npy", "test_")):
            a, b = (self.rows(f"each-{c['name']}.rheo", file) for c in (first, second))
            self.assertAlmostEqual(first[part], a.mean(), places=5)
            self.assertAlmostEqual(second[f"{prefix}difference"], (b - a).mean(), places=5)
            self.assertAlmostEqual(second[f"{prefix}difference_stderr"], (b - a).std(ddof=1) / math.sqrt(len(a)), places=5)
        self.assertEqual(second["tie"], abs(second["difference"]) <= 2 * second["difference_stderr"])
        self.assertEqual((self.both["train_rows"], self.both["val_rows"], self.both["test_rows"]), (1500, 400, 300))

    def test_same_again_for_any_threads(self):
        again = self.report("compare", *self.files, "--arch", "realnvp,nice", "-o", "again.rheo", "--threads", 3, *EPOCHS, "-q")
        self.assertEqual(without_seconds(again), without_seconds(self.both))
        self.assertEqual(self.bytes_of("again.rheo"), self.bytes_of("best.rheo"))

    def test_every_architecture_by_default(self):
        known = {c["name"] for c in self.report("compare", "x.npy", "--steps", 2, "-q")["candidates"]}
        self.assertLessEqual({"realnvp", "nice"}, known)

    def test_a_candidate_and_itself_with_other_seeds(self):
        report = self.report("compare", *self.files, "--arch", "nice", "--seeds", 2, "--all", "seeds", *EPOCHS, "-q")
        self.assertEqual(report["candidates"][0]["seeds"], 2)
        means = []
        for seed in (0, 1):
            self.done("fit", *self.files, "--arch", "nice", "--seed", seed, "-o", f"seed-{seed}.rheo", *EPOCHS, "-q")
            means.append(self.rows(f"seed-{seed}.rheo", "val.npy").mean())
        self.assertAlmostEqual(report["candidates"][0]["val"], sum(means) / 2, places=5)
        best = max((0, 1), key=lambda s: means[s])
        self.assertEqual(self.bytes_of("seeds-nice.rheo"), self.bytes_of(f"seed-{best}.rheo"))

    def test_a_failure_stays_in_its_row(self):
        report = self.report("compare", *self.files, "--arch", "nice,realnvp", "--set", "bound=1", *EPOCHS, "-q")
        self.assertEqual(report["best"], "realnvp")  # nice has no bound
        self.assertIn("bound", report["candidates"][1]["error"])
        said = self.done("compare", *self.files, "--arch", "nice,realnvp", "--set", "bound=1", *EPOCHS).stdout.decode()
        self.assertRegex(said, r"\nnice +failed: .*bound")
        huge = table(1500, 3)
        self.refused(2, "realnvp|lr", "compare", "x.npy", "--arch", "realnvp", "--set", "lr=fast", "-q", *EPOCHS)
        self.assertTrue(np.isfinite(huge).all())

    def test_a_budget_of_time_is_shared(self):
        report = self.report("compare", *self.files, "--arch", "realnvp,nice", "--time", "2s", "--set", "patience=0", "-q")
        for candidate in report["candidates"]:
            self.assertAlmostEqual(candidate["seconds"], 1, delta=0.5)
        self.assertEqual(report["budget_seconds"], 2)

    def fits_told(self, *args):
        """The report, and what standard error tells of each fit: (number, candidates, round, rounds, name, seconds, validation)."""
        run = self.done("compare", *self.files, *args, "--json", "--set", "patience=0", "--set", "layers=2", "--set", "hidden=16")
        told = re.findall(r"^\[(\d+)/(\d+)(?:, round (\d) of (\d))?\] (\S+), seed 0(?:, (\S+) s)?\n  val (\S+) after", run.stderr.decode(), re.M)
        report = json.loads(run.stdout.decode().splitlines()[-1])
        return report, [(int(n), int(of), int(at or 0), int(rounds or 0), name, float(seconds or 0), float(val)) for n, of, at, rounds, name, seconds, val in told]

    def test_a_second_round_of_the_best_third(self):
        budget = 12  # shares of 1.5 seconds: what a busy machine overruns them by is small beside that
        report, told = self.fits_told("--arch", "realnvp,nice,maf,nsf-coupling", "--time", budget, "--all", "round", "-o", "rounds.rheo")
        first, second = ([fit for fit in told if fit[2] == at] for at in (1, 2))
        n = len(report["candidates"])
        self.assertEqual(len(first) + len(second), len(told))
        self.assertEqual([fit[:4] for fit in first], [(i + 1, n, 1, 2) for i in range(n)])
        self.assertEqual([fit[:4] for fit in second], [(i + 1, max(2, n // 3), 2, 2) for i in range(max(2, n // 3))])
        for fit in first:  # half of the time is theirs, in equal shares
            self.assertAlmostEqual(fit[5], budget / 2 / n, delta=0.001)
        for fit in second:  # and what was left, in equal shares
            self.assertEqual(fit[5], second[0][5])
            self.assertGreater(fit[5], 1.5 * first[0][5])
            self.assertLess(fit[5], budget / 2 / len(second) + 0.01)
        before, after = ({fit[4]: fit[6] for fit in fits} for fits in (first, second))
        self.assertEqual([before[name] for name in after], sorted(before.values(), reverse=True)[:len(second)])  # the best of the first round, best first
        for candidate in report["candidates"]:  # the better of both fits counts
            name = candidate["name"]
            self.assertAlmostEqual(candidate["val"], max(before[name], after.get(name, -math.inf)), delta=1e-3)
            if after.get(name) != before[name]:
                self.assertEqual(candidate["round"], 2 if after.get(name, -math.inf) > before[name] else 1)
        self.assertIn(2, [candidate["round"] for candidate in report["candidates"]])
        self.assertEqual(self.bytes_of("rounds.rheo"), self.bytes_of(f"round-{report['best']}.rheo"))
        self.assertLess(report["seconds"], budget + 3)

    def test_no_second_round_for_fits_that_ended_by_themselves(self):
        report, told = self.fits_told("--arch", "realnvp,nice,maf,nsf-coupling", "--time", 60, "--steps", 4)
        self.assertEqual([fit[:4] for fit in told], [(i + 1, 4, 1, 2) for i in range(4)])
        self.assertEqual({candidate["round"] for candidate in report["candidates"]}, {1})
        self.assertLess(report["seconds"], 30)

    def test_no_second_round_of_three(self):
        report, told = self.fits_told("--arch", "realnvp,nice,maf", "--time", 1.5)
        self.assertEqual([fit[:4] for fit in told], [(i + 1, 3, 0, 0) for i in range(3)])
        for fit in told:
            self.assertAlmostEqual(fit[5], 0.5, delta=0.001)

    def test_words(self):
        run = self.done("compare", *self.files, "--arch", "realnvp,nice", *EPOCHS)
        lines = [line for line in run.stdout.decode().splitlines()]
        self.assertRegex("\n".join(lines), r"candidate +val, nats a row +to the best +test")
        self.assertRegex(run.stderr.decode(), r"^\[1/2\] realnvp, seed 0\n  val -?[0-9.]+ after 4 epochs")

    def test_ctrl_c_keeps_what_is_done(self):
        run = subprocess.Popen([RHEO, "compare", "x.npy", "--arch", "realnvp,nice", "--epochs", "100000", "--set", "patience=0", "-o", "cut.rheo", "-q", "--json"], cwd=self.folder,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(1.5)
        run.send_signal(signal.SIGINT)
        out, error = run.communicate(timeout=60)
        self.assertEqual((run.returncode, error), (0, b""))
        report = json.loads(out)
        self.assertTrue(report["interrupted"])
        self.assertEqual([("error" in c) for c in report["candidates"]], [False, True])
        self.assertTrue(os.path.exists(self.path("cut.rheo")))

    def test_bad_use(self):
        self.refused(2, "relnvp|did you mean 'realnvp'", "compare", "x.npy", "--arch", "relnvp", "-q")
        self.refused(2, "given twice", "compare", "x.npy", "--arch", "nice,nice", "-q")
        self.refused(2, "standard output", "compare", "x.npy", "-o", "-")
        self.refused(2, "x.npy|another name", "compare", "x.npy", "-o", "x.npy", "-q")
        np.save(self.path("few.npy"), table(10, 2))
        self.refused(1, "no validation rows", "compare", "few.npy", "-q")
        self.refused(1, "nowhere", "compare", "x.npy", "-o", "nowhere/m.rheo", "-q")
        os.unlink(self.path("few.npy"))


if __name__ == "__main__":
    unittest.main()
