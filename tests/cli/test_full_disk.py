"""A full disk: an error of one line, exit code 1, the old file whole, nothing else left behind."""
import os
import shlex
import subprocess
import unittest

import numpy as np

from command import RHEO, CommandTest, table


def unshare():
    """The command that gives a mount namespace of one's own, or None where this machine refuses."""
    for words in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        try:
            probe = subprocess.run([*words, "sh", "-c", "mount -t tmpfs -o size=64k none /mnt"], capture_output=True)
        except FileNotFoundError:
            return None
        if probe.returncode == 0:
            return words
    return None


class FullDisk(CommandTest):
    @classmethod
    def prepare(cls):
        cls.words = unshare()
        if not cls.words:
            raise unittest.SkipTest("mounting a tmpfs is not possible here")
        np.save(cls.path("x.npy"), table(20000, 4))
        cls.done("fit", "x.npy", "-o", "model.rheo", "--steps", 5, "-q")
        os.mkdir(cls.path("small"))

    def on_small(self, command, kilobytes):
        """Runs in a namespace where ./small is that large and holds a file out of 5 bytes; afterwards prints what lies there."""
        line = " ".join(shlex.quote(str(word)) for word in [RHEO, *command])
        script = f"mount -t tmpfs -o size={kilobytes}k none small && printf 'old!\\n' > small/out && {line}; code=$?; echo; ls small; cat small/out; exit $code"
        return subprocess.run([*self.words, "sh", "-c", script], capture_output=True, cwd=self.folder, timeout=300)

    def test_full(self):
        for command in (
            ["fit", "x.npy", "-o", "small/out", "--steps", 50, "--set", "hidden=2x128"],
            ["score", "model.rheo", "x.npy", "-o", "small/out"],
            ["sample", "model.rheo", "-n", 20000, "-o", "small/out"],
            ["encode", "model.rheo", "x.npy", "-o", "small/out"],
            ["decode", "model.rheo", "x.npy", "-o", "small/out"],
        ):
            with self.subTest(command[0]):
                run = self.on_small([*command, "-q"], 32)
                error = run.stderr.decode()
                self.assertEqual(run.returncode, 1, error)
                self.assertEqual(error.count("\n"), 1, error)
                self.assertIn("small/out", error)
                self.assertIn("No space left", error)
                self.assertEqual(run.stdout.decode(), "\nout\nold!\n")

    def test_large_enough(self):
        run = self.on_small(["score", "model.rheo", "x.npy", "-o", "small/out", "-q"], 4096)
        self.assertEqual(run.returncode, 0, run.stderr.decode())
        self.assertEqual(len(run.stdout.decode().split()), 20000 + 1)


if __name__ == "__main__":
    unittest.main()
