"""docs/options.md and the source say the same: every key of the page is taken, every key of the source is on the page."""
import os
import re
import unittest

from command import ROOT, CommandTest, table, write_csv

OWN = {"epochs", "steps", "seconds", "seed", "flip"}  # options of the command, not of --set
VALUES = {"residual": "true", "layers": "2", "hidden": "8", "blocks": "1", "lu": "true", "actnorm": "true", "batch": "64", "weight_decay": "0.1", "patience": "3"}
ARCH = {"order": "maf", "bins": "nsf", "box": "nsf"}  # options that only some architectures have
ODE = {"field", "residual", "time", "solver", "solver_steps", "rtol", "atol", "max_steps", "min_step", "fallback_steps", "training_steps", "training_solver", "training_tolerance", "gradient", "trace", "probe", "kinetic", "jacobian", "straight"}
ARCH |= {key: "cnf" for key in ODE}


def page():
    with open(os.path.join(ROOT, "docs", "options.md")) as file:
        rows, keys = [], False
        for line in file:
            if line.startswith("| ") and not line.startswith("| `"):
                keys = line.startswith("| key ")
            elif line.startswith("| `") and keys:
                rows.append([cell.strip() for cell in line.strip().strip("|").split(" | ")])
        return rows


def source(path):
    with open(os.path.join(ROOT, path)) as file:
        return set(re.findall(r"rh_options_[a-z]+\(&?o, \"([a-z0-9_]+)\"", file.read()))


class Options(CommandTest):
    @classmethod
    def prepare(cls):
        write_csv(cls.path("t.csv"), table(200, 3))

    def test_the_page_has_every_key_and_no_other(self):
        known = source("src/density/arch_stack.c") | source("src/density/arch_flow_ode.c") | source("src/density/architectures.c") | (source("src/train/recipe.c") - OWN)
        self.assertEqual({row[0].strip("`") for row in page()}, known)

    def test_every_key_is_taken_and_nonsense_is_not(self):
        for row in page():
            key = row[0].strip("`")
            choices = re.findall(r"`([^`]+)`", row[2])
            for value in choices or [VALUES.get(key) or re.match(r"[0-9.e-]+", row[1]).group()]:
                with self.subTest(key=key, value=value):
                    extra = ["--set", "net=residual"] if key == "blocks" else []
                    extra += ["--set", "solver_steps=2"] if key == "solver" else []
                    extra += ["--arch", ARCH.get(key, "realnvp")]
                    self.done("fit", "t.csv", "-o", "m", "--steps", "2", "-q", "--set", "layers=2", "--set", "hidden=8", *extra, "--set", f"{key}={value}")
            with self.subTest(key=key, value="nonsense"):
                self.refused(2, key, "fit", "t.csv", "-o", "m", "--arch", ARCH.get(key, "realnvp"), "--steps", "2", "-q", "--set", f"{key}=nonsense")

    def test_an_order_may_be_a_list(self):
        small = ["-q", "--steps", "5", "--set", "layers=2", "--set", "hidden=8", "--arch", "maf", "--set", "lu=false"]
        self.done("fit", "t.csv", "-o", "o.rheo", *small, "--set", "order=[2,0,1]")
        parts = self.report("info", "o.rheo", "-q")["spec"]["flow"]["parts"]
        self.assertEqual([p["order"] for p in parts], [[2, 0, 1], [2, 0, 1]])
        self.refused(2, "maf.order: column 2 comes twice", "fit", "t.csv", "-o", "m", *small, "--set", "order=[2,0,2]")
        self.refused(2, "maf.order: 2 columns of 3", "fit", "t.csv", "-o", "m", *small, "--set", "order=[1,0]")
        self.refused(2, "maf.order: number 2: columns are whole numbers 0 to 2", "fit", "t.csv", "-o", "m", *small, "--set", "order=[1,2,3]")
        self.refused(2, "maf.order: number 0", "fit", "t.csv", "-o", "m", *small, "--set", "order=[0.5,1,2]")


if __name__ == "__main__":
    unittest.main()
