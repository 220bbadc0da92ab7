#!/usr/bin/env python3
"""Are samples of a model of MNIST digits? For each temperature: the share of samples of which 10 nearest neighbours among MNIST's training images give one
digit at least 9 votes, beside that of MNIST's test images. Debian's python3-sklearn.

    bench/digits.py MODEL --data FOLDER [--count 1000] [--temperatures 0.7,0.8,0.9,1] [--rheo build/rheo]
"""
import argparse
import gzip
import os
import subprocess
import tempfile

import numpy as np
from sklearn.neighbors import NearestNeighbors

NEIGHBOURS, VOTES = 10, 9


def read(folder, name, header):
    with gzip.open(os.path.join(folder, name)) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def agreed(search, labels, images):
    """The share whose neighbours agree, and how many of each digit."""
    near = labels[search.kneighbors(images.reshape(len(images), -1).astype(np.float32), return_distance=False)]
    votes = np.stack([(near == digit).sum(1) for digit in range(10)], 1)
    return (votes.max(1) >= VOTES).mean(), np.bincount(votes.argmax(1), minlength=10)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--temperatures", default="0.7,0.8,0.9,1")
    parser.add_argument("--rheo", default="build/rheo")
    options = parser.parse_args()
    train = read(options.data, "train-images-idx3-ubyte.gz", 16).reshape(-1, 784).astype(np.float32)
    labels = read(options.data, "train-labels-idx1-ubyte.gz", 8)
    test = read(options.data, "t10k-images-idx3-ubyte.gz", 16).reshape(-1, 784)[:options.count]
    search = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute").fit(train)
    print("MNIST's test images: %.3f, by digit %s" % agreed(search, labels, test))
    with tempfile.TemporaryDirectory() as folder:
        drawn = os.path.join(folder, "samples.npy")
        for temperature in options.temperatures.split(","):
            subprocess.run([options.rheo, "sample", options.model, "-n", str(options.count), "--temperature", temperature, "-o", drawn], check=True,
                           stdout=subprocess.DEVNULL)
            print("temperature %s: %%.3f, by digit %%s" % temperature % agreed(search, labels, np.load(drawn)))


if __name__ == "__main__":
    main()
