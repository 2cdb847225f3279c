"""GPTQ to INT4 in groups of 128 on PyTorch, block by block. The other side of the pairs in parts/gptq.ts.

Source: Frantar et al. 2022, "GPTQ"; the loop is that of IST-DASLab/gptq (gptq.py, `fasterquant`; llama.py) with its options
--act-order --static-groups --true-sequential --sym --groupsize 128, which are what `birdbone quantize --algorithm gptq` does."""
import numpy
import torch

from job import Job, start
from llama import LINEARS, Block, run

GROUP = 128
BLOCK_COLUMNS = 128
DAMP = 0.01
TOP = 15


def gram_of(job, block, wanted):
    gram = None

    def observe(name, values):
        nonlocal gram
        if name != wanted:
            return
        values = values.reshape(-1, values.shape[-1])
        if gram is None:
            gram = torch.zeros(values.shape[1], values.shape[1])
        gram.addmm_(values.t(), values)

    run(block, job.states, job.tables, job.at_once, observe)
    return gram


def inverse_factor(gram, order):
    """The upper Cholesky factor of the inverse of the damped matrix, rows and columns in this order."""
    gram = gram[order][:, order]
    diagonal = torch.arange(len(gram))
    gram[diagonal, diagonal] += DAMP * gram.diagonal().mean()
    gram = torch.cholesky_inverse(torch.linalg.cholesky(gram))
    return torch.linalg.cholesky(gram, upper=True)


def quantize(weight, upper, order):
    """Codes [rows, columns] and scales [rows, groups]; the weight becomes what they stand for. Also Σ ((w − q) / U_jj)²."""
    rows, columns = weight.shape
    # Rounded to the half precision that they are stored in.
    scales = (weight.view(rows, -1, GROUP).abs().amax(2) * (2 / TOP)).half().float()
    of_column = scales.repeat_interleave(GROUP, 1)[:, order]
    work = weight[:, order].clone()
    codes = torch.empty_like(work)
    loss = 0.0
    for start in range(0, columns, BLOCK_COLUMNS):
        end = min(start + BLOCK_COLUMNS, columns)
        some, factor = work[:, start:end].clone(), upper[start:end, start:end]
        errors = torch.zeros_like(some)
        for j in range(end - start):
            values, scale = some[:, j], of_column[:, start + j]
            code = torch.clamp(torch.round(values / scale) + 8, 0, TOP)
            codes[:, start + j] = code
            error = (values - scale * (code - 8)) / factor[j, j]
            some[:, j:] -= error.unsqueeze(1).matmul(factor[j, j:].unsqueeze(0))
            errors[:, j] = error
        loss += float(errors.double().square().sum())
        work[:, end:] -= errors.matmul(upper[start:end, end:])
    codes = codes[:, torch.argsort(order)]
    weight.copy_((codes - 8) * scales.repeat_interleave(GROUP, 1))
    return codes, scales, loss


def packed(codes):
    """Eight codes in each int32, the first lowest: the layout pack-quantized of compressed-tensors."""
    parts = codes.numpy().astype(numpy.uint32).reshape(len(codes), -1, 8)
    return sum(parts[:, :, place] << numpy.uint32(4 * place) for place in range(8)).astype(numpy.uint32)


job = Job(start())
losses = {}
for index in range(job.config["num_hidden_layers"]):
    block = Block(job.config, job.checkpoint, index)
    for name, linears in LINEARS.items():
        gram = gram_of(job, block, name)
        order = torch.sort(gram.diagonal(), descending=True, stable=True)[1]
        upper = inverse_factor(gram, order)
        del gram
        for linear in linears:
            weight, key = block.weights[linear], f"{block.prefix}{linear}.weight"
            codes, scales, loss = quantize(weight, upper, order)
            losses[key] = loss / job.states[:, :, 0].numel()
            words = packed(codes)
            job.writer.write(f"{key}_packed", "I32", words.shape, words.tobytes())
            job.writer.write(f"{key}_scale", "F16", scales.shape, scales.half().numpy().tobytes())
    run(block, job.states, job.tables, job.at_once, store=True)
job.finish(losses=losses)
