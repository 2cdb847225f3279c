"""What llama.cpp's own reader (gguf_init_from_file) says of each GGUF file named on standard input, one a line.

Usage: python3 gguf-verdicts.py LIBRARY < names > verdicts, where LIBRARY is libggml-base.so. Each verdict is a line: "refused",
"crashed", or "accepted" with the JSON of [name, first byte in the file, bytes] of each tensor. A file is read in a process of
its own, as some make the library abort.
"""

import ctypes
import json
import os
import sys


class Params(ctypes.Structure):
    _fields_ = [("no_alloc", ctypes.c_bool), ("ctx", ctypes.c_void_p)]


def bind(library):
    for name, result, arguments in [
        ("gguf_init_from_file", ctypes.c_void_p, [ctypes.c_char_p, Params]),
        ("gguf_get_n_tensors", ctypes.c_int64, [ctypes.c_void_p]),
        ("gguf_get_data_offset", ctypes.c_size_t, [ctypes.c_void_p]),
        ("gguf_get_tensor_name", ctypes.c_char_p, [ctypes.c_void_p, ctypes.c_int64]),
        ("gguf_get_tensor_offset", ctypes.c_size_t, [ctypes.c_void_p, ctypes.c_int64]),
        ("gguf_get_tensor_size", ctypes.c_size_t, [ctypes.c_void_p, ctypes.c_int64]),
    ]:
        function = library[name]
        function.restype = result
        function.argtypes = arguments
        setattr(library, name, function)


def verdict(library, file):
    context = library.gguf_init_from_file(file.encode(), Params(True, None))
    if not context:
        return "refused"
    start = library.gguf_get_data_offset(context)
    tensors = [
        [
            library.gguf_get_tensor_name(context, i).decode("utf-8", "surrogateescape"),
            start + library.gguf_get_tensor_offset(context, i),
            library.gguf_get_tensor_size(context, i),
        ]
        for i in range(library.gguf_get_n_tensors(context))
    ]
    return "accepted " + json.dumps(tensors)


def main():
    library = ctypes.CDLL(sys.argv[1])
    bind(library)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)
    for file in sys.stdin.read().splitlines():
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(out)
            os.write(into, verdict(library, file).encode())
            os._exit(0)
        os.close(into)
        with os.fdopen(out, "rb") as pipe:
            said = pipe.read().decode()
        _, status = os.waitpid(child, 0)
        print(said if status == 0 else "crashed", flush=True)


main()
