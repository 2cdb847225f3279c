"""Wanda at 50 % on PyTorch: prunes a Llama checkpoint block by block. The other side of the pairs in parts/wanda.ts.

Source: Sun et al. 2023, "A Simple and Effective Pruning Approach for Large Language Models"; the loop is that of
locuslab/wanda, lib/prune.py, `prune_wanda`: collect the inputs' norms, remove the smallest of each row, run again."""
import torch

from job import Job, start
from llama import LINEARS, Block, run

SPARSITY = 0.5


def norms_of_inputs(job, block):
    squares = {name: 0 for name in LINEARS}

    def observe(name, values):
        squares[name] += values.reshape(-1, values.shape[-1]).pow(2).sum(0)

    run(block, job.states, job.tables, job.at_once, observe)
    return {name: sums.sqrt() for name, sums in squares.items()}


def prune(weight, norms):
    """Sets the half of each row to 0 that has the smallest |W| · ‖X‖; of equal ones the first, as a stable sort has them."""
    order = torch.sort(weight.abs() * norms, dim=-1, stable=True)[1]
    weight.scatter_(1, order[:, : int(weight.shape[1] * SPARSITY)], 0)


job = Job(start())
for index in range(job.config["num_hidden_layers"]):
    block = Block(job.config, job.checkpoint, index)
    for name, norms in norms_of_inputs(job, block).items():
        for linear in LINEARS[name]:
            prune(block.weights[linear], norms)
            job.writer.write_bf16(f"{block.prefix}{linear}.weight", block.weights[linear])
    run(block, job.states, job.tables, job.at_once, store=True)
job.finish()
