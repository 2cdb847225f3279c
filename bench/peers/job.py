"""What the peers' command lines share: arguments in, and at the end what the job took, as one line of JSON."""
import argparse
import json
import re
import resource
import time

import torch

from checkpoint import Checkpoint, Writer
from llama import embedded, read_config, tables_for


def start():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", help="folder with config.json and model.safetensors")
    parser.add_argument("ids", help="int32 token ids, window after window")
    parser.add_argument("out", help="the .safetensors file to write")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--windows-at-once", type=int, default=1, help="1 as in the reference implementations")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    return arguments


class Job:
    def __init__(self, arguments):
        self.began = time.perf_counter()
        self.config = read_config(arguments.model)
        self.checkpoint = Checkpoint(f"{arguments.model}/model.safetensors")
        self.writer = Writer(arguments.out)
        self.at_once = arguments.windows_at_once
        self.tables = tables_for(self.config, arguments.context)
        self.states = embedded(self.config, self.checkpoint, arguments.ids, arguments.context)

    def finish(self, **more):
        """Copies the tensors that stay as they are, closes the file and prints the figures."""
        for name, info in self.checkpoint.infos.items():
            changed = name.endswith("proj.weight")
            if not changed:
                self.writer.write(name, info["dtype"], info["shape"], self.checkpoint.bytes(name))
        self.writer.close()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        with open("/proc/self/status") as status:
            # VmHWM begins anew with a program; ru_maxrss is inherited from who started it.
            peak = int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) * 1024
        seconds = time.perf_counter() - self.began
        figures = {"seconds": seconds, "cpuSeconds": usage.ru_utime + usage.ru_stime, "peakBytes": peak, **more}
        print(json.dumps({**figures, "torch": torch.__version__}))
