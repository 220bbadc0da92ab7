"""Who takes part, how each is started, and the process that speaks the protocol with it."""
import ctypes
import glob
import os
import select
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
PATIENCE = 300  # seconds without an answer


class Failure(Exception):
    pass


class Absent(Failure):
    """The peer has no such problem."""


def cpu_flags():
    try:
        with open("/proc/cpuinfo") as file:
            return set(next((line.split(":")[1] for line in file if line.startswith("flags")), "").split())
    except OSError:
        return set()


def torch_environments(threads):
    """PyTorch's fair settings (Debian's torch uses OpenBLAS): kernels of the CPU's own level, where several could serve each is tried; the
    OpenMP build of OpenBLAS, since the pthread one fights torch's threads; one thread a core."""
    blas = sorted(glob.glob("/usr/lib/*/openblas-openmp"))
    if not blas:
        raise Failure("the OpenMP build of OpenBLAS is missing, without it PyTorch is several times slower: apt install libopenblas0-openmp")
    common = {"LD_LIBRARY_PATH": ":".join(filter(None, [blas[0], os.environ.get("LD_LIBRARY_PATH")])), "OMP_NUM_THREADS": str(threads)}
    if threads > 1:
        common["OMP_PROC_BIND"] = "true"
    flags = cpu_flags()
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= flags:
        common["ATEN_CPU_CAPABILITY"] = "avx512"
        return [dict(common, OPENBLAS_CORETYPE="SKYLAKEX"), dict(common, OPENBLAS_CORETYPE="HASWELL")]
    if {"avx2", "fma"} <= flags:
        return [dict(common, OPENBLAS_CORETYPE="HASWELL", ATEN_CPU_CAPABILITY="avx2")]
    return [common]


def plain_environments(_threads):
    return [{}]


def python(script, *words):
    return lambda build: ["/usr/bin/python3", os.path.join(HERE, script), *words]


# name -> (command line, environments to try)
PEERS = {
    "rheo": (lambda build: [os.path.join(build, "rheo-bench")], plain_environments),
    "torch": (python("peer_torch.py"), torch_environments),
    "torch-swept": (python("peer_torch.py", "--swept"), torch_environments),
    "torch-closed": (python("peer_torch.py", "--closed"), torch_environments),
    "torch-plain": (python("peer_torch.py", "--plain"), torch_environments),
    "numpy": (python("peer_numpy.py"), plain_environments),
}
# Libraries have own parametrizations: their weights are their own (but of continuous flows). NAME-last: the same in torch's channels-last format.
LIBRARIES = {"zuko": (), "nflows": (), "normflows": (), "FrEIA": (), "ffjord": (), "normflows-last": ("--channels-last",), "FrEIA-last": ("--channels-last",)}
PEERS.update({name: (python("peer_library.py", name.replace("-last", ""), *words), torch_environments) for name, words in LIBRARIES.items()})


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a stopped worker must not outlive a killed driver


class Worker:
    """One process. It is stopped while another's turn runs, so that no waiting thread of it spins on a core."""

    renewal = None  # weights to take before every turn: what a call of a continuous flow costs depends on them
    spent = {}      # what it says of its evaluations, by work

    def __init__(self, name, build, environment):
        self.name, self.environment = name, environment
        command = PEERS[name][0](build)
        if not os.path.exists(command[0]):
            raise Failure("%s is missing: build the project first (cmake --preset release -B build && cmake --build build)" % command[0])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
                                        env=dict(os.environ, **environment), preexec_fn=die_with_parent)
        self.pending = b""

    def ask(self, *words):
        line = " ".join(str(word) for word in words)
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
            reply = self.read_line()
        except BrokenPipeError:
            reply = ""
        head, _, value = reply.partition(" ")
        if head == "absent":
            raise Absent("%s: %s" % (self.name, value))
        if head != "ok":
            raise Failure("%s: '%s': %s" % (self.name, line[:60], value or "the process ended (its own words are above)"))
        return value

    def read_line(self):
        end = time.monotonic() + PATIENCE
        while b"\n" not in self.pending:
            if not select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                raise Failure("%s: no answer within %d s" % (self.name, PATIENCE))
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                return ""
            self.pending += piece
        line, _, self.pending = self.pending.partition(b"\n")
        return line.decode()

    def turn(self, work, times, clock="wall"):
        """Milliseconds of one call: woken, warmed by one call, timed, stopped again."""
        self.wake()
        if self.renewal:
            self.ask("weights", self.renewal)
        self.ask(work, 1)
        spent = self.ask(work, times).split()
        self.pause()
        return float(spent[0 if clock == "wall" else 1])

    def wake(self):
        self.process.send_signal(signal.SIGCONT)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def forget_peak(self):
        try:
            with open("/proc/%d/clear_refs" % self.process.pid, "w") as file:
                file.write("5")
        except OSError:
            pass  # then the peak is that of the whole life

    def peak_mb(self):
        return self.status_mb("VmHWM:")

    def resident_mb(self):
        return self.status_mb("VmRSS:")

    def status_mb(self, key):
        with open("/proc/%d/status" % self.process.pid) as file:
            for line in file:
                if line.startswith(key):
                    return int(line.split()[1]) / 1024
        return float("nan")

    def close(self):
        try:
            self.wake()
            self.process.stdin.close()
            self.process.wait(timeout=5)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()


def say(*words):
    print(*words, file=sys.stderr, flush=True)
