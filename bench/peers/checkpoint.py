"""Reads one safetensors file tensor by tensor, and writes one: what the peers need of the format, without a package.

Source: https://huggingface.co/docs/safetensors (8 bytes of header length, JSON, then the tensors' bytes)."""
import json
import os

import numpy
import torch

ITEM_TYPES = {"BF16": numpy.uint16, "F32": numpy.float32, "F16": numpy.float16, "I32": numpy.int32, "U8": numpy.uint8}


class Checkpoint:
    """A file whose tensors are read when they are asked for: no page of it stays mapped."""

    def __init__(self, path):
        self.file = os.open(path, os.O_RDONLY)
        length = int.from_bytes(os.pread(self.file, 8, 0), "little")
        self.infos = json.loads(os.pread(self.file, length, 8))
        self.infos.pop("__metadata__", None)
        self.start = 8 + length

    def bytes(self, name):
        begin, end = self.infos[name]["data_offsets"]
        return os.pread(self.file, end - begin, self.start + begin)

    def floats(self, name):
        """The tensor in float32; bf16 is the upper half of a float32."""
        info = self.infos[name]
        values = numpy.frombuffer(self.bytes(name), ITEM_TYPES[info["dtype"]])
        if info["dtype"] == "BF16":
            wide = numpy.empty(values.shape, numpy.uint32)
            numpy.left_shift(values, 16, out=wide, dtype=numpy.uint32)
            values = wide.view(numpy.float32)
        return torch.from_numpy(numpy.array(values, numpy.float32, copy=False)).reshape(info["shape"])


class Writer:
    """A file beside which its data are collected one tensor after the other, so that none of them stays in memory."""

    def __init__(self, path):
        self.path, self.infos, self.offset = path, {"__metadata__": {"format": "pt"}}, 0
        self.data = open(f"{path}.data", "wb+")

    def write(self, name, dtype, shape, data):
        self.infos[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [self.offset, self.offset + len(data)]}
        self.data.write(data)
        self.offset += len(data)

    def write_bf16(self, name, values):
        """Values that bf16 holds exactly, or nearly: rounded to the nearest as torch does."""
        self.write(name, "BF16", values.shape, values.to(torch.bfloat16).view(torch.int16).numpy().tobytes())

    def close(self):
        header = json.dumps(self.infos).encode()
        header += b" " * (-len(header) % 8)
        self.data.seek(0)
        with open(self.path, "wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            while chunk := self.data.read(2**24):
                file.write(chunk)
        self.data.close()
        os.remove(f"{self.path}.data")
