"""On a terminal a fit shows a bar, and nothing of it stays."""
import os
import pty
import subprocess
import unittest

import numpy as np

from command import RHEO, CommandTest, table


class Terminal(CommandTest):
    @classmethod
    def prepare(cls):
        np.save(cls.path("x.npy"), table(2000, 3))

    def on_terminal(self, *args):
        """What the command writes to standard error, a terminal; its exit code."""
        try:
            ours, theirs = pty.openpty()
        except OSError as problem:  # a chroot without /dev/pts
            raise unittest.SkipTest(f"no terminal to be had: {problem}")
        run = subprocess.Popen([RHEO, *args], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        text = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # how a terminal says that nobody writes any more
                break
            if not piece:
                break
            text += piece
        os.close(ours)
        return text.decode(), run.wait(timeout=60)

    def test_bar(self):
        text, code = self.on_terminal("fit", "x.npy", "-o", "m.rheo", "--epochs", "5")
        self.assertEqual(code, 0)
        for word in ("\r[", "%", "epoch", "loss", "val", "rows/s", "left"):
            self.assertIn(word, text)
        self.assertNotIn("\n", text)
        self.assertTrue(text.endswith("\r\033[K"), repr(text[-40:]))

    def test_bar_of_a_continuous_flow(self):
        text, code = self.on_terminal("fit", "x.npy", "-o", "m.rheo", "--arch", "rnode", "--steps", "12", "--set", "hidden=8")
        self.assertEqual(code, 0)
        self.assertIn(" evals/row 32 + 32 ", text)  # 8 steps of rk4, each taken back
        self.assertNotIn("out of steps", text)
        text, code = self.on_terminal("fit", "x.npy", "-o", "m.rheo", "--arch", "cnf", "--steps", "12", "--set", "hidden=8", "--set", "max_steps=2", "--set", "rtol=1e-6", "--set", "atol=1e-6")
        self.assertEqual(code, 0)
        self.assertRegex(text, r" evals/row \d+ \+ \d+, \d+ out of steps ")

    def test_quiet(self):
        self.assertEqual(self.on_terminal("fit", "x.npy", "-o", "m.rheo", "--epochs", "2", "-q"), ("", 0))

    def test_an_error_stands_alone(self):
        text, code = self.on_terminal("fit", "nowhere.npy", "-o", "m.rheo")
        self.assertEqual(code, 1)
        self.assertRegex(text, r"^rheo: nowhere\.npy: [^\n]*\r\n$")


if __name__ == "__main__":
    unittest.main()
