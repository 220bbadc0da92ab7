"""The continuous flows of the benchmark, as data: what every participant builds from a problem.

A row x is moved from t = 0 to T = 1 by dx/dt = f(x, t), a perceptron that reads t at every layer: z = W (h, t) + b, the time as the last input. log p(x) = log N(x(1)) + the integral of tr(df/dx);
dopri5 at rtol = atol = 1e-5. Training estimates the trace by one Rademacher probe a row, the same for a whole solve (Grathwohl et al. 2019); log_prob has it exactly.
`steps` Adam steps at `first_rate` on the problem's rows come before anything is measured: what a field costs depends on what it has learnt. The training rows' first ones are log_prob's.
"""
import math

import numpy as np

TOLERANCE = 1e-5  # the solver's
# Dormand & Prince 1980, error weights of Shampine 1986, as in torchdiffeq.
NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1)
STAGES = ((1 / 5,), (3 / 40, 9 / 40), (44 / 45, -56 / 15, 32 / 9), (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
          (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656), (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84))
ERROR = (35 / 384 - 1951 / 21600, 0, 500 / 1113 - 22642 / 50085, 125 / 192 - 451 / 720, -2187 / 6784 + 12231 / 42400, 11 / 84 - 649 / 6300, -1 / 60)
SPREAD = (0.5, 3)  # standard deviations of the columns of a "scaled normal"


def sizes(problem):
    return [problem["d"]] + problem["hidden"] + [problem["d"]]


def shapes(problem):
    """Layer by layer W [out, in + 1], the time's column last, and b [out]."""
    every = sizes(problem)
    return [shape for fan_in, fan_out in zip(every, every[1:]) for shape in ((fan_out, fan_in + 1), (fan_out,))]


def initial(problem, rng):
    """As torch.nn.Linear begins."""
    parts = []
    for shape in shapes(problem):
        limit = 1 / math.sqrt(shape[1] if len(shape) == 2 else parts[-1].size // shape[0])
        parts.append(rng.uniform(-limit, limit, math.prod(shape)))
    return np.concatenate(parts)


def eight_gaussians(problem, rng, n):
    """On a circle of radius 4 / sqrt(2), standard deviation 0.5 / sqrt(2) (Grathwohl et al. 2019)."""
    angle = rng.integers(0, 8, n) * (math.pi / 4)
    return (4 * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.5 * rng.standard_normal((n, 2))) / math.sqrt(2)


def scaled_normal(problem, rng, n):
    return rng.standard_normal((n, problem["d"])) * np.geomspace(*SPREAD, problem["d"])


ROWS = {"eight-gaussians": eight_gaussians, "scaled-normal": scaled_normal}


def rows(problem, rng, n):
    return ROWS[problem["data"]](problem, rng, n)


def beginning(problem):
    """What the first steps depend on: problems that agree in it begin with the same weights."""
    return dict({key: problem[key] for key in ("d", "hidden", "activation", "batch", "data", "steps", "first_rate")}, trace="hutchinson")


# Of log-densities, relative to 1 + their size. One step size for all rows keeps the tolerance on the mean over rows, not in each.
OWN_STEPS, COMMON_STEPS = 1e-4, 1e-3


def agreement(name):
    return OWN_STEPS if name == "rheo" else COMMON_STEPS


REMADE, KEPT = 3, 2  # products of an evaluation backward in those of one forward: where the stage is made again, or was kept


def counts(spent, problem):
    """(forward, backward, products of one backward in those of one forward), over the rows of a call, from what a worker says of itself."""
    if isinstance(spent, list):  # a peer's: the whole batch together
        forward, backward, products_back = (spent + [0, REMADE][len(spent) - 1:])[:3]
        return forward * problem["batch"], backward * problem["batch"], products_back
    return spent and (spent["forward"], spent["backward"], REMADE)


def products(problem):
    """Multiply-adds of f for one row: P."""
    every = sizes(problem)
    return sum(fan_in * fan_out for fan_in, fan_out in zip(every, every[1:]))


def closed(problem):
    """tr(W3 D2 W2 D1 W1) = d2' M d1, M = W2 o (W1 W3)' (o: elementwise), with the activations' slopes d1, d2: of two hidden layers the exact trace is one small product."""
    return len(problem["hidden"]) == 2 and problem["trace"] != "columns"


def trace_products(problem, work):
    """Multiply-adds of tr(df/dx) beside f: of a probe's vjp P; of the closed form one product; by columns d tangents: the first layer's are its weights, of the last only the diagonal is needed."""
    hidden = problem["hidden"]
    if work == "sample":
        return 0
    if work == "train" and problem["trace"] != "exact":
        return products(problem)
    return (1 if closed(problem) else problem["d"]) * sum(a * b for a, b in zip(hidden, hidden[1:])) + (0 if closed(problem) else problem["d"] * hidden[-1])


def flops(problem, work, evaluations):
    """Useful operations of a call with these `counts`, two a multiply-add. With Q = P + the trace's, an evaluation forward is Q; one backward takes the cotangents of its values and of its parameters, Q
    each, and Q more where it makes the stage again: 3 Q."""
    forward, backward, products_back = evaluations
    return 2.0 * (products(problem) + trace_products(problem, work)) * (forward + products_back * backward)


def spec(problem):
    """rheo's specification. By columns: rheo knows a closed form for two hidden layers, and takes it; with gates that are 1, it does not."""
    field = {"type": "time_mlp", "hidden": problem["hidden"], "activation": problem["activation"], "time": "squash" if problem["trace"] == "columns" else "concat"}
    cnf = {"type": "cnf", "field": field, "solver": "dp54", "rtol": TOLERANCE, "atol": TOLERANCE, "trace": "exact" if problem["trace"] == "exact" else "hutchinson"}
    if problem["gradient"]:
        cnf["gradient"] = problem["gradient"]
    return {"columns": problem["d"], "flow": cnf, "base": {"type": "normal"}}
