#!/usr/bin/python3
"""The oracle: the same densities in NumPy and float64, written for clearness. It checks every worker and is never timed."""
import numpy as np

import continuous
import images
import problems
import protocol

ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(0, x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
}


def knots(raw, box):
    """softmax with a least share of 0.001, then where the bins end: [..., bins + 1] from -box to box."""
    shares = np.exp(raw - raw.max(-1, keepdims=True))
    shares = 1e-3 + (1 - 1e-3 * raw.shape[-1]) * shares / shares.sum(-1, keepdims=True)
    return box * (2 * np.concatenate([np.zeros(raw.shape[:-1] + (1,)), np.cumsum(shares, -1)], -1) - 1)


def spline(x, raw, bins, box):
    """Rational-quadratic splines with linear tails (Durkan et al. 2019, section 3.1)."""
    xs, ys = knots(raw[..., :bins], box), knots(raw[..., bins:2 * bins], box)
    ends = np.ones(x.shape + (1,))
    slopes = np.concatenate([ends, 1e-3 + np.logaddexp(0, raw[..., 2 * bins:] + np.log(np.expm1(1 - 1e-3))), ends], -1)
    inside = np.abs(x) < box
    k = np.clip((xs[..., 1:-1] <= x[..., None]).sum(-1), 0, bins - 1)

    def at(values, where):
        return np.take_along_axis(values, where[..., None], -1)[..., 0]

    width, height = at(xs, k + 1) - at(xs, k), at(ys, k + 1) - at(ys, k)
    s, d0, d1, t = height / width, at(slopes, k), at(slopes, k + 1), np.where(inside, (x - at(xs, k)) / width, 0.5)
    below = s + (d1 + d0 - 2 * s) * t * (1 - t)
    y = at(ys, k) + height * (s * t ** 2 + d0 * t * (1 - t)) / below
    ladj = np.log(s ** 2 * (d1 * t ** 2 + 2 * s * t * (1 - t) + d0 * (1 - t) ** 2) / below ** 2)
    return np.where(inside, y, x), np.where(inside, ladj, 0)


class Oracle(protocol.Model):
    def setup(self, problem):
        self.problem = problem
        return problems.parameters(problem)

    def weights(self, path):
        self.tensors = problems.unpack(np.fromfile(path, "<f4").astype(np.float64), self.problem)

    def conditioner(self, x, layer):
        linears = len(self.problem["hidden"]) + 1
        for j in range(linears):
            weight, bias = self.tensors[2 * (layer * linears + j):][:2]
            x = x @ weight.T + bias
            if j + 1 < linears:
                x = ACTIVATIONS[self.problem["activation"]](x)
        return x

    def transform(self, x, raw):
        """y and log-determinants [n, m] of x [n, m]; raw [n, m, numbers]."""
        bound = self.problem["bound"]
        if raw.shape[2] == 1:
            return x + raw[..., 0], np.zeros_like(x)
        if raw.shape[2] == 2:
            scale = bound * np.tanh(raw[..., 0] / bound)
            return x * np.exp(scale) + raw[..., 1], scale
        return spline(x, raw, self.problem["bins"], self.problem["box"])

    def coupled(self, x, layer):
        kept, changed = problems.split(self.problem, layer)
        out = self.conditioner(x[:, kept], layer)
        if self.problem["arch"] in ("realnvp", "nice"):  # parameter by parameter
            raw = out.reshape(len(x), -1, len(changed)).transpose(0, 2, 1)
        else:
            raw = out.reshape(len(x), len(changed), -1)
        y = x.copy()
        y[:, changed], ladj = self.transform(x[:, changed], raw)
        return y, ladj

    def ordered(self, x, layer):
        order = problems.column_order(self.problem, layer)
        raw = self.conditioner(x[:, order], layer).reshape(len(x), len(order), -1)
        y = x.copy()
        y[:, order], ladj = self.transform(x[:, order], raw)
        return y, ladj

    def log_prob_of(self, x):
        total = 0
        for layer in range(self.problem["layers"]):
            x, ladj = (self.ordered if problems.autoregressive(self.problem) else self.coupled)(x, layer)
            total = total + ladj.sum(axis=1)
        return total - 0.5 * (x * x).sum(axis=1) - 0.5 * x.shape[1] * np.log(2 * np.pi)

    def logp(self, source, target):
        x = np.fromfile(source, "<f4").astype(np.float64).reshape(-1, self.problem["d"])
        self.log_prob_of(x).tofile(target)
        return len(x)


class ImageOracle(Oracle):
    """Image flows: convolutions by patches (im2col)."""

    def take(self, n):
        self.at += n
        return self.tensors[self.at - n:self.at]

    def convolve(self, x, weight, bias):
        """x [n, h, w, c], weight [o, k, k, c] -> [n, h, w, o], zeros around."""
        k = weight.shape[1]
        padded = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)))
        patches = np.lib.stride_tricks.sliding_window_view(padded, (k, k), (1, 2))  # [n, h, w, c, k, k]
        return np.tensordot(patches, weight, ([3, 4, 5], [3, 1, 2])) + bias

    def mix(self, x):
        """ActNorm and the 1x1 convolution."""
        shift, log_scale, lower, upper, log_diagonal = self.take(5)
        c, bound = len(shift), self.problem["bound"]
        lu, log_diagonal = (np.eye(c), np.zeros((c, c))), bound * np.tanh(log_diagonal / bound)
        lu[0][np.tril_indices(c, -1)] = lower
        lu[1][np.triu_indices(c, 1)] = upper
        lu[1][np.diag_indices(c)] = np.exp(log_diagonal)
        y = (x + shift) * np.exp(log_scale) @ (lu[0] @ lu[1]).T
        return y, x.shape[1] * x.shape[2] * (log_scale.sum() + log_diagonal.sum())

    def couple(self, x, step):
        w0, b0, w1, b1, w2, b2 = self.take(6)
        parts = np.split(x, [images.halves(x.shape[3])[0]], 3)
        kept, changed = parts if images.keeps_first(self.problem, step) else parts[::-1]
        out = self.convolve(np.maximum(self.convolve(np.maximum(self.convolve(kept, w0, b0), 0), w1, b1), 0), w2, b2)
        raw, shift = np.split(out, 2, 3)
        bound = self.problem["bound"]
        log_scale = -np.logaddexp(0, -(raw + 2)) if images.glow(self.problem) else bound * np.tanh(raw / bound)
        changed = changed * np.exp(log_scale) + shift
        return np.concatenate((kept, changed) if images.keeps_first(self.problem, step) else (changed, kept), 3), log_scale.sum((1, 2, 3))

    def log_prob_of(self, x):
        self.at, total = 0, 0
        x = x.reshape(len(x), *self.problem["image"])
        for _ in images.levels(self.problem):
            x = images.squeeze(x)
            for step in range(self.problem["layers"]):
                if images.glow(self.problem):
                    x, ladj = self.mix(x)
                    total = total + ladj
                x, ladj = self.couple(x, step)
                total = total + ladj
            x, out = np.split(x, [images.halves(x.shape[3])[0]], 3)
            total = total - 0.5 * (out ** 2).sum((1, 2, 3))
        return total - 0.5 * (x ** 2).sum((1, 2, 3)) - 0.5 * self.problem["d"] * np.log(2 * np.pi)


SLOPES = {"tanh": lambda x: 1 - np.tanh(x) ** 2, "softplus": lambda x: 1 / (1 + np.exp(-x))}


class ContinuousOracle(Oracle):
    """Continuous flows: equal steps, twice as many until nothing changes any more; the trace by columns, but of two hidden layers in closed form (continuous.py), since it costs minutes otherwise."""

    def rates(self, t, x):
        """f [n, d] and tr(df/dx) [n]"""
        slope, activation = SLOPES[self.problem["activation"]], ACTIVATIONS[self.problem["activation"]]
        weights, slopes = [w[:, :-1] for w in self.tensors[::2]], []
        for w, whole, b in zip(weights, self.tensors[::2], self.tensors[1::2]):
            z = x @ w.T + t * whole[:, -1] + b
            slopes.append(slope(z))
            x = activation(z)
        if len(weights) == 3:
            return z, ((slopes[0] @ (weights[1] * (weights[0] @ weights[2]).T).T) * slopes[1]).sum(1)
        tangents = np.broadcast_to(weights[0].T, (len(x), *weights[0].T.shape))  # [n, d, h]
        for w, s in zip(weights[1:], slopes):
            tangents = (tangents * s[:, None]) @ w.T
        return z, np.trace(tangents, axis1=1, axis2=2)

    def solve(self, x, steps):
        ladj, h = np.zeros(len(x)), 1 / steps
        for step in range(steps):
            found = [self.rates(step * h, x)]
            for node, weights in zip(continuous.NODES, continuous.STAGES):
                at = x + h * sum(weight * dx for weight, (dx, _) in zip(weights, found))
                if node < 1 or len(found) < 6:
                    found.append(self.rates((step + node) * h, at))
            x, ladj = at, ladj + h * sum(weight * trace for weight, (_, trace) in zip(continuous.STAGES[-1], found))
        return ladj - 0.5 * (x * x).sum(axis=1) - 0.5 * x.shape[1] * np.log(2 * np.pi)

    def log_prob_of(self, x):
        steps, before = 8, np.inf
        while True:
            found = self.solve(x, steps)
            if np.max(np.abs(found - before)) < 1e-7:
                return found
            if steps > 4096:
                raise ValueError("no solution: it still changes by %.1e with %d steps" % (np.max(np.abs(found - before)), steps))
            steps, before = 2 * steps, found


if __name__ == "__main__":
    protocol.serve(lambda problem: {"image": ImageOracle, "continuous": ContinuousOracle}.get(problems.ARCHITECTURES[problem["arch"]]["kind"], Oracle)())
