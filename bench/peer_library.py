#!/usr/bin/python3
"""A library doing the same work, as its users write it: peer_library.py zuko|nflows|normflows|FrEIA|ffjord (the next two: image flows, peer_library_image.py; the last, and zuko: continuous
flows, peer_library_flow.py). Libraries have their own parametrizations, so they start from their own weights and are not compared with the oracle; sizes are the same (the dense parameters are
counted). Continuous flows take the problem's weights and are compared. Sources: $RHEO_PEERS/LIBRARY, see README.md."""
import json
import os
import sys
import time
import types

import numpy as np
import torch

import problems
import protocol

PACKAGES = {"ffjord": "lib"}  # folders of another name than their checkout's


def sources(library):
    folder = os.path.join(os.environ.get("RHEO_PEERS", ""), library)
    if not os.path.isdir(os.path.join(folder, PACKAGES.get(library, library))):
        raise ValueError("RHEO_PEERS names no folder with %s/%s: see bench/README.md" % (library, PACKAGES.get(library, library)))
    sys.path.insert(0, folder)


def zuko_flow(problem):
    import zuko
    from zuko.flows import Flow, UnconditionalDistribution
    from zuko.flows.coupling import GeneralCouplingTransform
    from zuko.transforms import MonotonicRQSTransform
    d, layers, hidden, bins = problem["d"], problem["layers"], problem["hidden"], problem["bins"]
    if problem["arch"] == "maf":
        return zuko.flows.MAF(d, transforms=layers, hidden_features=hidden)
    if problem["arch"] == "nsf":
        return zuko.flows.NSF(d, bins=bins, transforms=layers, hidden_features=hidden)
    if problem["arch"] != "nsf-coupling":
        raise protocol.Absent("takes part in maf, nsf and nsf-coupling")
    masks = [torch.tensor([i in problems.stripes(problem, layer)[0] for i in range(d)]) for layer in range(layers)]
    parts = [GeneralCouplingTransform(d, mask=mask, univariate=MonotonicRQSTransform, shapes=[(bins,), (bins,), (bins - 1,)], hidden_features=hidden) for mask in masks]
    return Flow(parts, UnconditionalDistribution(zuko.distributions.DiagNormal, torch.zeros(d), torch.ones(d), buffer=True))


def nflows_flow(problem):
    for name in ("UMNN", "matplotlib", "matplotlib.pyplot"):  # imported by nflows for what is not used here
        missing = types.ModuleType(name)
        missing.NeuralIntegral = missing.ParallelNeuralIntegral = missing.pyplot = None
        sys.modules.setdefault(name, missing)
    from nflows import transforms as t
    from nflows.distributions.normal import StandardNormal
    from nflows.flows.base import Flow
    d, hidden, spline = problem["d"], problem["hidden"], {"num_bins": problem["bins"], "tails": "linear", "tail_bound": problem["box"]}
    if len(set(hidden)) > 1:
        raise protocol.Absent("has hidden layers of one width")
    made = {"num_blocks": len(hidden) - 1, "use_residual_blocks": False}

    def mlp(kept, numbers):
        sizes = [kept] + hidden
        linears = [part for pair in zip(sizes, sizes[1:]) for part in (torch.nn.Linear(*pair), torch.nn.ReLU())]
        net = torch.nn.Sequential(*linears, torch.nn.Linear(hidden[-1], numbers))
        net.hidden_features = hidden[-1]
        net.forward_of, net.forward = net.forward, lambda x, context=None: net.forward_of(x)
        return net

    parts = []
    for layer in range(problem["layers"]):
        if problem["arch"] == "nsf-coupling":
            mask = torch.tensor([0 if i in problems.stripes(problem, layer)[0] else 1 for i in range(d)])
            parts.append(t.PiecewiseRationalQuadraticCouplingTransform(mask, mlp, **spline))
            continue
        if layer:
            parts.append(t.ReversePermutation(d))
        if problem["arch"] == "maf":
            parts.append(t.MaskedAffineAutoregressiveTransform(d, hidden[0], **made))
        elif problem["arch"] == "nsf":
            parts.append(t.MaskedPiecewiseRationalQuadraticAutoregressiveTransform(d, hidden[0], **made, **spline))
        else:
            raise protocol.Absent("takes part in maf, nsf and nsf-coupling")
    return Flow(t.CompositeTransform(parts), StandardNormal([d]))


FLOWS = {"zuko": zuko_flow, "nflows": nflows_flow}


class Library(protocol.Model):
    def __init__(self, library):
        self.library = library

    def setup(self, problem):
        self.problem = problem
        torch.set_num_threads(problem["threads"])
        torch.manual_seed(0)
        sources(self.library)
        dense = self.build(problem)
        parameters = sum(p.numel() for p in self.flow.parameters() if p.requires_grad)
        if parameters != dense:
            raise ValueError("%s has %d parameters, the problem's dense ones are %d" % (self.library, parameters, dense))
        self.optimizer = torch.optim.Adam([p for p in self.flow.parameters() if p.requires_grad], lr=problem["rate"])
        self.rows = self.shaped(torch.randn(2 * problem["batch"], problem["d"]).clamp_(-3, 3))
        self.x, self.at = self.shaped(torch.randn(problem["rows"], problem["d"])), len(self.rows)
        return parameters

    def build(self, problem):
        """The flow; the parameters that it must have."""
        if self.library not in FLOWS:
            raise protocol.Absent("takes no part in flows of couplings and of autoregressive transforms")
        self.flow = FLOWS[self.library](problem)
        return sum(np.prod(shape) for shape in problems.shapes(problem))

    def shaped(self, x):
        return x

    def log_densities(self, x):
        return self.flow().log_prob(x) if self.library == "zuko" else self.flow.log_prob(x)

    def draw(self, n):
        with torch.inference_mode():
            return self.flow().sample((n,)) if self.library == "zuko" else self.flow.sample(n)

    def data(self, path):
        self.rows = self.shaped(torch.from_numpy(np.fromfile(path, "<f4")).view(-1, self.problem["d"]))
        self.at = len(self.rows)

    def train(self):
        size = self.problem["batch"]
        if self.at + size > len(self.rows):
            self.at, self.order = 0, torch.randperm(len(self.rows))
        self.at += size
        self.optimizer.zero_grad(set_to_none=True)
        (-self.log_densities(self.rows[self.order[self.at - size:self.at]]).mean()).backward()
        self.optimizer.step()

    def log_prob(self):
        with torch.inference_mode():
            return self.log_densities(self.x)

    def sample(self):
        return self.draw(self.problem["draws"])

    def tune(self, _seconds):
        """Nothing to choose but the environment: one warm call and one timed of each work, but of samples, which take seconds."""
        found = {}
        for work in ("train", "log_prob"):
            getattr(self, work)()
            start = time.perf_counter()
            getattr(self, work)()
            found[work] = [(time.perf_counter() - start) * 1e3, self.library]
        found["sample"] = [found["log_prob"][0], self.library]
        return json.dumps(found)

    def sample1(self, times):
        spent = []
        for _ in range(times):
            start = time.perf_counter()
            self.draw(1)
            spent.append((time.perf_counter() - start) * 1e3)
        return "%.6f %.6f" % (np.median(spent), np.quantile(spent, 0.99))


class ImageLibrary(Library):
    """Images as the libraries want them, [n, c, h, w]; with --channels-last in that memory format, which few users know."""
    format = torch.contiguous_format

    def build(self, problem):
        import peer_library_image
        if self.library not in peer_library_image.LIBRARIES:
            raise protocol.Absent("takes no part in image flows")
        self.whole = peer_library_image.LIBRARIES[self.library](problem)
        self.flow = self.whole.model
        return self.whole.parameters

    def shaped(self, x):
        return x.view(-1, *self.problem["image"]).permute(0, 3, 1, 2).contiguous(memory_format=self.format)

    def log_densities(self, x):
        return self.whole.log_prob(x)

    def draw(self, n):
        with torch.inference_mode():
            return self.whole.sample(n)

    def setup(self, problem):
        parameters = super().setup(problem)
        if "--channels-last" in sys.argv[1:]:
            self.format = torch.channels_last
            self.flow.to(memory_format=self.format)
            self.rows, self.x = (x.contiguous(memory_format=self.format) for x in (self.rows, self.x))
        return parameters


class ContinuousLibrary(Library):
    """Gradients are needed within densities, too: of the field in x."""

    def build(self, problem):
        import peer_library_flow
        if self.library not in peer_library_flow.LIBRARIES:
            raise protocol.Absent("takes no part in continuous flows")
        if problem["trace"] == "exact":
            raise protocol.Absent("has no trace in closed form")
        self.whole = peer_library_flow.LIBRARIES[self.library](problem)
        self.flow = self.whole.model
        return problems.parameters(problem)

    def weights(self, path):
        with torch.no_grad():
            self.whole.take([torch.from_numpy(tensor) for tensor in problems.unpack(np.fromfile(path, "<f4"), self.problem)])
        self.optimizer = torch.optim.Adam(self.flow.parameters(), lr=self.problem["rate"])

    def data(self, path):
        super().data(path)
        self.x = self.rows[:self.problem["rows"]]

    def log_densities(self, x):
        return self.whole.train_log_prob(x)

    @torch.no_grad()
    def log_prob(self):
        return self.whole.log_prob(self.x)

    @torch.no_grad()
    def draw(self, n):
        return self.whole.sample(n)

    def logp(self, source, target):
        with torch.no_grad():
            self.whole.log_prob(torch.from_numpy(np.fromfile(source, "<f4")).view(-1, self.problem["d"])).double().numpy().tofile(target)

    def evaluations(self):
        found = {}
        for work in problems.works(self.problem):
            self.whole.calls()
            if work != "train":
                getattr(self, work)()
                found[work] = [self.whole.calls()]
                continue
            loss = -self.log_densities(self.rows[:self.problem["batch"]]).mean()
            found[work] = [self.whole.calls()]
            loss.backward()
            found[work].append(self.whole.calls())
        return json.dumps(found)

    def tune(self, _seconds):
        return json.dumps({work: [self.spent(work), self.library] for work in problems.works(self.problem)})

    def spent(self, work):
        getattr(self, work)()
        start = time.perf_counter()
        getattr(self, work)()
        return (time.perf_counter() - start) * 1e3


def make(problem):
    kind = problems.ARCHITECTURES[problem["arch"]]["kind"]
    return {"image": ImageLibrary, "continuous": ContinuousLibrary}.get(kind, Library)(sys.argv[1])


if __name__ == "__main__":
    protocol.serve(make)
