#!/usr/bin/python3
"""A library's continuous flow (peer_library_flow.py: ffjord, zuko) fitted by maximum likelihood with the exact trace, which is what both take in two columns: peer_plane.py JSON, one line of JSON back.

The recipe is rheo's, as in peer_fit.py. "seconds" are user CPU seconds of steps and validation; validation every fifth epoch. Test rows are scored in float64 at the tolerance "tight"."""
import json
import math
import resource
import sys

import numpy as np
import torch

import continuous
import peer_library
import peer_library_flow
from peer_fit import rate_at

EVERY, PART = 5, 2048  # epochs between validations; rows scored together


def exact(library, problem):
    """(the flow, its density for training, its density at a tolerance)."""
    peer_library.sources(library)
    whole = peer_library_flow.LIBRARIES[library](problem)
    if library == "ffjord":
        def solved(x, tolerance):
            whole.exact.eval()
            whole.exact.test_rtol = whole.exact.test_atol = tolerance
            return whole.density(whole.exact, x)

        def train(x):
            whole.exact.train()
            return whole.density(whole.exact, x)
        return whole, train, solved

    whole.training.exact = True

    def solved(x, tolerance):
        whole.scoring.rtol = whole.scoring.atol = tolerance
        return whole.density(whole.scoring, x)
    return whole, lambda x: whole.density(whole.training, x), solved


def begin(whole, problem, seed):
    """Hidden layers as torch.nn.Linear begins, the last at 0, as in rheo: the flow is the identity."""
    flat, at, tensors = continuous.initial(problem, np.random.default_rng(seed)), 0, []
    for shape in continuous.shapes(problem):
        tensors.append(torch.from_numpy(flat[at:at + math.prod(shape)]).float().view(shape))
        at += math.prod(shape)
    tensors[-2].zero_()
    tensors[-1].zero_()
    with torch.no_grad():
        whole.take(tensors)
    return [p for linear in whole.linears for p in (linear.weight, linear.bias)] if hasattr(whole, "linears") else list(whole.model.parameters())


def scores(solved, x, tolerance):
    with torch.no_grad():
        return torch.cat([solved(part, tolerance).detach() for part in x.split(PART)]).double()


def cpu():
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def copy(parameters, values):
    with torch.no_grad():
        for parameter, value in zip(parameters, values):
            parameter.copy_(value)


def fit(request):
    recipe, problem = request["recipe"], request["problem"]
    torch.set_num_threads(request["threads"])
    torch.manual_seed(request["seed"])
    train, val, test = (np.load(request[part]).astype(np.float64) for part in ("train", "val", "test"))
    mean, std = train.mean(0), train.std(0)
    volume = -np.log(std).sum()
    train, val, test = (torch.from_numpy((part - mean) / std) for part in (train, val, test))
    train, val = train.float(), val.float()
    whole, density, solved = exact(request["library"], problem)
    parameters = begin(whole, problem, request["seed"])
    average = [p.detach().clone() for p in parameters]
    best, best_val, best_epoch = [a.clone() for a in average], -math.inf, 0
    optimizer = torch.optim.Adam(parameters, lr=recipe["lr"], betas=(0.9, recipe["beta2"]))
    steps_epoch = -(-len(train) // recipe["batch"])
    steps, step, calls, validating = steps_epoch * recipe["epochs"], 0, 0, 0.0
    began = cpu()
    for epoch in range(recipe["epochs"]):
        for rows in torch.randperm(len(train)).split(recipe["batch"]):
            optimizer.param_groups[0]["lr"] = rate_at(recipe, step, steps)
            optimizer.zero_grad(set_to_none=True)
            (-density(train[rows]).mean()).backward()
            torch.nn.utils.clip_grad_norm_(parameters, recipe["clip"])
            optimizer.step()
            step, calls = step + 1, calls + whole.calls()
            weight = 1 - min(recipe["ema"], step / (9 + step))
            with torch.no_grad():
                for a, p in zip(average, parameters):
                    a.lerp_(p, weight)
        if (epoch + 1) % EVERY and epoch + 1 < recipe["epochs"]:
            continue
        start, kept = cpu(), [p.detach().clone() for p in parameters]
        copy(parameters, average)
        score = scores(solved, val, continuous.TOLERANCE).mean().item() + volume
        copy(parameters, kept)
        whole.calls()
        validating += cpu() - start
        if score > best_val:
            best_val, best_epoch, best = score, epoch + 1, [a.clone() for a in average]
    seconds = cpu() - began
    copy(parameters, best)
    scores(solved, test[:PART].float(), continuous.TOLERANCE)
    evaluations = whole.calls()
    for module in [whole.model] + ([whole.exact] if hasattr(whole, "exact") else []):
        module.double()
    if hasattr(whole, "base"):
        whole.base = type(whole.base)(torch.zeros(problem["d"]).double(), torch.ones(problem["d"]).double())
    result = scores(solved, test, request["tight"]).numpy() + volume
    np.save(request["out"], result)
    return {"val": best_val, "test": float(result.mean()), "seconds": seconds, "validating": validating, "best_epoch": best_epoch, "steps": steps,
            "training_evaluations": calls / steps, "evaluations": evaluations, "parameters": sum(p.numel() for p in parameters)}


if __name__ == "__main__":
    print(json.dumps(fit(json.loads(sys.argv[1]))))
