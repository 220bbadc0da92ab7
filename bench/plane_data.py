"""Five densities of two columns, as rows and as what they are: the toy data of Grathwohl et al. 2019 (FFJORD, section 4.1), drawn as their program draws them, but that angles along rings and
moons are independent and uniform there and here, and not evenly spaced. So each has a density that can be computed, and a flow a ceiling: the mean of its logarithm."""
import math

import numpy as np

LOG_2_PI = math.log(2 * math.pi)


def log_mean_exp(x, axis):
    most = x.max(axis, keepdims=True)
    return np.squeeze(most, axis) + np.log(np.exp(x - most).mean(axis))


def normal_around(rows, centres, deviation):
    """Log-density of an even mixture of round normals. rows: [n, 2]; centres: [m, 2]."""
    parts = [-0.5 * ((part[:, None] - centres) ** 2).sum(2) / deviation ** 2 for part in np.array_split(rows, max(1, len(rows) // 500))]
    return np.concatenate([log_mean_exp(part, 1) for part in parts]) - LOG_2_PI - 2 * math.log(deviation)


class EightGaussians:
    """On a circle of radius 4, standard deviation 0.5, all over 1.414."""
    angles = np.arange(8) * (math.pi / 4)
    centres, deviation = 4 / 1.414 * np.stack([np.cos(angles), np.sin(angles)], 1), 0.5 / 1.414

    def rows(self, rng, n):
        return self.centres[rng.integers(0, 8, n)] + self.deviation * rng.standard_normal((n, 2))

    def log_density(self, x):
        return normal_around(x, self.centres, self.deviation)


class Pinwheel:
    """Five normals with deviations 0.3 along an arm and 0.1 across it, a from the middle of 1, each point turned by 2 pi k / 5 + e^a / 4; doubled."""
    arms, spread, bend = np.arange(5) * (2 * math.pi / 5), np.array([0.3, 0.1]), 0.25

    def rows(self, rng, n):
        point = rng.standard_normal((n, 2)) * self.spread + [1, 0]
        angle = self.arms[rng.integers(0, 5, n)] + self.bend * np.exp(point[:, 0])
        cos, sin = np.cos(angle), np.sin(angle)
        return 2 * np.stack([point[:, 0] * cos - point[:, 1] * sin, point[:, 0] * sin + point[:, 1] * cos], 1)

    def unbent(self, y, arm, a):
        """What y is in an arm's own axes, if it was turned as points at a are."""
        angle = arm + self.bend * np.exp(a)
        cos, sin = np.cos(angle), np.sin(angle)
        return y[:, 0] * cos + y[:, 1] * sin, y[:, 1] * cos - y[:, 0] * sin

    def log_density(self, x):
        """The points of an arm that come to y have a = (y turned back as at a)_1: all roots, each over |det| = |1 - b e^a / 4|."""
        y, total = x / 2, np.zeros(len(x))
        grid = np.linspace(-1.2, 3.2, 401)  # 7 deviations and more on both sides of 1
        for arm in self.arms:
            h = None
            for low, high in zip(grid - (grid[1] - grid[0]), grid):
                g, h = h, high - self.unbent(y, arm, high)[0]
                if g is None:
                    continue
                at = np.nonzero((g < 0) != (h < 0))[0]
                a = low + (high - low) * g[at] / (g[at] - h[at])
                for _ in range(3):  # Newton's: d/da (y turned back)_1 = b e^a / 4
                    first, b = self.unbent(y[at], arm, a)
                    a = a - (a - first) / (1 - b * self.bend * np.exp(a))
                b = self.unbent(y[at], arm, a)[1]
                z = (a - 1) ** 2 / self.spread[0] ** 2 + b ** 2 / self.spread[1] ** 2
                total[at] += np.exp(-0.5 * z) / np.abs(1 - b * self.bend * np.exp(a))
        with np.errstate(divide="ignore"):
            return np.log(total / 5) - LOG_2_PI - np.log(self.spread).sum() - math.log(4)


class Rings:
    """Circles of radii 3, 2.25, 1.5, 0.75, equally likely, and noise of deviation 0.08."""
    radii, deviation = 3 * np.array([1, 0.75, 0.5, 0.25]), 0.08

    def rows(self, rng, n):
        radius, angle = self.radii[rng.integers(0, 4, n)], rng.uniform(0, 2 * math.pi, n)
        return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1) + self.deviation * rng.standard_normal((n, 2))

    def log_density(self, x):
        """A normal's mean over a circle: exp(-(r^2 + R^2) / 2 s^2) I0(r R / s^2) / (2 pi s^2)."""
        from scipy.special import i0e
        r = np.hypot(x[:, 0], x[:, 1])[:, None]
        parts = -0.5 * (r - self.radii) ** 2 / self.deviation ** 2 + np.log(i0e(r * self.radii / self.deviation ** 2))
        return log_mean_exp(parts, 1) - LOG_2_PI - 2 * math.log(self.deviation)


class Checkerboard:
    """Uniform on eight squares with sides of 2."""

    def rows(self, rng, n):
        x = rng.uniform(-2, 2, n)
        y = rng.random(n) - 2 * rng.integers(0, 2, n) + np.floor(x) % 2
        return 2 * np.stack([x, y], 1)

    def log_density(self, x):
        column, line = np.floor(x / 2).T
        inside = (np.abs(x) < 4).all(1) & ((line - column) % 2 == 0)
        return np.where(inside, -math.log(32), -np.inf)


class TwoMoons:
    """Half circles with noise of deviation 0.1 (scikit-learn's make_moons), doubled and moved by (-1, -0.2)."""
    deviation = 0.2

    def arcs(self, angle, lower):
        upper = np.stack([np.cos(angle), np.sin(angle)], 1)
        return 2 * np.where(lower[:, None], [1, 0.5] - upper, upper) + [-1, -0.2]

    def rows(self, rng, n):
        return self.arcs(rng.uniform(0, math.pi, n), rng.random(n) < 0.5) + self.deviation * rng.standard_normal((n, 2))

    def log_density(self, x):
        """The arcs in 200 steps each, far shorter than the noise."""
        angle = np.tile((np.arange(200) + 0.5) * (math.pi / 200), 2)
        return normal_around(x, self.arcs(angle, np.arange(400) < 200), self.deviation)


DENSITIES = {"eight-gaussians": EightGaussians(), "pinwheel": Pinwheel(), "rings": Rings(), "checkerboard": Checkerboard(), "two-moons": TwoMoons()}


def self_check(side=600, reach=6):
    """(name, mass on a grid, mean log-density of 20,000 rows less that of the grid): 1 and 0 if rows and density belong together."""
    middle = (np.arange(side) + 0.5) * (2 * reach / side) - reach
    grid = np.stack(np.meshgrid(middle, middle), -1).reshape(-1, 2)
    for name, density in DENSITIES.items():
        with np.errstate(divide="ignore", invalid="ignore"):
            log_p = density.log_density(grid)
            p = np.exp(log_p) * (2 * reach / side) ** 2
            entropy = np.nansum(p * np.where(p > 0, log_p, 0))
        yield name, p.sum(), density.log_density(density.rows(np.random.default_rng(0), 20000)).mean() - entropy
