#!/usr/bin/env python3
"""Flows of MNIST at equal time, in bits/dim by the published protocol (uniform noise, logit with alpha 1e-6): is depth of the flow worth more than
depth of its conditioners, and what else is? Each fit has a thread of its own and the same seconds.

    bench/mnist.py --data FOLDER [--only NAME] [--time 500] [--jobs 2] [--rheo build/rheo]

FOLDER holds the four IDX files of MNIST, gzipped. A line a fit: name, couplings, layers of a conditioner, parameters, epochs, bits/dim of the validation and
the test images with its standard error.
"""
import argparse
import concurrent.futures
import json
import math
import os
import subprocess
import sys
import tempfile

DIMENSIONS = 784


def conditioner(layers, hidden):
    if layers == 1:
        return {"type": "conv_linear", "gain": True}
    return {"type": "conv", "hidden": hidden, "gain": True, "middle": 1 if layers == 3 else 0}


def flow(steps, layers=3, hidden=64, checkerboard=0, transform=None):
    """Glow's plan of two levels: 28 x 28 x 1, squeezed to 14 x 14 x 4, half of which leaves, to 7 x 7 x 8."""
    seed = iter(range(10000))
    transform = transform or {"type": "affine", "scale": "sigmoid"}

    def step(mask, mixing):
        mixed = [{"type": "lu", "start": "rotation", "seed": next(seed)}] if mixing else []
        return [{"type": "actnorm"}] + mixed + [{"type": "coupling", "mask": mask, "transform": transform, "net": conditioner(layers, hidden)}]

    def level(rest):
        parts = []
        for i in range(checkerboard):
            parts += step("checkerboard-swap" if i % 2 else "checkerboard", False)
        parts.append({"type": "squeeze"})
        for _ in range(steps):
            parts += step("channels", True)
        if rest:
            parts.append({"type": "factor_out", "net": {"type": "conv_linear", "gain": True}, "part": level(rest - 1)})
        return {"type": "chain", "parts": parts}

    return {"flow": {"type": "chain", "parts": [{"type": "image", "shape": [28, 28, 1]}, level(1)]}, "base": {"type": "normal"}}


FITS = {"depth-%d-%d" % (couplings, layers): (flow(couplings // 2, layers), []) for layers in (1, 2, 3) for couplings in (4, 8, 16, 32)}
FITS.update({
    "rate-1e-2": (flow(8), ["--set", "lr=1e-2"]),
    "splines": (flow(8, transform={"type": "rqs", "bins": 8, "box": 5}), []),
    "logistics": (flow(8, transform={"type": "mixture-of-logistics", "components": 4}), []),
    "checkerboard": (flow(6, checkerboard=2), []),
})


def fit(name, options, folder):
    spec, more = FITS[name]
    given = os.path.join(folder, name + ".json")
    with open(given, "w") as file:
        json.dump(spec, file)
    data = [os.path.join(options.data, part + "-images-idx3-ubyte.gz") for part in ("train", "t10k")]
    command = [options.rheo, "fit", data[0], "--test", data[1], "--spec", given, "--alpha", "1e-6", "--threads", "1", "--time", "%ds" % options.time,
               "-o", os.path.join(folder, name + ".rheo"), "-q", "--json"] + more
    done = subprocess.run(command, text=True, capture_output=True)
    if done.returncode:
        return "%-14s failed: %s" % (name, done.stderr.strip().splitlines()[-1])
    report = json.loads(done.stdout.strip().splitlines()[-1])
    return "%-14s %8d parameters, %3d epochs: val %.4f, test %.4f +- %.4f bits/dim" % (
        name, report["parameters"], report["epochs"], report["val_bits_per_dim"], report["test_bits_per_dim"],
        report["test_stderr"] / DIMENSIONS / math.log(2))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--only", action="append", choices=FITS)
    parser.add_argument("--time", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--rheo", default="build/rheo")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for line in pool.map(lambda name: fit(name, options, folder), options.only or FITS):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
