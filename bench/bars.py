"""What bench/run measures besides the duels: products alone, memory by batch and depth, the command's start and residence."""
import json
import os
import statistics
import subprocess
import tempfile
import time

import numpy as np

import peers
import problems

DATA = "../shared/data/tabular"
MEMORY = {"d": 6, "hidden": [256, 256]}
BATCHES, DEPTHS, STEPS = (256, 512, 1024, 4096, 16384), (8, 64), 3


def need(build, program, hint=""):
    path = os.path.join(build, program)
    if not os.path.exists(path):
        raise peers.Failure("%s is missing: build the project first%s" % (path, hint))
    return path


def kernels(options):
    """The row products beside oneDNN, libxsmm and OpenBLAS: a line of JSON a shape, then the worst shares of the best."""
    program = need(options.build, "rheo-gemm-bench", ": cmake --build %s --target rheo-gemm-bench (it needs libxsmm-dev and libdnnl-dev)" % options.build)
    code = subprocess.run([program], check=False).returncode
    if code != 0:
        raise peers.Failure("%s ended with code %d" % (program, code))
    splines = need(options.build, "rheo-spline-bench", ": cmake --build %s --target rheo-spline-bench" % options.build)
    for precision in ([], ["--f64"]):
        if subprocess.run([splines] + precision, check=False).returncode != 0:
            raise peers.Failure("%s failed" % splines)
    return 0


def trained(options, problem, threads, rows):
    """A worker's own account of its memory and its peak while it trains."""
    worker = peers.Worker("rheo", options.build, {})
    try:
        worker.ask("setup", json.dumps(dict(problem, threads=threads)))
        worker.ask("data", rows)
        worker.forget_peak()
        worker.ask("train", STEPS)
        return dict(json.loads(worker.ask("memory")), peak_mb=worker.peak_mb())
    finally:
        worker.close()


def memory(options):
    """Activation bytes by batch, depth and policy: as the plan has them, and as the process shows them."""
    print("| couplings | LU | policy | batch | rows of a block, superblock | activations MB, by the plan | peak resident MB | the same without parameters |")
    print("|---|---|---|---|---|---|---|---|")
    threads = max(options.threads or [2])
    with tempfile.TemporaryDirectory() as folder:
        rows = os.path.join(folder, "rows")
        np.random.default_rng(1).standard_normal((2 * max(BATCHES), MEMORY["d"])).clip(-3, 3).astype("<f4").tofile(rows)
        for depth in DEPTHS:
            for policy, lu in (("keep", False), ("recompute", False), ("recompute", True)):
                for batch in BATCHES:
                    problem = problems.complete(dict(MEMORY, layers=depth, batch=batch, memory=policy, lu=lu), "memory")
                    seen = trained(options, problem, threads, rows)
                    activations = (seen["work_bytes_thread"] * threads + seen["work_bytes_shared"]) / 2 ** 20
                    fixed = (16 * problems.parameters(problem) + seen["packed_bytes"]) / 2 ** 20  # parameters, gradient, two moments; packed
                    print("| %d | %s | %s | %d | %d, %d | %.2f | %.1f | %.1f |" % (
                        depth, "yes" if lu else "no", policy, batch, seen["block_rows"], seen["super_rows"], activations, seen["peak_mb"], seen["peak_mb"] - fixed), flush=True)
    return 0


def run_to_end(command, watch=False):
    """(milliseconds, peak resident MB if watched) of a command. The peak is looked up while it runs: the one that wait4 gives counts ours too."""
    peak = 0.0
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while watch and process.poll() is None:
        try:
            with open("/proc/%d/status" % process.pid) as file:
                peak = max([peak] + [int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM:")])
        except OSError:
            pass
        time.sleep(0.01)
    code = process.wait()
    if code != 0:
        raise peers.Failure("'%s' failed" % " ".join(command))
    return (time.perf_counter() - start) * 1e3, peak


def command(options):
    """`rheo score` of one row from process start to end; resident memory of a fit of the protein table."""
    rheo, table = need(options.build, "rheo"), os.path.join(DATA, "protein_clean_%s.npy")
    if not os.path.exists(table % "train"):
        raise peers.Failure("%s is absent: the tables are looked for beside the project" % (table % "train"))
    with tempfile.TemporaryDirectory() as folder:
        model, row = os.path.join(folder, "model.rheo"), os.path.join(folder, "row.npy")
        _, fit_mb = run_to_end([rheo, "fit", table % "train", "--val", table % "val", "--test", table % "test", "--epochs", "2", "-q", "-o", model], True)
        np.save(row, np.load(table % "test")[:1])
        times = sorted(run_to_end([rheo, "score", model, row, "-q"])[0] for _ in range(3 if options.quick else 30))
    print("rheo score of one row: %.1f ms (least %.1f, most %.1f of %d)" % (statistics.median(times), times[0], times[-1], len(times)))
    print("rheo fit of the protein table: peak resident %.1f MB" % fit_mb)
    return 0


MODES = {"kernels": kernels, "memory": memory, "command": command}
