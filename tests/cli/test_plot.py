"""rheo plot: the picture shows the density that rheo score gives, where the axes say; the same bytes every time; what cannot be drawn."""
import os
import shutil
import struct
import subprocess
import unittest
import xml.etree.ElementTree

import numpy as np

from command import RHEO, CommandTest, table, write_csv
from pictures import SIGNATURE, digits, read_png

TINY = ["--set", "hidden=16", "--set", "layers=2", "-q"]
SIDE = 400
LEFT, TOP, FRAME, SCALE = 64, 46, 340, 1.5  # of the first panel, in the picture's points; dots a point


def middles(low, high, n):
    return low + (np.arange(n) + 0.5) / n * (high - low)


class Plot(CommandTest):
    @classmethod
    def prepare(cls):
        x = table(1500, 3)
        cls.x = x[:, :2]
        cls.kind = (x[:, 2] > 1).astype(int)
        write_csv(cls.path("t.csv"), cls.x, ["width <m>", "Höhe & Tiefe"])
        write_csv(cls.path("one.csv"), x[:, :1], ["a"])
        write_csv(cls.path("three.csv"), x, ["a", "b", "c"])
        write_csv(cls.path("given.csv"), np.column_stack([cls.x, cls.kind]), ["a", "b", "kind"])
        cls.done("fit", "t.csv", "-o", "m.rheo", *TINY, "--steps", 300)
        cls.done("fit", "one.csv", "-o", "one.rheo", *TINY, "--steps", 200)
        cls.done("fit", "three.csv", "-o", "three.rheo", *TINY, "--steps", 5)
        cls.done("fit", "given.csv", "--context", "kind", "--categorical", "kind", "-o", "given.rheo", *TINY, "--steps", 100)

    def scores(self, model, rows, *more):
        np.save(self.path("rows.npy"), rows)
        self.done("score", model, "rows.npy", "-o", "scores.npy", "-q", *more)
        return np.load(self.path("scores.npy")).ravel()

    def size(self, name):
        data = self.bytes_of(name)
        self.assertEqual(data[:8], SIGNATURE)
        self.assertEqual(data[12:16], b"IHDR")
        return struct.unpack(">II", data[16:24])

    def test_the_picture_shows_the_scores(self):
        report = self.report("plot", "m.rheo", "-o", "p.png", "--samples", 0, "-q")
        picture = read_png(self.bytes_of("p.png")).astype(float).mean(axis=2)
        low, high = report["range"][::2], report["range"][1::2]
        at = np.random.default_rng(5).uniform(0.01, 0.99, (3000, 2))
        density = np.exp(self.scores("m.rheo", low + at * (np.array(high) - low)) - report["log_peak"])
        column = ((LEFT + at[:, 0] * FRAME) * SCALE).astype(int)
        row = ((TOP + (1 - at[:, 1]) * FRAME) * SCALE).astype(int)
        dark = 1 - picture[row, column] / 255
        # Lines of contours lie over some points; elsewhere darkness is a function of the density, one pixel aside.
        order = np.argsort(density)
        middle = np.array([np.median(part) for part in np.array_split(dark[order], 40)])
        self.assertTrue(np.all(np.diff(middle) > -0.02), middle)
        self.assertGreater(middle[-1], 0.5)
        self.assertLess(middle[0], 0.02)
        off = abs(dark[order] - np.repeat(middle, 75))
        self.assertLess(np.quantile(off, 0.9), 0.06)

    def test_the_report_holds(self):
        report = self.report("plot", "m.rheo", "t.csv", "-o", "p.png")
        xlow, xhigh, ylow, yhigh = report["range"]
        y, x = np.meshgrid(middles(ylow, yhigh, SIDE), middles(xlow, xhigh, SIDE), indexing="ij")
        grid = self.scores("m.rheo", np.column_stack([x.ravel(), y.ravel()]))
        self.assertAlmostEqual(report["log_peak"], grid.max(), places=5)
        mass = np.exp(grid).sum() * (xhigh - xlow) * (yhigh - ylow) / SIDE**2
        self.assertAlmostEqual(report["mass"], mass, places=5)
        self.assertTrue(0.97 < mass < 1.01, mass)
        self.done("sample", "m.rheo", "-n", 20000, "-o", "s.npy", "-q")
        scores = self.scores("m.rheo", np.load(self.path("s.npy")))
        for level, share in zip(report["levels"], (0.5, 0.95)):
            self.assertAlmostEqual(np.mean(scores > level), share, delta=0.015)
        self.assertAlmostEqual(np.mean(scores > report["colours_end"]), 0.01, delta=0.004)
        self.assertEqual((report["samples"], report["data"], report["unfinished"]), (500, 1500, 0))
        self.assertLess(report["outside"], 10)
        low, high = np.quantile(self.x, [0.001, 0.999], axis=0)
        self.assertTrue(np.all([xlow, ylow] < low) and np.all([xhigh, yhigh] > high))

    def test_range(self):
        report = self.report("plot", "m.rheo", "t.csv", "-o", "p.png", "--range", "-1,0.5,-2,3")
        self.assertEqual(report["range"], [-1, 0.5, -2, 3])
        inside = np.all((self.x >= [-1, -2]) & (self.x <= [0.5, 3]), axis=1)
        self.assertEqual(report["outside"], np.sum(~inside))
        self.assertLess(report["mass"], 0.9)

    def test_formats_and_sizes(self):
        self.done("plot", "m.rheo", "t.csv", "-o", "p.png")
        self.assertEqual(self.size("p.png"), (1350, 651))
        self.done("plot", "m.rheo", "-o", "q.PNG", "--samples", 0)  # nothing for the second panel
        self.assertEqual(self.size("q.PNG"), (720, 651))
        self.done("plot", "m.rheo", "t.csv", "-o", "p.svg")
        root = xml.etree.ElementTree.fromstring(self.bytes_of("p.svg"))
        self.assertTrue(root.tag.endswith("}svg"))
        self.assertEqual([root.get("width").rstrip("pt"), root.get("height").rstrip("pt")], ["900", "434"])
        self.assertEqual([name for name in os.listdir(self.folder) if "part" in name], [])

    def test_same_bytes(self):
        for ending in ("png", "svg"):
            with self.subTest(ending):
                for name, more in {"a": ["--threads", 1], "b": ["--threads", 2], "c": ["--seed", 1]}.items():
                    self.done("plot", "m.rheo", "t.csv", "-o", f"{name}.{ending}", *more)
                self.assertEqual(self.bytes_of(f"a.{ending}"), self.bytes_of(f"b.{ending}"))
                self.assertNotEqual(self.bytes_of(f"a.{ending}"), self.bytes_of(f"c.{ending}"))

    def test_one_column(self):
        report = self.report("plot", "one.rheo", "one.csv", "-o", "one.png")
        grid = self.scores("one.rheo", middles(*report["range"], 2000)[:, None])
        self.assertAlmostEqual(report["log_peak"], grid.max(), places=5)
        self.assertTrue(0.98 < report["mass"] < 1.01)
        self.assertEqual(report["data"], 1500)
        self.assertEqual(self.size("one.png"), (840, 651))
        self.done("plot", "one.rheo", "-o", "one.svg", "--range", "0,1")
        self.refused(2, "--range|xmin,xmax", "plot", "one.rheo", "-o", "x.svg", "--range", "0,1,0,1")

    def test_a_context(self):
        for kind in (0, 1):
            report = self.report("plot", "given.rheo", "given.csv", "-o", f"{kind}.png", "--context-values", f"kind={kind}")
            self.assertEqual(report["data"], np.sum(self.kind == kind))
            self.assertTrue(0.9 < report["mass"] < 1.02)
            low, high = np.array(report["range"][::2]), np.array(report["range"][1::2])
            row = np.append(low + (np.array([150, 250]) + 0.5) / SIDE * (high - low), kind)
            self.assertLessEqual(self.scores("given.rheo", row[None])[0], report["log_peak"] + 1e-9)
        self.assertNotEqual(self.bytes_of("0.png"), self.bytes_of("1.png"))
        self.refused(2, "given 1 other column|--context-values|kind=", "plot", "given.rheo", "-o", "x.png")
        self.refused(2, "no category|7", "plot", "given.rheo", "-o", "x.png", "--context-values", "kind=7")
        self.refused(2, "not conditional", "plot", "m.rheo", "-o", "x.png", "--context-values", "kind=7")

    def test_paths(self):
        """Of a continuous flow a third panel: paths that end where samples are drawn, from codes to them; wider than the data where codes are."""
        self.done("fit", "t.csv", "-o", "cnf.rheo", "--arch", "cnf", "--set", "hidden=8", "--steps", 100, "-q")
        report = self.report("plot", "cnf.rheo", "t.csv", "-o", "p.svg")
        self.assertEqual(report["paths"], 60)
        self.assertNotIn("paths", self.report("plot", "m.rheo", "-o", "q.svg"))
        self.done("plot", "cnf.rheo", "t.csv", "-o", "p.png", "--threads", 1)
        self.assertEqual(self.size("p.png"), (1980, 651))
        self.done("plot", "cnf.rheo", "t.csv", "-o", "q.png", "--threads", 2)
        self.assertEqual(self.bytes_of("p.png"), self.bytes_of("q.png"))
        left, right = (900 + LEFT, 900 + LEFT + FRAME)  # of the third frame
        lines = [e.get("d").split() for e in xml.etree.ElementTree.fromstring(self.bytes_of("p.svg")).iter() if "stroke-width:0.7;" in e.get("style", f"stroke-width:{e.get('stroke-width')};")]
        self.assertEqual(len(lines), 60)
        self.assertTrue(np.all([line.count("L") > 5 for line in lines]))  # straight pieces of a line are drawn as one
        at = np.array([[line[1:3], line[-2:]] for line in lines], float)
        self.assertTrue(np.all((at[..., 0] >= left) & (at[..., 0] <= right) & (at[..., 1] >= TOP) & (at[..., 1] <= TOP + FRAME)))
        self.done("sample", "cnf.rheo", "-n", 60, "-o", "drawn.npy", "-q")
        drawn = np.load(self.path("drawn.npy"))
        self.done("encode", "cnf.rheo", "drawn.npy", "-o", "z.npy", "-q")
        for column in (0, 1):  # the axes are straight, and so is the way from codes to the units of the data
            for values, time in ((drawn[:, column], -1), (np.load(self.path("z.npy"))[:, column], 0)):
                line = np.polyfit(values, at[:, time, column], 1)
                self.assertLess(abs(np.polyval(line, values) - at[:, time, column]).max(), 0.05)
                self.assertGreater(abs(line[0]), 1)
        self.assertGreater(abs(at[:, 0] - at[:, -1]).max(), 5)
        self.report("plot", "cnf.rheo", "-o", "p.svg", "--range", "-1,0.5,-2,3")

    def test_what_cannot_be_drawn(self):
        x, _ = digits(60)
        np.savez(self.path("d.npz"), X=x)
        self.done("fit", "d.npz", "-o", "d.rheo", "--set", "steps=1", "--set", "levels=1", "--set", "hidden=8", "-q", "--steps", 2)
        self.refused(2, "model of images|rheo sample", "plot", "d.rheo", "-o", "x.png")
        self.refused(2, "3 columns|2 columns", "plot", "three.rheo", "-o", "x.png")
        self.refused(2, "3 columns|2 columns", "plot", "three.rheo", "three.csv", "--columns", "a,b", "-o", "x.png")
        np.save(self.path("flat.npy"), np.column_stack([np.full(500, 3), self.x[:500, 0]]))
        self.done("fit", "flat.npy", "-o", "flat.rheo", *TINY, "--steps", 5)
        self.refused(2, "flat.rheo|dropped a column|constant", "plot", "flat.rheo", "-o", "x.png")
        self.refused(2, "-o|.png|.svg", "plot", "m.rheo")
        for name in ("x.gif", "x", ".png", "-", "png"):
            self.refused(2, f"-o {name}:|.png", "plot", "m.rheo", "-o", name)
        for wrong in ("1,2,3", "1,0,0,1", "0,0,0,1", "0,1,a,2", "0,1,0,inf", "nan,1,0,1"):
            self.refused(2, "--range|below", "plot", "m.rheo", "-o", "x.png", "--range", wrong)
        self.refused(2, "--samples", "plot", "m.rheo", "-o", "x.png", "--samples", "-1")
        self.refused(1, "no.csv", "plot", "m.rheo", "no.csv", "-o", "x.png")
        self.refused(1, "no.rheo", "plot", "no.rheo", "-o", "x.png")
        self.refused(1, "three.csv|not in the header", "plot", "m.rheo", "three.csv", "-o", "x.png")
        self.refused(1, "nowhere/x.png", "plot", "m.rheo", "-o", "nowhere/x.png")
        shutil.copy(self.path("m.rheo"), self.path("m.png"))
        self.refused(2, "also the input", "plot", "m.png", "-o", "m.png")

    def test_the_old_picture_is_replaced_whole(self):
        with open(self.path("old.png"), "wb") as file:
            file.write(b"x" * 10_000_000)
        self.done("plot", "m.rheo", "-o", "old.png")
        self.assertEqual(self.bytes_of("old.png")[-8:-4], b"IEND")
        self.refused(1, "no.csv", "plot", "m.rheo", "no.csv", "-o", "old.png")

    def test_far_ranges(self):
        self.refused(1, "density is 0|--range", "plot", "m.rheo", "-o", "x.png", "--range", "1e300,2e300,0,1")
        report = self.report("plot", "m.rheo", "-o", "far.png", "--range", "1e4,1.0001e4,0,1", "-q")
        self.assertLess(report["mass"], 1e-20)
        self.done("plot", "m.rheo", "-o", "far.svg", "--range", "0,1,1e17,100000000000000016", timeout=60)  # ticks that a double cannot tell apart

    def test_drawing_is_not_there(self):
        os.makedirs(self.path("alone"), exist_ok=True)
        alone = shutil.copy(RHEO, self.path("alone/rheo"))
        run = subprocess.run([alone, "plot", "m.rheo", "-o", "x.png"], capture_output=True, cwd=self.folder)
        self.assertEqual((run.returncode, run.stdout), (1, b""))
        self.assertRegex(run.stderr.decode(), r"^rheo: plot: cannot start .*/alone/rheo-plot: No such file or directory; .*\n$")


if __name__ == "__main__":
    unittest.main()
