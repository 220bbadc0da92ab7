"""What bench/run measures besides the duels (products alone, memory by batch and depth, the command's start and residence, latency and cost of sampling), and what is asked of the
duels."""
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


def activation_memory(options, threads):
    print("| couplings | LU | policy | batch | rows of a block, superblock | activations MB, by the plan | peak resident MB | the same without parameters |")
    print("|---|---|---|---|---|---|---|---|")
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


def memory(options):
    """Memory by batch, depth and policy: activations of RealNVP as the plan has them, and the process's peak; then the peak of glow-32 beside PyTorch."""
    threads = max(options.threads or [2])
    if options.candidate == "rheo":
        activation_memory(options, threads)
    image_memory(options, threads)
    return 0


GLOW_DEPTHS, GLOW_BATCHES, GLOW_BASE, GLOW_MB = (4, 8, 16, 32), (32, 64, 128), "glow-32", 60
FLAT = 1.1  # at most: memory of the largest batch over that of the smallest
GLOW_ROWS = 2 * max(GLOW_BATCHES)  # training rows, the same for all batches


def trained_images(options, name, problem, threads, rows):
    """Peak resident MB of setup and some training steps above what the process has when it starts."""
    worker = peers.Worker(name, options.build, peers.PEERS[name][1](threads)[0])
    try:
        worker.ask("ready")
        start = worker.resident_mb()
        worker.ask("setup", json.dumps(dict(problem, threads=threads)))
        worker.ask("data", rows)
        worker.ask("train", STEPS)
        return worker.peak_mb() - start
    finally:
        worker.close()


def image_memory(options, threads):
    """Peak memory of training glow-32 above the start, by steps a level, batch, policy: rheo beside PyTorch, whose "recompute" is torch.utils.checkpoint for every step."""
    print("\n| who | steps a level | policy | batch | peak above start MB | the same without parameters, gradients, moments and rows |")
    print("|---|---|---|---|---|---|")
    seen, grid = {}, [(policy, layers, batch) for policy in ("recompute", "keep") for layers in GLOW_DEPTHS for batch in GLOW_BATCHES
                      if batch == GLOW_BATCHES[0] or (policy == "recompute" and layers in (8, 32))]
    with tempfile.TemporaryDirectory() as folder:
        rows = os.path.join(folder, "rows")
        d = problems.named(GLOW_BASE)["d"]
        np.random.default_rng(1).standard_normal((GLOW_ROWS, d)).clip(-3, 3).astype("<f4").tofile(rows)
        for who in dict.fromkeys([options.candidate] + (options.peer or ["torch"])):
            for policy, layers, batch in grid:
                problem = problems.complete(dict(problems.TABLE[GLOW_BASE], layers=layers, batch=batch, memory=policy), "memory")
                try:
                    peak = trained_images(options, who, problem, threads, rows)
                except peers.Absent as absent:
                    peers.say("left out: %s" % absent)
                    break
                fixed = (16 * problems.parameters(problem) + (8 if who == "rheo" else 4) * GLOW_ROWS * d) / 2 ** 20
                seen[who, policy, layers, batch] = peak - fixed
                print("| %s | %d | %s | %d | %.1f | %.1f |" % (who, layers, policy, batch, peak, peak - fixed), flush=True)
    who = options.candidate
    for layers in GLOW_DEPTHS:
        value = seen[who, "recompute", layers, GLOW_BATCHES[0]]
        print("%s, %d steps a level, recompute: %.1f MB beside the parameters (bar %d): %s" % (who, layers, value, GLOW_MB, "yes" if value <= GLOW_MB else "NO"))
    for layers in (8, 32):
        values = [seen[who, "recompute", layers, batch] for batch in GLOW_BATCHES]
        print("%s, %d steps a level, recompute: batch %d over batch %d: %.2f times (bar %g): %s" % (
            who, layers, GLOW_BATCHES[-1], GLOW_BATCHES[0], values[-1] / values[0], FLAT, "yes" if values[-1] <= FLAT * values[0] else "NO"))


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


LATENCY = {"realnvp": {"layers": 8, "hidden": [128, 128]}, "maf": {"layers": 5, "hidden": [128, 128]}, "iaf": {"layers": 5, "hidden": [128, 128]},
           "nsf": {"layers": 5, "hidden": [128, 128]}, "nsf-coupling": {"layers": 5, "hidden": [128, 128]}}


def asked(options, name, problem, *questions):
    """The answers of one worker that is set up for the problem."""
    worker = peers.Worker(name, options.build, peers.PEERS[name][1](1)[0])
    try:
        worker.ask("setup", json.dumps(dict(problem, threads=1)))
        return [worker.ask(*question) for question in questions]
    finally:
        worker.close()


def latency(options):
    """One sample a call, one thread: median and 99th percentile; one line of PyTorch beside, for orientation."""
    calls = 200 if options.quick else 5000
    print("| model | columns | who | calls | median us | p99 us |\n|---|---|---|---|---|---|")
    for who, arch, d, n in [("rheo", arch, d, calls) for arch in LATENCY for d in (6, 43)] + [("torch", "realnvp", 6, 200)]:
        problem = problems.complete(dict(LATENCY[arch], arch=arch, d=d, batch=256, draws=256), arch)
        _, answer = asked(options, who, problem, ("sample1", 20), ("sample1", n))
        median, p99 = (float(word) * 1e3 for word in answer.split())
        print("| %s | %d | %s | %d | %.1f | %.1f |" % (arch, d, who, n, median, p99), flush=True)
    return 0


SAMPLED = {"arch": "maf", "layers": 5, "batch": 256, "draws": 1024}
WIDTHS = (8, 16, 32, 64, 128, 256, 512, 1024)


def sampling(options):
    """Cost of sampling a MAF by columns, beside its log-densities (one pass): a table, a figure in text, and one in SVG with --figure."""
    lines = []
    print("| columns | hidden | MFLOP of one pass a row | log_prob us a row | sample us a row | sample / log_prob |\n|---|---|---|---|---|---|")
    for d in WIDTHS[:3] if options.quick else WIDTHS:
        width = max(512, 2 * d)
        problem = problems.complete(dict(SAMPLED, d=d, hidden=[width, width]), "maf-%d" % d)
        _, score, _, draw = asked(options, options.candidate, problem, ("log_prob", 1), ("log_prob", 3), ("sample", 1), ("sample", 3))
        flop = problems.flops(problem, "log_prob") / problem["rows"] / 1e6
        score, draw = float(score.split()[0]) * 1e3 / problem["rows"], float(draw.split()[0]) * 1e3 / problem["draws"]
        lines.append((d, flop, score, draw))
        print("| %d | 2 x %d | %.3f | %.2f | %.2f | %.2f |" % (d, width, flop, score, draw, draw / score), flush=True)
    most = max(max(score, draw) for _, _, score, draw in lines)
    print("\nmicroseconds a row, log scale: L log_prob, S sample")
    for d, _, score, draw in lines:
        row = [" "] * 61
        for letter, value in (("L", score), ("S", draw)):
            row[max(0, 60 + int(round(12 * np.log10(value / most))))] = letter
        print("%6d |%s" % (d, "".join(row).rstrip()))
    if options.figure:
        with open(options.figure, "w") as file:
            file.write(svg(lines))
    return 0


def svg(lines):
    """Both axes logarithmic: time a row of log_prob and of sampling, and the products of one pass scaled to the first log_prob."""
    series = {"sample": [(d, draw) for d, _, _, draw in lines], "log_prob": [(d, score) for d, _, score, _ in lines],
              "products of one pass": [(d, flop * lines[0][2] / lines[0][1]) for d, flop, _, _ in lines]}
    values = [np.log(value) for points in series.values() for _, value in points]
    low, high, left, right = min(values), max(values) + 1e-9, np.log(lines[0][0]), np.log(lines[-1][0]) + 1e-9

    def place(d, value):
        return "%.1f,%.1f" % (60 + 420 * (np.log(d) - left) / (right - left), 280 - 250 * (np.log(value) - low) / (high - low))

    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="640" height="320" font-family="sans-serif" font-size="12">']
    for colour, (name, points) in zip(("#c33", "#36c", "#888"), series.items()):
        path = " ".join(place(*point) for point in points)
        x, y = place(*points[-1]).split(",")
        parts += ['<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>' % (colour, path), '<text x="%s" y="%s" fill="%s"> %s</text>' % (x, y, colour, name)]
    parts += ['<text x="%s" y="305">%d</text>' % (place(d, 1).split(",")[0], d) for d, *_ in lines]
    return "\n".join(parts + ['<text x="220" y="18">time a row by columns, both logarithmic</text>', "</svg>", ""])


MODES = {"kernels": kernels, "memory": memory, "command": command, "latency": latency, "sampling": sampling}

# (problem, work) -> least ratio to the best peer
BARS = {("maf-43d", "train"): 3.5, ("maf-43d", "log_prob"): 2.8, ("maf-43d", "sample"): 50,
        ("nsf-ar-43d", "train"): 6, ("nsf-ar-43d", "log_prob"): 9, ("nsf-ar-43d", "sample"): 120,
        ("nsf-c-43d", "train"): 4, ("nsf-c-43d", "log_prob"): 6, ("nsf-c-43d", "sample"): 4,
        ("ffjord-2d", "train"): 8, ("ffjord-2d", "log_prob"): 8, ("ffjord-2d", "sample"): 6,
        ("ffjord-43d", "train"): 3.5, ("ffjord-43d", "log_prob"): 40, ("ffjord-43d-columns", "log_prob"): 4}  # 40: the closed form of the trace beside columns
# The same against one kind of peers: "torch", the twins with the problem's own weights, or "libraries", or one of them by name.
KIND_BARS = {("glow-32", "train"): {"torch": 1.5, "libraries": 2.2}, ("glow-32", "log_prob"): {"libraries": 2}, ("glow-32", "sample"): {"libraries": 2},
             ("realnvp-img32", "train"): {"normflows": 3}}
KINDS = {"torch": ("torch", "torch-plain"), "libraries": tuple(name for name in peers.LIBRARIES if not name.endswith("-last"))}
PEAK_SHARE = {("maf-43d", "train"): 0.6, ("ffjord-43d", "train"): 0.6}
STATED_SHARE = ("glow-32", "realnvp-img32")  # the share of the peak is printed, with no bar
RECOMPUTE = {"glow-32-recompute": ("glow-32", 1.45)}  # a training step by RECOMPUTE over one by KEEP
SAMPLE_PER_SCORE = {"maf-43d": 2.5, "glow-32": 1.3}  # time of as many samples over time of their log-densities
SCALING = 1.7                        # 2 threads over 1, training rows
ORIENTATION = ("torch-swept", "torch-closed", "normflows-last", "FrEIA-last")  # rheo's own algorithms, a format that users must know of: no bar is against them


class Lines(list):
    """"what: value (bar): yes or NO"."""

    def judge(self, what, value, bar, passed):
        self.append("%s: %.2f (bar %g): %s" % (what, value, bar, "yes" if passed else "NO"))

    def ratios(self, name, rows, bars):
        """bars: [(rivals or None for all, least ratio)]"""
        for rivals, bar in bars:
            among = [r for r in rows if rivals is None or r["peer"] in rivals]
            if among:
                best = min(among, key=lambda r: r["ratio"])
                self.judge("%s, best peer (%s) over rheo" % (name, best["peer"]), best["ratio"], bar, best["ratio"] >= bar)

    def times(self, name, rows, others, bar, passed):
        """The least time of these over that of the others."""
        times = min(r["rheo_ms"] for r in rows) / min(r["rheo_ms"] for r in others)
        self.judge(name, times, bar, passed(times))


def bars_of(key):
    found = [(None, BARS[key])] if key in BARS else []
    return found + [(KINDS.get(kind, (kind,)), bar) for kind, bar in KIND_BARS.get(key, {}).items()]


def verdicts(results):
    """Lines for what was measured."""
    found, lines = {}, Lines()
    for r in results:
        if r["peer"] not in ORIENTATION:
            found.setdefault((r["problem"], r["work"], r["threads"]), []).append(r)
    for (problem, work, threads), rows in found.items():
        name = "%s %s, %d thread%s" % (problem, work, threads, "s" if threads > 1 else "")
        lines.ratios(name, rows, bars_of((problem, work)))
        share = max(r["peak_share"] for r in rows)
        if (problem, work) in PEAK_SHARE:
            lines.judge(name + ", share of the fma peak", share, PEAK_SHARE[problem, work], share >= PEAK_SHARE[problem, work])
        elif problem in STATED_SHARE:
            lines.append("%s, share of the fma peak: %.2f (its best peer's: %.2f)" % (name, share, max(r["peer_peak_share"] for r in rows)))
        score, one = found.get((problem, "log_prob", threads)), found.get((problem, work, 1))
        if work == "sample" and problem in SAMPLE_PER_SCORE and score:
            lines.times(name + ", over log_prob of as many rows", rows, score, SAMPLE_PER_SCORE[problem], lambda times: times <= SAMPLE_PER_SCORE[problem])
        if problem in RECOMPUTE and (RECOMPUTE[problem][0], work, threads) in found:
            base, bar = RECOMPUTE[problem]
            lines.times("%s, over %s" % (name, base), rows, found[base, work, threads], bar, lambda times: times <= bar)
        if work == "train" and threads == 2 and one and (bars_of((problem, work)) or problem in RECOMPUTE):
            lines.times(name + ", over 1 thread", one, rows, SCALING, lambda gain: gain >= SCALING)
    return "\n".join(lines)
