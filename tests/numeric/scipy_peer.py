#!/usr/bin/python3
"""Solutions by SciPy's solve_ivp, as numbers for tests/numeric/test_ode_scipy.c: tests/numeric/scipy_peer.py > tests/numeric/scipy_numbers.h

Equal steps: tolerances so loose that every step is taken, and max_step; the span is a power of two, so that the steps are exact. By tolerance:
rtol 1e-10, atol 1e-12."""
import math

import numpy as np
import scipy
from scipy.integrate import solve_ivp

STEPS, TIMES = 64, (0.7, 3.3, 8.1, 12.9, 15.95)


def predators(t, y):
    return [y[0] * (1.1 - 0.4 * y[1]), y[1] * (0.1 * y[0] - 0.4)]


def pendulum(t, y):
    return [y[1], -math.sin(y[0]) - 0.2 * y[1] + 0.9 * math.cos(0.7 * t)]


def kepler(t, y):
    r3 = (y[0] * y[0] + y[1] * y[1]) * math.sqrt(y[0] * y[0] + y[1] * y[1])
    return [y[2], y[3], -y[0] / r3, -y[1] / r3]


PROBLEMS = (("predators", predators, [10, 5], 0, 16), ("predators", predators, [10, 5], 16, 0), ("pendulum", pendulum, [0.3, 0], 0, 16), ("kepler", kepler, [0.7, 0, 0, 1.3], 0, 16))
METHODS = {"RK23": "BS32", "RK45": "DP54", "DOP853": "DOP853"}


def numbers(values):
    return ", ".join(repr(float(v)) for v in np.ravel(values))


def main():
    print("/* By tests/numeric/scipy_peer.py, SciPy %s. */" % scipy.__version__)
    print("/* clang-format off */")
    print("static const peer peers[] = {")
    for name, f, y0, t0, t1 in PROBLEMS:
        for method, ours in METHODS.items():
            h = abs(t1 - t0) / STEPS
            times = [t0 + (t1 - t0) / 16 * t for t in TIMES]
            equal = solve_ivp(f, (t0, t1), y0, method, first_step=h, max_step=h, rtol=1e30, atol=1e30, dense_output=True)
            assert len(equal.t) == STEPS + 1
            fine = solve_ivp(f, (t0, t1), y0, method, rtol=1e-10, atol=1e-12)
            print("  {%s, %d, RH_ODE_%s, %d, %d, {%s},\n   {%s},\n   {%s},\n   {%s}, %d}," % (name, len(y0), ours, t0, t1, numbers(y0), numbers(equal.y[:, -1]), numbers(equal.sol(times).T), numbers(fine.y[:, -1]), fine.nfev))
    print("};\n/* clang-format on */")


if __name__ == "__main__":
    main()
