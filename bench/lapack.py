"""LAPACK's factors and eigenvectors through numpy: `lapack.py SIZE...` prints one JSON line a size, processor seconds of this process."""
import json
import sys
import time

import numpy


def seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start


for size in map(int, sys.argv[1:]):
    random = numpy.random.default_rng(size).standard_normal((size, 2 * size))
    gram = random @ random.T
    gram += 0.01 * numpy.mean(numpy.diag(gram)) * numpy.eye(size)
    factor = seconds(lambda: numpy.linalg.cholesky(numpy.linalg.inv(gram)))
    eigen = seconds(lambda: numpy.linalg.eigh(gram)) if size <= 2048 else None
    print(json.dumps({"size": size, "factor": factor, "eigen": eigen}), flush=True)
