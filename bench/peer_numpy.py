#!/usr/bin/python3
"""The oracle: the same densities in NumPy and float64, written for clearness. It checks every worker and is never timed."""
import numpy as np

import problems
import protocol

ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(0, x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
}


class Coupling(protocol.Model):
    def setup(self, problem):
        self.problem = problem
        return problems.parameters(problem)

    def weights(self, path):
        flat = np.fromfile(path, "<f4").astype(np.float64)
        self.tensors, at = [], 0
        for shape in problems.shapes(self.problem):
            self.tensors.append(flat[at:at + problems.count(shape)].reshape(shape))
            at += problems.count(shape)
        if at != flat.size:
            raise ValueError("%s holds %d numbers, the problem has %d parameters" % (path, flat.size, at))

    def conditioner(self, x, layer):
        linears = len(self.problem["hidden"]) + 1
        for j in range(linears):
            weight, bias = self.tensors[2 * (layer * linears + j):][:2]
            x = x @ weight.T + bias
            if j + 1 < linears:
                x = ACTIVATIONS[self.problem["activation"]](x)
        return x

    def log_prob_of(self, x):
        first = self.problem["d"] // 2
        halves, total, bound = [x[:, :first], x[:, first:]], 0, self.problem["bound"]
        for layer in range(self.problem["layers"]):
            kept, changed = layer % 2, 1 - layer % 2
            out = self.conditioner(halves[kept], layer)
            if self.problem["arch"] == "realnvp":
                raw, shift = np.split(out, 2, axis=1)
                scale = bound * np.tanh(raw / bound)
                halves[changed] = halves[changed] * np.exp(scale) + shift
                total = total + scale.sum(axis=1)
            else:
                halves[changed] = halves[changed] + out
        z = np.concatenate(halves, axis=1)
        return total - 0.5 * (z * z).sum(axis=1) - 0.5 * z.shape[1] * np.log(2 * np.pi)

    def logp(self, source, target):
        x = np.fromfile(source, "<f4").astype(np.float64).reshape(-1, self.problem["d"])
        self.log_prob_of(x).tofile(target)
        return len(x)


if __name__ == "__main__":
    protocol.serve(Coupling())
