"""Times x · Wᵀ in float32 on whatever BLAS numpy uses; the other side of the pairs in parts/matrix-products.ts.

Reads one request a line and answers with one line:
  blas                  the libraries that are loaded
  shape ROWS IN OUT     makes x [ROWS, IN] and W [OUT, IN]
  run COUNT             seconds that COUNT products took
"""
import sys
import time

import numpy


def loaded_libraries():
    with open("/proc/self/maps") as maps:
        names = {line.split()[-1].rsplit("/", 1)[-1] for line in maps if "blas" in line}
    return " ".join(sorted(names))


random = numpy.random.default_rng(1)
x = w = None
for line in sys.stdin:
    command, *numbers = line.split()
    if command == "blas":
        print(loaded_libraries(), flush=True)
    elif command == "shape":
        rows, inner, columns = map(int, numbers)
        x = random.random((rows, inner), dtype=numpy.float32) - 0.5
        w = random.random((columns, inner), dtype=numpy.float32) - 0.5
        print("ready", flush=True)
    elif command == "run":
        start = time.perf_counter()
        for _ in range(int(numbers[0])):
            product = x @ w.T
        print(time.perf_counter() - start, flush=True)
