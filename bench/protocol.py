"""A worker: a process that reads commands, one a line, and answers each with one line, "ok VALUE" or "error WHY"; setup also "absent WHY", where
a library has no such problem.

  ready              "ok" as soon as the process runs
  setup JSON         build the problem with "threads" threads; "ok PARAMETERS"
  weights FILE       take these parameters: raw little-endian float32 in the order of problems.shapes
  data FILE          take these training rows: raw float32 [n, d]
  tune SECONDS       a peer may time its variants and keep the fastest of each work; "ok" and, in JSON,
                     {WORK: [best milliseconds, words]}, where there is something to tune
  train N            N optimizer steps: "ok WALL CPU", milliseconds of one: on the clock, and of the process's CPU time
  log_prob N, sample N   N calls on the problem's "rows" rows, or of "draws" samples: likewise
  prepare FILE       of a continuous flow: the training steps that come before all else, from the problem's initial weights; writes the weights
  evaluations        of a continuous flow: one call of each work; "ok" and, in JSON, {WORK: evaluations of the field}. Of peers, whose rows have one step size: [forward], [forward, backward], or with a third number if
                     an evaluation backward takes not 3 times the products of one forward;
                     of rheo, whose rows have their own: {"forward": sum, "backward": sum, "mean": forward a row, "max": forward a row}
  sample1 N          N calls of one sample each: "ok MEDIAN P99", milliseconds
  logp IN OUT        log-densities of the rows in IN (raw float32 [n, d]) to OUT (raw float64 [n])
  quit
bench/worker.c speaks the same protocol for rheo, and also answers memory: the training plan's bytes as JSON.
"""
import json
import sys
import time


class Absent(Exception):
    """The library has no such problem."""


def timed(call, times):
    start, busy = time.perf_counter(), time.process_time()
    for _ in range(times):
        call()
    return "%.6f %.6f" % ((time.perf_counter() - start) * 1e3 / times, (time.process_time() - busy) * 1e3 / times)


class Model:
    """What a peer implements; serve() drives it."""

    def setup(self, problem):
        raise NotImplementedError

    def weights(self, path):
        raise NotImplementedError

    def data(self, path):
        raise NotImplementedError

    def healthy(self):
        """Raises if the state is no longer that of a sound run."""

    def tune(self, seconds):
        return "{}"

    def train(self):
        raise NotImplementedError

    def log_prob(self):
        raise NotImplementedError

    def sample(self):
        raise NotImplementedError

    def prepare(self, path):
        raise NotImplementedError

    def evaluations(self):
        raise NotImplementedError

    def sample1(self, times):
        raise NotImplementedError

    def logp(self, source, target):
        raise NotImplementedError


def answer(model, command, rest):
    if command == "ready":
        return None
    if command == "setup":
        return model.setup(json.loads(rest))
    if command in ("weights", "data", "prepare"):
        return getattr(model, command)(rest)
    if command == "tune":
        return model.tune(float(rest))
    if command in ("train", "log_prob", "sample"):
        spent = timed(getattr(model, command), int(rest))
        model.healthy()  # outside the timed part
        return spent
    if command == "evaluations":
        return model.evaluations()
    if command == "sample1":
        return model.sample1(int(rest))
    if command == "logp":
        return model.logp(*rest.split(" "))
    raise ValueError("unknown command '%s'" % command)


def serve(make):
    """make(problem): the model for it."""
    model = Model()
    for line in sys.stdin:
        command, _, rest = line.rstrip("\n").partition(" ")
        if command == "quit":
            return
        try:
            if command == "setup":
                model = make(json.loads(rest))
            value = answer(model, command, rest)
            print("ok", "" if value is None else value, flush=True)
        except Absent as problem:
            print("absent", problem, flush=True)
        except Exception as problem:  # the driver prints it and stops
            print("error", " ".join(("%s: %s" % (type(problem).__name__, problem)).split()), flush=True)
