"""Image flows of normflows (c6616b1) and FrEIA (4212496) for peer_library.py, as their users build them. Images are [n, c, h, w]."""
import math
import sys
import types

import torch

import images
import protocol


class Normflows:
    """Samples come out of forward, densities of inverse; so the last level stands first."""

    def __init__(self, problem):
        for name in ("tqdm", "sklearn", "sklearn.datasets", "matplotlib", "matplotlib.pyplot", "residual_flows"):
            if name not in sys.modules:
                try:
                    __import__(name)
                except ImportError:  # imported by normflows for what is not used here
                    sys.modules[name] = types.ModuleType(name)
        import normflows as nf
        levels, flows, merges, bases = images.levels(problem), [], [], []
        for level, (h, w, c) in reversed(list(enumerate(levels))):
            flows.append([part for _ in range(problem["layers"]) for part in self.step(nf, problem, c)] + [nf.flows.Squeeze()])
            last = level == len(levels) - 1
            merges += [] if last else [nf.flows.Merge()]
            bases.append(nf.distributions.DiagGaussian((c if last else images.halves(c)[1], h, w)))
        self.model = nf.MultiscaleFlow(bases, flows, merges, class_cond=False)
        self.parameters = images.dense_parameters(problem)

    @staticmethod
    def step(nf, problem, c):
        hidden = problem["hidden"][0]
        if images.glow(problem):
            return [nf.flows.GlowBlock(c, hidden, split_mode="channel", scale=True)]
        net = nf.nets.ConvNet2d((c // 2, hidden, hidden, c), (3, 1, 3))
        return [nf.flows.AffineCouplingBlock(net, scale_map="exp"), nf.flows.Permute(c, mode="swap")]

    def log_prob(self, x):
        return self.model.log_prob(x, None)

    def sample(self, n):
        return self.model.sample(n)[0]


class Freia:
    """AllInOneBlock: its ActNorm and coupling are learned, its 1x1 convolution (permute_soft) is a fixed rotation, so that it does less than the problem asks. The base is fixed too."""

    def __init__(self, problem):
        if not images.glow(problem):
            raise protocol.Absent("takes part in glow alone")
        import FrEIA.framework as ff
        import FrEIA.modules as fm
        h, w, c = problem["image"]
        x, levels, self.shapes = ff.InputNode(c, h, w), images.levels(problem), []
        nodes = [x]

        def add(node):
            nodes.append(node)
            return node

        for level, (h, w, c) in enumerate(levels):
            x = add(ff.Node(x, fm.IRevNetDownsampling, {}))
            for _ in range(problem["layers"]):
                x = add(ff.Node(x, fm.AllInOneBlock, {"subnet_constructor": lambda i, o: self.net(problem, i, o), "permute_soft": True}))
            if level < len(levels) - 1:
                x = add(ff.Node(x, fm.Split, {}))
                add(ff.OutputNode(x.out1))
                self.shapes.append((images.halves(c)[1], h, w))
        add(ff.OutputNode(x))
        self.shapes.append((c, h, w))
        self.model = ff.GraphINN(nodes)
        mixing = sum(2 * c * c + c for _, _, c in levels)
        self.constant = 0.5 * problem["d"] * math.log(2 * math.pi)
        self.parameters = images.dense_parameters(problem) - 2 * problem["d"] - problem["layers"] * mixing

    @staticmethod
    def net(problem, inputs, outputs):
        hidden = problem["hidden"][0]
        parts = [torch.nn.Conv2d(inputs, hidden, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(hidden, hidden, 1), torch.nn.ReLU(),
                 torch.nn.Conv2d(hidden, outputs, 3, padding=1)]
        torch.nn.init.zeros_(parts[-1].weight)
        torch.nn.init.zeros_(parts[-1].bias)
        return torch.nn.Sequential(*parts)

    def log_prob(self, x):
        z, ladj = self.model(x)
        return ladj - 0.5 * sum((part * part).sum((1, 2, 3)) for part in z) - self.constant

    def sample(self, n):
        return self.model([torch.randn(n, *shape) for shape in self.shapes], rev=True)[0]


LIBRARIES = {"normflows": Normflows, "FrEIA": Freia}
