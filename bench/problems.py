"""The problems of the benchmark: rows of one table, and the architectures they name, as data.

A problem is a plain dict that travels as JSON to every worker:
  name, arch, d (columns), layers (couplings), hidden (sizes), activation, batch, base, rate (Adam's), bound (of the log-scales), memory (rheo's policy), lu (rheo's: an LU layer before each coupling; for
  --memory only, the peers have none).
A later architecture joins with one entry of ARCHITECTURES here and a builder in each peer.
"""

ROWS = 4096      # rows of a log_prob call, samples of a sample call
DATA_BATCHES = 16  # training rows = this many batches: standard normal clamped to +-3
WORKS = ("train", "log_prob", "sample")

DEFAULTS = {"arch": "realnvp", "d": 2, "layers": 8, "hidden": [64, 64], "activation": "relu", "batch": 256, "base": "normal",
            "rate": 1e-4, "bound": 5.0, "memory": "keep", "lu": False}

TABLE = {
    "realnvp-2d": {"d": 2, "layers": 8, "hidden": [64, 64], "batch": 256},
    "realnvp-6d": {"d": 6, "layers": 10, "hidden": [256, 256], "batch": 512},
    "realnvp-64d": {"d": 64, "layers": 8, "hidden": [512, 512], "batch": 1024},
}


def coupling_widths(problem, layer):
    """(kept, changed) columns of a coupling: even layers keep the first half, odd layers the second."""
    first = problem["d"] // 2
    kept = first if layer % 2 == 0 else problem["d"] - first
    return kept, problem["d"] - kept


def coupling_shapes(problem, outputs):
    """Parameters of a coupling flow in the order of the weight files: layer by layer W [out, in], b [out]."""
    shapes = []
    for layer in range(problem["layers"]):
        kept, changed = coupling_widths(problem, layer)
        sizes = [kept] + problem["hidden"] + [outputs * changed]
        for fan_in, fan_out in zip(sizes, sizes[1:]):
            shapes += [(fan_out, fan_in), (fan_out,)]
    return shapes


# outputs: numbers the conditioner gives for each changed column (first all raw log-scales, then all shifts).
ARCHITECTURES = {
    "realnvp": {"shapes": lambda problem: coupling_shapes(problem, 2)},
    "nice": {"shapes": lambda problem: coupling_shapes(problem, 1)},
}


def shapes(problem):
    return ARCHITECTURES[problem["arch"]]["shapes"](problem)


def count(shape):
    n = 1
    for size in shape:
        n *= size
    return n


def parameters(problem):
    return sum(count(shape) for shape in shapes(problem))


def flops(problem, work):
    """Useful operations of one call: two a multiply-add of every matrix product; a training step is three forward passes."""
    forward = 2.0 * sum(count(shape) for shape in shapes(problem) if len(shape) == 2)
    return 3 * forward * problem["batch"] if work == "train" else forward * ROWS


def rows_of(problem, work):
    return problem["batch"] if work == "train" else ROWS


def complete(row, name):
    problem = dict(DEFAULTS, **row)
    problem["name"] = name
    if problem["arch"] not in ARCHITECTURES:
        raise ValueError("unknown architecture '%s'; there are: %s" % (problem["arch"], ", ".join(sorted(ARCHITECTURES))))
    if problem["d"] < 2 or problem["layers"] < 1 or problem["batch"] < 1 or min(problem["hidden"]) < 1:
        raise ValueError("a problem needs d >= 2 and positive layers, hidden and batch")
    return problem


def named(name):
    if name not in TABLE:
        raise ValueError("unknown problem '%s'; there are: %s" % (name, ", ".join(TABLE)))
    return complete(TABLE[name], name)


def from_spec(text):
    """'arch=realnvp,d=6,layers=10,hidden=256x256,batch=512' -> a problem."""
    row = {}
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        if not equals or key not in DEFAULTS:
            raise ValueError("--spec: '%s' is none of %s" % (item, ", ".join(k + "=" for k in DEFAULTS)))
        try:
            if key == "hidden":
                row[key] = [int(size) for size in value.split("x")]
            else:
                row[key] = type(DEFAULTS[key])(value)
        except ValueError:
            raise ValueError("--spec: '%s' has no number where one belongs" % item) from None
    return complete(row, text)
