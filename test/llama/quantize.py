"""llama.cpp's own quantization of a whole model, called from its prebuilt library: the oracle for the mixes of block types.

Usage: python3 quantize.py LIBRARIES < jobs, where LIBRARIES is the folder of libllama (llama.ts calls this). Jobs are JSON:
[{"input": "f32.gguf", "output": "q.gguf", "ftype": 15, "weights": {"blk.0.attn_q.weight": [1.0, ...]}}], with llama.h's number of a
mix, and {} for no importance matrix. The structs are those of the llama.h that node-llama-cpp 3.22.1 is built from. Needs nothing but
Python's standard library.
"""

import ctypes
import glob
import json
import os
import sys


class Entry(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("data", ctypes.POINTER(ctypes.c_float)), ("size", ctypes.c_size_t)]


class Parameters(ctypes.Structure):
    _fields_ = (
        [("threads", ctypes.c_int32), ("ftype", ctypes.c_int), ("output_type", ctypes.c_int), ("embedding_type", ctypes.c_int)]
        + [(name, ctypes.c_bool) for name in ("requantize", "quantize_output", "only_copy", "pure", "keep_split", "dry_run")]
        + [("imatrix", ctypes.POINTER(Entry))]
        + [(name, ctypes.c_void_p) for name in ("metadata", "tensor_types", "pruned")]
    )


def load(folder, name):
    (path,) = glob.glob(os.path.join(folder, name))
    return ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)


def entries(weights):
    rows = [(name.encode(), (ctypes.c_float * len(values))(*values)) for name, values in weights.items()]
    table = (Entry * (len(rows) + 1))()
    for i, (name, values) in enumerate(rows):
        table[i] = Entry(name, ctypes.cast(values, ctypes.POINTER(ctypes.c_float)), len(values))
    return table, rows


def quantize(llama, job):
    parameters = llama.llama_model_quantize_default_params()
    if (parameters.quantize_output, parameters.pure, parameters.dry_run) != (True, False, False):
        sys.exit("the parameters have another layout than this script knows")
    parameters.threads = 1
    parameters.ftype = job["ftype"]
    # `kept` owns the memory that the table points to.
    table, kept = entries(job["weights"])
    if kept:
        parameters.imatrix = table
    if llama.llama_model_quantize(job["input"].encode(), job["output"].encode(), ctypes.byref(parameters)) != 0:
        sys.exit(f"llama.cpp did not quantize {job['input']}")


def main():
    folder = sys.argv[1]
    load(folder, "libggml-base.so*")
    load(folder, "libggml.v*.so*")
    llama = load(folder, "libllama.v*.so*")
    llama.llama_model_quantize_default_params.restype = Parameters
    llama.llama_model_quantize.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(Parameters)]
    for job in json.load(sys.stdin):
        quantize(llama, job)


main()
