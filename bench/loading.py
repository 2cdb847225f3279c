"""Reads the tensors of a model's blocks and widens them from bfloat16 to float32 with numpy; the other side of the pairs in
parts/loading.ts.

Reads one request a line, `load FILE …` with every .safetensors file of a checkpoint, and answers with the seconds it took."""
import json
import sys
import time

import numpy


def load(path):
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        infos = json.loads(file.read(length))
        for name, info in infos.items():
            if not name.startswith("model.layers."):
                continue
            begin, end = info["data_offsets"]
            file.seek(8 + length + begin)
            halves = numpy.frombuffer(file.read(end - begin), numpy.uint16)
            wide = numpy.empty(halves.shape, numpy.uint32)
            numpy.left_shift(halves, 16, out=wide, dtype=numpy.uint32)
            wide.view(numpy.float32)


for line in sys.stdin:
    start = time.perf_counter()
    for path in line.split()[1:]:
        load(path)
    print(time.perf_counter() - start, flush=True)
