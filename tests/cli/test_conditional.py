"""Conditional densities p(x | context): columns of a file, categories and numbers, against a known truth; every way in and out; bad input."""
import json
import math
import unittest

import numpy as np

from command import CommandTest

COLOURS = ["red", "green", "blue"]
HEADER = ["x", "c", "colour", "y"]
CONTEXT = ["--context", "c,colour"]


def draw(rows, seed):
    """x ~ N(1.5 c + shift[colour], s(c)), y ~ N(x / 2 - c, 1)."""
    rng = np.random.default_rng(seed)
    c, k = rng.uniform(-2, 3, rows), rng.integers(0, 3, rows)
    x = mean(c, k) + spread(c) * rng.standard_normal(rows)
    return x, c, k, 0.5 * x - c + rng.standard_normal(rows)


def mean(c, k):
    return 1.5 * c + np.array([0, 4, -3])[k]


def spread(c):
    return np.exp(0.3 * c - 0.5)


def truth(x, c, k, y):
    u, v = (x - mean(c, k)) / spread(c), y - 0.5 * x + c
    return -0.5 * (u * u + v * v) - np.log(spread(c)) - math.log(2 * math.pi)


class Conditional(CommandTest):
    @classmethod
    def write(cls, name, columns, order=HEADER, header=True):
        """columns: by name, texts or numbers, as CSV in this order."""
        with open(cls.path(name), "w") as file:
            if header:
                file.write(",".join(order) + "\n")
            for row in zip(*(columns[key] for key in order)):
                file.write(",".join(v if isinstance(v, str) else repr(float(v)) for v in row) + "\n")
        return name

    @classmethod
    def put(cls, name, text):
        with open(cls.path(name), "w") as file:
            file.write(text)
        return name

    @classmethod
    def prepare(cls):
        for part, rows, seed in (("train", 8000, 1), ("test", 1500, 2)):
            x, c, k, y = draw(rows, seed)
            columns = {"x": x, "c": c, "colour": [COLOURS[i] for i in k], "y": y}
            cls.write(part + ".csv", columns)
            setattr(cls, part, columns)
            # the same without names: categories by number, 7, 3 and 5 for red, green and blue
            np.save(cls.path(part + ".npy"), np.column_stack([x, c, np.array([7, 3, 5])[k], y]))
        cls.k = np.array([COLOURS.index(colour) for colour in cls.test["colour"]])
        cls.done("fit", "train.csv", *CONTEXT, "-o", "model.rheo", "--arch", "realnvp", "--set", "base=normal", "--epochs", 25, "-q")
        cls.done("fit", "train.npy", "--context", "2,3", "--categorical", "3", "-o", "numbers.rheo", "--arch", "realnvp", "--set", "base=normal", "--epochs", 25, "-q")

    def rows(self, name):
        """A CSV file's header and its columns."""
        lines = self.text_of(name).splitlines()
        return lines[0].split(","), list(zip(*(line.split(",") for line in lines[1:])))

    def scores(self, model, data, *more):
        self.done("score", model, data, "-o", "score.npy", "-q", *more)
        return np.load(self.path("score.npy")).ravel()

    # ---- the truth ----

    def test_density(self):
        t = self.test
        want = truth(t["x"], t["c"], self.k, t["y"])
        for model, data in (("model.rheo", "test.csv"), ("numbers.rheo", "test.npy")):
            got = self.scores(model, data)
            self.assertLess(abs((got - want).mean()), 0.05, model)
            self.assertLess(np.median(abs(got - want)), 0.1, model)
        # what the context is worth: without it the density must be worse by far
        self.done("fit", "train.csv", "--columns", "x,y", "-o", "marginal.rheo", "--epochs", 5, "-q")
        self.assertGreater(want.mean() - self.scores("marginal.rheo", "test.csv", "--columns", "x,y").mean(), 1)

    def test_samples(self):
        n = 4000
        for c, colour in ((-1.5, "red"), (0.5, "green"), (2.5, "blue")):
            self.done("sample", "model.rheo", "--context-values", f"c={c},colour={colour}", "-n", n, "--no-context", "-o", "s.npy", "-q")
            s = np.load(self.path("s.npy"))
            self.assertEqual(s.shape, (n, 2))
            k = COLOURS.index(colour)
            self.assertLess(abs(s[:, 0].mean() - mean(c, k)), 0.2 * spread(c))
            self.assertLess(abs(s[:, 0].std() / spread(c) - 1), 0.15)
            self.assertLess(abs((s[:, 1] - 0.5 * s[:, 0] + c).mean()), 0.15)
            self.assertLess(abs((s[:, 1] - 0.5 * s[:, 0]).std() - 1), 0.15)

    def test_many_categories_are_embedded(self):
        rng = np.random.default_rng(3)
        shift, k = rng.normal(0, 3, 12), rng.integers(0, 12, 8000)
        x = shift[k] + 0.5 * rng.standard_normal(8000)
        np.save(self.path("many.npy"), np.column_stack([k * 10 - 50, x]))
        report = self.report("fit", "many.npy", "--context", "1", "--categorical", "1", "-o", "many.rheo", "--epochs", 20, "-q")
        self.assertIn("12 categories: an embedding of 6 numbers", " ".join(report["notes"]))
        encoder = self.report("info", "many.rheo", "-q")["spec"]["context_encoder"]
        self.assertEqual(encoder, [{"type": "embedding", "column": 0, "categories": list(range(-50, 70, 10)), "width": 6}])
        want = -0.5 * ((x - shift[k]) / 0.5) ** 2 - math.log(0.5) - 0.5 * math.log(2 * math.pi)
        self.assertLess(abs((self.scores("many.rheo", "many.npy") - want).mean()), 0.05)
        self.done("fit", "many.npy", "--context", "1", "--categorical", "1", "--embedding", 2, "-o", "two.rheo", "--epochs", 1, "-q")
        self.assertEqual(self.report("info", "two.rheo", "-q")["spec"]["context_encoder"][0]["width"], 2)

    # ---- ways in and out ----

    def test_columns_are_found_by_name_or_place(self):
        want = self.scores("model.rheo", "test.csv")
        self.write("moved.csv", {**self.test, "extra": self.test["x"]}, ["colour", "extra", "y", "c", "x"])
        np.testing.assert_array_equal(self.scores("model.rheo", "moved.csv"), want)
        self.write("bare.csv", self.test, header=False)
        np.testing.assert_array_equal(self.scores("model.rheo", "bare.csv", "--header", "no"), want)
        self.put("renamed.csv", self.text_of("test.csv").replace("x,c,colour,y", "p,q,r,s"))
        np.testing.assert_array_equal(self.scores("model.rheo", "renamed.csv"), want)
        places = np.column_stack([self.test["x"], self.test["c"], self.list_places(), self.test["y"]])
        np.save(self.path("places.npy"), places)
        np.testing.assert_array_equal(self.scores("model.rheo", "places.npy"), want)

    def list_places(self):
        categories = self.report("info", "model.rheo", "-q")["spec"]["context_encoder"][1]["categories"]
        return [categories.index(colour) for colour in self.test["colour"]]

    def test_context_before_data_and_chosen_columns(self):
        self.write("first.csv", {**self.train, "other": self.train["c"]}, ["other", "colour", "c", "x", "y"])
        self.done("fit", "first.csv", "--columns", "x,y,c", *CONTEXT, "-o", "first.rheo", "--epochs", 2, "-q")
        info = self.report("info", "first.rheo", "-q")
        self.assertEqual((info["names"], info["columns"], info["context"]), (["x", "y", "c", "colour"], 2, 2))
        self.write("first-test.csv", self.test, ["colour", "y", "c", "x"])
        self.assertTrue(np.isfinite(self.scores("first.rheo", "first-test.csv")).all())
        self.done("fit", "train.csv", "--context", "2-3", "-o", "ranges.rheo", "--epochs", 1, "-q")
        self.done("fit", "train.csv", *CONTEXT, "-o", "names.rheo", "--epochs", 1, "-q")
        self.assertEqual(self.bytes_of("ranges.rheo"), self.bytes_of("names.rheo"))

    def test_sample_tables_are_whole(self):
        """Samples for every row of a table, in its columns' order: they can be scored as they are."""
        report = self.report("sample", "model.rheo", "--context", "test.csv", "-n", 3, "-o", "s.csv", "-q")
        self.assertEqual((report["rows"], report["columns"]), (4500, 4))
        header, (x, c, colour, y) = self.rows("s.csv")
        self.assertEqual(header, HEADER)
        self.assertEqual(list(colour), [v for v in self.test["colour"] for _ in range(3)])
        np.testing.assert_allclose(np.array(c, float), np.repeat(self.test["c"], 3), rtol=1e-6)
        want = truth(*(np.array(v, float) for v in (x, c)), np.repeat(self.k, 3), np.array(y, float)).mean()
        self.assertLess(abs(self.scores("model.rheo", "s.csv").mean() - want), 0.1)
        self.done("sample", "model.rheo", "--context", "test.csv", "-n", 3, "-o", "s.npy", "-q")
        np.testing.assert_array_equal(self.scores("model.rheo", "s.npy"), self.scores("model.rheo", "s.csv"))
        # from a table of the context alone, in another order; and without it
        self.write("alone.csv", self.test, ["colour", "c"])
        self.done("sample", "model.rheo", "--context", "alone.csv", "-n", 3, "-o", "s2.csv", "-q")
        self.assertEqual(self.bytes_of("s2.csv"), self.bytes_of("s.csv"))
        np.save(self.path("alone.npy"), np.column_stack([self.test["c"], self.list_places()]))
        self.done("sample", "model.rheo", "--context", "alone.npy", "-n", 3, "-o", "s3.npy", "-q", "--no-context")
        np.testing.assert_array_equal(np.load(self.path("s3.npy")), np.load(self.path("s.npy"))[:, [0, 3]])
        self.write("bare-alone.csv", self.test, ["c", "colour"], header=False)
        self.done("sample", "model.rheo", "--context", "bare-alone.csv", "--header", "no", "-n", 3, "-o", "s2.csv", "-q")
        self.assertEqual(self.bytes_of("s2.csv"), self.bytes_of("s.csv"))
        self.assertEqual(self.report("sample", "model.rheo", "--context", "alone.csv", "-n", 0, "-o", "none.csv", "-q")["rows"], 0)

    def test_codes_there_and_back(self):
        self.done("encode", "model.rheo", "test.csv", "-o", "z.csv", "-q", "--dtype", "f64")
        header, columns = self.rows("z.csv")
        self.assertEqual(header, ["z1", "z2", "c", "colour"])
        self.assertEqual(list(columns[3]), self.test["colour"])
        z = np.array(columns[:2], float)
        self.assertLess(abs(z.mean()), 0.1)
        self.assertLess(abs(z.std() - 1), 0.1)
        self.done("decode", "model.rheo", "z.csv", "-o", "back.csv", "-q", "--dtype", "f64")
        header, (x, c, colour, y) = self.rows("back.csv")
        self.assertEqual(header, HEADER)
        self.assertEqual(list(colour), self.test["colour"])
        np.testing.assert_allclose(np.array([x, c, y], float), [self.test["x"], self.test["c"], self.test["y"]], rtol=0, atol=1e-9)
        for data in ("z.csv", "z.npy"):
            self.done("encode", "numbers.rheo", "test.npy", "-o", data, "-q", "--dtype", "f64")
            self.done("decode", "numbers.rheo", data, "-o", "back.npy", "-q", "--dtype", "f64")
            np.testing.assert_allclose(np.load(self.path("back.npy")), np.load(self.path("test.npy")), rtol=0, atol=1e-9)

    def test_check_and_info(self):
        for model, data in (("model.rheo", "test.csv"), ("numbers.rheo", "test.npy")):
            report = self.report("check", model, data, "-q", "--dtype", "f64")
            self.assertTrue(report["ok"], report)
            self.assertLess(report["log_det_error"], 1e-8)
            self.assertLess(report["inverse_error"], 1e-8)
        info = self.report("info", "model.rheo", "-q")
        self.assertEqual((info["columns"], info["context"], info["names"]), (2, 2, ["x", "y", "c", "colour"]))
        encoder = info["spec"]["context_encoder"]
        self.assertEqual([(e["type"], e["column"]) for e in encoder], [("standardize", 1), ("one-hot", 2)])
        self.assertEqual(sorted(encoder[1]["categories"]), sorted(COLOURS))
        self.assertLess(abs(encoder[0]["mean"] - np.mean(self.train["c"])), 0.1)

    def test_handling_is_of_the_data_alone(self):
        """Columns are dropped, dequantized and bounded among the modelled ones; a constant context is left out; equal rows are equal in all."""
        x, c, k, _ = draw(2000, 5)
        whole = np.column_stack([c, np.full(2000, 3.0), np.round(x), np.full(2000, 4.5), np.exp(x / 3), np.full(2000, 9.0)])
        np.save(self.path("odd.npy"), whole)
        report = self.report("fit", "odd.npy", "--context", "1,6", "-o", "odd.rheo", "--epochs", 2, "-q")
        notes = " ".join(report["notes"])
        for words in ("given 2", "column 6 is context, and 9 in every row", "column 2 is 3 in every row: dropped", "column 4 is 4.5", "column 3 has"):
            self.assertIn(words, notes)
        self.done("sample", "odd.rheo", "--context", "odd.npy", "-n", 1, "-o", "s.npy", "-q")
        s = np.load(self.path("s.npy"))
        self.assertTrue((s[:, 1] == 3).all() and (s[:, 3] == 4.5).all() and (s[:, 5] == 9).all() and (s[:, 2] == np.round(s[:, 2])).all())
        np.testing.assert_allclose(s[:, 0], c, rtol=1e-6)
        self.assertTrue(self.report("check", "odd.rheo", "odd.npy", "-q")["ok"])
        few = np.repeat([[1.0, 2.0], [3.0, 4.0]], 500, axis=0)  # twice the same data, never the same row
        few = np.column_stack([few, np.arange(1000.0)])
        np.save(self.path("few.npy"), few)
        report = self.report("fit", "few.npy", "--context", "3", "-o", "few.rheo", "--epochs", 1, "-q")
        self.assertNotIn("repeat", " ".join(report["notes"] + report["warnings"]))

    def test_categories_that_no_training_row_has(self):
        rng = np.random.default_rng(8)
        k = np.concatenate([rng.integers(0, 3, 397), [3, 4, 5]])
        np.save(self.path("rare.npy"), np.column_stack([rng.standard_normal(400), k]))
        fit = ["fit", "rare.npy", "--context", "2", "--categorical", "2", "-o", "rare.rheo", "--epochs", 1, "-q", "--split"]
        self.assertNotIn("no training row", " ".join(self.report(*fit, "1,0,0")["notes"]))
        notes = [note for note in self.report(*fit, "0.02,0.49,0.49")["notes"] if "no training row" in note]
        self.assertEqual(len(notes), 1)
        self.assertIn("column 2: no training row has 3 of its categories: the density given them is a guess", notes)

    def test_validation_and_resume(self):
        report = self.report("fit", "train.csv", "--val", "test.csv", *CONTEXT, "-o", "given.rheo", "--epochs", 2, "-q")
        self.assertEqual((report["val_rows"], report["columns"], report["context"]), (1500, 2, 2))
        self.assertAlmostEqual(self.report("score", "given.rheo", "test.csv", "-q")["mean"], report["val"], places=5)
        again = self.report("fit", "train.csv", "--val", "test.csv", *CONTEXT, "-o", "given.rheo", "--epochs", 2, "-q", "--resume")
        self.assertTrue(again["already_done"])

    def detected(self, model, *tables):
        """Log-densities of the last table."""
        self.done("detect", "--model", model, *tables, "-o", "detect.csv", "-q")
        return np.genfromtxt(self.path("detect.csv"), delimiter=",", names=True)["log_density"]

    def test_detect_reads_as_score_does(self):
        want = self.scores("model.rheo", "test.csv")
        self.put("renamed.csv", self.text_of("test.csv").replace("x,c,colour,y", "p,q,r,s"))
        for tables in (["test.csv", "test.csv"], ["train.csv", "renamed.csv"]):
            np.testing.assert_allclose(self.detected("model.rheo", *tables), want, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(self.detected("numbers.rheo", "train.npy", "test.npy"), self.scores("numbers.rheo", "test.npy"), rtol=1e-5, atol=1e-5)
        self.put("case.csv", self.text_of("test.csv").replace("colour", "Colour"))
        np.testing.assert_allclose(self.detected("model.rheo", "case.csv", "case.csv", "--columns", "x,c,Colour,y"), want, rtol=1e-5, atol=1e-5)
        odd = {**self.test, "odd": [float(i % 7 == 0) for i in range(1500)]}
        for place in range(5):  # labels anywhere, by name and by number; categories stand where they stand without them
            order = HEADER[:place] + ["odd"] + HEADER[place:]
            self.write("labelled.csv", odd, order)
            self.write("bare.csv", odd, order, header=False)
            for extra in (["labelled.csv", "--labels", "odd"], ["labelled.csv", "--labels", place + 1], ["bare.csv", "--header", "no", "--labels", place + 1]):
                self.write("bare-normal.csv", self.test, header=False)
                normal = "bare-normal.csv" if "--header" in extra else "test.csv"
                np.testing.assert_allclose(self.detected("model.rheo", normal, *extra), want, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(self.detected("model.rheo", "labelled.csv", "labelled.csv", "--labels", "odd"), want, rtol=1e-5, atol=1e-5)

    # ---- bits ----

    def test_bits(self):
        for threads in (1, 2, 3):
            self.done("fit", "train.csv", *CONTEXT, "-o", f"threads-{threads}.rheo", "--epochs", 1, "--threads", threads, "-q")
            self.done("sample", "model.rheo", "--context", "test.csv", "-n", 2, "-o", f"threads-{threads}.csv", "--threads", threads, "-q")
        for name in ("threads-{}.rheo", "threads-{}.csv"):
            self.assertEqual(self.bytes_of(name.format(2)), self.bytes_of(name.format(1)))
            self.assertEqual(self.bytes_of(name.format(3)), self.bytes_of(name.format(1)))

    def test_a_row_alone_or_in_company(self):
        want, lines = self.scores("model.rheo", "test.csv"), self.text_of("test.csv").splitlines()
        for i in (0, 700, 1499):
            self.put("one.csv", lines[0] + "\n" + lines[i + 1] + "\n")
            self.assertEqual(self.scores("model.rheo", "one.csv")[0], want[i])
        # sample 0 of a context is the same whatever contexts follow
        self.done("sample", "model.rheo", "--context", "test.csv", "-n", 2, "-o", "all.csv", "-q")
        self.put("one.csv", lines[0] + "\n" + lines[1] + "\n")
        self.done("sample", "model.rheo", "--context", "one.csv", "-n", 2, "-o", "one-sample.csv", "-q")
        self.assertEqual(self.text_of("one-sample.csv").splitlines(), self.text_of("all.csv").splitlines()[:3])

    # ---- bad input ----

    def fit_refused(self, code, words, *args):
        self.refused(code, words, "fit", *args, "-o", "model.rheo", "--epochs", 1)

    def test_wrong_lists(self):
        self.fit_refused(2, "no column is named \"cc\"", "train.csv", "--context", "cc")
        self.fit_refused(2, "no column 9", "train.npy", "--context", "9")
        self.fit_refused(2, "every column is context", "train.csv", "--context", "1-4")
        self.fit_refused(2, "column 1|--context", "train.npy", "--context", "2", "--categorical", "1")
        self.fit_refused(2, "--context", "train.npy", "--categorical", "3")
        self.fit_refused(2, "--embedding", "train.csv", *CONTEXT, "--embedding", "0")
        self.fit_refused(2, "selected twice", "train.csv", "--context", "c,2")

    def test_bad_context_cells(self):
        head = "x,c,colour,y\n1,2,red,3\n"
        self.fit_refused(1, "bad.csv: line 3, column 2 (c): \"n/a\"|other cells of the column are|--categorical 2", self.put("bad.csv", head + "1,n/a,red,3\n"), *CONTEXT)
        self.fit_refused(1, "bad.csv: line 3, column 3 (colour): the cell is empty", self.put("bad.csv", head + "1,2,,3\n"), *CONTEXT)
        self.fit_refused(1, "bad.csv: line 2, column 3 (colour): \"red\" is not a number", self.put("bad.csv", head), "--context", "c")
        self.fit_refused(1, "bad.csv: line 3, column 2 (c)|inf", self.put("bad.csv", head + "1,inf,red,3\n"), *CONTEXT)
        self.fit_refused(1, "half.npy: row 3, column 3|1.5 is no category", self.half(), "--context", "3", "--categorical", "3")
        self.fit_refused(1, "line 4098, column 1 (k)|4096", self.put("many.csv", "k,x\n" + "".join(f"k{i},{i}\n" for i in range(5000))), "--context", "k")
        self.fit_refused(1, "same.npy|every context column is the same", self.same(), "--context", "3")
        far = np.load(self.path("train.npy"))
        far[:, 1] += 1.7e9
        np.save(self.path("far.npy"), far)
        self.fit_refused(1, "far.npy: column 2|--dtype f64", "far.npy", "--context", "2")

    def half(self):
        x = np.load(self.path("train.npy"))
        x[2, 2] = 1.5
        np.save(self.path("half.npy"), x)
        return "half.npy"

    def same(self):
        x = np.load(self.path("train.npy"))
        x[:, 2] = 7
        np.save(self.path("same.npy"), x)
        return "same.npy"

    def test_mixed_categories_when_asked_for(self):
        lines = self.text_of("train.csv").replace("red", "12").splitlines()
        self.put("mixed.csv", "\n".join(lines) + "\n")
        self.fit_refused(1, "mixed.csv|--categorical 3", "mixed.csv", *CONTEXT)
        self.done("fit", "mixed.csv", *CONTEXT, "--categorical", "colour", "-o", "mixed.rheo", "--epochs", 1, "-q")
        self.assertEqual(self.report("score", "mixed.rheo", "mixed.csv", "-q")["n"], 8000)
        self.done("sample", "mixed.rheo", "--context-values", "colour=12,c=0", "-n", 2, "-o", "mixed-sample.csv", "-q")
        self.assertIn(",12,", self.text_of("mixed-sample.csv"))

    def test_unknown_categories(self):
        head = "x,c,colour,y\n1,2,red,3\n"
        self.put("mauve.csv", head + "1,2,mauve,3\n")
        words = "mauve.csv: line 3, column 3 (colour): \"mauve\" is no category of the fit's; there are "
        for command in ("score", "encode"):
            self.refused(1, words, command, "model.rheo", "mauve.csv", "-o", "out.csv")
        self.refused(1, words, "check", "model.rheo", "mauve.csv")
        self.refused(1, words, "sample", "model.rheo", "--context", "mauve.csv", "-n", 1, "-o", "out.csv")
        self.refused(1, words, "fit", "train.csv", "--val", "mauve.csv", *CONTEXT, "-o", "model.rheo", "--epochs", 1)
        detect = ["detect", "--model", "model.rheo"]
        self.refused(1, words, *detect, "test.csv", "mauve.csv")
        self.refused(1, words, *detect, "mauve.csv", "test.csv")
        self.put("codes.csv", "z1,z2,c,colour\n0,0,1,mauve\n")
        self.refused(1, "codes.csv: line 2, column 4 (colour): \"mauve\"", "decode", "model.rheo", "codes.csv", "-o", "out.csv")
        x = np.load(self.path("test.npy"))
        x[4, 2] = 4
        np.save(self.path("four.npy"), x)
        words = "four.npy: row 5, column 3: 4 is no category of the fit's; there are 3, 5, 7"
        self.refused(1, words, "score", "numbers.rheo", "four.npy")
        self.refused(1, words, "sample", "numbers.rheo", "--context", "four.npy", "-n", 1, "-o", "out.csv")
        self.refused(1, words, "detect", "--model", "numbers.rheo", "test.npy", "four.npy")
        self.refused(1, words, "detect", "--model", "numbers.rheo", "four.npy", "test.npy")
        self.refused(1, words, "fit", "train.npy", "--test", "four.npy", "--context", "2,3", "--categorical", "3", "-o", "model.rheo", "--epochs", 1)

    def test_missing_columns_and_widths(self):
        sample = ["sample", "model.rheo", "-n", 1, "-o", "out.csv", "--context"]
        self.write("less.csv", self.test, ["x", "y", "c"])
        self.put("case.csv", self.text_of("test.csv").replace("colour", "Colour"))
        for name in ("less.csv", "case.csv"):
            self.refused(1, f"{name}: line 1: the column 'colour' is not in the header: rename it there, or choose columns", "score", "model.rheo", name)
            self.refused(1, f"{name}: line 1: the column 'colour' is not in the header: add it, or rename a column", *sample, name)  # it has no --columns
        self.refused(2, 'case.csv: no column is named "colour"; did you mean "Colour"?', "fit", "train.csv", *CONTEXT, "--val", "case.csv", "-o", "model.rheo")
        self.done("score", "model.rheo", "case.csv", "--columns", "x,c,Colour,y", "-q")
        self.write("warm.csv", {**self.test, "warm": self.test["c"]}, ["x", "y", "colour", "warm"])
        self.refused(1, "warm.csv: the model's column 'c' is not in the header", "score", "model.rheo", "warm.csv")
        self.refused(1, "warm.csv: the model's context column 'c' is not in the header", *sample, "warm.csv")
        self.write("least.csv", self.test, ["x", "y"])
        self.refused(1, "least.csv: line 1: the column 'colour' is not in the header", "score", "model.rheo", "least.csv")
        self.put("last.csv", "y,colour\n1,red\n")
        self.refused(1, "last.csv: the model's columns x, c are not in the header", "score", "model.rheo", "last.csv")
        np.save(self.path("three.npy"), np.zeros((5, 3)))
        self.refused(1, "three.npy: has 3 columns, the model takes 4", "score", "numbers.rheo", "three.npy")
        self.refused(1, "three.npy: has 3 columns: give the 2 context columns", "sample", "numbers.rheo", "--context", "three.npy", "-n", 1, "-o", "out.csv")
        np.save(self.path("one.npy"), np.zeros((5, 3)))
        self.done("fit", "train.npy", "--columns", "1,2", "--context", "2", "-o", "single.rheo", "--epochs", 1, "-q")
        self.refused(1, "one.npy: has 3 columns: give the 1 context column of the model, or a table of all its 2 columns", "sample", "single.rheo", "--context", "one.npy", "-n", 1, "-o", "out.csv")
        self.refused(2, "check: give DATA, rows of the data and the context, for the model is conditional on c, colour", "check", "model.rheo")
        self.refused(2, "conditional on column 2, column 3", "check", "numbers.rheo")
        self.refused(2, "give normal rows (TRAIN), for the model is conditional on c, colour", "detect", "--model", "model.rheo", "test.csv")

    def test_sample_arguments(self):
        sample = ["sample", "model.rheo", "-n", 1, "-o", "out.csv"]
        self.refused(2, "conditional on c, colour|--context FILE|--context-values", *sample)
        self.refused(2, "conditional on column 2, column 3", "sample", "numbers.rheo", "-n", 1, "-o", "out.csv")
        self.refused(2, "not both", *sample, "--context", "test.csv", "--context-values", "c=1,colour=red")
        for words, values in {
            "colour is missing": "c=1",
            "'d' is no context column|c, colour": "d=1,colour=red",
            "given twice": "c=1,c=2,colour=red",
            "\"mauve\" is no category of the fit's": "c=1,colour=mauve",
            "'warm' is not a finite number": "c=warm,colour=red",
            "'inf' is not a finite number": "c=inf,colour=red",
            "NAME=VALUE": "c,colour=red",
        }.items():
            self.refused(2, words, *sample, "--context-values", values)
        self.refused(2, "context values: c: 1e+300 is beyond the range of float32: use dtype f64", *sample, "--context-values", "c=1e300,colour=red")
        self.put("beyond.csv", "c,colour\n1e300,red\n")
        self.refused(1, "beyond.csv|line 2, column 1 (c)", *sample, "--context", "beyond.csv")
        self.refused(2, "'4' is no category of the fit's; there are 3, 5, 7", "sample", "numbers.rheo", "-n", 1, "-o", "out.csv", "--context-values", "2=0,3=4")
        self.done("sample", "numbers.rheo", "-n", 1, "-o", "by-number.csv", "--context-values", "2=0,3=5", "-q")
        self.refused(2, "is also the input", "sample", "model.rheo", "-n", 1, "--context", "test.csv", "-o", "test.csv")
        self.done("fit", "train.csv", "--columns", "x,y", "-o", "plain.rheo", "--epochs", 1, "-q")
        self.refused(2, "not conditional", "sample", "plain.rheo", "-n", 1, "--context", "test.csv", "-o", "out.csv")

    def test_hostile_encoders(self):
        good = self.bytes_of("model.rheo")
        size = int.from_bytes(good[:8], "little")
        header, data = json.loads(good[8 : 8 + size]), good[8 + size :]
        spec = json.loads(header["__metadata__"]["spec"])
        del header["__metadata__"]["hash"]
        one_hot, number = spec["context_encoder"][1], spec["context_encoder"][0]
        for words, encoder in {
            "one entry for each": [number],
            "context_encoder[1]": [number, {**one_hot, "type": "hot"}],
            "two entries have the same": [number, {**one_hot, "column": 1}],
            "column": [number, {**one_hot, "column": 4}],
            "is there twice": [number, {**one_hot, "categories": ["a", "a"]}],
            "is no text": [number, {**one_hot, "categories": ["a", 1]}],
            "ascending": [number, {**one_hot, "categories": [2, 1]}],
            "give a list": [number, {**one_hot, "categories": []}],
            "1 to 4096": [number, {**one_hot, "categories": list(range(5000))}],
            "scale": [{**number, "scale": 0}, one_hot],
            "nothing is left": [{"type": "drop"}, {"type": "drop"}],
        }.items():
            header["__metadata__"]["spec"] = json.dumps({**spec, "context_encoder": encoder})
            text = json.dumps(header).encode()
            with open(self.path("hostile.rheo"), "wb") as file:
                file.write(len(text).to_bytes(8, "little") + text + data)
            self.refused(1, "hostile.rheo|" + words, "info", "hostile.rheo")


if __name__ == "__main__":
    unittest.main()
