"""Bad input: one line that says what, where and what to do; the designed exit code; nothing written, nothing overwritten."""
import io
import json
import os
import struct
import subprocess
import unittest
import zipfile

import numpy as np

from command import RHEO, CommandTest, table, write_csv


def npy(x):
    buffer = io.BytesIO()
    np.save(buffer, x)
    return buffer.getvalue()


def safetensors(header, data=b"", size=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


class BadInput(CommandTest):
    @classmethod
    def prepare(cls):
        cls.x = table(400)
        write_csv(cls.path("good.csv"), cls.x, ["a", "b", "c"])
        cls.done("fit", "good.csv", "-o", "model.rheo", "--epochs", 2, "-q")
        cls.done("score", "model.rheo", "good.csv", "-o", "old.csv", "-q")

    def put(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return name

    @staticmethod
    def words(name):
        return [name] if isinstance(name, str) else name

    def fit_refused(self, code, words, name, *more):
        """A fit over an existing model leaves it as it is."""
        self.refused(code, words, "fit", *self.words(name), "-o", "model.rheo", "--epochs", 1, *more)

    def score_refused(self, code, words, name, *more):
        self.refused(code, words, "score", "model.rheo", *self.words(name), "-o", "old.csv", *more)

    def both_refused(self, words, name):
        self.fit_refused(1, words, name)
        self.score_refused(1, words, name)

    # ---- tables ----

    def test_ragged_rows(self):
        self.both_refused("ragged.csv|4", self.put("ragged.csv", "a,b,c\n1,2,3\n4,5,6\n7,8\n"))
        self.both_refused("ragged.csv|3", self.put("ragged.csv", "1,2,3\n4,5,6\n7,8,9,10\n"))

    def test_text_where_a_number_belongs(self):
        self.both_refused("text.csv|3|2|five", self.put("text.csv", "a,b,c\n1,2,3\n4,five,6\n7,8,9\n"))
        self.both_refused("text.csv|2", self.put("text.csv", "1,2,3\n4,,6\n7,8,9\n"))

    def test_a_first_line_of_texts_and_numbers(self):
        rows = "".join(f"{a},{b},{c}\n" for a, b, c in self.x[:50])
        self.both_refused("mixed.csv|line 1, column 2|n/a|--header", self.put("mixed.csv", "0.1,n/a,0.3\n" + rows))
        self.both_refused("mixed.csv|line 1, column 2|n/a|leave the column out", ["--header", "no", "mixed.csv"])
        self.put("years.csv", "a,2019,2020\n" + rows)
        self.both_refused("years.csv|line 1, column 1|--header", "years.csv")
        self.done("fit", "years.csv", "-o", "years.rheo", "--header", "yes", "--epochs", 1, "-q")
        self.assertEqual(self.report("score", "years.rheo", "years.csv", "--header", "yes")["n"], 50)
        self.assertEqual(self.report("check", "years.rheo", "years.csv", "--header", "yes")["rows"], 50)
        self.done("encode", "years.rheo", "years.csv", "-o", "codes.csv", "--header", "yes")
        self.refused(2, "--header|detect", "score", "years.rheo", "years.csv", "--header", "maybe")

    def test_not_finite(self):
        for word in ("nan", "inf", "-inf", "1e999"):
            self.both_refused("nan.csv|3|2", self.put("nan.csv", f"a,b,c\n1,2,3\n4,{word},6\n7,8,9\n"))
        x = self.x.copy()
        x[5, 1] = np.nan
        self.both_refused("nan.npy|6|2|nan", self.put("nan.npy", npy(x)))
        x[5, 1] = np.inf
        self.both_refused("nan.npy|6|2|inf", self.put("nan.npy", npy(x)))

    def test_beyond_the_precision(self):
        x = self.x.copy()
        x[7, 2] = 1e300
        self.fit_refused(1, "huge.npy|8|3|float32", self.put("huge.npy", npy(x)))

    def test_columns_that_float32_or_a_model_cannot_hold(self):
        rng = np.random.default_rng(4)
        far = np.column_stack([self.x, 1.7e9 + 60 * rng.random(400)])
        self.fit_refused(1, "far.npy: column 4|steps of 128|--dtype f64|subtract 1.7e+09", self.put("far.npy", npy(far)))
        self.done("fit", "far.npy", "-o", "far.rheo", "--dtype", "f64", "--steps", 2, "-q")
        far[:, 3] = 1.7e9 + 3600 * rng.random(400)
        self.put("far.npy", npy(far))
        warnings = self.report("fit", "far.npy", "-o", "far.rheo", "--steps", 2)["warnings"]
        self.assertIn("column 4: in float32 its values round to steps of 128: use --dtype f64, or subtract 1.7e+09 first", warnings)
        wide = np.column_stack([1e36 * self.x[:, 0], 1e-38 * rng.standard_normal(400)])
        self.fit_refused(1, "wide.npy: column 2: its standard deviation|rescale the column", self.put("wide.npy", npy(wide)))

    def test_empty(self):
        for content in ("", "\n\n", "# a comment\n", "a,b,c\n"):
            self.both_refused("empty.csv", self.put("empty.csv", content))
        self.both_refused("empty.npy", self.put("empty.npy", npy(np.zeros((0, 3)))))
        self.both_refused("empty.npy", self.put("empty.npy", npy(np.zeros((3, 0)))))
        self.refused(1, "standard input", "fit", "-", "-o", "model.rheo")

    def test_one_row(self):
        self.fit_refused(1, "row", self.put("row.csv", "a,b,c\n1,2,3\n"))

    def test_all_constant(self):
        self.fit_refused(1, "same.csv|every column is constant", self.put("same.csv", "1,2\n" * 300))
        self.fit_refused(1, "same.csv|constant", self.put("same.csv", "1,2\n" * 10))

    def test_few_different_rows(self):
        self.put("binary.csv", "0,0\n0,1\n1,0\n1,1\n" * 75)
        self.fit_refused(1, "binary.csv: 4 different rows|--val FILE|--split 1,0,0", "binary.csv")
        self.done("fit", "binary.csv", "-o", "binary.rheo", "--split", "1,0,0", "--epochs", 1, "-q")
        self.done("fit", "binary.csv", "-o", "binary.rheo", "--val", "binary.csv", "--epochs", 1, "-q")

    def test_duplicate_headers(self):
        self.both_refused("twice.csv|a", self.put("twice.csv", "a,a,c\n1,2,3\n4,5,6\n7,8,9\n"))

    def test_wrong_width(self):
        self.score_refused(1, "wide.npy|4|3", self.put("wide.npy", npy(table(10, 4))))
        self.score_refused(1, "narrow.npy|2|3", self.put("narrow.npy", npy(table(10, 2))))
        self.score_refused(1, "names.csv|c", self.put("names.csv", "a,b,d\n1,2,3\n4,5,6\n"))
        self.fit_refused(1, "wide.npy|4|3", "good.csv", "--val", "wide.npy")
        self.refused(1, "narrow.npy|2|3", "decode", "model.rheo", "narrow.npy", "-o", "old.csv")

    def test_columns_that_are_not_there(self):
        self.fit_refused(2, "zz", "good.csv", "--columns", "a,zz")
        self.fit_refused(2, "9", "good.csv", "--columns", "9")

    def test_hostile_npy(self):
        good = npy(self.x)
        for name, content in {
            "cut": good[: len(good) // 2],
            "header cut": good[:40],
            "magic only": good[:6],
            "version": good[:6] + b"\x09" + good[7:],
            "objects": good.replace(b"'<f8'", b"'|O8'"),
            "complex": npy(self.x.astype(complex)),
            "3-D": npy(np.zeros((2, 3, 4))),
            "negative": good.replace(b"(400, 3)", b"(-40, 3)"),
            "overflow": good[:10] + good[10:].replace(b"(400, 3), }    ", b"(4000000000000000000, 3), }", 1),
            "text": good[:10] + b"x" * (len(good) - 10),
        }.items():
            with self.subTest(name):
                self.both_refused("hostile.npy", self.put("hostile.npy", content))

    def test_hostile_npz(self):
        buffer = io.BytesIO()
        np.savez_compressed(buffer, x=self.x)
        good = buffer.getvalue()
        empty = io.BytesIO()
        zipfile.ZipFile(empty, "w").close()
        for name, content in {"cut": good[:-30], "flipped": good[:60] + bytes([good[60] ^ 255]) + good[61:], "no arrays": empty.getvalue()}.items():
            with self.subTest(name):
                self.both_refused("hostile.npz", self.put("hostile.npz", content))
        odd = io.BytesIO()
        with zipfile.ZipFile(odd, "w", zipfile.ZIP_BZIP2) as archive:
            archive.writestr("a.npy", npy(self.x))
        self.both_refused('odd.npz: array "a"|method 12|savez_compressed', self.put("odd.npz", odd.getvalue()))
        odd = io.BytesIO()
        np.savez(odd, a=self.x.astype(object), labels=np.zeros(400))
        self.both_refused('odd.npz: array "a"|Python objects|astype|FILE.npz:NAME', self.put("odd.npz", odd.getvalue()))
        self.put("good.npz", good)
        self.both_refused("good.npz|y", "good.npz:y")

    def test_missing_and_unreadable(self):
        self.both_refused("nowhere.csv|No such file", "nowhere.csv")
        os.makedirs(self.path("folder"), exist_ok=True)
        self.both_refused("folder", "folder")
        self.refused(1, "nowhere.rheo|No such file", "score", "nowhere.rheo", "good.csv")
        self.refused(1, "nowhere.csv|No such file", "fit", "good.csv", "--val", "nowhere.csv", "-o", "model.rheo")

    # ---- models ----

    def test_hostile_models(self):
        good = self.bytes_of("model.rheo")
        size = struct.unpack("<Q", good[:8])[0]
        header = json.loads(good[8 : 8 + size])
        data = good[8 + size :]

        def changed(change):
            copy = json.loads(json.dumps(header))
            change(copy)
            return safetensors(copy, data)

        first = next(name for name in header if name != "__metadata__")
        cases = {
            "empty": b"",
            "short": good[:7],
            "cut": good[: len(good) // 2],
            "flipped": good[:-9] + bytes([good[-9] ^ 64]) + good[-8:],
            "header too long": safetensors(b"{}", size=1 << 60),
            "no metadata": safetensors({}),
            "not JSON": safetensors(b"{nonsense"),
            "deep": safetensors(b"[" * 100000),
            "list": safetensors(b"[]"),
            "offsets": changed(lambda h: h[first].update(data_offsets=[0, 1 << 62])),
            "negative shape": changed(lambda h: h[first].update(shape=[-1])),
            "no tensor": changed(lambda h: h.pop(first)),
            "spec": changed(lambda h: h["__metadata__"].update(spec="{}")),
            "huge spec": changed(lambda h: h["__metadata__"].update(spec=h["__metadata__"]["spec"].replace('"columns":3', '"columns":3000000000'))),
            "version": changed(lambda h: h["__metadata__"].update(rheo="999")),
            "a table": self.bytes_of("good.csv"),
            "pickle": b"\x80\x04\x95cos\nsystem\n",
        }
        for name, content in cases.items():
            with self.subTest(name):
                self.put("hostile.rheo", content)
                for command in (["score", "hostile.rheo", "good.csv", "-o", "old.csv"], ["sample", "hostile.rheo", "-n", 3, "-o", "old.csv"], ["info", "hostile.rheo"], ["check", "hostile.rheo"]):
                    self.refused(1, "hostile.rheo", *command)

    # ---- outputs ----

    def test_unwritable_output(self):
        os.makedirs(self.path("folder"), exist_ok=True)
        self.refused(1, "nowhere/out.rheo|No such file", "fit", "good.csv", "-o", "nowhere/out.rheo", "--epochs", 1)
        self.refused(1, "folder", "fit", "good.csv", "-o", "folder", "--epochs", 1)
        self.refused(1, "nowhere/out.csv|No such file", "score", "model.rheo", "good.csv", "-o", "nowhere/out.csv")
        self.refused(1, "folder", "sample", "model.rheo", "-n", 3, "-o", "folder")
        self.refused(1, "nowhere/log|No such file", "fit", "good.csv", "-o", "model.rheo", "--log", "nowhere/log")

    def test_resume_over_something_else(self):
        self.fit_refused(2, "model.rheo|another fit|seed", "good.csv", "--epochs", 2, "--seed", 1, "--resume")
        self.fit_refused(2, "model.rheo|another fit|lr", "good.csv", "--epochs", 2, "--set", "lr=1e-4", "--resume")
        self.put("less.csv", "".join(line + "\n" for line in self.text_of("good.csv").splitlines()[:-1]))
        self.fit_refused(2, "model.rheo|another fit", "less.csv", "--epochs", 2, "--resume")
        self.put("notes.rheo", "my notes\n")
        self.refused(2, "notes.rheo|remove", "fit", "good.csv", "-o", "notes.rheo", "--epochs", 2, "--resume")
        self.assertTrue(self.report("fit", "good.csv", "-o", "model.rheo", "--epochs", 2, "-q", "--resume")["already_done"])
        self.done("fit", "good.csv", "-o", "/dev/null", "--epochs", 1, "-q", "--resume")

    def test_output_that_is_an_input(self):
        self.put("t.csv", self.bytes_of("good.csv"))
        self.put("v.csv", self.bytes_of("good.csv"))
        np.savez(self.path("t.npz"), x=self.x)
        words = "is also the input|another name"
        for output in ("t.csv", "./t.csv", self.path("t.csv")):
            self.refused(2, f"{output}|{words}", "fit", "t.csv", "-o", output, "--epochs", 1)
        self.refused(2, words, "fit", "good.csv", "--val", "v.csv", "-o", "v.csv", "--epochs", 1)
        self.refused(2, words, "fit", "good.csv", "--test", "v.csv", "-o", "v.csv", "--epochs", 1)
        self.refused(2, words, "fit", "t.npz:x", "-o", "t.npz", "--epochs", 1)
        os.symlink("t.csv", self.path("link.csv"))
        self.refused(2, words, "fit", "t.csv", "-o", "link.csv", "--epochs", 1)
        for command in ("score", "encode", "decode"):
            self.refused(2, words, command, "model.rheo", "t.csv", "-o", "t.csv")
            self.refused(2, words, command, "model.rheo", "t.csv", "-o", "model.rheo")
        self.refused(2, words, "sample", "model.rheo", "-n", 3, "-o", "./model.rheo")
        with open(self.path("t.csv"), "rb") as stdin:
            run = subprocess.run([RHEO, "encode", "model.rheo", "-", "-o", "t.csv"], stdin=stdin, capture_output=True, cwd=self.folder)
        self.assertEqual((run.returncode, self.bytes_of("t.csv")), (2, self.bytes_of("good.csv")), run.stderr)

    def test_log_over_something_else(self):
        for name in ("good.csv", "./good.csv", os.path.join(self.folder, "good.csv")):
            self.fit_refused(2, "--log|good.csv|TRAIN", "good.csv", "--log", name)
        self.put("v.csv", self.bytes_of("good.csv"))
        self.fit_refused(2, "--val", "good.csv", "--val", "v.csv", "--log", "v.csv")
        self.fit_refused(2, "--test", "good.csv", "--test", "v.csv", "--log", "v.csv")
        os.link(self.path("good.csv"), self.path("linked.csv"))
        self.fit_refused(2, "TRAIN", "good.csv", "--log", "linked.csv")
        os.unlink(self.path("linked.csv"))
        for log in ("new.rheo", "./new.rheo"):
            self.refused(2, "--log|-o", "fit", "good.csv", "-o", "new.rheo", "--epochs", 1, "--log", log)
        self.fit_refused(2, "--log|-o", "good.csv", "--log", "model.rheo")
        self.refused(2, "checkpoint", "fit", "good.csv", "-o", "new.rheo", "--epochs", 1, "--log", "new.rheo.ckpt")
        self.fit_refused(2, "--log -|standard output", "good.csv", "--log", "-")
        with open(self.path("good.csv"), "rb") as stdin:
            run = subprocess.run([RHEO, "fit", "-", "-o", "new.rheo", "--log", "good.csv"], stdin=stdin, capture_output=True, cwd=self.folder)
        self.assertEqual((run.returncode, len(self.bytes_of("good.csv")) > 1000), (2, True))

    def test_log_of_a_fit_that_never_began(self):
        self.put("old.jsonl", "kept\n")
        self.put("text.csv", "a,b\n1,2\n3,x\n")
        for log in ("old.jsonl", "fresh.jsonl"):
            self.fit_refused(1, "text.csv", "text.csv", "--log", log)
            self.fit_refused(2, "zzzz", "good.csv", "--set", "zzzz=8", "--log", log)
        self.done("fit", "good.csv", "-o", "logged.rheo", "--steps", 2, "-q", "--log", "old.jsonl")
        self.assertEqual(json.loads(self.text_of("old.jsonl").splitlines()[0])["event"], "start")

    def test_full_standard_output(self):
        with open("/dev/full", "wb") as full:
            for args in (["sample", "model.rheo", "-n", "100000", "-o", "-"], ["info", "model.rheo"], ["score", "model.rheo", "good.csv", "--json"]):
                run = subprocess.run([RHEO, *args], stdout=full, stderr=subprocess.PIPE, cwd=self.folder, timeout=60)
                self.assertEqual(run.returncode, 1, args)
                self.assertEqual(run.stderr.count(b"\n"), 1, run.stderr)
                self.assertIn(b"standard output", run.stderr)
        self.refused(1, "/dev/full", "sample", "model.rheo", "-n", 100000, "-o", "/dev/full")

    # ---- numbers and names ----

    def test_unknown_keys(self):
        self.fit_refused(2, "hiden|hidden", "good.csv", "--set", "hiden=2x8")
        self.fit_refused(2, "bacth|batch", "good.csv", "--set", "bacth=8")
        self.fit_refused(2, "zzzz|layers|hidden|those of the training|lr, |batch", "good.csv", "--set", "zzzz=8")
        for key, meant in {"batch_size": "batch", "batchsize": "batch", "learning_rate": "lr", "hidden_size": "hidden"}.items():
            self.fit_refused(2, f"unknown key '{key}', did you mean '{meant}'?", "good.csv", "--set", f"{key}=8")
            self.fit_refused(2, f"unknown key '{key}', did you mean '{meant}'?", "good.csv", "--arch", "realnvp", "--set", "mask=half", "--set", f"{key}=8")
        self.fit_refused(2, "relnvp|realnvp", "good.csv", "--arch", "relnvp")

    def test_absurd_numbers(self):
        for pair in ("lr=-1", "lr=1e9", "batch=0", "batch=-5", "batch=1.5", "clip=-1", "patience=-1", "hidden=0", "hidden=[8,-8]", "layers=0", "layers=-3", "lr=fast", "hidden=[]x"):
            with self.subTest(pair):
                self.fit_refused(2, pair.split("=")[0], "good.csv", "--set", pair)
        for arch, pairs in {
            "nsf": ("bins=0", "bins=65", "bins=2.5", "box=0", "box=-1", "box=1e7", "order=sideways", "order=[0,1]"),
            "nsf-coupling": ("bins=-1", "box=wide", "mask=thirds"),
            "maf": ("bound=0", "bound=81", "order=[0,0,1]", "activation=relo", "base=studentt", "components=0"),
            "iaf": ("layers=1025", "hidden=65537", "net=cnn", "order=reverse"),
        }.items():
            for pair in pairs:
                with self.subTest(f"{arch}, {pair}"):
                    self.fit_refused(2, pair.split("=")[0], "good.csv", "--arch", arch, "--set", pair)
        for arch, pair in (("maf", "bins=8"), ("nsf", "bound=2"), ("maf", "mask=half"), ("nsf-coupling", "order=natural")):
            self.fit_refused(2, f"unknown key '{pair.split('=')[0]}'", "good.csv", "--arch", arch, "--set", pair)
        self.fit_refused(2, "split", "good.csv", "--split", "0.5,0.6,0.7")
        self.fit_refused(2, "split", "good.csv", "--split", "half")

        self.fit_refused(2, "lr|must be 1e-12 to 10", "good.csv", "--set", "lr=11")

    def test_a_box_that_excludes_the_data(self):
        """Units of the flow: standardized columns, 0.62 of a normal's rows within 0.5, hence a third of them within 0.43, nearly none outside of 5."""
        rng = np.random.default_rng(2)
        x = rng.standard_normal((1000, 4))
        x[:, 1] = 4.5  # constant: dropped, and columns behind it keep their names
        x[:, 2] *= np.where(rng.random(1000) < 0.1, 12, 1)
        write_csv(self.path("boxed.csv"), x, ["a", "k", "tail", "c"])
        for arch in ("nsf", "nsf-coupling"):
            few = ("--arch", arch, "--set", "hidden=8", "--epochs", 1, "-o", "model.rheo")
            for box, column in ((0.05, "column 1 (a)"), (0.5, "column 1 (a)")):
                self.refused(1, f"boxed.csv: {column}: |% of the training rows lie outside of the splines' box, [-{box}, {box}]|a larger box|--set box=", "fit", "boxed.csv", *few, "--set", f"box={box}")
            self.refused(1, "column 4 (c)", "fit", "boxed.csv", *few, "--columns", "k,tail,c", "--context", "tail", "--set", "box=0.5")
            self.refused(1, "column 1 (a)", "fit", "boxed.csv", *few, "--set", "components=2", "--set", "box=0.5")
            warnings = {}
            for box in (1, 1.5, 3.5, 5):
                report = self.report("fit", "boxed.csv", "-o", "boxed.rheo", *few[:-2], "--set", f"box={box}")
                warnings[box] = [w for w in report["warnings"] if "box" in w]
            self.assertEqual([w.split(":")[0] for w in warnings[1]], ["column 1 (a)", "column 3 (tail)", "column 4 (c)"])
            self.assertEqual(len(warnings[1.5]), 3)
            share = float(warnings[1.5][2].split(": ")[1].split(" %")[0])
            seen = (abs(x[:, 3] - x[:, 3].mean()) > 1.5 * x[:, 3].std()).mean()
            self.assertAlmostEqual(share / 100, seen, delta=0.03)  # of the rows that are trained on
            self.assertEqual(warnings[3.5] + warnings[5], [])
        self.done("fit", "boxed.csv", "-o", "boxed.rheo", "--arch", "maf", "--set", "hidden=8", "--epochs", 1, "-q")

    def test_empty_names(self):
        self.refused(2, "'' is no file name", "fit", "", "-o", "new.rheo")
        self.refused(2, "'' is no file name", "score", "", "good.csv")
        self.refused(2, "'' is no file name", "score", "model.rheo", "")
        self.refused(1, "standard input: ", "score", "-", "good.csv", stdin="no model")

    def test_too_large_for_memory(self):
        self.fit_refused(1, "GB", "good.csv", "--arch", "realnvp", "--set", "hidden=[60000,60000]")
        self.fit_refused(1, "too large", "good.csv", "--arch", "maf", "--set", "hidden=[60000,60000]")


if __name__ == "__main__":
    unittest.main()
