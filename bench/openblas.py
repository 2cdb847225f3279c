"""Times x · Wᵀ in float32 on whatever BLAS numpy uses, and in torch; the other sides of the pairs in parts/matrix-products.ts.

Reads one request a line and answers with one line:
  blas                  the libraries that are loaded
  shape ROWS IN OUT     makes x [ROWS, IN] and W [OUT, IN]
  run COUNT             seconds that COUNT products took
  torch THREADS         torch's version, or "none"; from then on shapes are made for it as well
  run-torch COUNT       seconds that COUNT products took in torch
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
torch = torch_x = torch_w = None
for line in sys.stdin:
    command, *numbers = line.split()
    if command == "blas":
        print(loaded_libraries(), flush=True)
    elif command == "shape":
        rows, inner, columns = map(int, numbers)
        x = random.random((rows, inner), dtype=numpy.float32) - 0.5
        w = random.random((columns, inner), dtype=numpy.float32) - 0.5
        if torch is not None:
            torch_x, torch_w = torch.from_numpy(x), torch.from_numpy(w)
        print("ready", flush=True)
    elif command == "torch":
        try:
            import torch

            torch.set_num_threads(int(numbers[0]))
            torch.set_grad_enabled(False)
            print(torch.__version__, flush=True)
        except ImportError:
            print("none", flush=True)
    elif command == "run-torch":
        start = time.perf_counter()
        for _ in range(int(numbers[0])):
            product = torch.nn.functional.linear(torch_x, torch_w)
        print(time.perf_counter() - start, flush=True)
    elif command == "run":
        start = time.perf_counter()
        for _ in range(int(numbers[0])):
            product = x @ w.T
        print(time.perf_counter() - start, flush=True)
