#!/usr/bin/python3
"""rheo detect beside scikit-learn on ADBench tables: fitted to half of the normal rows, tested on the other half and all anomalies."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
import numpy as np  # noqa: E402

import peers  # noqa: E402

DATA = "../shared/data/anomaly"
TABLES = ("breastw", "Pima", "cardio", "musk", "thyroid", "satimage-2", "satellite", "pendigits", "mammography", "shuttle")
SCORES = ("log_density", "typicality", "latent_norm")
SVM_ROWS = 10000  # at most: its fit takes time that grows with their square


def load(table):
    path = os.path.join(DATA, table + ".npz")
    if not os.path.exists(path):
        raise peers.Failure("%s is absent: the tables are looked for in %s beside the project" % (path, DATA))
    with np.load(path) as file:
        return file["X"], file["y"]


def split(y, seed):
    """Half of the normal rows train; the other half and every anomaly test."""
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(y == 0))
    half = len(normal) // 2
    return np.sort(normal[:half]), np.sort(np.concatenate([normal[half:], np.flatnonzero(y == 1)]))


def fit_rheo(folder, train, test, labels, seed, options):
    np.savez(os.path.join(folder, "train.npz"), X=train)
    np.savez(os.path.join(folder, "test.npz"), X=test, y=labels)
    command = [os.path.join(os.path.abspath(options.build), "rheo"), "detect", "train.npz", "test.npz", "--labels", "y", "--arch", options.arch, "--time", options.time, "--seed",
               str(seed), "--threads", str(options.threads), "-q", "--json"]
    for pair in options.set or ():
        command += ["--set", pair]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode != 0:
        raise peers.Failure("rheo detect failed: %s" % done.stderr.strip()[-400:])
    report = json.loads(done.stdout.splitlines()[-1])
    found = {"rheo": report["by"]}
    found.update(("rheo " + s, s) for s in SCORES)
    return {name: (report["auroc"][s], report["average_precision"][s]) for name, s in found.items()}, report["false_alarms"]


def fit_sklearn(train, test, labels, seed):
    from sklearn.ensemble import IsolationForest
    from sklearn.metrics import average_precision_score, roc_auc_score
    from sklearn.neighbors import LocalOutlierFactor
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import OneClassSVM

    scale = StandardScaler().fit(train.astype(np.float64))
    x, z = scale.transform(train.astype(np.float64)), scale.transform(test.astype(np.float64))
    few = np.random.default_rng(seed).permutation(len(x))[:SVM_ROWS]
    found = {}
    for name, model, rows in (("IsolationForest", IsolationForest(random_state=seed), x), ("OneClassSVM", OneClassSVM(), x[few]),
                              ("LocalOutlierFactor", LocalOutlierFactor(novelty=True), x)):
        score = -model.fit(rows).decision_function(z)
        found[name] = (roc_auc_score(labels, score), average_precision_score(labels, score))
    return found


def run_table(table, options, folder):
    """method -> [seeds, 2]: AUROC and average precision; and rheo's shares of false alarms."""
    x, y = load(table)
    found, alarms = {}, []
    for seed in range(options.seeds):
        train, test = split(y, seed)
        began = time.monotonic()
        results, false_alarms = fit_rheo(folder, x[train], x[test], y[test], seed, options)
        seconds = time.monotonic() - began
        results.update(fit_sklearn(x[train], x[test], y[test], seed))
        alarms.append(false_alarms)
        for method, pair in results.items():
            found.setdefault(method, []).append(pair)
        peers.say("%s, seed %d: %.1f s; AUROC %s" % (table, seed, seconds, ", ".join("%s %.4f" % (m, p[0]) for m, p in results.items())))
    return {method: np.array(pairs) for method, pairs in found.items()}, alarms


def cell(x):
    return "%.4f" % x.mean() + (" +- %.4f" % (x.std(ddof=1) / len(x) ** 0.5) if len(x) > 1 else "")


def print_tables(results, alarms):
    methods = list(next(iter(results.values())))
    for k, what in enumerate(("AUROC", "average precision")):
        print("\n%s, mean over the seeds +- standard error\n" % what)
        print("| table | " + " | ".join(methods) + " |\n" + "|---" * (len(methods) + 1) + "|")
        for table, found in results.items():
            print("| %s | %s |" % (table, " | ".join(cell(found[m][:, k]) for m in methods)))
        print("| mean | %s |" % " | ".join("%.4f" % np.mean([found[m][:, k].mean() for found in results.values()]) for m in methods))
    print("\nShare of normal test rows that rheo flags at --alarm 0.01: " + ", ".join("%s %.4f" % (t, np.mean(a)) for t, a in alarms.items()))


def describe(options):
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    with open("/proc/cpuinfo") as file:
        cpu = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown CPU")
    import sklearn
    print("command: bench/anomaly.py %s" % " ".join(sys.argv[1:]))
    print("commit:  %s" % commit)
    print("machine: %d CPUs, %s; scikit-learn %s, numpy %s" % (os.cpu_count(), cpu, sklearn.__version__, np.__version__))
    print("\nTrained on half of the normal rows (no anomalies), tested on the other half and all anomalies. rheo: the score that detect takes by itself. rheo detect: arch %s, a fit takes %s "
          "at most, of its training rows a part validates and a part is held out for p-values. scikit-learn: standardized columns, defaults, "
          "all training rows; OneClassSVM at most %d of them." % (options.arch, options.time, SVM_ROWS))


def main():
    parser = argparse.ArgumentParser(prog="bench/anomaly.py", description=__doc__)
    parser.add_argument("--table", action="append", choices=TABLES)
    parser.add_argument("--seeds", type=int, default=5, metavar="K", help="splits and fits of every table")
    parser.add_argument("--arch", default="auto", help="of rheo detect")
    parser.add_argument("--set", action="append", metavar="KEY=VALUE", help="of rheo detect")
    parser.add_argument("--time", default="120s", help="that a fit may take at most")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--build", default="build", metavar="DIR")
    options = parser.parse_args()
    results, alarms = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for table in options.table or TABLES:
            results[table], alarms[table] = run_table(table, options, folder)
    describe(options)
    print_tables(results, alarms)


if __name__ == "__main__":
    try:
        main()
    except peers.Failure as failure:
        peers.say("bench/anomaly.py: %s" % failure)
        sys.exit(1)
