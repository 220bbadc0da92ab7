"""The problems of the benchmark: rows of one table, and the architectures they name, as data.

A problem is a plain dict that travels as JSON to every worker:
  name, arch, d (columns), layers (couplings or autoregressive transforms), hidden (sizes), activation, batch, rows (of a log_prob call), draws (samples of a sample call), base,
  rate (Adam's), bound (of the log-scales), bins and box (of the splines), memory (keep or recompute), lu (rheo's: an LU layer before each coupling; for --memory only, the peers have
  none). Image flows (images.py) also have image [h, w, c], levels and spec (rheo's specification); their layers are those of a level. Continuous flows (continuous.py) have spec, data, steps and
  first_rate (what is learnt before anything is measured), trace (hutchinson in training, or exact there, too; columns: log_prob by columns even where there is a closed form) and gradient (rheo's; "": its own choice).
A later architecture joins with one entry of ARCHITECTURES here and a builder in each peer.

Masked layers (MADE, Germain et al. 2015) have hidden units in ascending order of degree, and the columns in the transform's order: every row of a masked
matrix then reads a prefix of its inputs, the reach of the row, and a weight file holds that prefix alone, row after row.
"""
import math

import numpy as np

import continuous
import images

ROWS = 4096      # rows of a log_prob call, unless the problem says otherwise
DATA_BATCHES = 16  # training rows = this many batches: standard normal clamped to +-3
WORKS = ("train", "log_prob", "sample")

DEFAULTS = {"arch": "realnvp", "d": 2, "layers": 8, "hidden": [64, 64], "activation": "relu", "batch": 256, "rows": ROWS, "draws": 4096, "base": "normal",
            "rate": 1e-4, "bound": 5.0, "bins": 8, "box": 5.0, "memory": "keep", "lu": False, "image": [], "levels": 1,
            "data": "", "steps": 0, "first_rate": 1e-3, "trace": "hutchinson", "gradient": ""}

GLOW = {"arch": "glow", "image": [32, 32, 3], "levels": 3, "layers": 8, "hidden": [128], "batch": 32, "rows": 32, "draws": 32}

FFJORD = {"arch": "cnf", "d": 43, "hidden": [256, 256], "activation": "softplus", "batch": 512, "rows": 512, "draws": 512, "data": "scaled-normal", "steps": 30}

TABLE = {
    "realnvp-2d": {"d": 2, "layers": 8, "hidden": [64, 64], "batch": 256},
    "realnvp-6d": {"d": 6, "layers": 10, "hidden": [256, 256], "batch": 512},
    "realnvp-64d": {"d": 64, "layers": 8, "hidden": [512, 512], "batch": 1024},
    "maf-43d": {"arch": "maf", "d": 43, "layers": 5, "hidden": [512, 512], "batch": 512},
    "nsf-ar-43d": {"arch": "nsf", "d": 43, "layers": 5, "hidden": [256, 256], "batch": 512, "draws": 512},
    "nsf-c-43d": {"arch": "nsf-coupling", "d": 43, "layers": 5, "hidden": [256, 256], "batch": 512, "draws": 512},
    "glow-32": GLOW,
    "glow-32-recompute": dict(GLOW, memory="recompute", works=["train"]),
    "realnvp-img32": {"arch": "realnvp-image", "image": [32, 32, 1], "levels": 2, "layers": 4, "hidden": [64], "batch": 64, "rows": 64, "draws": 64},
    "ffjord-2d": dict(FFJORD, d=2, hidden=[64, 64, 64], activation="tanh", data="eight-gaussians", steps=150, first_rate=5e-3),
    "ffjord-43d": FFJORD,
    "ffjord-43d-exact": dict(FFJORD, trace="exact", works=["train"]),
    "ffjord-43d-columns": dict(FFJORD, trace="columns", works=["log_prob"]),
}

# By name only (--only): glow-32 with other numbers of steps a level.
SERIES = {"glow-32-%d-steps%s" % (layers, "" if policy == "keep" else "-" + policy): dict(GLOW, layers=layers, memory=policy)
          for layers in (4, 16, 32) for policy in ("keep", "recompute")}


def halves(problem, layer):
    """(kept, changed) columns of a coupling: even layers keep the first half, odd layers the second."""
    d, first = problem["d"], problem["d"] // 2
    parts = list(range(first)), list(range(first, d))
    return parts if layer % 2 == 0 else parts[::-1]


def stripes(problem, layer):
    """(kept, changed) columns of a coupling: even layers keep columns 1, 3, 5, ... (counted from 0), odd layers the others."""
    parts = list(range(1, problem["d"], 2)), list(range(0, problem["d"], 2))
    return parts if layer % 2 == 0 else parts[::-1]


def column_order(problem, layer):
    """The order of an autoregressive transform: natural in even layers, reversed in odd ones."""
    return list(range(problem["d"]))[::-1 if layer % 2 else 1]


class Masked(tuple):
    """The shape (out, in) of a masked matrix; reach[j]: row j reads inputs [0, reach[j])."""

    def __new__(cls, out, width, reach):
        self = super().__new__(cls, (out, width))
        self.reach = reach
        return self


def degrees(d, hidden):
    """Of a hidden layer, ascending from 1 to d - 1."""
    return [1 + h * (d - 1) // hidden for h in range(hidden)]


def coupling_shapes(problem, outputs):
    """Parameters of a coupling flow in the order of the weight files: layer by layer W [out, in], b [out]."""
    shapes = []
    for layer in range(problem["layers"]):
        kept, changed = split(problem, layer)
        sizes = [len(kept)] + problem["hidden"] + [outputs * len(changed)]
        for fan_in, fan_out in zip(sizes, sizes[1:]):
            shapes += [(fan_out, fan_in), (fan_out,)]
    return shapes


def masked_shapes(problem, outputs):
    """The same of an autoregressive flow: a unit of degree k reads columns 1..k and units of degree <= k, the parameters of column i units of degree < i."""
    d, one = problem["d"], []
    read = list(range(1, d + 1))
    for hidden in problem["hidden"]:
        own = degrees(d, hidden)
        one += [Masked(hidden, len(read), [sum(k <= degree for k in read) for degree in own]), (hidden,)]
        read = own
    reach = [sum(k < column for k in read) for column in range(1, d + 1) for _ in range(outputs)]
    return (one + [Masked(outputs * d, len(read), reach), (outputs * d,)]) * problem["layers"]


# numbers: raw parameters that the conditioner gives for each changed column; kind: "coupling" or "autoregressive"; split: its columns, where it is a coupling.
# Order of the raw parameters: of halves first all log-scales, then all shifts; of all others column by column (log-scale, shift; or widths, heights, slopes).
ARCHITECTURES = {
    "realnvp": {"kind": "coupling", "split": halves, "numbers": lambda problem: 2},
    "nice": {"kind": "coupling", "split": halves, "numbers": lambda problem: 1},
    "nsf-coupling": {"kind": "coupling", "split": stripes, "numbers": lambda problem: 3 * problem["bins"] - 1},
    "maf": {"kind": "autoregressive", "numbers": lambda problem: 2},
    "iaf": {"kind": "autoregressive", "numbers": lambda problem: 2},  # rheo's only: the inverse of a maf
    "nsf": {"kind": "autoregressive", "numbers": lambda problem: 3 * problem["bins"] - 1},
    "glow": {"kind": "image"},
    "realnvp-image": {"kind": "image"},
    "cnf": {"kind": "continuous"},
}


def split(problem, layer):
    return ARCHITECTURES[problem["arch"]]["split"](problem, layer)


def numbers(problem):
    return ARCHITECTURES[problem["arch"]]["numbers"](problem)


def autoregressive(problem):
    return ARCHITECTURES[problem["arch"]]["kind"] == "autoregressive"


def image(problem):
    return ARCHITECTURES[problem["arch"]]["kind"] == "image"


def is_continuous(problem):
    return ARCHITECTURES[problem["arch"]]["kind"] == "continuous"


def own(problem):
    """The module of an architecture that has one."""
    return {"image": images, "continuous": continuous}.get(ARCHITECTURES[problem["arch"]]["kind"])


def shapes(problem):
    if own(problem):
        return own(problem).shapes(problem)
    return (masked_shapes if autoregressive(problem) else coupling_shapes)(problem, numbers(problem))


def count(shape):
    """Numbers that a weight file holds for it; those of a masked matrix that its mask leaves."""
    if isinstance(shape, Masked):
        return sum(shape.reach)
    return math.prod(shape)


def parameters(problem):
    return sum(count(shape) for shape in shapes(problem))


def masks(shape):
    """[out, in] of True and False, as NumPy has it."""
    return np.arange(shape[1]) < np.array(shape.reach)[:, None]


def unpack(flat, problem):
    """Dense tensors from the numbers of a weight file (a NumPy vector): what a mask hides is 0."""
    result, at = [], 0
    for shape in shapes(problem):
        part = flat[at:at + count(shape)]
        at += count(shape)
        dense = np.zeros(shape, flat.dtype)
        dense[masks(shape) if isinstance(shape, Masked) else ...] = part if isinstance(shape, Masked) else part.reshape(shape)
        result.append(dense)
    if at != flat.size:
        raise ValueError("%d numbers, the problem has %d parameters" % (flat.size, at))
    return result


def flops(problem, work, evaluations=None):
    """Useful operations of one call: two a multiply-add of every matrix product, of masked ones the part that the masks leave; a training step is three forward passes, and so
    many samples of an autoregressive flow need no more than one (each unit once). evaluations: of a continuous flow, what continuous.counts gives."""
    if is_continuous(problem):
        return continuous.flops(problem, work, evaluations)
    forward = images.forward_flops(problem) if image(problem) else 2.0 * sum(count(shape) for shape in shapes(problem) if len(shape) == 2)
    return (3 if work == "train" else 1) * forward * rows_of(problem, work)


def rows_of(problem, work):
    return {"train": problem["batch"], "log_prob": problem["rows"], "sample": problem["draws"]}[work]


def initial(problem, rng):
    """Numbers of a weight file."""
    if own(problem):
        return own(problem).initial(problem, rng)
    limits = [1 / math.sqrt(shape[1]) if len(shape) == 2 else 0.1 for shape in shapes(problem)]
    return np.concatenate([rng.uniform(-limit, limit, count(shape)) for limit, shape in zip(limits, shapes(problem))])


def works(problem):
    return problem.get("works", WORKS)


def complete(row, name):
    problem = dict(DEFAULTS, **row)
    problem["name"] = name
    if problem["arch"] not in ARCHITECTURES:
        raise ValueError("unknown architecture '%s'; there are: %s" % (problem["arch"], ", ".join(sorted(ARCHITECTURES))))
    if image(problem):
        side = 2 ** problem["levels"]
        if len(problem["image"]) != 3 or problem["image"][0] % side or problem["image"][1] % side:
            raise ValueError("an image flow needs image=HxWxC, H and W multiples of %d for %d levels" % (side, problem["levels"]))
        problem["d"] = math.prod(problem["image"])
    if is_continuous(problem) and problem["data"] not in continuous.ROWS:
        raise ValueError("a continuous flow needs data=, of: %s" % ", ".join(continuous.ROWS))
    if problem["data"] == "eight-gaussians" and problem["d"] != 2:
        raise ValueError("data=eight-gaussians have 2 columns")
    if own(problem):
        problem["spec"] = own(problem).spec(problem)
    if problem["d"] < 2 or problem["layers"] < 1 or problem["batch"] < 1 or not 1 <= problem["draws"] <= ROWS or min(problem["hidden"]) < 1:
        raise ValueError("a problem needs d >= 2, positive layers, hidden and batch, and 1 to %d draws" % ROWS)
    return problem


def named(name):
    row = TABLE.get(name, SERIES.get(name))
    if row is None:
        raise ValueError("unknown problem '%s'; there are: %s" % (name, ", ".join([*TABLE, *SERIES])))
    return complete(row, name)


def from_spec(text):
    """'arch=realnvp,d=6,layers=10,hidden=256x256,batch=512' -> a problem."""
    row = {}
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        if not equals or key not in DEFAULTS:
            raise ValueError("--spec: '%s' is none of %s" % (item, ", ".join(k + "=" for k in DEFAULTS)))
        try:
            if key in ("hidden", "image"):
                row[key] = [int(size) for size in value.split("x")]
            else:
                row[key] = type(DEFAULTS[key])(value)
        except ValueError:
            raise ValueError("--spec: '%s' has no number where one belongs" % item) from None
    return complete(row, text)
