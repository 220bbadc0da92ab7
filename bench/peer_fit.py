#!/usr/bin/python3
"""A PyTorch flow (RealNVP, MAF, NSF; see problems.py) fitted to a table by the recipe that bench/quality.py gives both sides: peer_fit.py JSON, one line of JSON back.

Recipe: columns standardized by the training rows; Adam; linear warm-up, then half a cosine down to lr * lr_floor; clip by global norm; an
average of the parameters (ema, which forgets its start) is what is validated and kept; batches in a new random order each epoch; the best
epoch by validation. "init" is "default" (torch.nn.Linear's, the scale of which is rheo's too) or "he" (variance kept through relu layers); last layers start at 0."""
import json
import math
import sys
import time

import numpy as np
import torch

import peer_torch
import problems


def rate_at(recipe, step, steps):
    warmup = min(recipe["warmup"], steps // 10)
    rise = (step + 1) / (warmup + 1) if step < warmup else 1
    done = max(0.0, (step / steps - warmup / steps) / (1 - warmup / steps))
    floor = recipe["lr_floor"]
    return recipe["lr"] * rise * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done)))


def mean_log_prob(flow, tensors, x):
    with torch.no_grad():
        return torch.cat([flow.log_prob(peer_torch.dense_layer, tensors, part) for part in x.split(4096)])


@torch.no_grad()
def start(model, init):
    for at in range(0, len(model.plain), 2):
        weight, bias = model.plain[at:at + 2]
        limit = 1 / math.sqrt(weight.shape[1])
        if at // 2 % model.flow.linears == model.flow.linears - 1:
            weight.zero_()
            bias.zero_()
        else:
            weight.normal_(0, math.sqrt(2) * limit) if init == "he" else weight.uniform_(-limit, limit)
            bias.uniform_(-limit, limit)
    model.hide()


def fit(request):
    recipe, problem = request["recipe"], request["problem"]
    torch.set_num_threads(request["threads"])
    train, val, test = (np.load(request[part]).astype(np.float64) for part in ("train", "val", "test"))
    mean, std = train.mean(0), train.std(0)
    volume = -np.log(std).sum()
    train, val, test = (torch.from_numpy(((part - mean) / std).astype(np.float32)) for part in (train, val, test))
    model = peer_torch.Torch()
    model.setup(dict(problem, threads=request["threads"]))
    flow, flat, tensors = model.flow, model.w, model.tensors
    torch.manual_seed(request["seed"])
    start(model, request["init"])
    average, best = flat.clone(), flat.clone()
    optimizer = peer_torch.FlatAdam(flat, tensors, model.shapes, recipe["lr"], recipe["beta2"])
    averaged = peer_torch.views(average, model.shapes)
    steps_epoch = -(-len(train) // recipe["batch"])
    steps, step, best_val, best_epoch, began = steps_epoch * recipe["epochs"], 0, -math.inf, 0, time.perf_counter()
    for epoch in range(recipe["epochs"]):
        for rows in torch.randperm(len(train)).split(recipe["batch"]):
            optimizer.zero()
            flow.loss(peer_torch.dense_layer, tensors, train[rows]).backward()
            optimizer.hide()
            norm = optimizer.g.norm().item()
            if math.isfinite(norm):
                if norm > recipe["clip"]:
                    optimizer.g.mul_(recipe["clip"] / norm)
                optimizer.rate = rate_at(recipe, step, steps)
                optimizer.step()
                with torch.no_grad():
                    average.lerp_(flat, 1 - min(recipe["ema"], optimizer.t / (9 + optimizer.t)))
            step += 1
        score = mean_log_prob(flow, averaged, val).double().mean().item() + volume
        if score > best_val:
            best_val, best_epoch = score, epoch + 1
            with torch.no_grad():
                best.copy_(average)
    seconds = time.perf_counter() - began
    result = mean_log_prob(flow, peer_torch.views(best, model.shapes), test).double().numpy() + volume
    np.save(request["out"], result)
    return {"val": best_val, "test": float(result.mean()), "seconds": seconds, "best_epoch": best_epoch, "parameters": problems.parameters(problem)}


if __name__ == "__main__":
    print(json.dumps(fit(json.loads(sys.argv[1]))))
