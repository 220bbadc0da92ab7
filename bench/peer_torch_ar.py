"""The mathematics of the autoregressive and spline flows in PyTorch, for peer_torch.py and peer_fit.py: as fast as eager PyTorch allows.

Masks: the masked entries of the weights are 0 and stay 0, since one product a step clears their gradients; so no forward pass multiplies by a mask. Splines: everything in the unit
square, one softmax for widths and heights, slopes made only for the two knots in use."""
import math

import torch
import torch.nn.functional as F

import problems

LEAST_BIN = LEAST_SLOPE = 1e-3  # of the box; of the slope at a knot (Durkan et al. 2019, appendix B.1)
UNIT_SLOPE = math.log(math.expm1(1 - LEAST_SLOPE))  # added to raw slopes: 0 means 1, so zeros give the identity


class Affine:
    """y = x e^s + t, s = bound tanh(raw / bound)."""

    def __init__(self, problem):
        self.bound = problem["bound"]

    def parts(self, raw):
        raw = raw.unflatten(1, (-1, 2))
        return torch.tanh(raw[..., 0] * (1 / self.bound)) * self.bound, raw[..., 1]

    def forward(self, x, raw):
        scale, shift = self.parts(raw)
        return torch.addcmul(shift, x, scale.exp()), scale

    def inverse(self, y, raw):
        scale, shift = self.parts(raw)
        return (y - shift) * scale.neg().exp()


class Spline:
    """Rational-quadratic splines with linear tails (Durkan et al. 2019, eq. 4-8)."""

    def __init__(self, problem):
        self.bins, self.box = problem["bins"], problem["box"]
        self.share = 1 - LEAST_BIN * self.bins
        self.least = torch.tensor(LEAST_BIN)

    def bin(self, u, raw, by):
        """The bin of u in [0, 1] by widths (by = 0) or heights (1): left edges and sizes [n, m, 2], slopes [n, m, 2]."""
        k = self.bins
        raw = raw.unflatten(1, (-1, 3 * k - 1))
        sizes = torch.add(self.least, torch.softmax(raw[..., :2 * k].unflatten(2, (2, k)), -1), alpha=self.share)
        ends = sizes.cumsum(-1)
        at = (ends.detach()[:, :, by, :k - 1] <= u.detach().unsqueeze(-1)).sum(-1, keepdim=True)
        both = at.unsqueeze(-1).expand(-1, -1, 2, 1)
        size = sizes.gather(-1, both).squeeze(-1)
        left = ends.gather(-1, both).squeeze(-1) - size
        padded = F.pad(raw[..., 2 * k:], (1, 1))
        slopes = F.softplus(padded.gather(-1, torch.cat((at, at + 1), -1)) + UNIT_SLOPE) + LEAST_SLOPE
        return left, size, slopes[..., 0], slopes[..., 1]

    def unit(self, x):
        inside = (x > -self.box) & (x < self.box)
        return inside, x.clamp(-self.box, self.box) * (0.5 / self.box) + 0.5

    def forward(self, x, raw):
        inside, u = self.unit(x)
        left, size, d0, d1 = self.bin(u, raw, 0)
        height, slope = size[..., 1], size[..., 1] / size[..., 0]
        t = (u - left[..., 0]) / size[..., 0]
        rest = 1 - t
        mixed, square = t * rest, t * t
        below = slope + (d0 + d1 - 2 * slope) * mixed
        y = left[..., 1] + height * (slope * square + d0 * mixed) / below
        slope_here = (slope / below).square() * (d1 * square + 2 * slope * mixed + d0 * rest * rest)
        return torch.where(inside, (y - 0.5) * (2 * self.box), x), torch.where(inside, slope_here, torch.ones_like(x)).log()

    def inverse(self, y, raw):
        inside, v = self.unit(y)
        left, size, d0, d1 = self.bin(v, raw, 1)
        height, slope, up = size[..., 1], size[..., 1] / size[..., 0], v - left[..., 1]
        curve = d0 + d1 - 2 * slope
        b = height * d0 - up * curve
        root = (b * b + 4 * (height * (slope - d0) + up * curve) * slope * up).clamp_(min=0).sqrt_()
        x = left[..., 0] + size[..., 0] * (2 * slope * up / (b + root))
        return torch.where(inside, (x - 0.5) * (2 * self.box), y)


class Common:
    """What couplings and autoregressive flows share; `layer` is the dense network to use, as in peer_torch.Flow."""

    def __init__(self, problem, activation):
        self.problem, self.activation, self.linears = problem, activation, len(problem["hidden"]) + 1
        self.transform = (Affine if problems.numbers(problem) == 2 else Spline)(problem)
        self.constant = 0.5 * problem["d"] * math.log(2 * math.pi)

    def raw(self, layer, tensors, x, at):
        return layer(x, tensors, 2 * self.linears * at, self.linears, self.activation)

    def loss(self, layer, tensors, x):
        z, ladjs = self.encode(layer, tensors, x)
        total = 0.5 * sum((part * part).sum() for part in z)
        return (total - sum(ladj.sum() for ladj in ladjs)) / len(x) + self.constant

    def log_prob(self, layer, tensors, x):
        z, ladjs = self.encode(layer, tensors, x)
        return sum(ladj.sum(1) for ladj in ladjs) - 0.5 * sum((part * part).sum(1) for part in z) - self.constant


class Coupling(Common):
    """Every second column is kept, in turn."""

    def encode(self, layer, tensors, x):
        a, b, ladjs = x[:, 1::2].contiguous(), x[:, ::2], []
        for at in range(self.problem["layers"]):
            changed, ladj = self.transform.forward(b, self.raw(layer, tensors, a, at))
            a, b = changed, a
            ladjs.append(ladj)
        return (a, b), ladjs

    def decode(self, layer, tensors, z):
        first = self.problem["d"] // 2 if self.problem["layers"] % 2 == 0 else (self.problem["d"] + 1) // 2
        a, b = z[:, :first], z[:, first:]
        for at in reversed(range(self.problem["layers"])):
            a, b = b, self.transform.inverse(a, self.raw(layer, tensors, b, at))
        x = torch.empty_like(z)
        x[:, 1::2], x[:, ::2] = a, b
        return x


class Autoregressive(Common):
    """x always lies in the order of the layer at hand."""

    def encode(self, layer, tensors, x):
        ladjs = []
        for at in range(self.problem["layers"]):
            x, ladj = self.transform.forward(x.flip(1) if at else x, self.raw(layer, tensors, x.flip(1) if at else x, at))
            ladjs.append(ladj)
        return (x,), ladjs

    def decode(self, layer, tensors, z):
        """d passes of the hidden layers a transform, as every library does; of the last layer only the rows of the column at hand."""
        n = problems.numbers(self.problem)
        for at in reversed(range(self.problem["layers"])):
            own = list(tensors[2 * self.linears * at:2 * self.linears * (at + 1)])
            x, weight, bias = torch.zeros_like(z), own[-2], own[-1]
            for i in range(self.problem["d"]):
                own[-2:] = weight[i * n:(i + 1) * n], bias[i * n:(i + 1) * n]
                x[:, i:i + 1] = self.transform.inverse(z[:, i:i + 1], layer(x, own, 0, self.linears, self.activation))
            z = x.flip(1) if at else x
        return z


class SweptAutoregressive(Autoregressive):
    """The same by rheo's algorithm (docs/architecture.md): a unit is computed once, as soon as it can be."""

    def decode(self, _layer, tensors, z):
        d, n, hidden = self.problem["d"], problems.numbers(self.problem), self.problem["hidden"]
        owns = [problems.degrees(d, size) for size in hidden]
        for at in reversed(range(self.problem["layers"])):
            own = tensors[2 * self.linears * at:2 * self.linears * (at + 1)]
            values = [torch.zeros_like(z)] + [torch.empty(len(z), size) for size in hidden]
            done = [0] * len(hidden)
            for i in range(d):
                reach = i
                for j, owned in enumerate(owns):
                    upto = sum(degree <= i for degree in owned)
                    if upto > done[j]:
                        rows = slice(done[j], upto)
                        values[j + 1][:, rows] = self.activation(F.linear(values[j][:, :reach], own[2 * j][rows, :reach], own[2 * j + 1][rows]))
                    reach = done[j] = upto
                raw = F.linear(values[-1][:, :reach], own[-2][i * n:(i + 1) * n, :reach], own[-1][i * n:(i + 1) * n])
                values[0][:, i:i + 1] = self.transform.inverse(z[:, i:i + 1], raw)
            z = values[0].flip(1) if at else values[0]
        return z


def flow(problem, activation, swept=False):
    if not problems.autoregressive(problem):
        return Coupling(problem, activation)
    return (SweptAutoregressive if swept else Autoregressive)(problem, activation)
