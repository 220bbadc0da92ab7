"""PyTorch's continuous flows (continuous.py): a plain program with nothing but what is needed. dopri5 with one step size for the whole batch, its control and its first step as in torchdiffeq (Hairer,
Norsett & Wanner 1993, II.4), but the last step ends at T. `tune` takes the fastest of: the adjoint (Chen et al. 2018; the parameters' integrals are no part of the error norm, Kidger et al. 2021) or
backpropagation through the solver's steps; the probe's vjp by autograd or written out; how many rows at a time by columns. With --closed log_prob has the closed form of the trace where there is one."""
import json
import math

import numpy as np
import torch
import torch.nn.functional as F

import continuous
import problems
from continuous import ERROR, NODES, STAGES, TOLERANCE
from peer_torch import FlatAdam, ForeachAdam, Torch, views


def combine(y, h, weights, slopes):
    """y + h sum w k"""
    for i, (weight, slope) in enumerate(zip(weights, slopes)):
        if weight:
            y = y.add_(slope, alpha=h * weight) if i else y.add(slope, alpha=h * weight)
    return y


def first_step(field, t, y, slope, sign, norm):
    scale = TOLERANCE + TOLERANCE * y.abs()
    d0, d1 = norm(y / scale), norm(slope / scale)
    h0 = 1e-6 if d0 < 1e-5 or d1 < 1e-5 else 0.01 * d0 / d1
    d2 = norm((field(t + sign * h0, y.add(slope, alpha=sign * h0)) - slope) / scale) / h0
    h1 = max(1e-6, h0 * 1e-3) if max(d1, d2) <= 1e-15 else (0.01 / max(d1, d2)) ** 0.2
    return min(100 * h0, h1)


def solve(field, y, start, end, norm, accepted=None):
    """y at `end`. norm: of an error over its tolerance, one number. accepted(h): told of every step taken."""
    sign = 1 if end > start else -1
    t, slope = start, field(start, y)
    with torch.no_grad():
        step = first_step(field, t, y.detach(), slope.detach(), sign, norm)
    while sign * (end - t) > 1e-12:
        last = step >= sign * (end - t)
        h = end - t if last else sign * step
        slopes = [slope]
        for node, weights in zip(NODES, STAGES):
            after = combine(y, h, weights, slopes)
            slopes.append(field(t + node * h, after))
        with torch.no_grad():
            error = combine(torch.zeros_like(y), h, ERROR, [k.detach() for k in slopes])
            ratio = norm(error.div_(torch.maximum(y.detach().abs(), after.detach().abs()).mul_(TOLERANCE).add_(TOLERANCE)))
        if ratio <= 1:
            if accepted:
                accepted(h)
            t, y, slope = end if last else t + h, after, slopes[-1]
        step = abs(h) * min(10, max(0.9 * max(ratio, 1e-10) ** -0.2, 1 if ratio <= 1 else 0.2))
    return y


def rms(part):
    return part.square().mean().sqrt()


class Field:
    """f and its trace for the layers [(W, a, b)]: z = W h + a t + b."""

    def __init__(self, problem):
        self.problem, self.tanh, self.calls = problem, problem["activation"] == "tanh", 0

    def activation(self, z):
        """(value, slope)"""
        if self.tanh:
            h = torch.tanh(z)
            return h, 1 - h * h
        return F.softplus(z), torch.sigmoid(z)

    def value(self, layers, t, x):
        self.calls += 1
        for w, a, b in layers[:-1]:
            z = F.linear(x, w, torch.add(b, a, alpha=t))
            x = torch.tanh(z) if self.tanh else F.softplus(z)
        w, a, b = layers[-1]
        return F.linear(x, w, torch.add(b, a, alpha=t))

    def with_slopes(self, layers, t, x):
        self.calls += 1
        slopes = []
        for w, a, b in layers[:-1]:
            x, slope = self.activation(F.linear(x, w, torch.add(b, a, alpha=t)))
            slopes.append(slope)
        w, a, b = layers[-1]
        return F.linear(x, w, torch.add(b, a, alpha=t)), slopes

    def probed(self, layers, t, x, e):
        """f [n, d], e'Je [n, 1]"""
        dx, slopes = self.with_slopes(layers, t, x)
        u = e
        for (w, _, _), slope in zip(reversed(layers[1:]), reversed(slopes)):
            u = (u @ w) * slope
        return dx, ((u @ layers[0][0]) * e).sum(1, keepdim=True)

    def probed_by_autograd(self, layers, t, x, e):
        graph = torch.is_grad_enabled()
        with torch.enable_grad():
            x = x if x.requires_grad else x.detach().requires_grad_()
            dx = self.value(layers, t, x)
            u, = torch.autograd.grad(dx, x, e, create_graph=graph)
        return dx, (u * e).sum(1, keepdim=True)

    def closed(self, layers, t, x, m):
        """m: W2 o (W1 W3)'"""
        dx, slopes = self.with_slopes(layers, t, x)
        return dx, (F.linear(slopes[0], m) * slopes[1]).sum(1, keepdim=True)

    def columns(self, layers, t, x):
        """tr J of tangents [n, d, h] in all d columns; the last slopes come after the sum over the columns."""
        dx, slopes = self.with_slopes(layers, t, x)
        tangent = layers[0][0].t().contiguous()[None]
        for (w, _, _), slope in zip(layers[1:-1], slopes):
            tangent = tangent * slope[:, None, :]
            tangent = F.linear(tangent.flatten(0, 1), w).view(len(x), self.problem["d"], -1)
        return dx, ((tangent * layers[-1][0]).sum(1) * slopes[-1]).sum(1, keepdim=True)


class FlowTorch(Torch):
    def __init__(self, plain=False, closed=False):
        self.untuned, self.closed = plain, closed

    def setup(self, problem):
        self.problem, self.shapes, self.d = problem, problems.shapes(problem), problem["d"]
        self.closed = self.closed and len(problem["hidden"]) == 2
        torch.set_num_threads(problem["threads"])
        torch.manual_seed(0)
        self.field = Field(problem)
        self.constant = 0.5 * self.d * math.log(2 * math.pi)
        self.w = torch.from_numpy(problems.initial(problem, np.random.default_rng(0)).astype("f4"))
        self.plain = views(self.w, self.shapes)
        self.tensors = [tensor.requires_grad_() for tensor in views(self.w, self.shapes)]
        self.data_from(torch.from_numpy(continuous.rows(problem, np.random.default_rng(0), problems.DATA_BATCHES * problem["batch"]).astype("f4")))
        self.gradient, self.estimate, self.rows_at_once = "steps", self.field.probed, problem["rows"]
        self.choose_train(ForeachAdam if self.untuned else FlatAdam, None)
        return problems.parameters(problem)

    def data_from(self, rows):
        self.rows, self.x, self.order = rows, rows[:self.problem["rows"]], None

    def data(self, path):
        self.data_from(torch.from_numpy(np.fromfile(path, "<f4")).view(-1, self.d))

    def weights(self, path):
        self.w.copy_(torch.from_numpy(np.fromfile(path, "<f4")))
        self.choose_train(type(self.optimizer), None)

    def layers(self, tensors):
        return [(w[:, :-1], w[:, -1], b) for w, b in zip(tensors[::2], tensors[1::2])]

    # ---- the equations ----

    def norm(self, part):
        """The larger root mean square of those of x and of the log-determinant, as over a tuple in torchdiffeq."""
        if part.shape[1] == self.d:
            return rms(part).item()
        return max(rms(part[:, :self.d]).item(), rms(part[:, self.d:]).item())

    def traced(self, layers, e):
        """The right-hand side (t, x) -> (f, trace) of training."""
        if self.problem["trace"] != "exact":
            return lambda t, x: self.estimate(layers, t, x, e)
        if continuous.closed(self.problem):
            m = self.round(layers)
            return lambda t, x: self.field.closed(layers, t, x, m)
        return lambda t, x: self.field.columns(layers, t, x)

    @staticmethod
    def round(layers):
        return layers[1][0] * (layers[0][0] @ layers[2][0]).t()

    def forward(self, traced, x, accepted=None):
        """[x(1) | log|det|]"""
        return solve(lambda t, y: torch.cat(traced(t, y[:, :self.d]), 1), torch.cat((x, torch.zeros_like(x[:, :1])), 1), 0.0, 1.0, self.norm, accepted)

    def probe(self, x):
        return torch.randint(0, 2, x.shape).to(x.dtype).mul_(2).sub_(1)

    def loss_of(self, y):
        return (0.5 * y[:, :self.d].square().sum() - y[:, self.d].sum()) / len(y) + self.constant

    # ---- training ----

    def train(self):
        x = self.batch()
        self.optimizer.zero()
        self.field.calls, steps = 0, []
        (self.through_steps if self.gradient == "steps" else self.by_adjoint)(x, self.probe(x), steps)
        self.optimizer.step()

    def through_steps(self, x, e, steps):
        loss = self.loss_of(self.forward(self.traced(self.layers(self.tensors), e), x, steps.append))
        self.spent = [self.field.calls, 6 * len(steps) + 1, continuous.KEPT]
        loss.backward()

    def by_adjoint(self, x, e, steps):
        with torch.no_grad():
            end = self.forward(self.traced(self.layers(self.plain), e), x)
        self.spent = [self.field.calls]
        traced, n, found = self.traced(self.layers(self.tensors), e), len(x), []

        def backward(t, y):
            with torch.enable_grad():
                at = y[:, :self.d].detach().requires_grad_()
                dx, trace = traced(t, at)
                pulled, *parameters = torch.autograd.grad((dx, trace), (at, *self.tensors), (-y[:, self.d:], torch.full_like(trace, 1 / n)), retain_graph=self.problem["trace"] == "exact")
            found.append(parameters)
            return torch.cat((dx.detach(), pulled), 1)

        def accepted(h):
            for weight, parameters in zip(STAGES[-1], [found[0]] + found[-6:]):
                if weight:
                    torch._foreach_add_([tensor.grad for tensor in self.tensors], parameters, alpha=h * weight)
            found[:] = found[-1:]

        for tensor in self.tensors:
            tensor.grad = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
        self.field.calls = 0
        with torch.no_grad():
            solve(backward, torch.cat((end[:, :self.d], end[:, :self.d] / n), 1), 1.0, 0.0, lambda part: max(rms(part[:, :self.d]).item(), rms(part[:, self.d:]).item()), accepted)
        self.spent.append(self.field.calls)

    def prepare(self, path):
        """The problem's first steps; the weights go to the file."""
        self.choose_train(lambda *words: FlatAdam(*words[:3], self.problem["first_rate"]), None)
        for _ in range(self.problem["steps"]):
            self.train()
        self.healthy()
        self.w.numpy().tofile(path)

    # ---- inference ----

    @torch.no_grad()
    def densities(self, x):
        layers = self.layers(self.plain)
        if self.closed:
            m = self.round(layers)
            y = self.forward(lambda t, x: self.field.closed(layers, t, x, m), x)
        else:
            y = self.forward(lambda t, x: self.by_columns(layers, t, x), x)
        return y[:, self.d] - 0.5 * y[:, :self.d].square().sum(1) - self.constant

    def by_columns(self, layers, t, x):
        """Some rows at a time, so that the tangents stay in the cache."""
        if self.rows_at_once >= len(x):
            return self.field.columns(layers, t, x)
        calls = self.field.calls
        parts = [self.field.columns(layers, t, part) for part in x.split(self.rows_at_once)]
        self.field.calls = calls + 1
        return torch.cat([dx for dx, _ in parts]), torch.cat([trace for _, trace in parts])

    def log_prob(self):
        return self.densities(self.x)

    @torch.no_grad()
    def draw(self, n):
        layers = self.layers(self.plain)
        return solve(lambda t, x: self.field.value(layers, t, x), torch.randn(n, self.d), 1.0, 0.0, self.norm)

    def sample(self):
        return self.draw(self.problem["draws"])

    def logp(self, source, target):
        x = torch.from_numpy(np.fromfile(source, "<f4")).view(-1, self.d)
        self.densities(x).double().numpy().tofile(target)
        return len(x)

    def evaluations(self):
        found = {}
        for work in problems.works(self.problem):
            self.field.calls = 0
            getattr(self, work)()
            found[work] = self.spent if work == "train" else [self.field.calls]
        return json.dumps(found)

    # ---- variants ----

    def choose(self, variant):
        optimizer, self.gradient, self.estimate = variant
        self.choose_train(optimizer, None)

    def tune(self, seconds):
        found = {}
        if "train" in problems.works(self.problem):
            estimates = [self.field.probed] + ([self.field.probed_by_autograd] if self.problem["trace"] != "exact" and not self.untuned else [])
            optimizers, gradients = (ForeachAdam,) if self.untuned else (FlatAdam,), ("steps", "adjoint")
            variants = [(optimizer, gradient, estimate) for optimizer in optimizers for gradient in gradients for estimate in estimates]
            before = self.w.clone()
            (_, gradient, estimate), spent = self.best_of(variants, self.choose, self.train, seconds)
            self.w.copy_(before)
            found["train"] = [spent, "through the steps" if gradient == "steps" else "adjoint"]
            if self.problem["trace"] != "exact":
                found["train"][1] += ", the probe's vjp " + ("written out" if estimate == self.field.probed else "by autograd")
        if self.closed:
            found["log_prob"] = [self.best_of([None], lambda _: None, self.log_prob, seconds)[1], "closed form"]
        elif "log_prob" in problems.works(self.problem):
            rows, spent = self.best_of([self.problem["rows"], 128, 32, 8], lambda rows: setattr(self, "rows_at_once", rows), self.log_prob, seconds)
            found["log_prob"] = [spent, "by columns, %d rows at a time" % rows]
        if "sample" in problems.works(self.problem):
            found["sample"] = [self.best_of([None], lambda _: None, self.sample, seconds)[1], "all rows at once"]
        return json.dumps(found)
