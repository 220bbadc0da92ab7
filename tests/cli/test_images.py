"""Models of images, end to end: fits, bits/dim, samples, codes, paths, reconstructions, checks, classes; the same bytes for any number of
threads, and after a kill."""
import gzip
import json
import math
import os
import random
import signal
import subprocess
import time
import unittest

import numpy as np

from command import RHEO, CommandTest, table
from pictures import cells, digits, idx, png, read_png

TINY = ["--set", "steps=1", "--set", "levels=1", "--set", "hidden=8", "-q"]
FIT = [*TINY, "--epochs", "80", "--seed", "5", "--set", "patience=0"]


class Images(CommandTest):
    @classmethod
    def prepare(cls):
        cls.x, cls.y = digits()
        np.savez(cls.path("d.npz"), X=cls.x, y=cls.y)
        with gzip.open(cls.path("d.idx.gz"), "wb") as file:
            file.write(idx(cls.x))
        with open(cls.path("labels.idx"), "wb") as file:
            file.write(idx(cls.y))
        np.save(cls.path("d.npy"), cls.x)
        for i, name in enumerate(("ring", "up", "across")):
            os.makedirs(cls.path(f"folder/{name}"))
            for k in np.flatnonzero(cls.y == i):
                with open(cls.path(f"folder/{name}/{k:03}.png"), "wb") as file:
                    file.write(png(cls.x[k]))
        cls.fit = cls.report("fit", "d.npz", "-o", "m.rheo", *TINY, "--steps", 60)
        cls.done("fit", "d.npz", "--labels", "own", "-o", "c.rheo", *TINY, "--steps", 60)

    def array(self, name):
        return np.load(self.path(name))

    def picture(self, name):
        return read_png(self.bytes_of(name))

    # ---- fits ----

    def test_every_form_of_the_data_gives_the_same_model(self):
        for name in ("d.idx.gz", "d.npy", "d.npz:X"):
            self.done("fit", name, "-o", "same.rheo", *TINY, "--steps", 60)
            self.assertEqual(self.bytes_of("same.rheo"), self.bytes_of("m.rheo"), name)
        self.done("fit", "-", "--bits", 5, "-o", "same.rheo", *TINY, "--steps", 60, stdin=idx(self.x))
        self.assertEqual(self.bytes_of("same.rheo"), self.bytes_of("m.rheo"))
        self.done("fit", "d.idx.gz", "--labels", "labels.idx", "-o", "same.rheo", *TINY, "--steps", 60)
        self.assertEqual(self.bytes_of("same.rheo"), self.bytes_of("c.rheo"))

    def test_what_the_fit_says(self):
        self.assertEqual(self.fit["image"], {"shape": [8, 8, 1], "bits": 5, "data_bits": 5, "greatest": int(self.x.max())})
        self.assertAlmostEqual(self.fit["val_bits_per_dim"], -self.fit["val"] / 64 / math.log(2), places=10)
        self.assertIn("8 x 8 x 1", self.fit["notes"][0])
        info = self.report("info", "m.rheo")
        self.assertEqual(info["image"], self.fit["image"])
        self.assertEqual([p["type"] for p in info["spec"]["preprocess"]], ["dequantize", "logit"])

    def test_preprocessing(self):
        for more, parts in {
            ("--bits", "3"): ["quantize", "dequantize", "logit"],
            ("--bits", "8"): ["dequantize", "logit"],
            ("--preprocess", "scale"): ["dequantize", "standardize"],
            ("--dequantize", "variational", "--alpha", "0.01"): ["variational_dequantize", "logit"],
            ("--flip", "--dtype", "f64"): ["dequantize", "logit"],
            ("--arch", "ffjord-image", "--set", "hidden=2x8"): ["dequantize", "logit"],
            ("--arch", "realnvp-image", "--set", "steps=1"): ["dequantize", "logit"],
        }.items():
            with self.subTest(more):
                self.done("fit", "d.npz", "-o", "p.rheo", *TINY, "--steps", 5, *more)
                info = self.report("info", "p.rheo")
                self.assertEqual([p["type"] for p in info["spec"]["preprocess"]], parts)
                self.assertTrue(self.report("check", "p.rheo", "d.npz")["ok"])
                bits = int(more[1]) if more[0] == "--bits" else 5
                self.assertEqual((info["image"]["bits"], info["image"]["data_bits"]), (bits, max(bits, 5)))
        self.assertTrue(self.report("info", "p.rheo")["arch"], "realnvp-image")

    def test_steps_of_a_level_and_of_the_training(self):
        flat = [a for a in TINY if a != "steps=1"]
        flat.remove("--set")
        reports = [self.report("fit", "d.npz", "-o", "p.rheo", *flat, "--steps", 4, "--set", f"steps={k}") for k in (1, 3)]
        self.assertEqual([r["steps"] for r in reports], [4, 4])
        self.assertGreater(reports[1]["parameters"], 2 * reports[0]["parameters"])

    def test_flip_is_a_different_fit(self):
        self.done("fit", "d.npz", "-o", "flip.rheo", *TINY, "--steps", 60, "--flip")
        self.assertNotEqual(self.bytes_of("flip.rheo"), self.bytes_of("m.rheo"))

    def test_tables_are_tables(self):
        np.save(self.path("flat.npy"), self.x[:, :4, 0].astype(np.uint8))
        np.savez(self.path("two.npz"), pixels=self.x, rows=table(50, 2))
        self.assertNotIn("image", self.report("fit", "flat.npy", "-o", "t.rheo", "-q", "--steps", 2))
        self.assertNotIn("image", self.report("fit", "two.npz", "-o", "t.rheo", "-q", "--steps", 2))
        self.assertIn("image", self.report("fit", "two.npz:pixels", "-o", "t.rheo", *TINY, "--steps", 2))

    def test_a_flow_of_ones_own(self):
        parts = [{"type": "image", "shape": [8, 8, 1]}, {"type": "squeeze"}, {"type": "coupling", "mask": "channels", "net": {"type": "conv", "hidden": 4}}]
        with open(self.path("spec.json"), "w") as file:
            json.dump({"flow": {"type": "chain", "parts": parts}, "base": {"type": "normal"}}, file)
        self.done("fit", "d.npz", "--spec", "spec.json", "-o", "own.rheo", "-q", "--steps", 5)
        self.assertTrue(self.report("check", "own.rheo", "d.npz")["ok"])

    # ---- scores ----

    def test_score(self):
        report = self.report("score", "m.rheo", "d.npz", "-o", "logp.npy")
        log_prob = self.array("logp.npy")[:, 0].astype(float)
        bits = -log_prob / 64 / math.log(2)
        self.assertAlmostEqual(report["bits_per_dim"], bits.mean(), places=5)
        self.assertAlmostEqual(report["bits_per_dim_stderr"], bits.std(ddof=1) / math.sqrt(len(bits)), places=5)
        self.assertIn("bits/dim", self.done("score", "m.rheo", "d.npz").stdout.decode())

    def test_more_draws_come_closer(self):
        """The importance-weighted bound grows with the draws (Burda et al. 2016, theorem 1)."""
        bits = [self.report("score", "m.rheo", "d.npz", "--draws", k)["bits_per_dim"] for k in (1, 4, 32)]
        self.assertGreater(bits[0], bits[1])
        self.assertGreater(bits[1], bits[2])

    def test_classes_help_and_must_fit(self):
        own = self.report("score", "c.rheo", "d.npz")["bits_per_dim"]
        self.assertEqual(self.report("score", "c.rheo", "d.idx.gz", "--labels", "labels.idx")["bits_per_dim"], own)
        np.save(self.path("wrong.npy"), (self.y + 1) % 3)
        self.assertGreater(self.report("score", "c.rheo", "d.npy", "--labels", "wrong.npy")["bits_per_dim"], own)

    def test_classes_by_name(self):
        self.done("fit", "folder", "--labels", "own", "-o", "f.rheo", *TINY, "--steps", 60)
        own = self.report("score", "f.rheo", "folder")["bits_per_dim"]
        os.makedirs(self.path("other/up"), exist_ok=True)
        with open(self.path("other/up/1.png"), "wb") as file:
            file.write(png(self.x[1]))
        one = self.report("score", "f.rheo", "other", "-o", "one.npy")
        self.assertEqual(one["n"], 1)
        self.done("score", "f.rheo", "folder", "-o", "all.npy")  # sorted: across, ring, up
        self.assertEqual(self.array("one.npy")[0, 0], self.array("all.npy")[160, 0])
        self.done("sample", "f.rheo", "-n", 3, "--class", "up", "-o", "up.npy")
        self.done("sample", "f.rheo", "-n", 3, "--class", 2, "-o", "two.npy")
        self.assertEqual(self.bytes_of("up.npy"), self.bytes_of("two.npy"))
        self.assertLess(own, 5)

    # ---- samples ----

    def test_samples(self):
        self.done("sample", "m.rheo", "-n", 7, "-o", "s.npy", "--temperature", 0.7)
        x = self.array("s.npy")
        self.assertEqual((x.shape, x.dtype), ((7, 8, 8), np.uint8))
        self.assertLess(x.max(), 32)
        self.done("sample", "m.rheo", "-n", 7, "-o", "s.png", "--temperature", 0.7)
        grid = cells(self.picture("s.png"), 8)
        self.assertEqual(grid.shape, (3, 3, 8, 8, 1))
        white = int(self.x.max())
        shown = np.minimum((x.astype(int) * 255 + white // 2) // white, 255)
        self.assertTrue((grid.reshape(9, 8, 8)[:7] == shown).all())
        self.done("sample", "m.rheo", "-n", 7, "-o", "single/", "--temperature", 0.7)
        self.assertEqual(sorted(os.listdir(self.path("single"))), [f"{i}.png" for i in range(1, 8)])
        self.assertTrue((self.picture("single/3.png")[:, :, 0] == shown[2]).all())
        self.assertEqual(self.done("sample", "m.rheo", "-n", 7, "-o", "-", "--temperature", 0.7).stdout, self.bytes_of("s.png"))

    def test_colour_images_and_their_own_values(self):
        rgb = np.stack([self.x * 15, 255 - self.x * 15, self.x * 7], axis=-1)
        np.save(self.path("rgb.npy"), rgb)
        self.done("fit", "rgb.npy", "-o", "rgb.rheo", *TINY, "--steps", 3)
        self.assertEqual(self.report("info", "rgb.rheo")["image"], {"shape": [8, 8, 3], "bits": 8, "data_bits": 8, "greatest": 255})
        self.done("sample", "rgb.rheo", "-n", 4, "-o", "rgb_s.npy")
        self.done("sample", "rgb.rheo", "-n", 4, "-o", "rgb_s.png")
        x = self.array("rgb_s.npy")
        self.assertEqual(x.shape, (4, 8, 8, 3))
        self.assertTrue((cells(self.picture("rgb_s.png"), 8).reshape(4, 8, 8, 3) == x).all())
        self.assertEqual(self.report("score", "rgb.rheo", "rgb_s.npy")["n"], 4)

    def test_a_ladder_of_temperatures(self):
        self.done("sample", "m.rheo", "-n", 5, "--temperatures", "0.5,1", "-o", "ladder.npy")
        self.done("sample", "m.rheo", "-n", 5, "--temperature", 0.5, "-o", "cool.npy")
        self.assertTrue((self.array("ladder.npy")[:5] == self.array("cool.npy")).all())
        self.done("sample", "m.rheo", "-n", 5, "--temperatures", "0.5,0.7,1", "-o", "ladder.png")
        self.assertEqual(cells(self.picture("ladder.png"), 8).shape[:2], (3, 5))

    def test_samples_of_classes(self):
        self.done("sample", "c.rheo", "-n", 4, "--class", "all", "-o", "all.npy")
        self.done("sample", "c.rheo", "-n", 4, "--class", 1, "-o", "one.npy")
        self.assertTrue((self.array("all.npy")[4:8] == self.array("one.npy")).all())
        self.done("sample", "c.rheo", "-n", 4, "--class", "all", "-o", "all.png")
        self.assertEqual(cells(self.picture("all.png"), 8).shape[:2], (3, 4))

    # ---- codes ----

    def test_codes_and_back(self):
        for dtype in ("f32", "f64"):
            self.done("encode", "c.rheo", "d.npz", "-o", "z.npy", "--dtype", dtype)
            self.assertEqual(self.array("z.npy").shape, (240, 65))
            self.done("decode", "c.rheo", "z.npy", "-o", "back.npy", "--dtype", dtype)
            self.assertGreater((self.array("back.npy") == self.x).mean(), 0.9999 if dtype == "f32" else 0.9999999)

    def test_reconstruct(self):
        report = self.report("reconstruct", "m.rheo", "d.npz", "-o", "r.png", "--show", 4, "--dtype", "f64")
        self.assertEqual((report["n"], report["exact"], report["non_finite"]), (240, 240, 0))
        self.assertLess(report["max"], 1e-9)
        grid = cells(self.picture("r.png"), 8)
        self.assertEqual(grid.shape[:2], (4, 3))
        self.assertTrue((grid[:, 0] == grid[:, 1]).all())
        self.assertGreater(grid[:, 2].max(), 20)  # the error can be seen
        self.assertLess(self.report("reconstruct", "m.rheo", "d.npz")["rms"], 1e-4)

    def test_interpolate(self):
        for path in ("line", "sphere"):
            self.done("interpolate", "m.rheo", "d.npz:4", "d.npz:6", "-o", "i.npy", "--steps", 6, "--path", path, "--dtype", "f64")
            x = self.array("i.npy")
            self.assertEqual(x.shape, (6, 8, 8))
            self.assertTrue((x[0] == self.x[3]).all() and (x[5] == self.x[5]).all())
            self.assertFalse((x[2] == x[3]).all())
        self.done("interpolate", "m.rheo", "folder/ring/000.png", "d.npz:6", "-o", "i.png")
        self.assertEqual(cells(self.picture("i.png"), 8).shape[:2], (1, 8))
        self.done("interpolate", "c.rheo", "d.npz:1", "d.npz:4", "-o", "i.png")
        self.refused(2, "two classes|--class", "interpolate", "c.rheo", "d.npz:1", "d.npz:2", "-o", "no.png")
        self.done("interpolate", "c.rheo", "d.npz:1", "d.npz:2", "--class", 0, "-o", "i.png")

    def test_attribute(self):
        report = self.report("attribute", "m.rheo", "d.npz", "d.npz:1", "d.npz:2", "--from", 0, "--to", 1, "-o", "a.npy", "--strengths=-1,0,1", "--dtype", "f64")
        self.assertEqual((report["images"], report["from"], report["to"]), (6, 80, 80))
        x = self.array("a.npy")
        self.assertTrue((x[1] == self.x[0]).all() and (x[4] == self.x[1]).all())
        self.done("attribute", "m.rheo", "folder", "d.npz:1", "--from", "ring", "--to", "up", "-o", "a.png")
        self.assertEqual(cells(self.picture("a.png"), 8).shape[:2], (1, 5))

    def test_check(self):
        report = self.report("check", "m.rheo", "d.npz", "--dtype", "f64")
        self.assertTrue(report["ok"])
        self.assertEqual((report["rows"], report["jacobians"]), (240, 2))
        self.assertLess(report["log_det_error"], 1e-8)
        self.assertLess(report["inverse_error"], 1e-8)
        self.assertTrue(self.report("check", "m.rheo")["ok"])
        wide = np.random.default_rng(1).integers(0, 256, (30, 32, 36)).astype(np.uint8)
        np.save(self.path("wide.npy"), wide)
        self.done("fit", "wide.npy", "-o", "wide.rheo", *TINY, "--steps", 1)
        report = self.report("check", "wide.rheo", "wide.npy")
        self.assertEqual((report["jacobians"], report["log_det_method"]), (2, "dense"))
        self.assertIn("over 2 rows", self.done("check", "wide.rheo", "wide.npy").stdout.decode())

    def test_a_spoilt_model_fails_the_check(self):
        from_file = bytearray(self.bytes_of("m.rheo"))
        n = int.from_bytes(from_file[:8], "little")
        header = json.loads(from_file[8 : 8 + n])
        header["__metadata__"]["image"] = json.dumps({"shape": [8, 9, 1], "bits": 5, "data_bits": 5, "greatest": 16})
        text = json.dumps(header).encode()
        with open(self.path("spoilt.rheo"), "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text + from_file[8 + n :])
        self.refused(1, "spoilt.rheo", "score", "spoilt.rheo", "d.npz")

    def test_compare_and_ensemble(self):
        report = self.report("compare", "d.npz", "--steps", 2, "-q", "--set", "steps=1", "--set", "hidden=8")
        self.assertEqual({c["name"] for c in report["candidates"]}, {"nsf-image", "glow", "realnvp-image", "ffjord-image"})
        self.done("fit", "d.npz", "-o", "m2.rheo", *TINY, "--steps", 60, "--seed", 2)
        self.done("ensemble", "m.rheo", "m2.rheo", "-o", "e.rheo")
        both = [self.report("score", m, "d.npz")["bits_per_dim"] for m in ("m.rheo", "m2.rheo", "e.rheo")]
        self.assertLess(both[2], max(both[:2]) + 1 / 64)
        self.done("sample", "e.rheo", "-n", 2, "-o", "e.png")
        self.refused(2, "mixture", "reconstruct", "e.rheo", "d.npz")

    # ---- the same bytes ----

    def test_threads_and_places(self):
        for threads in (1, 2, 3):
            self.done("fit", "d.npz", "-o", "threads.rheo", *TINY, "--steps", 60, "--threads", threads)
            self.assertEqual(self.bytes_of("threads.rheo"), self.bytes_of("m.rheo"))
            self.done("sample", "m.rheo", "-n", 9, "-o", f"s{threads}.npy", "--threads", threads)
            self.done("score", "m.rheo", "d.npz", "-o", f"p{threads}.npy", "--threads", threads)
            self.assertEqual(self.bytes_of(f"s{threads}.npy"), self.bytes_of("s1.npy"))
            self.assertEqual(self.bytes_of(f"p{threads}.npy"), self.bytes_of("p1.npy"))
        np.save(self.path("one.npy"), self.x[100:101])
        self.done("score", "m.rheo", "one.npy", "-o", "p.npy")
        self.assertEqual(self.array("p.npy")[0, 0], self.array("p1.npy")[100, 0])

    def test_kill_and_resume(self):
        more = ["--flip", "--dequantize", "variational", "--labels", "own"]
        began = time.monotonic()
        self.done("fit", "d.npz", "-o", "whole.rheo", *FIT, *more)
        whole = time.monotonic() - began
        places = random.Random(1)
        killed = taken_up = 0
        for i in range(12):
            run = subprocess.Popen([RHEO, "fit", "d.npz", "-o", "killed.rheo", *FIT, *more], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep((0.2 + 0.7 * places.random()) * whole)
            run.kill()
            run.communicate()
            killed += run.returncode == -signal.SIGKILL
            taken_up += os.path.exists(self.path("killed.rheo.ckpt"))
            self.done("fit", "d.npz", "-o", "killed.rheo", *FIT, *more, "--resume", "--threads", 1 + i % 3)
            self.assertEqual(self.bytes_of("killed.rheo"), self.bytes_of("whole.rheo"))
            self.assertEqual(sorted(n for n in os.listdir(self.folder) if n.startswith("killed")), ["killed.rheo"])
            os.unlink(self.path("killed.rheo"))
        self.assertGreater(killed, 3)
        self.assertGreater(taken_up, 3)


if __name__ == "__main__":
    unittest.main()
