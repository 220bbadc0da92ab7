#!/usr/bin/python3
"""What a training step of a continuous flow keeps beside parameters, by the number of its steps and by how its solution is differentiated: a
table, and a figure (Debian's python3-matplotlib)."""
import argparse
import json
import os
import subprocess
import sys

os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
import matplotlib  # noqa: E402

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

import problems  # noqa: E402

STEPS, GRADIENTS, BATCH = (10, 30, 100, 300, 1000), {"adjoint": "o-", "replay": "s-", "store": "^-"}, 512


def measure(options, name, gradient, steps):
    """{"planned", "resident"} in bytes, and the evaluations of all rows."""
    problem = problems.TABLE[name]
    how = {"hidden": problem["hidden"], "activation": problem["activation"], "base": "normal", "trace": "hutchinson", "gradient": gradient, "solver_steps": steps}
    command = [os.path.join(options.build, "rheo-ode-memory"), problem["arch"], str(problem["d"]), str(BATCH), json.dumps(how)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def draw(found, path):
    figure, axes = plt.subplots(1, len(found), figsize=(8, 3), layout="constrained")
    for ax, (name, by_gradient) in zip(axes, found.items()):
        for gradient, line in GRADIENTS.items():
            ax.semilogx(STEPS, by_gradient[gradient], line, label=gradient, markersize=4)
        ax.set_ylim(bottom=0)
        ax.set_xticks(STEPS, [str(s) for s in STEPS])
        ax.minorticks_off()
        ax.set_title(name, fontsize=10)
        ax.set_xlabel("steps of dp54")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("MB beside parameters")
    axes[0].legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def read(path):
    """What was printed, MB resident by problem and gradient."""
    found = {}
    with open(path) as file:
        for line in file:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) == 3 + len(STEPS) and cells[1] in GRADIENTS:
                found.setdefault(cells[0], {})[cells[1]] = [float(cell.split()[0]) for cell in cells[2:-1]]
    return found


def main():
    parser = argparse.ArgumentParser(prog="bench/ode_memory.py", description=__doc__)
    parser.add_argument("--figure", default="docs/images/ode-memory.png", metavar="FILE")
    parser.add_argument("--build", default="build", metavar="DIR")
    parser.add_argument("--read", metavar="FILE", help="draw what was printed before, measure nothing")
    options = parser.parse_args()
    if options.read:
        draw(read(options.read), options.figure)
        return
    found = {}
    print("batch %d, one thread, float32, one Hutchinson probe, equal steps of dp54; MB (10^6 bytes) beside parameters, gradient and moments:" % BATCH)
    print("resident at its most, in brackets as the plan has it; evaluations a row, forward + backward\n")
    print("| problem | gradient |" + "".join(" %d steps |" % s for s in STEPS) + " evaluations of 1000 |\n|" + "---|" * (3 + len(STEPS)))
    for name in ("ffjord-2d", "ffjord-43d"):
        found[name] = {}
        for gradient in GRADIENTS:
            rows = [measure(options, name, gradient, steps) for steps in STEPS]
            found[name][gradient] = [m["resident"] / 1e6 for m in rows]
            cells = "".join(" %.2f (%.2f) |" % (m["resident"] / 1e6, m["planned"] / 1e6) for m in rows)
            print("| %s | %s |%s %d + %d |" % (name, gradient, cells, rows[-1]["forward"] // BATCH, rows[-1]["back"] // BATCH), flush=True)
    draw(found, options.figure)


if __name__ == "__main__":
    main()
