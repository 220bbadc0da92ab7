"""Bad images, and images where they do not belong: one line that says what, where and what to do; the designed exit code; nothing written."""
import gzip
import os
import unittest

import numpy as np

from command import CommandTest, table, write_csv
from pictures import chunk, digits, idx, png

TINY = ["--set", "steps=1", "--set", "levels=1", "--set", "hidden=8", "--steps", "3", "-q"]


class ImageInput(CommandTest):
    @classmethod
    def prepare(cls):
        cls.x, cls.y = digits(60)
        np.savez(cls.path("d.npz"), X=cls.x, y=cls.y)
        np.save(cls.path("d.npy"), cls.x)
        cls.done("fit", "d.npz", "-o", "m.rheo", *TINY)
        cls.done("fit", "d.npz", "--labels", "own", "-o", "c.rheo", *TINY)
        write_csv(cls.path("t.csv"), table(60, 3))
        cls.done("fit", "t.csv", "-o", "t.rheo", "--steps", 3, "-q")

    def put(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content)
        return name

    def pictures(self, name, **files):
        os.makedirs(self.path(name), exist_ok=True)
        for stem, content in files.items():
            self.put(f"{name}/{stem}.png", content)
        return name

    def fit_refused(self, code, words, name, *more):
        self.refused(code, words, "fit", name, "-o", "m.rheo", *TINY, *more)

    def both_refused(self, words, name):
        self.fit_refused(1, words, name)
        self.refused(1, words, "score", "m.rheo", name)

    # ---- files ----

    def test_sizes_that_differ(self):
        name = self.pictures("sizes", a=png(self.x[0]), b=png(self.x[1][:, :6]))
        self.both_refused("sizes/b.png|8 x 6|8 x 8|one size", name)

    def test_png_of_other_kinds(self):
        x = self.x[0]
        rgba = np.stack([x, x, x, x], axis=-1)
        for stem, content, words in (
            ("deep", png(x, depth=16), "16"),
            ("palette", png(x % 4, kind=3, before=chunk(b"PLTE", bytes(range(12)))), "palette"),
            ("alpha", png(rgba), "alpha"),
            ("grey_alpha", png(rgba[..., :2]), "alpha"),
        ):
            with self.subTest(stem):
                self.both_refused(f"{stem}.png|{words}", self.pictures(f"kind_{stem}", **{stem: content}))

    def test_cut_short(self):
        whole = idx(self.x)
        packed = gzip.compress(whole)
        self.both_refused("cut.idx", self.put("cut.idx", whole[:-100]))
        self.both_refused("cut.gz", self.put("cut.gz", packed[: len(packed) // 2]))
        self.both_refused("cut.png", self.pictures("cut", cut=png(self.x[0])[:-20]))
        self.both_refused("long.idx", self.put("long.idx", whole + b"12"))

    def test_arrays_that_are_no_images(self):
        np.save(self.path("real.npy"), self.x.astype(np.float32))
        self.both_refused("real.npy|f4|uint8", "real.npy")
        np.save(self.path("five.npy"), self.x.reshape(60, 2, 4, 8, 1))
        self.both_refused("five.npy|60, 2, 4, 8, 1", "five.npy")
        np.save(self.path("four.npy"), self.x.reshape(60, 4, 4, 4))
        self.both_refused("four.npy|channels", "four.npy")

    def test_empty(self):
        os.makedirs(self.path("empty"), exist_ok=True)
        self.both_refused("empty", "empty")
        np.save(self.path("black.npy"), np.zeros((20, 8, 8), np.uint8))
        self.fit_refused(1, "black.npy|0|nothing to learn", "black.npy")
        np.save(self.path("single.npy"), self.x[:1])
        self.fit_refused(1, "single.npy|1 row", "single.npy")

    # ---- shapes and depths ----

    def test_odd_sides(self):
        np.save(self.path("odd.npy"), self.x[:, :7, :7])
        self.fit_refused(2, "7 x 7|squeezed|crop or pad", "odd.npy")
        np.save(self.path("six.npy"), self.x[:, :6, :6])
        self.fit_refused(2, "6 x 6|1 times|levels", "six.npy", "--set", "levels=2")
        self.done("fit", "six.npy", "-o", "six.rheo", *TINY)

    def test_another_shape(self):
        np.save(self.path("six.npy"), self.x[:, :6, :6])
        words = "six.npy|6 x 6 x 1|8 x 8 x 1"
        self.refused(1, words, "score", "m.rheo", "six.npy")
        self.refused(1, words, "encode", "m.rheo", "six.npy", "-o", "z.npy")
        self.refused(1, words, "check", "m.rheo", "six.npy")
        self.refused(1, words, "reconstruct", "m.rheo", "six.npy")
        self.refused(1, words, "interpolate", "m.rheo", "six.npy:1", "d.npy:1", "-o", "i.png")
        self.refused(1, "six.npy", "attribute", "m.rheo", "six.npy", "d.npy:1", "--labels", "d.npz", "--from", 0, "--to", 1, "-o", "i.png")
        self.fit_refused(1, "six.npy|6 x 6 x 1|d.npz|8 x 8 x 1", "d.npz", "--val", "six.npy")

    def test_beyond_the_bits(self):
        deep = self.x.copy()
        deep[7, 3, 2] = 77
        np.save(self.path("deep.npy"), deep)
        self.refused(1, "deep.npy: image 8|77|5 bits|31", "score", "m.rheo", "deep.npy")
        self.fit_refused(1, "deep.npy: image 8|77|5 bits|--bits", "d.npz", "--val", "deep.npy")
        self.done("fit", "d.npz", "--val", "deep.npy", "--bits", 8, "-o", "b.rheo", *TINY)
        for bits in ("0", "9", "many"):
            self.fit_refused(2, f"--bits|{bits}", "d.npz", "--bits", bits)

    # ---- labels ----

    def test_labels(self):
        np.save(self.path("far.npy"), self.y.astype(int) + 300)
        np.save(self.path("half.npy"), self.y + 0.5)
        np.save(self.path("few.npy"), self.y[:50])
        np.save(self.path("new.npy"), self.y + 1)
        self.fit_refused(1, "far.npy|label 1|300|255", "d.npy", "--labels", "far.npy")
        self.fit_refused(1, "half.npy|label 1|0.5|whole", "d.npy", "--labels", "half.npy")
        self.fit_refused(1, "d.npy|60 images|50 labels", "d.npy", "--labels", "few.npy")
        self.fit_refused(2, "d.npy|no labels of their own", "d.npy", "--labels", "own")
        self.fit_refused(1, "nowhere", "d.npy", "--labels", "nowhere")
        self.fit_refused(2, "labels|d.npz,d.npz", "d.npy", "--val", "d.npy", "--test", "d.npy", "--labels", "d.npz,d.npz")
        self.refused(1, "row 3|3|0, 1, 2", "score", "c.rheo", "d.npy", "--labels", "new.npy")
        self.refused(2, "no labels of their own", "score", "c.rheo", "d.npy")
        self.refused(2, "not conditional|labels", "score", "m.rheo", "d.npz", "--labels", "own")

    def test_classes_of_folders(self):
        for name, kinds in {"train": ("up", "down"), "val": ("up", "left")}.items():
            for i, kind in enumerate(kinds):
                os.makedirs(self.path(f"{name}/{kind}"), exist_ok=True)
                for k in range(3):
                    self.put(f"{name}/{kind}/{k}.png", png(self.x[3 * k + i]))
        self.fit_refused(1, "val|'left'|training images'", "train", "--val", "val", "--labels", "own")
        self.done("fit", "train", "--labels", "own", "-o", "f.rheo", *TINY)
        self.refused(1, "val|'left'|model's", "score", "f.rheo", "val")
        self.refused(2, "'left'|down, up", "sample", "f.rheo", "-n", 1, "--class", "left", "-o", "s.png")

    def test_class(self):
        self.refused(2, "not conditional|--class", "sample", "m.rheo", "-n", 1, "--class", 1, "-o", "s.png")
        self.refused(2, "conditional|0, 1, 2|--class", "sample", "c.rheo", "-n", 1, "-o", "s.png")
        for name in ("3", "one", "-1", "1.5"):
            self.refused(2, f"'{name}'|0, 1, 2", "sample", "c.rheo", "-n", 1, "--class", name, "-o", "s.png")
        self.refused(2, "--class", "interpolate", "m.rheo", "d.npy:1", "d.npy:2", "--class", 1, "-o", "i.png")
        self.refused(2, "conditional|labels", "check", "c.rheo")
        self.refused(2, "conditional", "attribute", "c.rheo", "d.npz", "d.npz:1", "--from", 0, "--to", 1, "-o", "i.png")

    # ---- images and tables ----

    def test_options_of_the_other_kind(self):
        for option in (["--handle", "none"], ["--columns", "1-3"], ["--header", "no"], ["--context", "3"], ["--categorical", "3"]):
            self.fit_refused(2, f"{option[0][2:]}|tables|d.npz|images", "d.npz", *option)
        for option in (["--bits", "5"], ["--preprocess", "logit"], ["--alpha", "0.1"], ["--dequantize", "uniform"], ["--flip"], ["--labels", "own"]):
            self.refused(2, f"{option[0][2:]}|images|t.csv|table", "fit", "t.csv", "-o", "t.rheo", *option)
        self.fit_refused(2, "alpha|scale", "d.npz", "--preprocess", "scale", "--alpha", "0.1")
        self.refused(2, "columns|images", "score", "m.rheo", "d.npz", "--columns", "1-3")
        self.refused(2, "labels|table", "score", "t.rheo", "t.csv", "--labels", "own")
        self.refused(2, "class|table", "sample", "t.rheo", "-n", 1, "--class", 1, "-o", "s.csv")
        self.refused(2, "temperatures|table", "sample", "t.rheo", "-n", 1, "--temperatures", "1,2", "-o", "s.csv")
        self.refused(2, "context|class", "sample", "c.rheo", "-n", 1, "--context-values", "65=1", "-o", "s.png")

    def test_data_of_the_other_kind(self):
        self.put("d.idx", idx(self.x))
        self.put("one.png", png(self.x[0]))
        for name in ("d.npz", "d.npy", "d.idx", "one.png", self.pictures("pair", a=png(self.x[0]))):
            self.refused(1, f"{name}|images|table of 3 columns", "score", "t.rheo", name)
        self.refused(1, "t.csv|no image data", "score", "m.rheo", "t.csv")
        for command in (["interpolate", "t.rheo", "d.npy:1", "d.npy:2"], ["reconstruct", "t.rheo", "d.npy"], ["attribute", "t.rheo", "d.npz", "d.npy:1", "--from", 0, "--to", 1]):
            self.refused(2, f"{command[0]}|table", *command, "-o", "i.png")
        self.refused(2, "glow|image", "fit", "t.csv", "-o", "t.rheo", "--arch", "glow")

    # ---- places and outputs ----

    def test_one_image_of_many(self):
        line = ["interpolate", "m.rheo", "-o", "i.png"]
        self.refused(2, "d.npy|60 images|d.npy:1", *line, "d.npy", "d.npy:2")
        self.refused(2, "d.npy|image 61|60", *line, "d.npy:2", "d.npy:61")
        self.refused(2, "d.npy:0|from 1", *line, "d.npy:0", "d.npy:1")
        self.refused(1, "nothing.npy", *line, "nothing.npy:1", "d.npy:1")
        self.refused(2, "from|to", "attribute", "m.rheo", "d.npz", "d.npz:1", "-o", "i.png")
        self.refused(2, "'7'", "attribute", "m.rheo", "d.npz", "d.npz:1", "--from", 0, "--to", 7, "-o", "i.png")
        self.refused(2, "strengths", "attribute", "m.rheo", "d.npz", "d.npz:1", "--from", 0, "--to", 1, "--strengths", "a,b", "-o", "i.png")

    def test_outputs(self):
        sample = ["sample", "m.rheo", "-n"]
        self.refused(2, "out.csv|OUT.png|OUT.npy|FOLDER/", *sample, 3, "-o", "out.csv")
        self.refused(2, "out.png|at least one", *sample, 0, "-o", "out.png")
        self.refused(2, "out.png|too many", *sample, 10**9, "-o", "out.png")
        self.refused(2, "temperatures|0.6,0.7", *sample, 3, "--temperatures", "1,cold", "-o", "out.png")
        self.refused(2, "temperatures|number 2", *sample, 3, "--temperatures", "1,-1", "-o", "out.png")
        self.refused(1, "nowhere/out.png", *sample, 3, "-o", "nowhere/out.png")
        self.refused(1, "nowhere/out", *sample, 3, "-o", "nowhere/out/")
        self.pictures("full", a=png(self.x[0]))
        self.refused(1, "full|not empty", *sample, 3, "-o", "full/")
        self.assertEqual(os.listdir(self.path("full")), ["a.png"])
        self.refused(2, "d.npy|also the input", "reconstruct", "m.rheo", "d.npy", "-o", "d.npy")


if __name__ == "__main__":
    unittest.main()
