#!/usr/bin/python3
"""Which part of rheo makes a fit robust? Settings (base, tails, box, ...) x tables x seeds, all fitted by the command: means of the validation and test rows, and what the worst rows take of them."""
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
# the architecture and what --set says
SETTINGS = [
    "realnvp",
    "realnvp base=student-t",
    "maf",
    "maf base=student-t",
    "nsf-coupling",
    "nsf-coupling base=student-t",
    "nsf",
    "nsf base=student-t",
    "nsf box=3",
    "nsf box=10",
    "nsf lu=false",
    "nsf lu=false actnorm=true",
    "nsf lu=false permute=random",
    "nsf base=mixture",
]


def densities(table, setting, seed, options, folder):
    """Log-densities of the validation and the test rows by one fit, its epochs, and its seconds of processor time: other load makes those of the clock say little."""
    files, rheo = quality.paths(table), os.path.join(options.build, "rheo")
    arch, *settings = setting.split()
    ends = {name: getattr(options, name) for name in ("epochs", "time")}
    ends.update(pair.split("=") for pair in settings if pair.split("=")[0] in ends)
    model, out = (os.path.join(folder, "fit" + end) for end in (".rheo", ".npy"))
    command = [rheo, "fit", files["train"], "--val", files["val"], "--handle", "none", "--arch", arch, "-o", model, "--seed", str(seed), "--threads", str(options.threads), "-q", "--json"]
    for name, value in ends.items():
        command += ["--" + name, str(value)] if value else []
    for pair in settings:
        command += ["--set", pair] if pair.split("=")[0] not in ends else []
    before = os.times().children_user
    epochs, spent = quality.run(command).get("epochs", 0), os.times().children_user - before
    found = []
    for part in ("val", "test"):
        quality.run([rheo, "score", model, files[part], "-o", out, "--threads", str(options.threads), "-q", "--json"])
        found.append(np.load(out).ravel().astype(np.float64))
    return found, epochs, spent


def summary(by_seed):
    """Of by_seed [seeds, rows]: mean, standard error over rows and seeds, the worst row, and how much lower the mean is because of the worst rows."""
    each, means = by_seed.mean(0), by_seed.mean(1)
    error = float(np.hypot(quality.standard_error(each), quality.standard_error(means) if len(means) > 1 else 0.0))
    order = np.sort(each)
    deficit = np.median(each) - order
    return means.mean(), error, by_seed.min(), order[WORST:].mean() - each.mean(), 100 * deficit[:WORST].sum() / deficit[deficit > 0].sum()


def row(table, setting, fits):
    val, test = (summary(np.array([found[part] for found, _, _ in fits])) for part in (0, 1))
    epochs, spent = (np.mean([fit[i] for fit in fits]) for i in (1, 2))
    return "| %s | %s | %d | %.0f | %.0f | %.3f | %.3f | %.0f | %.3f | %.3f | %.3f | %.0f | %.3f | %.0f %% |" % ((table, setting, len(fits), epochs, spent) + val[:4] + test)


def main():
    parser = argparse.ArgumentParser(prog="bench/robust.py", description=__doc__)
    parser.add_argument("--table", action="append", choices=list(quality.TABLES))
    parser.add_argument("--setting", action="append", help="such as 'nsf base=student-t box=8 epochs=40'; repeatable")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="default: rheo's own")
    parser.add_argument("--time", help="of one fit, such as 30s")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--build", default="build", metavar="DIR")
    options = parser.parse_args()
    print("Log-densities, nats a row, units of the file. Standard error: over rows and seeds. Cost: how much the mean loses by the %d worst rows; share: of all that "
          "test rows lie below the median.\n" % WORST)
    print("| table | setting | seeds | epochs | cpu s | val mean | error | worst row | cost of %d | test mean | error | worst row | cost of %d | share |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|" % (WORST, WORST))
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for table, setting in itertools.product(options.table or quality.TABLES, options.setting or SETTINGS):
            try:
                print(row(table, setting, [densities(table, setting, seed, options, folder) for seed in options.seeds]), flush=True)
            except peers.Failure as failure:  # one setting that fails leaves the others standing
                peers.say("%s, %s: %s" % (table, setting, failure))
                failed = 1
    return failed


if __name__ == "__main__":
    try:
        sys.exit(main())
    except peers.Failure as failure:
        peers.say("bench/robust.py: %s" % failure)
        sys.exit(1)
