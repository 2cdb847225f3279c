"""SparseGPT at 50 % on PyTorch, block by block. The other side of the pair in parts/sparsegpt.ts.

Source: Frantar & Alistarh 2023, "SparseGPT"; the loop is that of IST-DASLab/sparsegpt (sparsegpt.py, `fasterprune`; llama.py): the
Gram matrices of all inputs in one pass, blocks of 128 columns, masks by the smallest w² / [H⁻¹]² of each block."""
import torch

from job import Job, start
from llama import LINEARS, Block, run

SPARSITY = 0.5
BLOCK_COLUMNS = 128
DAMP = 0.01


def grams_of(job, block):
    grams = {}

    def observe(name, values):
        values = values.reshape(-1, values.shape[-1])
        if name not in grams:
            grams[name] = torch.zeros(values.shape[1], values.shape[1])
        grams[name].addmm_(values.t(), values)

    run(block, job.states, job.tables, job.at_once, observe)
    return grams


def inverse_factor(gram):
    """The upper Cholesky factor of the inverse of the damped matrix."""
    diagonal = torch.arange(len(gram))
    gram[diagonal, diagonal] += DAMP * gram.diagonal().mean()
    gram = torch.cholesky_inverse(torch.linalg.cholesky(gram))
    return torch.linalg.cholesky(gram, upper=True)


def prune(weight, upper):
    """Sets half of each block of columns to 0, and makes up for it in the columns behind."""
    columns = weight.shape[1]
    for start in range(0, columns, BLOCK_COLUMNS):
        end = min(start + BLOCK_COLUMNS, columns)
        some, factor = weight[:, start:end].clone(), upper[start:end, start:end]
        errors = torch.zeros_like(some)
        scores = some**2 / factor.diagonal() ** 2
        removed = scores <= torch.sort(scores.flatten())[0][int(scores.numel() * SPARSITY)]
        for j in range(end - start):
            kept = some[:, j].masked_fill(removed[:, j], 0)
            error = (some[:, j] - kept) / factor[j, j]
            some[:, j:] -= error.unsqueeze(1).matmul(factor[j, j:].unsqueeze(0))
            some[:, j] = kept
            errors[:, j] = error
        weight[:, start:end] = some
        weight[:, end:] -= errors.matmul(upper[start:end, end:])


job = Job(start())
for index in range(job.config["num_hidden_layers"]):
    block = Block(job.config, job.checkpoint, index)
    for name, gram in grams_of(job, block).items():
        upper = inverse_factor(gram)
        for linear in LINEARS[name]:
            prune(block.weights[linear], upper)
            job.writer.write_bf16(f"{block.prefix}{linear}.weight", block.weights[linear])
    run(block, job.states, job.tables, job.at_once, store=True)
job.finish()
