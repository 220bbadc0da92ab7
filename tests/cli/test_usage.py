"""Arguments, help, the man page."""
import os
import unittest

import numpy as np

from command import ROOT, CommandTest, table

COMMANDS = ("fit", "score", "sample", "encode", "decode", "info", "check")


class Usage(CommandTest):
    @classmethod
    def prepare(cls):
        np.save(cls.path("x.npy"), table(100, 2))

    def test_version_and_help(self):
        self.assertRegex(self.done("--version").stdout.decode(), r"^rheo \d+\.\d+\.\d+\n$")
        usage = self.done("--help").stdout.decode()
        for command in COMMANDS:
            self.assertIn(f"\n  {command} ", usage)
            text = self.done(command, "--help").stdout.decode()
            self.assertTrue(text.startswith(f"usage: rheo {command} "))
            for option in ("--json", "--threads", "--isa", "--quiet"):
                self.assertIn(option, text)
            self.assertTrue(all(len(line) <= 80 for line in text.splitlines()), text)
            self.assertEqual(self.done("help", command).stdout.decode(), text)

    def test_man_page(self):
        with open(os.path.join(ROOT, "docs", "rheo.1")) as file:
            self.assertEqual(file.read(), self.done("--man").stdout.decode(), "docs/rheo.1 is stale: rheo --man > docs/rheo.1")

    def test_wrong_usage(self):
        run = self.run_rheo()
        self.assertEqual(run.returncode, 2)
        for words, args in {
            "unknown command|fits": ["fits"],
            "--epoch|--epochs": ["fit", "x.npy", "-o", "m", "--epoch", 3],
            "-z": ["fit", "x.npy", "-z"],
            "argument is missing": ["score", "model"],
            "one argument too many|third": ["score", "model", "data", "third"],
            "value is missing|--epochs": ["fit", "x.npy", "-o", "m", "--epochs"],
            "takes no value": ["fit", "x.npy", "-o", "m", "--resume=yes"],
            "--epochs|integer": ["fit", "x.npy", "-o", "m", "--epochs", "3.5"],
            "--epochs|-3": ["fit", "x.npy", "-o", "m", "--epochs", "-3"],
            "--epochs|0": ["fit", "x.npy", "-o", "m", "--epochs", "0"],
            "--seed": ["fit", "x.npy", "-o", "m", "--seed", "-1"],
            "--steps|99999999999999999999": ["fit", "x.npy", "-o", "m", "--steps", "99999999999999999999"],
            "--time|soon": ["fit", "x.npy", "-o", "m", "--time", "soon"],
            "--time|10x": ["fit", "x.npy", "-o", "m", "--time", "10x"],
            "--dtype|f16|f32": ["fit", "x.npy", "-o", "m", "--dtype", "f16"],
            "--handle|maybe": ["fit", "x.npy", "-o", "m", "--handle", "maybe"],
            "--set|key=value": ["fit", "x.npy", "-o", "m", "--set", "lr"],
            "--set|lr=": ["fit", "x.npy", "-o", "m", "--set", "lr="],
            "where should the model go|-o": ["fit", "x.npy"],
            "-n": ["sample", "m", "-o", "out"],
            "-o": ["sample", "m", "-n", "3"],
            "--count|-3": ["sample", "m", "-n", "-3", "-o", "out"],
            "--temperature|-1": ["sample", "m", "-n", "3", "-o", "out", "--temperature", "-1"],
            "--threads|100000": ["fit", "x.npy", "-o", "m", "--threads", "100000"],
        }.items():
            with self.subTest(" ".join(map(str, args))):
                self.refused(2, words, *args)
        self.refused(2, "standard output", "fit", "x.npy", "-o", "-", "--json")
        for command in (["score", "m", "x.npy"], ["encode", "m", "x.npy"], ["decode", "m", "x.npy"], ["sample", "m", "-n", "3"]):
            self.refused(2, f"{command[0]}|standard output|--json", *command, "-o", "-", "--json")
        self.refused(2, "standard input", "fit", "-", "--val", "-", "-o", "m")

    def test_unknown_isa(self):
        run = self.run_rheo("fit", "x.npy", "-o", "m", "--isa", "v9")
        self.assertIn(run.returncode, (1, 2))
        self.assertIn(b"ref", run.stderr)

    def test_forms_of_options(self):
        self.done("fit", "x.npy", "-om.rheo", "--epochs=2", "-q", "--time", "1h30m", "--seed", "7")
        self.done("sample", "-n3", "m.rheo", "-o", "out.csv", "-q")
        self.done("score", "-q", "--", "m.rheo", "x.npy")


if __name__ == "__main__":
    unittest.main()
