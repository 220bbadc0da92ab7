#!/usr/bin/env python3
"""Are samples of a model of MNIST digits? For each temperature: the share of samples of which 10 nearest neighbours among MNIST's training images give one
digit at least 9 votes, beside that of MNIST's test images. Debian's python3-sklearn.

    bench/digits.py MODEL --data FOLDER [--count 1000] [--classes] [--temperatures 0.7,0.8,0.9,1] [--rheo build/rheo]

--classes: of a model of images given their class, as many of each class; then also how many are of the class that was asked for.
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


def agreed(search, labels, images, asked=None):
    """The share whose neighbours agree, how many of each digit, and the share that is of the class asked for."""
    near = labels[search.kneighbors(images.reshape(len(images), -1).astype(np.float32), return_distance=False)]
    votes = np.stack([(near == digit).sum(1) for digit in range(10)], 1)
    text = "%.3f, by digit %s" % ((votes.max(1) >= VOTES).mean(), np.bincount(votes.argmax(1), minlength=10))
    return text if asked is None else text + ", %.3f as asked" % (votes.argmax(1) == asked).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--classes", action="store_true")
    parser.add_argument("--temperatures", default="0.7,0.8,0.9,1")
    parser.add_argument("--rheo", default="build/rheo")
    options = parser.parse_args()
    train = read(options.data, "train-images-idx3-ubyte.gz", 16).reshape(-1, 784).astype(np.float32)
    labels = read(options.data, "train-labels-idx1-ubyte.gz", 8)
    test = read(options.data, "t10k-images-idx3-ubyte.gz", 16).reshape(-1, 784)[:options.count]
    search = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute").fit(train)
    print("MNIST's test images:", agreed(search, labels, test))
    with tempfile.TemporaryDirectory() as folder:
        drawn = os.path.join(folder, "samples.npy")
        for temperature in options.temperatures.split(","):
            each = options.count // 10
            which = ["--class", "all", "-n", str(each)] if options.classes else ["-n", str(options.count)]
            subprocess.run([options.rheo, "sample", options.model, *which, "--temperature", temperature, "-o", drawn], check=True, stdout=subprocess.DEVNULL)
            print("temperature %s:" % temperature, agreed(search, labels, np.load(drawn), np.repeat(np.arange(10), each) if options.classes else None))


if __name__ == "__main__":
    main()
