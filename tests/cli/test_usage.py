"""Arguments, help, the man page."""
import os
import unittest

import numpy as np

from command import ROOT, CommandTest, table

COMMANDS = ("fit", "score", "sample", "encode", "decode", "info", "check", "compare", "detect", "ensemble", "interpolate", "attribute", "reconstruct", "plot")


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
            "--dtype|give one of": ["fit", "x.npy", "-o", "m", "--dtype", "f32|f64"],
            "--dtype |give one of": ["fit", "x.npy", "-o", "m", "--dtype", ""],
            "hidden=2x0|at least 1": ["fit", "x.npy", "-o", "m", "--set", "hidden=2x0"],
            "hidden=65x4|1 to 64": ["fit", "x.npy", "-o", "m", "--set", "hidden=65x4"],
            "hidden=0x4|1 to 64": ["fit", "x.npy", "-o", "m", "--set", "hidden=0x4"],
            "lr=1e400|too large": ["fit", "x.npy", "-o", "m", "--set", "lr=1e400"],
            "lr=-1e400|too large": ["fit", "x.npy", "-o", "m", "--set", "lr=-1e400"],
            "lr=[1,2|JSON|']'": ["fit", "x.npy", "-o", "m", "--set", "lr=[1,2"],
            "layers|1e+18": ["fit", "x.npy", "-o", "m", "--set", "layers=1e18"],
            "lr|'fast'": ["fit", "x.npy", "-o", "m", "--set", "lr=fast"],
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

    def test_one_clean_line(self):
        self.refused(2, "unknown command a?b?c", "a\nb\x1bc")
        self.refused(2, "--x?y", "fit", "x.npy", "--x\ny")
        self.refused(2, "--epochs 3?4", "fit", "x.npy", "-o", "m", "--epochs", "3\r4")
        self.refused(1, "no?where", "score", "no\nwhere", "x.npy")
        self.refused(2, "command ??x; ", b"\xff\xfex".decode("utf-8", "surrogateescape"))
        self.refused(2, "command ?;", "\u009b")
        self.refused(2, "command \u00e4\u4e2d\U0001f600;", "\u00e4\u4e2d\U0001f600")
        for shift in range(4):  # cut anywhere: still UTF-8, which refused() decodes
            for letter in ("\u00e4", "\u4e2d", "\U0001f600"):
                self.refused(2, letter * 10, "a" * shift + letter * 50)
                self.refused(2, letter * 10, "fit", "x.npy", "-o", "m", "--epochs", "a" * shift + letter * 50)
                self.refused(2, letter * 10, "fit", "x.npy", "-o", "m", "--set", "a" * shift + letter * 200 + "=1")

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
