"""ggml's own block quantisation, called from llama.cpp's prebuilt library: the oracle for block decoders.

Usage: python3 ggml.py LIBRARY < request > reply, where LIBRARY is libggml-base.so (llama.ts calls this).
A request is one JSON line {"do": "quantize" | "dequantize", "type": "Q4_K", "columns": N, "weighted": false}, then the raw bytes:
float32 values to quantize (rows of N; where weighted, N importance weights before them), or blocks to dequantize. The reply is the
raw result. Needs nothing but Python's standard library.
"""

import ctypes
import json
import sys

# ggml.h, enum ggml_type: type -> (id, values a block, bytes a block)
TYPES = {
    "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20), "Q5_0": (6, 32, 22), "Q5_1": (7, 32, 24), "Q8_0": (8, 32, 34),
    "Q2_K": (10, 256, 84), "Q3_K": (11, 256, 110), "Q4_K": (12, 256, 144), "Q5_K": (13, 256, 176), "Q6_K": (14, 256, 210),
    "IQ4_NL": (20, 32, 18), "IQ4_XS": (23, 256, 136),
}


def main():
    library = ctypes.CDLL(sys.argv[1])
    request = json.loads(sys.stdin.buffer.readline())
    data = sys.stdin.buffer.read()
    number, block_values, block_bytes = TYPES[request["type"]]
    if request["do"] == "quantize":
        weights = None
        if request.get("weighted"):
            weights, data = data[: 4 * request["columns"]], data[4 * request["columns"] :]
        rows = len(data) // 4 // request["columns"]
        result = ctypes.create_string_buffer(len(data) // 4 // block_values * block_bytes)
        quantize = library.ggml_quantize_chunk
        quantize.restype = ctypes.c_size_t
        quantize.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_char_p]
        written = quantize(number, data, result, 0, rows, request["columns"], weights)
        if written != len(result):
            sys.exit(f"ggml wrote {written} bytes instead of {len(result)}")
    else:
        values = len(data) // block_bytes * block_values
        result = ctypes.create_string_buffer(values * 4)
        dequantize = library["dequantize_row_" + request["type"].lower().replace("_k", "_K")]
        dequantize.restype = None
        dequantize.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int64]
        dequantize(data, result, values)
    sys.stdout.buffer.write(result.raw)


main()
