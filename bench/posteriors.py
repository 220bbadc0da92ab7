#!/usr/bin/python3
"""Posteriors by conditional flows: three tasks of the simulation-based inference benchmark (Lueckmann et al. 2021), C2ST against its reference samples. See bench/README.md."""
import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile

os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the classifier's products are small
os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np  # noqa: E402
from sklearn.model_selection import KFold, cross_val_score  # noqa: E402
from sklearn.neural_network import MLPClassifier  # noqa: E402

import peers  # noqa: E402

DATA, RESULT = "../shared/data/posteriors", "bench/results/posteriors.txt"
SIMULATIONS = 10000


def two_moons(rng, n):
    """Appendix T.8: a crescent, moved by the parameters."""
    theta = rng.uniform(-1, 1, (n, 2))
    a, r = rng.uniform(-np.pi / 2, np.pi / 2, n), rng.normal(0.1, 0.01, n)
    crescent = np.stack([r * np.cos(a) + 0.25, r * np.sin(a)], 1)
    return theta, crescent + np.stack([-np.abs(theta[:, 0] + theta[:, 1]), theta[:, 1] - theta[:, 0]], 1) / np.sqrt(2)


def slcp(rng, n):
    """Appendix T.3: four draws of a two-dimensional normal; mean, scales and correlation are the parameters."""
    theta = rng.uniform(-3, 3, (n, 5))
    s1, s2, rho = theta[:, 2] ** 2, theta[:, 3] ** 2, np.tanh(theta[:, 4])
    u, v = rng.standard_normal((2, n, 4))
    first = theta[:, :1] + s1[:, None] * u
    second = theta[:, 1:2] + s2[:, None] * (rho[:, None] * u + np.sqrt(1 - rho ** 2)[:, None] * v)
    return theta, np.stack([first, second], 2).reshape(n, 8)


def gaussian_linear(rng, n):
    """Appendix T.1: a normal prior and likelihood, both of variance 0.1, in ten dimensions."""
    theta = rng.normal(0, np.sqrt(0.1), (n, 10))
    return theta, theta + rng.normal(0, np.sqrt(0.1), (n, 10))


TASKS = {"two_moons": two_moons, "slcp": slcp, "gaussian_linear": gaussian_linear}


def table(path):
    if not os.path.exists(path):
        raise peers.Failure("%s is absent: the tasks are looked for in %s beside the project" % (path, DATA))
    with (gzip.open if path.endswith(".gz") else open)(path, "rt") as file:
        return np.loadtxt(file, delimiter=",", skiprows=1, ndmin=2)


def reference(task, k):
    return table(os.path.join(DATA, task, "obs%d_reference.csv.gz" % k))


def observation(task, k):
    return table(os.path.join(DATA, task, "obs%d_observation.csv" % k))


def c2st(x, y, seed=1):
    """Accuracy of a classifier of x against y, the benchmark's way: z-scored by x, two hidden layers of 10 units a dimension, 5 folds. 0.5: not to be told apart."""
    mean, std = x.mean(0), x.std(0, ddof=1)
    rows = np.concatenate([(x - mean) / std, (y - mean) / std])
    labels = np.concatenate([np.zeros(len(x)), np.ones(len(y))])
    units = 10 * x.shape[1]
    model = MLPClassifier(activation="relu", hidden_layer_sizes=(units, units), max_iter=1000, solver="adam", random_state=seed)
    return float(np.mean(cross_val_score(model, rows, labels, cv=KFold(5, shuffle=True, random_state=seed), scoring="accuracy")))


def write(path, names, rows):
    np.savetxt(path, rows, delimiter=",", header=",".join(names), comments="", fmt="%.9g")


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise peers.Failure("'%s' failed: %s" % (" ".join(command), done.stderr.strip()[-400:]))


def fit(task, options, folder):
    theta, x = TASKS[task](np.random.default_rng(options.seed), options.simulations)
    names = ["theta%d" % (i + 1) for i in range(theta.shape[1])], ["x%d" % (i + 1) for i in range(x.shape[1])]
    simulations, model = os.path.join(folder, task + ".csv"), os.path.join(folder, task + ".rheo")
    write(simulations, names[0] + names[1], np.concatenate([theta, x], 1))
    settings = [word for setting in options.set for word in ("--set", setting)]
    run([os.path.join(options.build, "rheo"), "fit", simulations, "--context", ",".join(names[1]), "--arch", options.arch, "--seed", str(options.seed), "--threads", str(options.threads),
         "-q", "-o", model] + settings)
    return model, names[1]


def measure(task, options, folder):
    model, names = fit(task, options, folder)
    scores = []
    for k in options.observations:
        want, given, out = reference(task, k), os.path.join(folder, "x.csv"), os.path.join(folder, "samples.npy")
        write(given, names, observation(task, k))
        run([os.path.join(options.build, "rheo"), "sample", model, "--context", given, "-n", str(len(want)), "--seed", "1", "-q", "-o", out])
        got = np.load(out).astype(np.float64)  # a table of the fit's columns: the parameters, then what is given
        if got.shape != (len(want), want.shape[1] + len(names)):
            raise peers.Failure("%s: samples %s, reference %s" % (task, got.shape, want.shape))
        got = got[:, :want.shape[1]]
        scores.append(c2st(want, got))
        peers.say("%s, observation %d: C2ST %.3f" % (task, k, scores[-1]))
    return "| %s | %d | %.3f | %.3f | %s |" % (task, options.simulations, np.mean(scores), np.std(scores, ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else np.nan,
                                               " ".join("%.3f" % score for score in scores))


def nearest(task, k, n=2000000):
    """The simulator's own posterior by rejection, roughly: the parameters of the simulations nearest to the observation."""
    theta, x = TASKS[task](np.random.default_rng(5), n)
    return theta[np.argsort(((x - observation(task, k)) ** 2).sum(1))[:2000]]


def known():
    """(name, value, lowest, highest): the simulators by moments, then the classifier."""
    rng = np.random.default_rng(3)
    theta, x = gaussian_linear(rng, 200000)
    yield "gaussian_linear's simulator: slope of theta on x", np.mean(theta * x) / np.mean(x * x), 0.495, 0.505  # E[theta | x] = x / 2
    theta, x = slcp(rng, 400000)
    scaled = (x.reshape(-1, 4, 2) - theta[:, None, :2]) / theta[:, None, 2:4] ** 2
    rho = np.tanh(theta[:, 4])
    yield "slcp's simulator: variance of the scaled draws", np.mean(scaled ** 2), 0.99, 1.01
    yield "slcp's simulator: slope of their product on the correlation", np.mean(scaled[..., 0] * scaled[..., 1] * rho[:, None]) / np.mean(rho ** 2), 0.98, 1.02
    want = rng.permutation(reference("two_moons", 1))[:2000]
    yield "C2ST of two_moons by rejection", c2st(want, nearest("two_moons", 1)), 0.45, 0.6
    want = rng.permutation(reference("gaussian_linear", 1))[:2000]
    exact = observation("gaussian_linear", 1) / 2 + rng.normal(0, np.sqrt(0.05), (1000, 10))
    yield "C2ST of halves of a reference", c2st(want[::2], want[1::2]), 0.45, 0.55
    yield "C2ST of gaussian_linear's posterior in closed form", c2st(want[::2], exact), 0.45, 0.55
    yield "C2ST of that, one column moved by a standard deviation", c2st(want[::2], exact + np.eye(10)[0] * np.sqrt(0.05)), 0.58, 0.72


def self_check():
    """The classifier and the simulators against what is known; no rheo takes part."""
    failed = 0
    for name, value, low, high in known():
        good = low <= value <= high
        failed |= not good
        print("%-62s %.4f (%g to %g) %s" % (name, value, low, high, "ok" if good else "FAILED"), flush=True)
    return int(failed)


def main():
    parser = argparse.ArgumentParser(prog="bench/posteriors.py", description=__doc__)
    parser.add_argument("--task", action="append", choices=list(TASKS))
    parser.add_argument("--observations", type=int, nargs="+", default=list(range(1, 11)))
    parser.add_argument("--simulations", type=int, default=SIMULATIONS)
    parser.add_argument("--seed", type=int, default=0, help="of the simulations and of the fit")
    parser.add_argument("--arch", default="auto")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="passed to rheo fit")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--self-check", action="store_true", help="only check the simulators and the classifier against what is known")
    parser.add_argument("--build", default="build", metavar="DIR")
    options = parser.parse_args()
    if options.self_check:
        return self_check()
    lines = ["C2ST (0.5 is best, 1 worst), %s" % json.dumps({key: getattr(options, key) for key in ("arch", "set", "seed")}), "",
             "| task | simulations | mean C2ST | standard error over observations | by observation |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        lines += [measure(task, options, folder) for task in options.task or TASKS]
    print("\n".join(lines))
    with open(RESULT, "w") as file:
        file.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except peers.Failure as failure:
        peers.say("bench/posteriors.py: %s" % failure)
        sys.exit(1)
