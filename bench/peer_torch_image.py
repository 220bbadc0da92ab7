"""The image flows in PyTorch, for peer_torch.py: as fast as this PyTorch allows. `tune` times the variants below.

The flat vector of parameters has an order of its own: level by level, what belongs to the 1x1 convolutions of all steps of a level in one tensor each, so that a level's matrices are
made in a few operations; L and U are whole matrices, of which a triangle counts. ActNorm and the 1x1 convolution are one convolution: W diag(e^s) (x + b). Halves of the
channels stay apart between couplings where no convolution joins them. With the policy "recompute" a step's insides are made again in the backward pass (torch.utils.checkpoint).
"""
import itertools
import json
import math
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

import images
import problems
from peer_torch import FlatAdam, ForeachAdam, Torch, views

LAST, FIRST = torch.channels_last, torch.contiguous_format


# ---- convolutions: x and the result are [n, c, h, w] in either format ----

def conv(x, weight, bias):
    return F.conv2d(x, weight, bias, padding=weight.shape[2] // 2)


def as_rows(x):
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def as_images(rows, x):
    return rows.view(x.shape[0], x.shape[2], x.shape[3], -1).permute(0, 3, 1, 2)


def by_rows(x, weight, bias):
    """A 1x1 convolution as one product of all pixels."""
    return as_images(F.linear(as_rows(x), weight.flatten(1), bias), x)


class Shifted(torch.autograd.Function):
    """A 3x3 convolution by the BLAS, channels last: patches where few channels come in, else nine products side by side and their shifted sum."""

    @staticmethod
    def patches(x):
        """[n, c, h, w] -> [n h w, 9 c]"""
        n, c, h, w = x.shape
        padded = x.new_zeros(n, h + 2, w + 2, c)
        padded[:, 1:-1, 1:-1] = x.permute(0, 2, 3, 1)
        a, b, d, _ = padded.stride()
        return padded.as_strided((n, h, w, 3, 3 * c), (a, b, d, b, 1)).reshape(n * h * w, 9 * c)

    @staticmethod
    def fold(rows, x, c):
        """[n h w, 9 c], taps of the pixel that they go to -> [n, c, h, w]: the transpose of patches."""
        n, _, h, w = x.shape
        rows, total = rows.view(n, h, w, 9, c), rows.new_zeros(n, h + 2, w + 2, c)
        for tap in range(9):
            total[:, tap // 3:tap // 3 + h, tap % 3:tap % 3 + w] += rows[:, :, :, tap]
        return total[:, 1:-1, 1:-1].permute(0, 3, 1, 2)

    @staticmethod
    def forward(ctx, x, weight, bias):
        out, c = weight.shape[:2]
        if c <= out:
            rows = Shifted.patches(x)
            ctx.save_for_backward(x, weight, rows)
            return torch.addmm(bias, rows, weight.permute(2, 3, 1, 0).reshape(9 * c, out))  # [n h w, out]: no view, so that relu_ may change it
        flipped = weight.flip(2, 3).permute(1, 2, 3, 0).reshape(c, 9 * out)  # to pixel p goes tap 8 - t of the pixel at t
        ctx.save_for_backward(x, weight)
        return Shifted.fold(as_rows(x) @ flipped, x, out) + bias.view(1, -1, 1, 1)

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors[:2]
        out, c = weight.shape[:2]
        rows = grad if grad.dim() == 2 else as_rows(grad)
        if c <= out:
            columns = ctx.saved_tensors[2]
            of_weight = (rows.t() @ columns).view(out, 3, 3, c).permute(0, 3, 1, 2)
            of_x = Shifted.fold(rows @ weight.permute(0, 2, 3, 1).reshape(out, 9 * c), x, c) if ctx.needs_input_grad[0] else None
            return of_x, of_weight, rows.sum(0)
        spread = Shifted.patches(grad)  # of the pixels around, [n h w, 9 out]
        of_weight = (spread.t() @ as_rows(x)).view(3, 3, out, c).flip(0, 1).permute(2, 3, 0, 1)
        of_x = as_images(spread @ weight.flip(2, 3).permute(2, 3, 0, 1).reshape(9 * out, c), x)
        return of_x, of_weight, rows.sum(0)


def by_products(x, weight, bias):
    y = Shifted.apply(x, weight, bias)
    return as_images(y, x) if y.dim() == 2 else y


# Of the three convolutions of a conditioner: by oneDNN or torch's own, else by the BLAS.
CONVOLUTIONS = {"first": (conv, by_products), "1x1": (conv, by_rows), "last": (conv, by_products)}


def affine_of(raw, shift, changed, bound):
    """y = x e^s + t and s: the log-sigmoid of raw + 2 (glow, bound 0), or bound tanh(raw / bound)."""
    if bound == 0:
        raw = raw + 2
        return torch.addcmul(shift, changed, torch.sigmoid(raw)), F.logsigmoid(raw)
    log_scale = torch.tanh(raw * (1 / bound)) * bound
    return torch.addcmul(shift, changed, log_scale.exp()), log_scale


class ImageFlow:
    def __init__(self, problem):
        self.problem, self.glow, self.steps = problem, images.glow(problem), problem["layers"]
        self.levels, self.bound = images.levels(problem), 0.0 if images.glow(problem) else problem["bound"]
        self.constant = 0.5 * problem["d"] * math.log(2 * math.pi)
        self.format, self.first, self.one, self.last = LAST, conv, conv, conv

    # ---- parameters ----

    def shapes(self):
        """[steps, ...] of ActNorm and the matrices of a level, then the conditioners, weights [o, k, k, c] (channels last) or [o, c, k, k]."""
        found = []
        for _, _, c in self.levels:
            if self.glow:
                found += [(self.steps, *shape) for shape in ((c,), (c,), (c, c), (c, c), (c,))]
            for shape in images.conditioner(self.problem, c) * self.steps:
                found.append(shape if len(shape) == 1 or self.format is LAST else (shape[0], shape[3], *shape[1:3]))
        return found

    def arranged(self, tensors):
        """NumPy tensors of a weight file in this order."""
        found, own = [], iter(tensors)
        for _, _, c in self.levels:
            steps = [[next(own) for _ in images.step_shapes(self.problem, c)] for _ in range(self.steps)]
            if self.glow:
                mixing = [list(parts) for parts in zip(*(step[:5] for step in steps))]
                for at, indices in ((2, np.tril_indices(c, -1)), (3, np.triu_indices(c, 1))):
                    for s, packed in enumerate(mixing[at]):
                        mixing[at][s] = np.zeros((c, c), "f4")
                        mixing[at][s][indices] = packed
                found += [np.stack(parts) for parts in mixing]
            found += [part if part.ndim == 1 or self.format is LAST else part.transpose(0, 3, 1, 2) for step in steps for part in step[-6:]]
        return np.concatenate([part.ravel() for part in found])

    def views(self, tensors):
        """Of the conditioners' weights as torch wants them: [o, c, k, k]."""
        if self.format is FIRST:
            return list(tensors)
        return [tensor.permute(0, 3, 1, 2) if tensor.dim() == 4 else tensor for tensor in tensors]

    def level_of(self, tensors, level):
        """(the five of the mixing, the steps' six of the conditioner)"""
        count = (5 if self.glow else 0) + 6 * self.steps
        own = tensors[level * count:(level + 1) * count]
        return own[:count - 6 * self.steps], [own[at:at + 6] for at in range(count - 6 * self.steps, count, 6)]

    def matrices(self, mixing):
        """Of all steps of a level: W diag(e^s), the bias W e^s b, the sum of the log-determinants of one pixel."""
        shift, log_scale, lower, upper, log_diagonal = mixing
        bound = self.problem["bound"]
        log_diagonal = torch.tanh(log_diagonal * (1 / bound)) * bound
        eye = torch.eye(shift.shape[1])
        whole = (torch.tril(lower, -1) + eye) @ (torch.triu(upper, 1) + torch.diag_embed(log_diagonal.exp()))
        whole = whole * log_scale.exp().unsqueeze(1)
        return whole, (whole @ shift.unsqueeze(2)).squeeze(2), log_scale.sum() + log_diagonal.sum()

    # ---- the flow ----

    def images(self, x):
        return images.squeeze(x.view(len(x), *self.problem["image"]), torch).permute(0, 3, 1, 2).contiguous(memory_format=self.format)

    def condition(self, kept, net):
        hidden = torch.relu_(self.first(kept, net[0], net[1]))
        return self.last(torch.relu_(self.one(hidden, net[2], net[3])), net[4], net[5]).chunk(2, 1)

    def step(self, first, second, number, matrix, bias, *net):
        """Halves of the channels in and out, and the log-scales."""
        if matrix is not None:
            x = self.one(torch.cat((first, second), 1), matrix.unsqueeze(2).unsqueeze(3), bias)
            first, second = x.chunk(2, 1)
        kept, changed = (first, second) if images.keeps_first(self.problem, number) else (second, first)
        kept = kept.contiguous(memory_format=self.format)
        changed, log_scale = affine_of(*self.condition(kept, net), changed, self.bound)
        return (kept, changed, log_scale) if images.keeps_first(self.problem, number) else (changed, kept, log_scale)

    def encode(self, tensors, x):
        """(what was factored out and the rest, log-scales of every coupling, the log-determinant that all images share)"""
        tensors, parts, scales, shared = self.views(tensors), [], [], 0
        again = self.problem["memory"] == "recompute" and torch.is_grad_enabled()
        x = self.images(x)
        for level, (h, w, _) in enumerate(self.levels):
            if level:
                x = images.squeeze(first.permute(0, 2, 3, 1), torch).permute(0, 3, 1, 2).contiguous(memory_format=self.format)
            first, second = x.chunk(2, 1)
            mixing, nets = self.level_of(tensors, level)
            whole = bias = [None] * self.steps
            if self.glow:
                whole, bias, ladj = self.matrices(mixing)
                whole, bias, shared = whole.unbind(0), bias.unbind(0), shared + ladj * (h * w)
            for number in range(self.steps):
                words = (first, second, number, whole[number], bias[number], *nets[number])
                first, second, log_scale = checkpoint(self.step, *words, use_reentrant=False) if again else self.step(*words)
                scales.append(log_scale)
            parts.append(second)
        return parts + [first], scales, shared

    def loss(self, tensors, x):
        parts, scales, shared = self.encode(tensors, x)
        total = 0.5 * sum((part * part).sum() for part in parts) - sum(scale.sum() for scale in scales)
        return total / len(x) + self.constant - shared

    def log_prob(self, tensors, x):
        parts, scales, shared = self.encode(tensors, x)
        return sum(scale.sum((1, 2, 3)) for scale in scales) - 0.5 * sum((part * part).sum((1, 2, 3)) for part in parts) - self.constant + shared

    def decode(self, tensors, parts):
        tensors, first = self.views(tensors), parts[-1]
        for level in reversed(range(len(self.levels))):
            mixing, nets = self.level_of(tensors, level)
            second = parts[level]
            if self.glow:
                whole, bias, _ = self.matrices(mixing)
                whole = torch.linalg.inv(whole)
                bias = -(whole @ bias.unsqueeze(2)).squeeze(2)
            for number in reversed(range(self.steps)):
                keeps = images.keeps_first(self.problem, number)
                kept, changed = (first, second) if keeps else (second, first)
                raw, shift = self.condition(kept.contiguous(memory_format=self.format), nets[number])
                if self.bound == 0:
                    changed = (changed - shift).mul_(torch.exp(-2 - raw).add_(1))  # 1 / sigmoid
                else:
                    changed = (changed - shift).mul_(torch.tanh(raw * (1 / self.bound)).mul_(-self.bound).exp_())
                first, second = (kept, changed) if keeps else (changed, kept)
                if self.glow:
                    x = self.one(torch.cat((first, second), 1), whole[number].unsqueeze(2).unsqueeze(3), bias[number])
                    first, second = x.chunk(2, 1)
            first = images.unsqueeze(torch.cat((first, second), 1).permute(0, 2, 3, 1), torch).permute(0, 3, 1, 2)
        return first.permute(0, 2, 3, 1).reshape(len(first), -1)

    def noise(self, n):
        """The parts of a latent image: what each level factored out, then the rest."""
        shapes = [(n, images.halves(c)[1], h, w) for h, w, c in self.levels]
        h, w, c = self.levels[-1]
        return [torch.randn(shape).contiguous(memory_format=self.format) for shape in shapes + [(n, images.halves(c)[0], h, w)]]


class ImageTorch(Torch):
    def setup(self, problem):
        self.problem, self.flow = problem, ImageFlow(problem)
        torch.set_num_threads(problem["threads"])
        torch.manual_seed(0)
        self.source = problems.initial(problem, np.random.default_rng(0)).astype("f4")
        self.rows = torch.randn(2 * problem["batch"], problem["d"]).clamp_(-3, 3)
        self.x = torch.randn(problem["rows"], problem["d"])
        plain = (FIRST, True, (0, 0, 0), problem["rows"])
        self.choice = {work: plain for work in problems.WORKS}
        self.prepared = {}
        self.choose_train((ForeachAdam if self.untuned else FlatAdam, plain))
        return problems.parameters(problem)

    def use(self, variant):
        """(format, oneDNN or not, which of CONVOLUTIONS, rows at a time)"""
        self.flow.format, onednn, which, _ = variant
        torch.backends.mkldnn.set_flags(onednn)
        self.flow.first, self.flow.one, self.flow.last = (kinds[at] for kinds, at in zip(CONVOLUTIONS.values(), which))

    def choose_train(self, choice):
        """The parameters go over as they are."""
        if hasattr(self, "w"):
            self.source = self.file_order()
        optimizer, self.choice["train"] = choice
        self.use(self.choice["train"])
        self.shapes = self.flow.shapes()
        self.w = torch.from_numpy(self.flow.arranged(problems.unpack(self.source, self.problem)))
        self.plain, self.at, self.order = views(self.w, self.shapes), 0, None
        self.tensors = [tensor.requires_grad_() for tensor in views(self.w, self.shapes)]
        self.optimizer, self.prepared = optimizer(self.w, self.tensors, self.shapes, self.problem["rate"]), {}

    def file_order(self):
        """The numbers of a weight file: the inverse of arranged, found by arranging their places."""
        self.use(self.choice["train"])
        places = self.flow.arranged(problems.unpack(np.arange(1, 1 + self.source.size, dtype="f8"), self.problem)).astype("i8")
        numbers = np.empty_like(self.source)
        numbers[places[places > 0] - 1] = self.w.numpy()[places > 0]
        return numbers

    def weights(self, path):
        del self.w
        self.source = np.fromfile(path, "<f4")
        self.choose_train((type(self.optimizer), self.choice["train"]))

    def train(self):
        self.use(self.choice["train"])
        self.optimizer.zero()
        self.flow.loss(self.tensors, self.batch()).backward()
        self.optimizer.step()
        self.prepared = {}

    def infer(self, work, function, parts):
        """function(tensors, part), so many rows at a time."""
        variant = self.choice[work]
        if work not in self.prepared:
            numbers = self.file_order()
            self.use(variant)
            self.prepared[work] = views(torch.from_numpy(self.flow.arranged(problems.unpack(numbers, self.problem))), self.flow.shapes())
        self.use(variant)
        with torch.inference_mode():
            return torch.cat([function(self.prepared[work], part) for part in parts(variant[3])])

    def log_densities(self, x):
        return self.infer("log_prob", self.flow.log_prob, lambda chunk: x.split(chunk))

    def log_prob(self):
        return self.log_densities(self.x)

    def draw(self, n):
        return self.infer("sample", self.flow.decode, lambda chunk: (self.flow.noise(min(chunk, n - at)) for at in range(0, n, chunk)))

    def sample(self):
        return self.draw(self.problem["draws"])

    def sample1(self, times):
        spent = []
        for _ in range(times):
            start = time.perf_counter()
            self.draw(1)
            spent.append((time.perf_counter() - start) * 1e3)
        return "%.6f %.6f" % (np.median(spent), np.quantile(spent, 0.99))

    def round_trip(self, x):
        self.log_densities(x[:1])  # the tensors of log_prob
        with torch.no_grad():
            tensors = self.prepared["log_prob"]
            return (self.flow.decode(tensors, self.flow.encode(tensors, x)[0]) - x).abs().max().item()

    def logp(self, source, target):
        x = torch.from_numpy(np.fromfile(source, "<f4")).view(-1, self.problem["d"])
        self.log_densities(x).double().numpy().tofile(target)
        error = self.round_trip(x)
        if not error < 1e-2:
            raise ValueError("decode(encode(x)) is off by %.1e" % error)
        return "%d rows, round trip within %.1e" % (len(x), error)

    def tune(self, seconds):
        if self.untuned:
            return json.dumps({work: [self.best_of([None], lambda _: None, getattr(self, work), seconds)[1], "plain"] for work in problems.WORKS})
        rows = self.problem["rows"]
        how = [(LAST, True, which, rows) for which in itertools.product((0, 1), repeat=3)] + [(FIRST, True, (0, 0, 0), rows), (FIRST, False, (0, 0, 0), rows)]
        (_, variant), _ = self.best_of([(FlatAdam, variant) for variant in how], self.choose_train, self.train, seconds)
        (optimizer, variant), spent = self.best_of([(FlatAdam, variant), (ForeachAdam, variant)], self.choose_train, self.train, seconds)
        found = {"train": [spent, "%s, %s" % (optimizer.__name__, self.words(variant))]}
        for work, call in (("log_prob", self.log_prob), ("sample", self.sample)):
            def choose(variant):
                self.choice[work] = variant
                self.prepared.pop(work, None)
            variant, _ = self.best_of(how, choose, call, seconds)
            variant, spent = self.best_of([(*variant[:3], chunk) for chunk in sorted({rows, rows // 2, rows // 4, max(1, rows // 8)})], choose, call, seconds)
            found[work] = [spent, self.words(variant) + ", %d rows at a time" % variant[3]]
        return json.dumps(found)

    @staticmethod
    def words(variant):
        form, onednn, which, _ = variant
        own = [name for name, at in zip(CONVOLUTIONS, which) if at]
        return "%s%s%s" % ("channels last" if form is LAST else "contiguous", "" if onednn else ", no oneDNN", ", %s by the BLAS" % " and ".join(own) if own else "")
