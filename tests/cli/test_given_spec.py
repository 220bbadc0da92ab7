"""rheo fit --spec: flows that no architecture writes, from the file to samples; and what is said of bad specifications."""
import json
import math
import os
import re
import signal
import subprocess
import time
import unittest

import numpy as np

from command import RHEO, ROOT, CommandTest, table, write_csv

NET = {"type": "mlp", "hidden": [16]}
LOGISTICS = {"type": "mixture-of-logistics", "components": 4}
GRAPH = [[], [0], [0], [1, 2]]
BOUNDED = {"type": "rqs", "tails": "bounded", "box": 1}
CIRCLE = {"type": "rqs", "tails": "circular", "box": math.pi}
STEPS = ["-q", "--steps", "200"]


def coupling(mask, transform):
    return {"type": "coupling", "mask": mask, "transform": transform, "net": NET}


def chain(*parts):
    return {"type": "chain", "parts": list(parts)}


def diamond(rows, seed):
    """Columns 1 and 2 depend on 0, and 3 on both."""
    rng = np.random.default_rng(seed)
    e = rng.standard_normal((rows, 4))
    a = e[:, 0]
    b, c = np.sin(2 * a) + 0.3 * e[:, 1], a**2 / 2 + 0.3 * e[:, 2]
    return np.stack([a, b, c, b * c + 0.3 * e[:, 3]], 1)


def angles(rows, seed):
    rng = np.random.default_rng(seed)
    a = rng.vonmises(math.pi, 1.0, rows)  # most of them about the seam
    return np.stack([a, (a + rng.vonmises(0.5, 8.0, rows) + math.pi) % (2 * math.pi) - math.pi], 1)


SPECS = {
    "logistics": {"flow": chain(coupling("half", LOGISTICS), coupling("swap", LOGISTICS)), "base": {"type": "normal"}},
    "circular": {
        "preprocess": [],
        "flow": chain(coupling([0], CIRCLE), coupling([1], CIRCLE)),
        "base": {"type": "uniform", "low": -math.pi, "high": math.pi},
    },
    "graph": {"flow": {"type": "autoregressive", "graph": GRAPH, "transform": "rqs", "net": {"hidden": [24]}}, "base": {"type": "normal"}},
    "linear": {
        "flow": chain({"type": "householder"}, coupling("half", "affine"), {"type": "qr"}, coupling("swap", "affine")),
        "base": {"type": "student-t"},
    },
    "box": {
        "preprocess": [{"type": "standardize", "mean": 0.5, "scale": 0.5}],
        "flow": chain(coupling("half", BOUNDED), coupling("swap", BOUNDED)),
        "base": {"type": "uniform"},
    },
    "mixture": {"mixture": [{"flow": chain({"type": "lu"}), "base": {"type": "normal", "learn": True, "spread": 0.5}}] * 2},
    "histogram": {"flow": {"type": "elementwise", "transform": "linear-spline"}},
}
DATA = {"logistics": "t.npy", "circular": "angles.npy", "graph": "diamond.npy", "linear": "t.npy", "box": "box.npy", "mixture": "t.npy", "histogram": "t.npy"}


class GivenSpec(CommandTest):
    @classmethod
    def prepare(cls):
        rng = np.random.default_rng(3)
        np.save(cls.path("t.npy"), table(2000, 3))
        np.save(cls.path("angles.npy"), angles(2000, 1))
        np.save(cls.path("diamond.npy"), diamond(2000, 1))
        u = rng.beta(2, 5, 2000)
        np.save(cls.path("box.npy"), np.stack([u, rng.beta(1 + 4 * u, 1 + 4 * (1 - u))], 1))
        write_csv(cls.path("named.csv"), table(500, 3), ["a", "b", "c"])
        for name, spec in SPECS.items():
            cls.write(f"{name}.json", spec)
            cls.done("fit", DATA[name], "--spec", f"{name}.json", "-o", f"{name}.rheo", *STEPS)

    @classmethod
    def write(cls, name, spec):
        with open(cls.path(name), "w") as file:
            file.write(spec if isinstance(spec, str) else json.dumps(spec))
        return name

    def logp(self, model, data):
        self.done("score", model, data, "-o", "logp.npy", "-q")
        return np.load(self.path("logp.npy")).ravel().astype(float)

    def sample(self, model, n=4000):
        self.done("sample", model, "-n", n, "-o", "s.npy", "-q")
        return np.load(self.path("s.npy")).astype(float)

    def test_every_part_is_in_the_model(self):
        for name, spec in SPECS.items():
            with self.subTest(name):
                info = self.report("info", f"{name}.rheo", "-q")
                self.assertEqual(info["arch"], "custom")
                want = [p["type"] for p in spec.get("flow", {}).get("parts", [])]
                if want:
                    self.assertEqual([p["type"] for p in info["spec"]["flow"]["parts"]], want)
                if "preprocess" in spec:
                    self.assertEqual(len(info["spec"]["preprocess"]), len(spec["preprocess"]))
                    self.assertEqual(info["handling"]["handle"], "specification")
                    self.assertNotIn("standardize", info["handling"])
                else:
                    self.assertEqual(info["spec"]["preprocess"][-1]["type"], "standardize")
        self.assertEqual(self.report("info", "graph.rheo", "-q")["spec"]["flow"]["graph"], GRAPH)

    def test_check_passes(self):
        for name in SPECS:
            if name == "mixture":
                continue  # it has no codes
            with self.subTest(name):
                self.assertTrue(self.report("check", f"{name}.rheo", DATA[name], "-q")["ok"])

    def test_the_same_bytes_again(self):
        for name in SPECS:
            with self.subTest(name):
                for threads in (1, 2):
                    self.done("fit", DATA[name], "--spec", f"{name}.json", "-o", "again.rheo", *STEPS, "--threads", threads)
                    self.assertEqual(self.bytes_of("again.rheo"), self.bytes_of(f"{name}.rheo"))

    def test_a_models_own_specification_is_one(self):
        for name in SPECS:
            with self.subTest(name):
                spec = self.report("info", f"{name}.rheo", "-q")["spec"]
                self.write("own.json", spec)
                self.done("fit", DATA[name], "--spec", "own.json", "-o", "own.rheo", *STEPS)
                self.assertTrue(np.array_equal(self.logp("own.rheo", DATA[name]), self.logp(f"{name}.rheo", DATA[name])))

    def test_angles_have_no_seam(self):
        a = np.load(self.path("angles.npy"))
        s = self.sample("circular.rheo")
        self.assertLessEqual(np.abs(s).max(), math.pi * (1 + 1e-6))
        for j in range(2):  # the mean direction and length
            self.assertLess(abs(np.exp(1j * s[:, j]).mean() - np.exp(1j * a[:, j]).mean()), 0.08)
        between = np.exp(1j * (s[:, 1] - s[:, 0])).mean()
        self.assertLess(abs(between - np.exp(1j * (a[:, 1] - a[:, 0])).mean()), 0.15)
        # one turn further is the same angle
        turned = a[:200].copy()
        turned[:, 1] += 2 * math.pi
        np.save(self.path("turned.npy"), turned)
        np.save(self.path("first.npy"), a[:200])
        gap = np.abs(self.logp("circular.rheo", "turned.npy") - self.logp("circular.rheo", "first.npy"))
        self.assertLess(np.sort(gap)[:-2].max(), 1e-3)

    def test_a_box_is_kept(self):
        s = self.sample("box.rheo")
        self.assertTrue((s >= -1e-6).all() and (s <= 1 + 1e-6).all())
        self.assertGreater(self.logp("box.rheo", "box.npy").mean(), 0.3)  # a uniform density has 0
        np.save(self.path("out.npy"), np.array([[0.5, 1.5]]))
        self.assertEqual(self.logp("box.rheo", "out.npy")[0], -math.inf)

    def test_the_graph_is_kept(self):
        # Given column 0, columns 1 and 2 are independent: the codes of 1 do not change with 2, nor those of 2 with 1.
        x = diamond(50, 9)
        np.save(self.path("g0.npy"), x)
        self.done("encode", "graph.rheo", "g0.npy", "-o", "z0.npy", "-q")
        x[:, 2] += 0.25
        np.save(self.path("g1.npy"), x)
        self.done("encode", "graph.rheo", "g1.npy", "-o", "z1.npy", "-q")
        same = [np.array_equal(a, b) for a, b in zip(np.load(self.path("z0.npy")).T, np.load(self.path("z1.npy")).T)]
        self.assertEqual(same, [True, True, False, False])
        self.sample("graph.rheo", 10)

    def test_context(self):
        # Of three columns one is context: the flow has two.
        spec = self.write("two.json", SPECS["logistics"])
        report = self.report("fit", "named.csv", "--spec", spec, "--context", "c", "-o", "given.rheo", *STEPS)
        self.assertEqual((report["columns"], report["context"]), (2, 1))
        self.assertTrue(self.report("check", "given.rheo", "named.csv", "-q")["ok"])
        self.done("sample", "given.rheo", "-n", "5", "--context-values", "c=1", "-o", "s.csv", "-q")

    def test_training_options_still_work(self):
        report = self.report("fit", "t.npy", "--spec", "linear.json", "-o", "m.rheo", "-q", "--steps", "20", "--set", "lr=1e-3", "--set", "batch=64")
        self.assertEqual(report["steps"], 20)
        fit = self.report("info", "m.rheo", "-q")["fit"]
        self.assertEqual(fit["recipe"]["batch"], 64)

    def test_resume(self):
        long = ["-q", "--epochs", "60", "--set", "patience=0"]
        self.done("fit", "t.npy", "--spec", "logistics.json", *long, "-o", "whole.rheo")
        run = subprocess.Popen([RHEO, "fit", "t.npy", "--spec", "logistics.json", *long, "-o", "part.rheo", "--log", "log"], cwd=self.folder, stdout=subprocess.PIPE)
        while run.poll() is None and not (os.path.exists(self.path("log")) and '"epoch"' in self.text_of("log")):
            time.sleep(0.005)
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=60)
        self.assertLess(json.loads(self.text_of("log").splitlines()[-1])["epoch"], 60)
        self.assertTrue(os.path.exists(self.path("part.rheo.ckpt")))
        self.refused(2, "is of another fit", "fit", "t.npy", "--spec", "linear.json", *long, "-o", "part.rheo", "--resume")
        self.done("fit", "t.npy", "--spec", "logistics.json", *long, "-o", "part.rheo", "--resume")
        self.assertEqual(self.bytes_of("part.rheo"), self.bytes_of("whole.rheo"))

    def test_the_examples_of_the_page(self):
        with open(os.path.join(ROOT, "docs", "autoregressive.md")) as file:
            examples = re.findall(r"```json\n(.*?)```", file.read(), re.DOTALL)
        for example, data in zip(examples, ["diamond.npy", "angles.npy"], strict=True):
            self.done("fit", data, "--spec", self.write("page.json", example), "-o", "page.rheo", "-q", "--steps", "50")
            self.assertTrue(self.report("check", "page.rheo", data, "-q")["ok"])

    # ---- what is refused ----

    def bad(self, words, spec, *extra, data="t.npy", code=2):
        self.write("bad.json", spec)
        with self.subTest(words):
            self.refused(code, words, "fit", data, "--spec", "bad.json", "-o", "bad.rheo", "-q", *extra)

    def test_errors_name_the_place(self):
        auto = lambda **more: {"flow": chain({"type": "lu"}, {"type": "autoregressive", **more})}
        self.bad("specification: flow.parts[1].graph: has a cycle", auto(graph=[[1], [2], [0]]))
        self.bad("flow.parts[1].graph: column 1 depends on itself", auto(graph=[[], [1], [0]]))
        self.bad("flow.parts[1].graph: must be a list of 3 lists", auto(graph=[[], [0]]))
        self.bad("flow.parts[1].graph: entry 2: columns are whole numbers 0 to 2", auto(graph=[[], [0], [3]]))
        self.bad("flow.parts[1].order: column 0 comes twice", auto(order=[0, 1, 0]))
        self.bad("flow.parts[1].order: 2 columns of 3", auto(order=[0, 1]))
        self.bad("flow.parts[1].transform.bins: 0 is out of range", auto(transform={"type": "rqs", "bins": 0}))
        self.bad("flow.parts[1].transform: unknown key 'bin'|did you mean 'bins'", auto(transform={"type": "rqs", "bin": 8}))
        self.bad("flow.parts[1].type: |did you mean 'autoregressive'", {"flow": chain({"type": "lu"}, {"type": "autoregresive"})})
        self.bad("flow.parts[1]: no \"type\"", {"flow": chain({"type": "lu"}, {})})
        self.bad("flow.parts[0].mask", {"flow": chain(coupling([0, 7], "affine"))})
        self.bad("base.type", {"flow": chain(), "base": {"type": "norml"}})
        self.bad("base.low", {"flow": chain(), "base": {"type": "uniform", "low": [0, 0]}})
        self.bad("flow: missing", {"base": {"type": "normal"}})
        self.bad("specification: unknown key 'flw', did you mean 'flow'?", {"flw": chain()})
        self.bad("mixture.1.flow.parts[0].bound", {"mixture": [{"flow": chain()}, {"flow": chain({"type": "lu", "bound": 0})}]})
        self.bad("specification.columns: 4, but the table has 3", {"columns": 4, **SPECS["linear"]})
        self.bad("specification.context: 1, but the table has 0", {"context": 1, **SPECS["linear"]})
        self.bad("specification.context_encoder", {"context_encoder": [], **SPECS["linear"]})

    def test_columns_that_the_handling_drops(self):
        x = table(300, 3)
        np.save(self.path("less.npy"), np.stack([x[:, 0], np.ones(300), x[:, 2]], 1))
        spec = {"flow": {"type": "autoregressive", "order": [2, 1, 0]}}
        self.bad("flow.order: 3 numbers are too many|at most 2|drops 1 of 3 columns|--handle none", spec, data="less.npy")

    def test_files(self):
        self.refused(1, "none.json: cannot open", "fit", "t.npy", "--spec", "none.json", "-o", "m", "-q")
        self.refused(1, "cannot read", "fit", "t.npy", "--spec", self.folder, "-o", "m", "-q")
        self.bad("bad.json: line 2, column|not JSON", '{"flow":\n {"type" "chain"}}')
        self.bad("bad.json: line 3|not JSON|duplicate", '{"flow": {},\n "base": {},\n "flow": {}}')
        self.bad("bad.json: line 1|not JSON", "")
        self.bad("options.spec: give an object", "[1]")
        self.refused(2, "-o linear.json is also --spec", "fit", "t.npy", "--spec", "linear.json", "-o", "linear.json", "-q")
        self.refused(2, "--log linear.json is also --spec", "fit", "t.npy", "--spec", "linear.json", "-o", "m", "--log", "linear.json", "-q")

    def test_rows_outside_of_a_box(self):
        tight = {"flow": {"type": "elementwise", "transform": {"type": "rqs", "box": 0.3}}}
        self.bad("outside of the splines' box|box in the specification", tight, code=1)

    def test_what_does_not_go_with_it(self):
        own = ["fit", "t.npy", "--spec", "linear.json", "-o", "m", "-q"]
        self.refused(2, "options.arch|give one of arch and spec", *own, "--arch", "nsf")
        self.refused(2, "options.set: 'layers' is no option of the training|specification", *own, "--set", "layers=3")
        self.refused(2, "'bach' is no option of the training, did you mean 'batch'?", *own, "--set", "bach=3")
        self.refused(2, "options.handle", "fit", "box.npy", "--spec", "box.json", "--handle", "none", "-o", "m", "-q")


if __name__ == "__main__":
    unittest.main()
