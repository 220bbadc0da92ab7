#!/usr/bin/python3
"""Does rheo fit as well as PyTorch? The same flow (--arch), recipe, tables and seeds; the paired difference of test log-densities as Markdown."""
import argparse
import json
import os
import subprocess
import sys
import tempfile

os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
import numpy as np  # noqa: E402

import peers  # noqa: E402
import problems  # noqa: E402

DATA = "../shared/data/tabular"
TABLES = {"protein_clean": 60, "miniboone_reduced": 60, "parkinsons_clean": 120, "keggdirected_clean": 120}  # epochs
SEEDS = {"miniboone_reduced": 10, "parkinsons_clean": 10}  # where a fit takes seconds; 3 elsewhere
SIZES = {"realnvp": {"layers": 8, "hidden": [128, 128], "activation": "relu"}, "maf": {"layers": 5, "hidden": [128, 128], "activation": "relu"},
         "nsf-coupling": {"layers": 5, "hidden": [128, 128], "activation": "relu", "bins": 8, "box": 5}, "nsf": {"layers": 5, "hidden": [128, 128], "activation": "relu", "bins": 8, "box": 5}}
# What the options of rheo fit must say so that it builds the flow of problems.py: which columns are kept, and no layers between.
ALIKE = {"realnvp": {"mask": "alternating", "permute": "none"}, "nsf-coupling": {"mask": "stripes", "permute": "none"}, "maf": {}, "nsf": {}}
BOUND = {"miniboone_reduced": 1}  # of the log-scales, on both sides: the best of 1 and 2 on validation rows; 2 for the others
RECIPE = {"lr": 1e-3, "lr_floor": 0.01, "warmup": 100, "clip": 5, "ema": 0.999, "batch": 256, "beta2": 0.99}


def paths(table):
    found = {part: os.path.join(DATA, "%s_%s.npy" % (table, part)) for part in ("train", "val", "test")}
    for path in found.values():
        if not os.path.exists(path):
            raise peers.Failure("%s is absent: the tables are looked for in %s beside the project" % (path, DATA))
    return found


def run(command, environment=None):
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, **(environment or {})), check=False)
    if done.returncode != 0:
        raise peers.Failure("'%s' failed: %s" % (" ".join(command[:4]), done.stderr.strip()[-400:]))
    return json.loads(done.stdout.strip().splitlines()[-1])


def fit_torch(table, seed, options, out):
    files = paths(table)
    d = int(np.load(files["train"], mmap_mode="r").shape[1])
    request = dict(files, out=out, seed=seed, threads=options.threads, init=options.init, recipe=dict(RECIPE, epochs=options.epochs(table)),
                   problem=problems.complete(dict(SIZES[options.arch], arch=options.arch, d=d, batch=RECIPE["batch"], bound=BOUND.get(table, 2)), table))
    return run(["/usr/bin/python3", os.path.join("bench", "peer_fit.py"), json.dumps(request)], peers.torch_environments(options.threads)[0])


def fit_rheo(table, seed, options, out):
    files, rheo = paths(table), os.path.join(options.build, "rheo")
    model = out + ".rheo"
    settings = dict(RECIPE, **SIZES[options.arch], **ALIKE[options.arch], lu=False, actnorm=False, base="normal", optimizer="adam", patience=0)
    if options.arch in ("realnvp", "maf"):
        settings["bound"] = BOUND.get(table, 2)
    if options.init == "he":
        settings["gain"] = 2 ** 0.5
    command = [rheo, "fit", files["train"], "--val", files["val"], "--test", files["test"], "--handle", "none", "--arch", options.arch, "-o", model,
               "--seed", str(seed), "--epochs", str(options.epochs(table)), "--threads", str(options.threads), "-q", "--json"]
    for key, value in settings.items():
        command += ["--set", "%s=%s" % (key, json.dumps(value) if not isinstance(value, str) else value)]
    report = run(command)
    run([rheo, "score", model, files["test"], "-o", out, "--threads", str(options.threads), "-q", "--json"])
    return report


def standard_error(x):
    return float(np.std(x, ddof=1) / np.sqrt(len(x))) if len(x) > 1 else float("nan")


def compare(table, options, folder):
    """Rows of the Markdown table and the verdict's numbers of one data set."""
    differences = []
    for seed in options.seeds or range(SEEDS.get(table, 3) if options.arch == "realnvp" else 3):
        out = {side: os.path.join(folder, "%s_%d_%s.npy" % (table, seed, side)) for side in ("torch", "rheo")}
        theirs = fit_torch(table, seed, options, out["torch"])
        peers.say("%s, seed %d: PyTorch val %.4f, test %.4f, best epoch %d, %.1f s, %d parameters" % (
            table, seed, theirs["val"], theirs["test"], theirs["best_epoch"], theirs["seconds"], theirs["parameters"]))
        if options.peer_only:
            continue
        ours = fit_rheo(table, seed, options, out["rheo"])
        a, b = np.load(out["rheo"]).ravel().astype(np.float64), np.load(out["torch"])
        if a.shape != b.shape:
            raise peers.Failure("%s: rheo scored %d rows, PyTorch %d" % (table, a.size, b.size))
        if ours.get("parameters", theirs["parameters"]) != theirs["parameters"]:
            peers.say("%s: note: rheo has %s parameters, PyTorch %d" % (table, ours["parameters"], theirs["parameters"]))
        differences.append(a - b)
        print("| %s | %d | %.4f | %.4f | %+.4f | %.4f | %.1f | %.1f |" % (
            table, seed, a.mean(), b.mean(), (a - b).mean(), standard_error(a - b), ours["seconds"], theirs["seconds"]), flush=True)
    return np.array(differences)


def summary(table, differences):
    """Two sources of chance: which rows were tested, and which seeds were drawn; the error of the mean has both."""
    means = differences.mean(1)
    over_rows, over_seeds = standard_error(differences.mean(0)), standard_error(means)
    error = float(np.hypot(over_rows, 0 if np.isnan(over_seeds) else over_seeds))
    passed = means.mean() > -2 * error
    return passed, "| %s | %d | %+.4f | %.4f | %.4f | %.4f | %s |" % (
        table, len(means), means.mean(), over_rows, over_seeds, error, "yes" if passed else "**no**")


def main():
    parser = argparse.ArgumentParser(prog="bench/quality.py", description=__doc__)
    parser.add_argument("--arch", choices=list(SIZES), default="realnvp")
    parser.add_argument("--table", action="append", choices=list(TABLES))
    parser.add_argument("--seeds", type=int, nargs="+", help="default: 0, 1, 2, and up to 9 on the small tables")
    parser.add_argument("--threads", type=int, default=1, help="of both sides; PyTorch gains little from 2 at this size and loses much when the machine is busy")
    parser.add_argument("--init", choices=("default", "he"), default="default", help="how hidden layers start on both sides: at the scale of torch.nn.Linear, or keeping the variance")
    parser.add_argument("--quick", action="store_true", help="a smoke run: 3 epochs")
    parser.add_argument("--epochs", type=int, metavar="N", help="of every fit; default: %s" % ", ".join("%s %d" % item for item in TABLES.items()))
    parser.add_argument("--peer-only", action="store_true", help="only fit the PyTorch side")
    parser.add_argument("--keep", metavar="DIR", help="keep models and per-row log-densities (.npy) here")
    parser.add_argument("--build", default="build", metavar="DIR")
    options = parser.parse_args()
    budget, options.epochs = options.epochs, lambda table: 3 if options.quick else budget or TABLES[table]
    if options.keep:
        os.makedirs(options.keep, exist_ok=True)
    verdicts = []
    with tempfile.TemporaryDirectory() as folder:
        print("Test log-density in nats a row, units of the file; both sides: %s, bound of the log-scales 2 (%s), %s\n" % (
            json.dumps(dict(SIZES[options.arch], arch=options.arch)), ", ".join("%s: %g" % item for item in BOUND.items()), json.dumps(RECIPE)))
        print("| table | seed | rheo | PyTorch | difference | its standard error | rheo s | PyTorch s |\n|---|---|---|---|---|---|---|---|")
        for table in options.table or TABLES:
            differences = compare(table, options, options.keep or folder)
            if len(differences):
                verdicts.append(summary(table, differences))
    if verdicts:
        print("\n| table | seeds | mean difference | standard error over rows | over seeds | of both | above -2 errors |\n|---|---|---|---|---|---|---|")
        print("\n".join(line for _, line in verdicts))
    return 0 if all(passed for passed, _ in verdicts) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except peers.Failure as failure:
        peers.say("bench/quality.py: %s" % failure)
        sys.exit(1)
