#!/usr/bin/python3
"""A continuous flow of a library (peer_library_flow.py: ffjord, zuko) fitted to a table for bench/tables.py: peer_flow_fit.py JSON, one line of JSON back.

Request: train, val, test, out (files), library, field (d apart, what peer_library_flow.py reads of a problem), seconds, seed, threads, lr, batch. Columns are standardized by the training rows; Adam, linear
warm-up, then half a cosine down to a hundredth of the rate over `seconds` of the process's CPU time; clip by global norm; an average of the parameters is what is validated, 10 times, by the exact trace, and the best of
these is kept. Validation counts in `seconds` as little as the test: exact traces take libraries long. Training estimates the trace, as the libraries do."""
import json
import math
import sys
import time

import numpy as np
import torch

import peer_library
import peer_library_flow

WARMUP, CLIP, AVERAGE, FLOOR, VALIDATIONS, ROWS = 100, 5.0, 0.999, 0.01, 10, 1000


def score(flow, x):
    """Log-densities [n], and the evaluations of the field that the batches of ROWS took, as they count them: mean over the batches."""
    found, calls = [], []
    with torch.no_grad():
        for part in x.split(ROWS):
            found.append(flow.log_prob(part).double())
            calls.append(flow.calls())
    return torch.cat(found).numpy(), float(np.mean(calls))


def swap(parameters, values):
    with torch.no_grad():
        for parameter, value in zip(parameters, values):
            kept = parameter.clone()
            parameter.copy_(value)
            value.copy_(kept)


def rate_at(request, step, spent):
    rise = (step + 1) / (WARMUP + 1) if step < WARMUP else 1
    return request["lr"] * rise * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * min(1.0, spent / request["seconds"]))))


class Training:
    def __init__(self, request, train):
        self.request, self.rows, self.order = request, train, iter(())
        self.flow = peer_library_flow.LIBRARIES[request["library"]](dict(request["field"], d=train.shape[1]))
        self.parameters = [p for p in self.flow.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.parameters, betas=(0.9, 0.99))
        self.average = [p.detach().clone() for p in self.parameters]
        self.steps = self.skipped = self.calls = 0

    def batch(self):
        rows = next(self.order, None)
        if rows is None:
            self.order = iter(torch.randperm(len(self.rows)).split(self.request["batch"]))
            rows = next(self.order)
        return self.rows[rows]

    def step(self, spent):
        self.optimizer.param_groups[0]["lr"] = rate_at(self.request, self.steps, spent)
        self.optimizer.zero_grad()
        loss = -self.flow.train_log_prob(self.batch()).mean()
        loss.backward()
        self.calls += self.flow.calls()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, CLIP)
        self.steps += 1
        if not (math.isfinite(loss.item()) and math.isfinite(norm.item())):
            self.skipped += 1
            return
        self.optimizer.step()
        with torch.no_grad():
            for average, parameter in zip(self.average, self.parameters):
                average.lerp_(parameter, 1 - min(AVERAGE, self.steps / (9 + self.steps)))


def fit(request):
    torch.set_num_threads(request["threads"])
    torch.manual_seed(request["seed"])
    peer_library.sources(request["library"])
    train, val, test = (np.load(request[part]).astype(np.float64) for part in ("train", "val", "test"))
    mean, std = train.mean(0), train.std(0)
    volume = -np.log(std).sum()
    train, val, test = (torch.from_numpy(((part - mean) / std).astype(np.float32)) for part in (train, val, test))
    t = Training(request, train)
    best_val, best_step, best, spent, due = -math.inf, 0, [p.clone() for p in t.average], 0.0, 1
    while spent < request["seconds"]:
        began = time.process_time()
        t.step(spent)
        spent += time.process_time() - began
        if spent * VALIDATIONS < request["seconds"] * due:
            continue
        due = math.floor(spent * VALIDATIONS / request["seconds"]) + 1
        swap(t.parameters, t.average)
        value = score(t.flow, val)[0].mean() + volume
        swap(t.parameters, t.average)
        if value > best_val:
            best_val, best_step, best = value, t.steps, [p.clone() for p in t.average]
    swap(t.parameters, best)
    result, calls = score(t.flow, test)
    np.save(request["out"], result + volume)
    epoch = len(train) / request["batch"]
    return {"val": best_val, "seconds": spent, "steps": t.steps, "skipped": t.skipped, "epochs": t.steps / epoch, "best_epoch": best_step / epoch, "evaluations": calls,
            "training_evaluations": t.calls / t.steps, "parameters": sum(p.numel() for p in t.parameters)}


if __name__ == "__main__":
    print(json.dumps(fit(json.loads(sys.argv[1]))))
