"""Ctrl-C ends a fit cleanly; kill -9 and --resume give the bytes of a run that was never stopped."""
import json
import os
import random
import signal
import subprocess
import time
import unittest

import numpy as np

from command import RHEO, CommandTest, table

KILLS = 20
FIT = ["--epochs", "40", "--seed", "5", "-q", "--set", "hidden=2x64", "--set", "patience=0"]


class Interrupt(CommandTest):
    @classmethod
    def prepare(cls):
        np.save(cls.path("x.npy"), table(4000, 5))
        began = time.monotonic()
        cls.done("fit", "x.npy", "-o", "whole.rheo", *FIT)
        cls.whole_seconds = time.monotonic() - began
        with open(cls.path("whole.rheo"), "rb") as file:
            cls.whole = file.read()

    def start(self, *args):
        return subprocess.Popen([RHEO, *map(str, args)], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)

    def test_ctrl_c(self):
        self.done("fit", "x.npy", "-o", "asked.rheo", "--steps", 2, "-q")
        old = self.bytes_of("asked.rheo")
        run = self.start("fit", "x.npy", "-o", "asked.rheo", "--epochs", 100000, "--set", "patience=0", "--seed", 5, "-q", "--json")
        time.sleep(2)
        run.send_signal(signal.SIGINT)
        out, error = run.communicate(timeout=30)
        self.assertEqual((run.returncode, error), (0, b""))
        report = json.loads(out)
        self.assertEqual(report["stopped"], "interrupted")
        self.assertNotEqual(self.bytes_of("asked.rheo"), old)
        self.assertAlmostEqual(self.report("score", "asked.rheo", "x.npy", "-q")["mean"], report["val"], delta=1.0)
        self.assertTrue(os.path.exists(self.path("asked.rheo.ckpt")))

    def test_ctrl_c_leaves_no_part_of_an_output(self):
        np.save(self.path("long.npy"), np.zeros((3000000, 5), np.float32))
        with open(self.path("kept.npy"), "wb") as file:
            file.write(b"old")
        for number in (signal.SIGINT, signal.SIGTERM):
            for command in (["sample", "whole.rheo", "-n", 100000000], ["score", "whole.rheo", "long.npy"], ["encode", "whole.rheo", "long.npy"], ["decode", "whole.rheo", "long.npy"]):
                run = self.start(*command, "-o", "kept.npy")
                while run.poll() is None and not os.path.exists(self.path("kept.npy.rheo-part")):
                    time.sleep(0.005)
                run.send_signal(number)
                out, error = run.communicate(timeout=60)
                self.assertEqual((run.returncode, out, error), (-number, b"", b"rheo: interrupted: an output file is as it was\n"), command)
                self.assertEqual([n for n in os.listdir(self.folder) if n.startswith("kept")], ["kept.npy"], command)
                self.assertEqual(self.bytes_of("kept.npy"), b"old")
        os.unlink(self.path("long.npy"))

    def test_ctrl_c_and_resume(self):
        run = self.start("fit", "x.npy", "-o", "later.rheo", *FIT)
        time.sleep(0.4 * self.whole_seconds)
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=30)
        self.assertEqual(run.returncode, 0)
        self.done("fit", "x.npy", "-o", "later.rheo", *FIT, "--resume")
        self.assertEqual(self.bytes_of("later.rheo"), self.whole)
        self.assertFalse(os.path.exists(self.path("later.rheo.ckpt")))

    def test_kill_and_resume(self):
        places = random.Random(1)
        whole = self.whole_seconds
        for i in range(KILLS):
            for _ in range(50):  # until the kill comes before the run's end
                share = 0.3 + 0.6 * (i + places.random()) / KILLS
                run = self.start("fit", "x.npy", "-o", "killed.rheo", *FIT)
                time.sleep(share * whole)
                run.kill()
                run.communicate()
                if run.returncode == -signal.SIGKILL:
                    break
                self.assertEqual(self.bytes_of("killed.rheo"), self.whole)
                os.unlink(self.path("killed.rheo"))
                whole *= 0.9  # it was faster than the run that was timed
            self.assertEqual(run.returncode, -signal.SIGKILL)
            if os.path.exists(self.path("killed.rheo")):
                self.assertEqual(self.bytes_of("killed.rheo"), self.whole)
            threads = 1 + i % 3
            self.done("fit", "x.npy", "-o", "killed.rheo", *FIT, "--resume", "--threads", threads)
            self.assertEqual(self.bytes_of("killed.rheo"), self.whole, f"killed at {share:.0%}")
            self.assertEqual(sorted(n for n in os.listdir(self.folder) if n.startswith("killed")), ["killed.rheo"])
            os.unlink(self.path("killed.rheo"))

    def test_resuming_late_is_short(self):
        epochs = 200  # long enough for the kill to come before the end
        fit = [*FIT, "--epochs", epochs]
        self.done("fit", "x.npy", "-o", "long.rheo", *fit)
        for _ in range(10):
            run = self.start("fit", "x.npy", "-o", "late.rheo", *fit, "--log", "late.jsonl")
            while run.poll() is None:  # until 80 % of the epochs are done and kept
                time.sleep(0.005)
                text = self.text_of("late.jsonl") if os.path.exists(self.path("late.jsonl")) else ""
                events = [json.loads(line) for line in text.split("\n")[:-1]]
                if max((e["epoch"] for e in events if e["event"] == "checkpoint"), default=0) >= 0.8 * epochs:
                    run.kill()
                    break
            run.communicate()
            if run.returncode == -signal.SIGKILL:
                break
            os.unlink(self.path("late.rheo"))
        self.assertEqual(run.returncode, -signal.SIGKILL)
        self.done("fit", "x.npy", "-o", "late.rheo", *fit, "--resume", "--log", "rest.jsonl")
        rest = {json.loads(line).get("epoch", 0) for line in self.text_of("rest.jsonl").split("\n")[:-1]} - {0}
        self.assertTrue(rest)
        self.assertLess(len(rest), 0.4 * epochs)
        self.assertEqual(self.bytes_of("late.rheo"), self.bytes_of("long.rheo"))

    def test_resume_without_a_checkpoint_and_when_finished(self):
        self.done("fit", "x.npy", "-o", "fresh.rheo", *FIT, "--resume")
        self.assertEqual(self.bytes_of("fresh.rheo"), self.whole)
        stamp = os.stat(self.path("fresh.rheo")).st_mtime_ns
        self.assertTrue(self.report("fit", "x.npy", "-o", "fresh.rheo", *FIT, "--resume")["already_done"])
        self.assertEqual(os.stat(self.path("fresh.rheo")).st_mtime_ns, stamp)

    def test_resume_of_another_fit_is_refused(self):
        run = self.start("fit", "x.npy", "-o", "other.rheo", *FIT, "--epochs", 100000)
        time.sleep(2)
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=30)
        self.refused(2, "other.rheo.ckpt|another fit", "fit", "x.npy", "-o", "other.rheo", "--epochs", 41, "-q", "--resume")


if __name__ == "__main__":
    unittest.main()
