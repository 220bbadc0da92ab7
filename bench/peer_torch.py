#!/usr/bin/python3
"""PyTorch doing the same work, as fast as a plain program can: views of one flat parameter vector (Adam in a handful of vector operations),
addmm linears, activations in place, one fused loss, no module tree. `tune` times the variants below and keeps the fastest of each work.
With --plain: what most people write (torch.optim.Adam on a tensor a parameter, all rows at once), nothing tuned.
With --swept: autoregressive flows are sampled by rheo's algorithm instead of by d passes."""
import json
import math
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

import peer_torch_ar
import problems
import protocol

ACTIVATIONS = {"relu": F.relu_, "tanh": torch.tanh_, "silu": lambda x: F.silu(x, inplace=True), "softplus": F.softplus,
               "elu": lambda x: F.elu(x, inplace=True), "gelu": F.gelu}


def dense_layer(x, tensors, at, linears, activation):
    for j in range(linears):
        x = F.linear(x, tensors[at + 2 * j], tensors[at + 2 * j + 1])
        if j + 1 < linears:
            x = activation(x)
    return x


def onednn_layer(x, tensors, at, linears, activation):
    """oneDNN's products instead of the BLAS (inference; relu only)."""
    x = x.to_mkldnn()
    for j in range(linears):
        x = torch._C._nn.mkldnn_linear(x, tensors[at + 2 * j], tensors[at + 2 * j + 1])
        if j + 1 < linears:
            x = torch.relu_(x)
    return x.to_dense()


@torch.jit.script
def scripted_relu_layer(x, tensors: list[torch.Tensor], at: int, linears: int):
    for j in range(linears):
        x = torch.nn.functional.linear(x, tensors[at + 2 * j], tensors[at + 2 * j + 1])
        if j + 1 < linears:
            x = torch.relu_(x)
    return x


class Flow:
    """The mathematics of the coupling architectures; `layer` is the conditioner to use."""

    def __init__(self, problem):
        self.problem, self.affine, self.bound = problem, problem["arch"] == "realnvp", problem["bound"]
        self.first, self.linears = problem["d"] // 2, len(problem["hidden"]) + 1
        self.activation = ACTIVATIONS[problem["activation"]]
        self.constant = 0.5 * problem["d"] * math.log(2 * math.pi)

    def condition(self, layer, tensors, kept, at):
        out = layer(kept, tensors, 2 * self.linears * at, self.linears, self.activation)
        if not self.affine:
            return None, out
        raw, shift = out.chunk(2, 1)
        scale = torch.tanh(raw * (1 / self.bound))
        return scale * self.bound if torch.is_grad_enabled() else scale.mul_(self.bound), shift

    def encode(self, layer, tensors, x):
        """(halves of z, log-scales of every layer)"""
        a, b, scales = x[:, :self.first], x[:, self.first:], []
        for at in range(self.problem["layers"]):
            scale, shift = self.condition(layer, tensors, a, at)
            if scale is None:
                a, b = b + shift, a
            else:
                scales.append(scale)
                a, b = torch.addcmul(shift, b, scale.exp()), a
        return a, b, scales

    def loss(self, layer, tensors, x):
        a, b, scales = self.encode(layer, tensors, x)
        total = 0.5 * ((a * a).sum() + (b * b).sum())
        if scales:
            if self.problem["d"] % 2 == 0:
                total = total - torch.stack(scales).sum()
            else:
                total = total - sum(scale.sum() for scale in scales)
        return total / x.shape[0] + self.constant

    def log_prob(self, layer, tensors, x):
        a, b, scales = self.encode(layer, tensors, x)
        result = ((a * a).sum(1) + (b * b).sum(1)).mul_(-0.5).sub_(self.constant)
        for scale in scales:
            result += scale.sum(1)
        return result

    def decode(self, layer, tensors, z):
        odd = self.problem["layers"] % 2
        a, b = (z[:, self.first:], z[:, :self.first]) if odd else (z[:, :self.first], z[:, self.first:])
        for at in reversed(range(self.problem["layers"])):
            a, b = b, a
            scale, shift = self.condition(layer, tensors, a, at)
            b = b - shift
            if scale is not None:
                b.mul_(scale.neg_().exp_())
        return torch.cat((a, b), 1)

    def latent(self, z):
        a, b = z
        return torch.cat((b, a) if self.problem["layers"] % 2 else (a, b), 1)


def views(flat, shapes):
    result, at = [], 0
    for shape in shapes:
        result.append(flat[at:at + math.prod(shape)].view(shape))
        at += math.prod(shape)
    return result


def masks_of(shapes):
    """1 where a parameter is, 0 where a mask hides it."""
    return [torch.from_numpy(problems.masks(shape).astype("f4")) if isinstance(shape, problems.Masked) else torch.ones(shape) for shape in shapes]


class FlatAdam:
    """Adam (Kingma & Ba 2015) on one vector; gradients arrive in views of `g`. Where there are masks, one product clears the gradients that they hide."""

    def __init__(self, flat, tensors, shapes, rate, beta2=0.999):
        self.mask = torch.cat([mask.flatten() for mask in masks_of(shapes)]) if any(isinstance(shape, problems.Masked) for shape in shapes) else None
        self.w, self.rate, self.beta2, self.t, self.tensors = flat, rate, beta2, 0, tensors
        self.g, self.m, self.v, self.d = (torch.zeros_like(flat) for _ in range(4))
        for tensor, grad in zip(tensors, views(self.g, shapes)):
            tensor.grad = grad

    def zero(self):
        self.g.zero_()

    @torch.no_grad()
    def hide(self):
        if self.mask is not None:
            self.g.mul_(self.mask)

    @torch.no_grad()
    def step(self):
        self.hide()
        self.t += 1
        self.m.mul_(0.9).add_(self.g, alpha=0.1)
        self.v.mul_(self.beta2).addcmul_(self.g, self.g, value=1 - self.beta2)
        torch.sqrt(self.v, out=self.d).mul_(1 / math.sqrt(1 - self.beta2 ** self.t)).add_(1e-8)
        self.w.addcdiv_(self.m, self.d, value=-self.rate / (1 - 0.9 ** self.t))


class ForeachAdam:
    """torch.optim.Adam's own fast path."""

    def __init__(self, _flat, tensors, shapes, rate):
        for tensor in tensors:
            tensor.grad = None
        self.inner = torch.optim.Adam(tensors, lr=rate, foreach=True)
        self.masked = [(tensor, mask) for tensor, shape, mask in zip(tensors, shapes, masks_of(shapes)) if isinstance(shape, problems.Masked)]

    def step(self):
        if self.masked:
            torch._foreach_mul_([tensor.grad for tensor, _ in self.masked], [mask for _, mask in self.masked])
        self.inner.step()

    def zero(self):
        self.inner.zero_grad(set_to_none=True)


class Torch(protocol.Model):
    def __init__(self, plain=False, swept=False):
        self.untuned, self.swept = plain, swept

    def setup(self, problem):
        self.problem, self.shapes = problem, problems.shapes(problem)
        self.flow = Flow(problem) if problem["arch"] in ("realnvp", "nice") else peer_torch_ar.flow(problem, ACTIVATIONS[problem["activation"]], self.swept)
        torch.set_num_threads(problem["threads"])
        torch.manual_seed(0)
        self.w = torch.empty(sum(math.prod(shape) for shape in self.shapes))
        self.plain = views(self.w, self.shapes)
        for at in range(0, len(self.shapes), 2):
            last = at // 2 % self.flow.linears == self.flow.linears - 1
            limit = 0 if last else 1 / math.sqrt(self.shapes[at][1])
            self.plain[at].uniform_(-limit, limit)
            self.plain[at + 1].uniform_(-limit, limit)
        self.hide()
        self.tensors = [tensor.requires_grad_() for tensor in views(self.w, self.shapes)]
        self.rows = torch.randn(problems.DATA_BATCHES * problem["batch"], problem["d"]).clamp_(-3, 3)
        self.x = torch.randn(problem["rows"], problem["d"])
        self.choose_train(ForeachAdam if self.untuned else FlatAdam, dense_layer)
        self.choice = {"log_prob": (dense_layer, problem["rows"]), "sample": (dense_layer, problem["draws"])}
        self.packed = None
        return problems.parameters(problem)

    @torch.no_grad()
    def hide(self):
        for tensor, shape, mask in zip(self.plain, self.shapes, masks_of(self.shapes)):
            if isinstance(shape, problems.Masked):
                tensor.mul_(mask)

    def choose_train(self, optimizer, layer):
        self.layer, self.optimizer, self.at, self.order = layer, optimizer(self.w, self.tensors, self.shapes, self.problem["rate"]), 0, None

    def weights(self, path):
        dense = problems.unpack(np.fromfile(path, "<f4"), self.problem)
        self.w.copy_(torch.from_numpy(np.concatenate([tensor.ravel() for tensor in dense])))
        self.packed = None
        self.choose_train(type(self.optimizer), self.layer)

    def data(self, path):
        with open(path, "rb") as file:
            self.rows = torch.frombuffer(bytearray(file.read()), dtype=torch.float32).view(-1, self.problem["d"])
        self.order = None

    def healthy(self):
        if not torch.isfinite(self.w.sum()):
            raise ValueError("the parameters are not finite")

    def batch(self):
        """The next rows of an epoch in random order; a short last batch is left out."""
        size = self.problem["batch"]
        if self.at + size > len(self.rows) or self.order is None:
            self.at, self.order = 0, torch.randperm(len(self.rows))
        self.at += size
        return self.rows[self.order[self.at - size:self.at]]

    def train(self):
        self.optimizer.zero()
        self.flow.loss(self.layer, self.tensors, self.batch()).backward()
        self.optimizer.step()
        self.packed = None

    def infer(self, work, function, x):
        layer, chunk = self.choice[work]
        tensors = self.plain
        if layer is onednn_layer:
            if self.packed is None:
                self.packed = [tensor.detach().to_mkldnn() for tensor in self.plain]
            tensors = self.packed
        with torch.inference_mode():
            if chunk >= len(x):
                return function(layer, tensors, x)
            return torch.cat([function(layer, tensors, part) for part in x.split(chunk)])

    def log_prob(self):
        return self.infer("log_prob", self.flow.log_prob, self.x)

    def sample(self):
        return self.infer("sample", self.flow.decode, torch.randn(self.problem["draws"], self.problem["d"]))

    def sample1(self, times):
        spent = []
        with torch.inference_mode():
            for _ in range(times):
                start = time.perf_counter()
                self.flow.decode(dense_layer, self.plain, torch.randn(1, self.problem["d"]))
                spent.append((time.perf_counter() - start) * 1e3)
        return "%.6f %.6f" % (np.median(spent), np.quantile(spent, 0.99))

    def logp(self, source, target):
        with open(source, "rb") as file:
            x = torch.frombuffer(bytearray(file.read()), dtype=torch.float32).view(-1, self.problem["d"])
        self.infer("log_prob", self.flow.log_prob, x).double().numpy().tofile(target)
        error = self.round_trip(x)
        if not error < 1e-2:
            raise ValueError("decode(encode(x)) is off by %.1e" % error)
        return "%d rows, round trip within %.1e" % (len(x), error)

    @torch.no_grad()
    def round_trip(self, x):
        *z, _ = self.flow.encode(dense_layer, self.plain, x)
        z = self.flow.latent(z) if isinstance(self.flow, Flow) else torch.cat(z[0], 1)
        return (self.flow.decode(dense_layer, self.plain, z) - x).abs().max().item()

    def best_of(self, variants, choose, call, seconds):
        best, name = math.inf, None
        for variant in variants:
            choose(variant)
            call()
            end, least = time.perf_counter() + seconds, math.inf
            while time.perf_counter() < end or least == math.inf:
                start = time.perf_counter()
                call()
                least = min(least, time.perf_counter() - start)
            if least < best:
                best, name = least, variant
        choose(name)
        return name, best * 1e3

    def tune(self, seconds):
        if self.untuned:
            return json.dumps({work: [self.best_of([None], lambda _: None, getattr(self, work), seconds)[1], "plain"] for work in problems.WORKS})
        relu = self.problem["activation"] == "relu"
        layers = [dense_layer] + ([lambda x, t, at, n, _: scripted_relu_layer(x, t, at, n)] if relu else [])
        (optimizer, layer), spent = self.best_of([(optimizer, layer) for optimizer in (FlatAdam, ForeachAdam) for layer in layers],
                                                 lambda variant: self.choose_train(*variant), self.train, seconds)
        found = {"train": [spent, optimizer.__name__ + ("" if layer is dense_layer else " scripted")]}
        kinds = [dense_layer] + ([onednn_layer] if relu and torch.backends.mkldnn.is_available() else [])
        variants = [(layer, chunk) for layer in kinds for chunk in (4096, 2048, 1024, 512)]
        for work, call in (("log_prob", self.log_prob), ("sample", self.sample)):
            if work == "sample" and problems.autoregressive(self.problem):  # seconds a call
                variants = [(dense_layer, problems.ROWS)]
            (layer, chunk), spent = self.best_of(variants, lambda variant: self.choice.__setitem__(work, variant), call, seconds)
            found[work] = [spent, "%s, %d rows at a time" % ("BLAS" if layer is dense_layer else "oneDNN", chunk)]
        return json.dumps(found)


def make(problem):
    words = "--plain" in sys.argv[1:], "--swept" in sys.argv[1:]
    if problems.image(problem):
        from peer_torch_image import ImageTorch
        return ImageTorch(*words)
    if problems.is_continuous(problem):
        from peer_torch_flow import FlowTorch
        return FlowTorch("--plain" in sys.argv[1:], "--closed" in sys.argv[1:])
    return Torch(*words)


if __name__ == "__main__":
    protocol.serve(make)
