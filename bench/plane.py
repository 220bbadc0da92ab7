#!/usr/bin/python3
"""Continuous flows in the plane: five densities (plane_data.py), the same field and epochs for rheo and a library (peer_plane.py), then what rheo's own architectures come to. See bench/README.md."""
import argparse
import json
import os
import resource
import subprocess
import sys

os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np  # noqa: E402

import peers  # noqa: E402
import plane_data  # noqa: E402

ROWS = {"train": 10000, "val": 2000, "test": 10000}
TIGHT = 1e-7  # tolerance at which test rows are scored
FIELD = {"d": 2, "hidden": [64, 64, 64], "activation": "tanh", "trace": "exact"}
RECIPE = {"lr": 1e-2, "lr_floor": 0.01, "warmup": 100, "clip": 5, "ema": 0.999, "batch": 512, "beta2": 0.99}
SAME = dict(RECIPE, hidden="3x64", activation="tanh", base="normal", solver="dp54", rtol=1e-5, atol=1e-5, optimizer="adam", patience=0)
# rheo's own, for so many steps (a limit in time would depend on what else runs): architecture, steps, options.
OWN = {"cnf": ("cnf", 3200, {"gain": 2, "lr": 0.02, "rtol": 1e-3, "atol": 1e-3}), "nsf": ("nsf", 16000, {})}
SOLVED = ("cnf", "ffjord", "rnode")


def run(command, environment=None):
    """(the last line's JSON, user CPU seconds). A check whose verdict is no tells its figures all the same."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, **(environment or {})), check=False)
    if done.returncode != 0 and not (command[1] == "check" and done.stdout.strip()):
        raise peers.Failure("'%s' failed: %s" % (" ".join(command[:4]), done.stderr.strip()[-400:]))
    return json.loads(done.stdout.strip().splitlines()[-1]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


class Plane:
    def __init__(self, options):
        self.options, self.rheo = options, os.path.join(options.build, "rheo")
        os.makedirs(options.keep, exist_ok=True)

    def path(self, *words):
        return os.path.join(os.path.abspath(self.options.keep), "_".join(words))

    def rows(self, name):
        """The files of a density's rows, and the true log-density of the test rows."""
        found = {}
        for part, n in ROWS.items():
            found[part] = self.path(name, part + ".npy")
            seeds = [list(plane_data.DENSITIES).index(name), list(ROWS).index(part)]
            np.save(found[part], plane_data.DENSITIES[name].rows(np.random.default_rng(seeds), n).astype(np.float32))
        return found, plane_data.DENSITIES[name].log_density(np.load(found["test"]).astype(np.float64))

    def kept(self, make, *words):
        """What `make` returned in an earlier call with the same --keep; its log-densities lie beside it."""
        about = self.path(*words) + ".json"
        if not os.path.exists(about):
            made = make(self.path(*words))
            with open(about, "w") as file:
                json.dump(made, file)
        with open(about) as file:
            return json.load(file), np.load(self.path(*words) + ".npy").ravel().astype(np.float64)

    def peer(self, files, out):
        request = dict(files, library=self.options.peer, out=out + ".npy", seed=0, threads=1, tight=TIGHT, problem=FIELD, recipe=dict(RECIPE, epochs=self.options.epochs))
        return run(["/usr/bin/python3", os.path.join("bench", "peer_plane.py"), json.dumps(request)], peers.torch_environments(1)[0])[0]

    def fit(self, files, arch, limit, settings, seed, out):
        model = out + ".rheo"
        command = [self.rheo, "fit", files["train"], "--val", files["val"], "--arch", arch, "-o", model, "--seed", str(seed), "--handle", "none", "--threads", "1", "-q", "--json"] + limit
        for key, value in settings.items():
            command += ["--set", "%s=%s" % (key, value)]
        about, seconds = run(command)
        tight = ["--rtol", str(TIGHT), "--atol", str(TIGHT), "--dtype", "f64"] if arch in SOLVED else []
        run([self.rheo, "score", model, files["test"], "-o", out + ".npy", "-q", "--json", "--threads", "1"] + tight)
        found = {"seconds": seconds, "val": about["val"], "steps": about["steps"], "best_epoch": about["best_epoch"], "parameters": about["parameters"]}
        if arch in SOLVED:
            checked = run([self.rheo, "check", model, files["test"], "-q", "--json", "--threads", "1", "--rtol", "1e-5", "--atol", "1e-5"])[0]
            found.update(evaluations=checked["evaluations_mean"], most=checked["evaluations_most"])
        return found


def error(x):
    return float(np.std(x, ddof=1) / np.sqrt(len(x)))


def same_field(plane, name, files, truth):
    """A row of the first table. The differences are paired by rows."""
    epochs = ["--epochs", str(plane.options.epochs)]
    fits = [plane.kept(lambda out, seed=seed: plane.fit(files, "cnf", epochs, SAME, seed, out), name, "same%d" % seed) for seed in plane.options.seeds]
    ours = [score.mean() for _, score in fits]
    about, score = fits[0]
    line = "| %s | %.4f | %.4f +- %.4f | %s |" % (name, truth.mean(), score.mean(), error(score), ", ".join("%.4f" % mean for mean in ours[1:]))
    if not plane.options.peer:
        return line + " | | %.1f | | %.0f (%.0f) | |" % (about["seconds"], about["evaluations"], about["most"])
    peer, theirs = plane.kept(lambda out: plane.peer(files, out), name, plane.options.peer)
    return line + " %.4f +- %.4f | %+.4f +- %.4f | %.1f | %.1f | %.0f (%.0f) | %.0f |" % (
        theirs.mean(), error(theirs), (score - theirs).mean(), error(score - theirs), about["seconds"], peer["seconds"], about["evaluations"], about["most"], peer["evaluations"])


def own(plane, name, files, truth):
    """Rows of the second table."""
    for key in plane.options.own:
        arch, steps, settings = OWN[key]
        about, score = plane.kept(lambda out: plane.fit(files, arch, ["--steps", str(steps)], settings, 0, out), name, key)
        yield "| %s | %s | %.4f +- %.4f | %+.4f +- %.4f | %.1f | %d | %d | %s |" % (
            name, key, score.mean(), error(score), (score - truth).mean(), error(score - truth), about["seconds"], about["steps"], about["parameters"],
            "%.0f (%.0f)" % (about["evaluations"], about["most"]) if "evaluations" in about else "")


def check():
    failed = 0
    for name, mass, gap in plane_data.self_check():
        good = abs(mass - 1) < 1e-4 and abs(gap) < 0.02
        failed |= not good
        print("%-16s mass %.6f, rows' mean log-density %+.4f from the grid's %s" % (name, mass, gap, "ok" if good else "FAILED"), flush=True)
    return int(failed)


def main():
    parser = argparse.ArgumentParser(prog="bench/plane.py", description=__doc__)
    parser.add_argument("--density", action="append", choices=list(plane_data.DENSITIES))
    parser.add_argument("--peer", choices=("ffjord", "zuko"), default="ffjord", help="whose sources lie at $RHEO_PEERS (bench/README.md)")
    parser.add_argument("--no-peer", dest="peer", action="store_const", const=None)
    parser.add_argument("--epochs", type=int, default=30, help="of the fits with the same field")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of rheo's fits with the same field")
    parser.add_argument("--own", nargs="*", choices=list(OWN), default=list(OWN), help="rheo's architectures as they come")
    parser.add_argument("--keep", default="plane", metavar="DIR", help="rows, models and log-densities; what lies there is not made again")
    parser.add_argument("--self-check", action="store_true", help="only check the rows and the true densities against each other")
    parser.add_argument("--build", default="build", metavar="DIR")
    options = parser.parse_args()
    if options.self_check:
        return check()
    plane, same, others = Plane(options), [], []
    for name in options.density or plane_data.DENSITIES:
        files, truth = plane.rows(name)
        same.append(same_field(plane, name, files, truth))
        peers.say(same[-1])
        for line in own(plane, name, files, truth):
            others.append(line)
            peers.say(line)
    peer = options.peer or "no peer"
    print("Test log-density, nats a row; the same field, %d epochs: %s, %s; seconds are of the processor, evaluations of the field a row at 1e-5 (the most of a row)\n" % (
        options.epochs, json.dumps(FIELD), json.dumps(RECIPE)))
    print("| density | truth | rheo | other seeds | %s | difference | rheo s | %s s | rheo evaluations | %s evaluations |\n|---|---|---|---|---|---|---|---|---|---|" % (peer, peer, peer))
    print("\n".join(same))
    print("\nrheo's architectures as they come\n\n| density | arch | test | below the truth | s | steps | parameters | evaluations |\n|---|---|---|---|---|---|---|---|")
    print("\n".join(others))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except peers.Failure as failure:
        peers.say("bench/plane.py: %s" % failure)
        sys.exit(1)
