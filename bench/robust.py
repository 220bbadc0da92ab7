#!/usr/bin/python3
"""Which part of rheo makes a fit robust? Settings (base, tails, box, ...) x tables x seeds, all fitted by the command: test mean, its standard error, and what the worst rows take of it."""
import argparse
import itertools
import os
import sys
import tempfile

os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
import numpy as np  # noqa: E402

import peers  # noqa: E402
import quality  # noqa: E402

WORST = 10  # rows
# name -> architecture and what --set says; the first is what the others are measured against
SETTINGS = {
    "realnvp": ("realnvp", {}),
    "realnvp, full-normal base": ("realnvp", {"base": "full-normal"}),
    "realnvp, student base": ("realnvp", {"base": "student"}),
    "realnvp, bound 1": ("realnvp", {"bound": 1}),
    "realnvp, no weight decay": ("realnvp", {"weight_decay": 0}),
    "nsf-coupling, box 3": ("nsf-coupling", {"box": 3}),
    "nsf-coupling, box 5": ("nsf-coupling", {"box": 5}),
    "nsf-coupling, box 8": ("nsf-coupling", {"box": 8}),
    "nsf-coupling, box 5, student base": ("nsf-coupling", {"box": 5, "base": "student"}),
    "maf": ("maf", {}),
    "maf, student base": ("maf", {"base": "student"}),
    "nsf": ("nsf", {}),
}


def densities(table, name, seed, options, folder):
    """Log-densities of the test rows by one fit."""
    files, rheo = quality.paths(table), os.path.join(options.build, "rheo")
    arch, settings = SETTINGS[name]
    model, out = (os.path.join(folder, "fit" + end) for end in (".rheo", ".npy"))
    command = [rheo, "fit", files["train"], "--val", files["val"], "--handle", "none", "--arch", arch, "-o", model, "--seed", str(seed), "--threads", str(options.threads), "-q", "--json"]
    if options.epochs:
        command += ["--epochs", str(options.epochs)]
    for key, value in settings.items():
        command += ["--set", "%s=%s" % (key, value)]
    quality.run(command)
    quality.run([rheo, "score", model, files["test"], "-o", out, "--threads", str(options.threads), "-q", "--json"])
    return np.load(out).ravel().astype(np.float64)


def row(table, name, by_seed):
    """A line of the table; by_seed [seeds, rows]. The worst rows' cost: how much lower the mean is because of them."""
    each = by_seed.mean(0)
    means = by_seed.mean(1)
    over_seeds = quality.standard_error(means) if len(means) > 1 else 0.0
    error = float(np.hypot(quality.standard_error(each), over_seeds))
    order = np.sort(each)
    cost = order[WORST:].mean() - each.mean()
    deficit = np.median(each) - order
    share = deficit[:WORST].sum() / deficit[deficit > 0].sum()
    return "| %s | %s | %d | %.4f | %.4f | %.1f | %.4f | %.0f %% |" % (table, name, len(means), means.mean(), error, order[0], cost, 100 * share)


def main():
    parser = argparse.ArgumentParser(prog="bench/robust.py", description=__doc__)
    parser.add_argument("--table", action="append", choices=list(quality.TABLES))
    parser.add_argument("--setting", action="append", choices=list(SETTINGS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="default: rheo's own")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--build", default="build", metavar="DIR")
    options = parser.parse_args()
    print("Log-densities of the test rows, nats a row, units of the file. Standard error: over rows and seeds. Cost: how much the mean loses by the %d worst rows; share: of all that "
          "rows lie below the median.\n" % WORST)
    print("| table | setting | seeds | test mean | standard error | worst row | cost of the worst %d | their share |\n|---|---|---|---|---|---|---|---|" % WORST)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for table, name in itertools.product(options.table or quality.TABLES, options.setting or SETTINGS):
            try:
                print(row(table, name, np.array([densities(table, name, seed, options, folder) for seed in options.seeds])), flush=True)
            except peers.Failure as failure:  # one setting that fails leaves the others standing
                peers.say("%s, %s: %s" % (table, name, failure))
                failed = 1
    return failed


if __name__ == "__main__":
    try:
        sys.exit(main())
    except peers.Failure as failure:
        peers.say("bench/robust.py: %s" % failure)
        sys.exit(1)
