#!/usr/bin/python3
"""What is a continuous flow worth on a table? rheo's architectures as they come and libraries' FFJORD, fitted to the same rows with the same processor time: test log-densities in nats a row as Markdown."""
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
import quality  # noqa: E402

TABLES = ("protein_clean", "miniboone_reduced")
CONTINUOUS = ("cnf", "ffjord", "rnode")
RHEO = ("realnvp", "maf", "nsf", "nsf-coupling") + CONTINUOUS
# FFJORD's layers (concatsquash), activation and trained end time; "published" is its plan for MiniBooNE, 2 layers of 20 units a column.
FIELD = {"layer": "concatsquash", "activation": "softplus", "train_T": True}
LIBRARIES = {"peer:ffjord": dict(FIELD, library="ffjord", hidden=[128, 128]), "peer:ffjord-published": dict(FIELD, library="ffjord", hidden=[860, 860]),
             "peer:zuko": {"library": "zuko", "hidden": [128, 128], "activation": "softplus"}}
RATES = {"lr": 2e-2, "batch": 128}


def clock(options):
    library = os.path.join(options.build, "rheo-cpu-clock.so")
    if not os.path.exists(library):
        raise peers.Failure("%s is missing: build the project first (cmake --preset release -B build && cmake --build build)" % library)
    return {"LD_PRELOAD": os.path.abspath(library)}


def fit_rheo(arch, settings, files, seed, options, out):
    rheo, model, common = os.path.join(options.build, "rheo"), out + ".rheo", ["--threads", "1", "-q", "--json"]
    words = [word for setting in settings for word in ("--set", setting)]
    before = os.times().children_user
    report = quality.run([rheo, "fit", files["train"], "--val", files["val"], "--handle", "none", "--arch", arch, "-o", model, "--seed", str(seed), "--time", "%gs" % options.seconds] + words + common, clock(options))
    spent = os.times().children_user - before
    if report["seconds"] > 1.25 * spent + 1:
        raise peers.Failure("a fit's %.1f seconds were %.1f of the processor: its clock was not that of %s" % (report["seconds"], spent, clock(options)["LD_PRELOAD"]))
    quality.run([rheo, "score", model, files["test"], "-o", out] + common)
    checked = subprocess.run([rheo, "check", model, files["test"]] + common, capture_output=True, text=True, check=False) if arch in CONTINUOUS else None  # its verdict is no matter here
    return dict(report, seconds=spent, evaluations=checked and json.loads(checked.stdout.strip().splitlines()[-1])["evaluations_mean"])


def fit_library(name, settings, files, seed, options, out):
    field = dict(LIBRARIES[name])
    request = dict(files, out=out, library=field.pop("library"), field=field, seconds=options.seconds, seed=seed, threads=1, **RATES)
    for key, _, value in (setting.partition("=") for setting in settings):
        request.update({key: json.loads(value)}) if key in request else field.update({key: json.loads(value)})
    return quality.run(["/usr/bin/python3", os.path.join("bench", "peer_flow_fit.py"), json.dumps(request)], peers.torch_environments(1)[0])


def row(table, words, seed, options, folder):
    name, *settings = words.split()
    out = os.path.join(folder, "%s_%s_%d.npy" % (table, name.replace(":", "_"), seed))
    report = (fit_library if name in LIBRARIES else fit_rheo)(name, settings, quality.paths(table), seed, options, out)
    density = np.load(out).ravel().astype(np.float64)
    finite = density[np.isfinite(density)]
    return "| %s | %s | %d | %d | %.0f | %.0f, %.0f | %.3f | %.3f +- %.3f | %.0f | %d | %s | %s |" % (
        table, words, seed, report["parameters"], report["seconds"], report["epochs"], report["best_epoch"], report["val"], finite.mean(), quality.standard_error(finite), density.min(), len(density) - len(finite),
        "%.1f" % report["evaluations"] if report.get("evaluations") else "", "%.1f" % report["training_evaluations"] if report.get("training_evaluations") else "")


def main():
    parser = argparse.ArgumentParser(prog="bench/tables.py", description=__doc__)
    parser.add_argument("--table", action="append", choices=list(quality.TABLES), help="default: %s" % ", ".join(TABLES))
    parser.add_argument("--model", action="append", metavar="WORDS", help="such as 'cnf layers=2' or 'peer:zuko lr=0.01 hidden=[64,64]'; default: %s" % ", ".join(RHEO + tuple(LIBRARIES)))
    parser.add_argument("--seconds", type=float, default=100, help="of processor time, for each fit (default 100)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--keep", metavar="DIR", help="keep models and per-row log-densities (.npy) here")
    parser.add_argument("--build", default="build", metavar="DIR")
    options = parser.parse_args()
    if options.keep:
        os.makedirs(options.keep, exist_ok=True)
    print("| table | model | seed | parameters | CPU s | epochs, best | val | test | worst test row | rows without density | evaluations a row, scoring | a training step, of the batch |\n" + "|---" * 12 + "|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for table in options.table or TABLES:
            for words in options.model or RHEO + tuple(LIBRARIES):
                for seed in options.seeds:
                    print(row(table, words, seed, options, options.keep or folder), flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except peers.Failure as failure:
        peers.say("bench/tables.py: %s" % failure)
        sys.exit(1)
