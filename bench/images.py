"""The image flows of the benchmark, as data: what every participant builds from a problem.

Rows are images [h, w, c], pixel by pixel, channels together. A level: squeeze (2 x 2 pixels become channels), `layers` steps, then, but after the last level, the
second half of the channels is factored out, with no learned prior. A step of glow: ActNorm y = (x + b) e^s, a 1x1 convolution P L U (P fixed: here the identity), affine coupling
by channels, y = x sigmoid(raw + 2) + t; of realnvp-image: the coupling alone, y = x e^s + t with s = bound tanh(raw / bound). A coupling keeps one half of the channels: glow the
first, realnvp-image the first and the second in turn, which is what swaps between couplings come to.
"""
import math

import numpy as np


def levels(problem):
    """[(h, w, c)] after the squeeze of each level."""
    h, w, c = problem["image"]
    found = []
    for _ in range(problem["levels"]):
        h, w, c = h // 2, w // 2, 4 * c
        found.append((h, w, c))
        c -= c // 2
    return found


def glow(problem):
    return problem["arch"] == "glow"


def keeps_first(problem, step):
    return glow(problem) or step % 2 == 0


def halves(c):
    return c - c // 2, c // 2


def conditioner(problem, c):
    """Weights [out, kh, kw, in] and biases: 3x3, 1x1, 3x3. Its channels: all raw scales of the changed half, then all shifts."""
    hidden, half = problem["hidden"][0], c // 2
    return [(hidden, 3, 3, half), (hidden,), (hidden, 1, 1, hidden), (hidden,), (2 * half, 3, 3, hidden), (2 * half,)]


def triangle(c):
    return c * (c - 1) // 2


def mixing(c):
    """ActNorm's shift and log-scale; of the 1x1 convolution L below and U above the diagonal, row by row, and U's log-diagonal."""
    return [(c,), (c,), (triangle(c),), (triangle(c),), (c,)]


def step_shapes(problem, c):
    return (mixing(c) if glow(problem) else []) + conditioner(problem, c)


def shapes(problem):
    return [shape for _, _, c in levels(problem) for _ in range(problem["layers"]) for shape in step_shapes(problem, c)]


def dense_parameters(problem):
    """What libraries count: L and U as whole matrices, and the mean and scale of a base that is trained."""
    whole = sum(math.prod(shape) for _, _, c in levels(problem) for shape in conditioner(problem, c))
    mixed = sum(3 * c + 2 * c * c for _, _, c in levels(problem)) if glow(problem) else 0
    return problem["layers"] * (whole + mixed) + 2 * problem["d"]


def forward_flops(problem):
    """Of one image: two a multiply-add of every convolution, those with the zeros of the padding too, as is usual."""
    total = 0
    for h, w, c in levels(problem):
        weights = sum(math.prod(shape) for shape in conditioner(problem, c) if len(shape) == 4)
        total += 2 * h * w * problem["layers"] * (weights + (c * c if glow(problem) else 0))
    return total


def initial(problem, rng):
    """Numbers of a weight file: as small as they are at the start of a training, but no part is the identity."""
    parts = []
    for shape in shapes(problem):
        limit = 1 / math.sqrt(math.prod(shape[1:])) if len(shape) == 4 else 0.05
        parts.append(rng.uniform(-limit, limit, math.prod(shape)) * (0.5 if len(shape) == 4 and shape[0] != problem["hidden"][0] else 1))
    return np.concatenate(parts)


def spec(problem):
    """rheo's specification of the flow."""
    affine = {"type": "affine", "scale": "sigmoid"} if glow(problem) else {"type": "affine", "bound": problem["bound"]}
    net = {"type": "conv", "hidden": problem["hidden"][0], "activation": "relu"}
    inner = None
    for _ in range(problem["levels"]):  # from the last level outwards
        parts = [{"type": "squeeze"}]
        for step in range(problem["layers"]):
            parts += [{"type": "actnorm"}, {"type": "lu", "bound": problem["bound"]}] if glow(problem) else []
            parts.append({"type": "coupling", "mask": "channels" if keeps_first(problem, step) else "channels-swap", "transform": affine, "net": net})
        parts.append({"type": "factor_out", "part": inner} if inner else {"type": "factor_out"})
        inner = {"type": "chain", "parts": parts}
    inner["parts"].insert(0, {"type": "image", "shape": problem["image"]})
    return {"columns": problem["d"], "flow": inner, "base": {"type": "normal"}}


def squeeze(x, backend=np):
    """[n, h, w, c] -> [n, h/2, w/2, 4 c], a pixel's channels ordered (row, column, channel) of its 2 x 2."""
    n, h, w, c = x.shape
    x = x.reshape(n, h // 2, 2, w // 2, 2, c)
    x = x.transpose(0, 1, 3, 2, 4, 5) if backend is np else x.permute(0, 1, 3, 2, 4, 5)
    return x.reshape(n, h // 2, w // 2, 4 * c)


def unsqueeze(x, backend=np):
    n, h, w, c = x.shape
    x = x.reshape(n, h, w, 2, 2, c // 4)
    x = x.transpose(0, 1, 3, 2, 4, 5) if backend is np else x.permute(0, 1, 3, 2, 4, 5)
    return x.reshape(n, 2 * h, 2 * w, c // 4)
