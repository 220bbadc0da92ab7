#!/usr/bin/python3
"""Two modes that lie apart (docs/separated-modes.md): the densities that flows make of them, and their samples, as one figure."""
import argparse
import os
import subprocess
import sys
import tempfile

os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
import matplotlib  # noqa: E402

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

import peers  # noqa: E402

FITS = {"realnvp": ["--arch", "realnvp", "--set", "base=normal"], "nsf": ["--arch", "nsf", "--set", "base=normal"],
        "realnvp, base=mixture": ["--arch", "realnvp", "--set", "base=mixture"]}
X, Y = np.linspace(-4, 12, 321), np.linspace(-4, 4, 161)


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise peers.Failure("'%s' failed: %s" % (" ".join(command[:3]), done.stderr.strip()[-400:]))


def truth(rows):
    at = -0.5 * (rows[:, 1] ** 2)[:, None] - 0.5 * (rows[:, :1] - np.array([0.0, 8.0])) ** 2
    return np.logaddexp(at[:, 0], at[:, 1]) - np.log(2) - np.log(2 * np.pi)


def panels(options, folder):
    """(name, log-density of the grid, samples) of the truth and of every fit."""
    z = np.random.default_rng(2).standard_normal((12000, 2))
    z[:, 0] += 8 * (np.random.default_rng(1).random(12000) < 0.5)
    grid = np.stack(np.meshgrid(X, Y), -1).reshape(-1, 2)
    path = {name: os.path.join(folder, name + ".npy") for name in ("train", "val", "grid", "density", "samples")}
    np.save(path["train"], z[:5000]), np.save(path["val"], z[5000:7000]), np.save(path["grid"], grid)
    yield "the truth", truth(grid), z[7000:9000]
    rheo, model = os.path.join(options.build, "rheo"), os.path.join(folder, "m.rheo")
    for name, how in FITS.items():
        run([rheo, "fit", path["train"], "--val", path["val"], "-o", model, "--threads", "1", "--time", options.time, "-q"] + how)
        run([rheo, "score", model, path["grid"], "-o", path["density"], "-q"])
        run([rheo, "sample", model, "-n", "2000", "-o", path["samples"], "-q"])
        yield name, np.load(path["density"]).ravel(), np.load(path["samples"])


def main():
    parser = argparse.ArgumentParser(prog="bench/modes.py", description=__doc__)
    parser.add_argument("--figure", default="docs/figures/separated-modes.png", metavar="FILE", help="PNG or SVG, by its ending")
    parser.add_argument("--time", default="50s", help="of a fit")
    parser.add_argument("--build", default="build", metavar="DIR")
    options = parser.parse_args()
    figure, axes = plt.subplots(2, 4, figsize=(12, 3.6), sharex=True, sharey=True, layout="constrained")
    with tempfile.TemporaryDirectory() as folder:
        for column, (name, density, samples) in zip(axes.T, panels(options, folder)):
            column[0].set_title(name, fontsize=10)
            column[0].imshow(np.maximum(density, -12).reshape(len(Y), len(X)), origin="lower", extent=(X[0], X[-1], Y[0], Y[-1]), aspect="auto", vmin=-12, vmax=-2, cmap="magma")
            column[1].plot(samples[:, 0], samples[:, 1], ",", color="#333333")
    axes[0, 0].set_ylabel("log p"), axes[1, 0].set_ylabel("2,000 samples")
    axes[0, 0].set_xlim(X[0], X[-1]), axes[0, 0].set_ylim(Y[0], Y[-1])
    os.makedirs(os.path.dirname(options.figure) or ".", exist_ok=True)
    figure.savefig(options.figure, dpi=90)


if __name__ == "__main__":
    try:
        main()
    except peers.Failure as failure:
        peers.say("bench/modes.py: %s" % failure)
        sys.exit(1)
