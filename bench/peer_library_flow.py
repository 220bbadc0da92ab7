"""Libraries of continuous flows, as their users write it, with the problem's field and weights: ffjord (with torchdiffeq, from $RHEO_PEERS/torchdiffeq) has layers that read the time themselves; to zuko's
free-form transform the field is any function, and its probe is normal, as it has no other. Both give densities with the exact trace and evaluations are counted as they count them: calls of the field for the whole batch."""
import os
import sys

import torch

import continuous
import problems


class Concat(torch.nn.Module):
    """The problem's field for zuko: f(t, x), the time as every layer's last input."""

    def __init__(self, problem):
        super().__init__()
        every = continuous.sizes(problem)
        self.linears = torch.nn.ModuleList(torch.nn.Linear(a + 1, b) for a, b in zip(every, every[1:]))
        self.activation = {"tanh": torch.nn.Tanh, "softplus": torch.nn.Softplus}[problem["activation"]]()
        self.calls = 0

    def forward(self, t, x):
        self.calls += 1
        for linear in self.linears:
            x = linear(torch.cat((x if linear is self.linears[0] else self.activation(x), t.expand(x.shape[0], 1)), 1))
        return x


class Zuko:
    def __init__(self, problem):
        from zuko.distributions import DiagNormal
        from zuko.transforms import FreeFormJacobianTransform
        self.model = Concat(problem)
        self.base = DiagNormal(torch.zeros(problem["d"]), torch.ones(problem["d"]))
        phi = tuple(self.model.parameters())

        def transform(exact, phi):
            return FreeFormJacobianTransform(f=self.model, t0=0.0, t1=1.0, phi=phi, atol=continuous.TOLERANCE, rtol=continuous.TOLERANCE, exact=exact)

        self.training, self.scoring = transform(False, phi), transform(True, ())

    def take(self, weights):
        for linear, w, b in zip(self.model.linears, weights[::2], weights[1::2]):
            linear.weight.copy_(w)
            linear.bias.copy_(b)

    def density(self, transform, x):
        z, ladj = transform.call_and_ladj(x)
        return self.base.log_prob(z) + ladj

    def train_log_prob(self, x):
        return self.density(self.training, x)

    def log_prob(self, x):
        return self.density(self.scoring, x)

    def sample(self, n):
        return self.scoring.inv(self.base.sample((n,)))

    def calls(self):
        calls, self.model.calls = self.model.calls, 0
        return calls


class Ffjord:
    def __init__(self, problem):
        solvers = os.path.join(os.environ["RHEO_PEERS"], "torchdiffeq")
        if not os.path.isdir(os.path.join(solvers, "torchdiffeq")):
            raise ValueError("RHEO_PEERS names no folder with torchdiffeq/torchdiffeq: see bench/README.md")
        sys.path.insert(0, solvers)
        import warnings
        warnings.filterwarnings("ignore", message="To copy construct from a tensor")
        from lib.layers import CNF, ODEfunc, ODEnet
        self.d = problem["d"]
        net = ODEnet(tuple(problem["hidden"]), (self.d,), None, False, layer_type=problem.get("layer", "concat"), nonlinearity=problem["activation"])
        self.model = CNF(ODEfunc(net, divergence_fn="approximate", rademacher=True), T=1.0, train_T=problem.get("train_T", False), solver="dopri5", atol=continuous.TOLERANCE, rtol=continuous.TOLERANCE)
        self.exact = CNF(ODEfunc(net, divergence_fn="brute_force"), T=1.0, solver="dopri5", atol=continuous.TOLERANCE, rtol=continuous.TOLERANCE)
        self.exact.sqrt_end_time = self.model.sqrt_end_time.detach()  # the same number where T is trained: it shares the memory
        self.linears = [layer._layer for layer in net.layers]
        self.used = self.model

    def take(self, weights):
        for linear, w, b in zip(self.linears, weights[::2], weights[1::2]):
            linear.weight.copy_(torch.cat((w[:, -1:], w[:, :-1]), 1))  # its time is the first input
            linear.bias.copy_(b)

    def density(self, model, x):
        self.used = model
        z, minus_ladj = model(x, torch.zeros(len(x), 1))
        return -0.5 * (z.square().sum(1) + self.d * 1.8378770664093453) - minus_ladj[:, 0]

    def train_log_prob(self, x):
        self.model.train()
        return self.density(self.model, x)

    def log_prob(self, x):
        self.exact.eval()
        return self.density(self.exact, x)

    def sample(self, n):
        """As its own scripts sample: the estimate of the log-determinant comes along."""
        self.used = self.model.eval()
        return self.model(torch.randn(n, self.d), torch.zeros(n, 1), reverse=True)[0]

    def calls(self):
        calls = int(self.used.num_evals())
        self.used.odefunc._num_evals.fill_(0)
        return calls


LIBRARIES = {"zuko": Zuko, "ffjord": Ffjord}
