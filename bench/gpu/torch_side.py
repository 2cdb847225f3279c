"""Matrix products, copies and one Mistral-7B-shaped block in PyTorch: the other side of bench/gpu. Reads the sizes as JSON from its
input and writes its figures as JSON. Runs on the GPU where torch finds one; with small sizes, for tests, on the CPU too."""
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F

sizes = json.load(sys.stdin)
ON_GPU = torch.cuda.is_available()
if not ON_GPU and sizes["minSeconds"] > 0:
    sys.exit("torch finds no GPU")
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
SHAPE = sizes["shape"]
torch.set_grad_enabled(False)
torch.manual_seed(1)


def wait():
    if ON_GPU:
        torch.cuda.synchronize()


def seconds_of(work, least=0.0):
    """Median over rounds, each of as many repetitions as last long enough."""
    work()
    wait()
    start = time.perf_counter()
    work()
    wait()
    count = max(1, int(least / max(time.perf_counter() - start, 1e-6)) + 1) if least else 1
    rounds = []
    for _ in range(sizes["rounds"]):
        start = time.perf_counter()
        for _ in range(count):
            work()
        wait()
        rounds.append((time.perf_counter() - start) / count)
    return statistics.median(rounds)


def products():
    ways = [("fp32", torch.float32, False), ("bf16", torch.bfloat16, False)]
    if ON_GPU:
        ways += [("tf32", torch.float32, True), ("fp16", torch.float16, False)]
    found = []
    for m, k, n in sizes["products"]:
        for name, dtype, tf32 in ways:
            torch.backends.cuda.matmul.allow_tf32 = tf32
            x = torch.rand(m, k, device=DEVICE).sub(0.5).to(dtype)
            w = torch.rand(n, k, device=DEVICE).sub(0.5).to(dtype)
            seconds = seconds_of(lambda: F.linear(x, w), sizes["minSeconds"])
            found.append({"way": name, "m": m, "k": k, "n": n, "flops": 2 * m * k * n / seconds})
    torch.backends.cuda.matmul.allow_tf32 = False
    return found


def copies():
    count = sizes["copyBytes"] // 4
    host, there = torch.ones(count), torch.ones(count, device=DEVICE)
    other = torch.empty_like(there)
    rates = {"gpuToGpu": lambda: other.copy_(there), "upload": lambda: host.to(DEVICE, copy=True)}
    rates["read"] = lambda: there.to("cpu", copy=True)
    if ON_GPU:
        pinned = host.pin_memory()
        rates["pinnedUpload"] = lambda: there.copy_(pinned, non_blocking=True)
    return {name: sizes["copyBytes"] / seconds_of(work) for name, work in rates.items()}


class Block:
    """A Llama-shaped block with PyTorch's own attention; SDPA takes the fastest of its kernels."""

    def __init__(self, dtype):
        hidden, ffn, width = SHAPE["hidden_size"], SHAPE["intermediate_size"], SHAPE["head_dim"]
        self.heads, self.kv_heads, self.width = SHAPE["num_attention_heads"], SHAPE["num_key_value_heads"], width
        sides = {"q": (self.heads * width, hidden), "k": (self.kv_heads * width, hidden), "v": (self.kv_heads * width, hidden)}
        sides |= {"o": (hidden, self.heads * width), "gate": (ffn, hidden), "up": (ffn, hidden), "down": (hidden, ffn)}
        self.weights = {name: torch.randn(side, device=DEVICE).mul(0.02).to(dtype) for name, side in sides.items()}
        self.gain = torch.ones(hidden, device=DEVICE, dtype=dtype)
        positions = torch.arange(sizes["context"], device=DEVICE).float()
        angles = torch.outer(positions, 10000 ** (-torch.arange(0, width, 2, device=DEVICE) / width)).repeat(1, 2)
        self.cos, self.sin = angles.cos().to(dtype), angles.sin().to(dtype)

    def norm(self, x):
        return x * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-5).to(x.dtype) * self.gain

    def turn(self, x):
        first, second = x.chunk(2, -1)
        return x * self.cos + torch.cat((-second, first), -1) * self.sin

    def forward(self, x, observe=lambda values: None):
        windows, tokens, _ = x.shape
        split = lambda values, heads: values.view(windows, tokens, heads, self.width).transpose(1, 2)
        normed = self.norm(x)
        observe(normed)
        q, k, v = (F.linear(normed, self.weights[name]) for name in "qkv")
        q, k, v = self.turn(split(q, self.heads)), self.turn(split(k, self.kv_heads)), split(v, self.kv_heads)
        k, v = (part.repeat_interleave(self.heads // self.kv_heads, 1) for part in (k, v))
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True) if hasattr(F, "scaled_dot_product_attention") else slow(q, k, v)
        attended = attended.transpose(1, 2).reshape(windows, tokens, -1)
        observe(attended)
        x = x + F.linear(attended, self.weights["o"])
        normed = self.norm(x)
        observe(normed)
        inner = F.silu(F.linear(normed, self.weights["gate"])) * F.linear(normed, self.weights["up"])
        observe(inner)
        return x + F.linear(inner, self.weights["down"])


def slow(q, k, v):
    """torch 1.13 has no attention of its own."""
    mask = torch.full((q.shape[2],) * 2, float("-inf"), device=DEVICE, dtype=q.dtype).triu(1)
    return torch.softmax(q @ k.transpose(2, 3) / q.shape[3] ** 0.5 + mask, -1) @ v


def gram_adder():
    """Adds up XᵀX in float32 of each input, as SparseGPT's and GPTQ's own code does."""
    grams = {}

    def observe(values):
        rows = values.reshape(-1, values.shape[-1]).float()
        position = len(order)
        order.append(position)
        grams[position] = torch.addmm(grams[position], rows.t(), rows) if position in grams else rows.t() @ rows

    order = []
    return grams, order, observe


def sparsegpt(weight, gram, sparsity=0.5, block=128):
    """Frantar & Alistarh 2023, algorithm 1, as github.com/IST-DASLab/sparsegpt has it."""
    w, hessian = weight.float().clone(), gram.clone()
    inverse = inverse_factor(hessian)
    for start in range(0, w.shape[1], block):
        end = min(start + block, w.shape[1])
        part, errors, factor = w[:, start:end].clone(), torch.zeros_like(w[:, start:end]), inverse[start:end, start:end]
        scores = part**2 / factor.diagonal() ** 2
        mask = scores <= scores.flatten().kthvalue(int(scores.numel() * sparsity))[0]
        for i in range(end - start):
            kept = part[:, i].masked_fill(mask[:, i], 0)
            error = (part[:, i] - kept) / factor[i, i]
            part[:, i:] -= error.unsqueeze(1) @ factor[i, i:].unsqueeze(0)
            part[:, i] = kept
            errors[:, i] = error
        w[:, start:end] = part
        w[:, end:] -= errors @ inverse[start:end, end:]
    return w


def gptq(weight, gram, group=128, block=128):
    """Frantar et al. 2022, 4 bits, symmetric, groups of 128 columns, in the order of the columns."""
    w = weight.float().clone()
    inverse = inverse_factor(gram.clone())
    for start in range(0, w.shape[1], block):
        end = min(start + block, w.shape[1])
        part, errors, factor = w[:, start:end].clone(), torch.zeros_like(w[:, start:end]), inverse[start:end, start:end]
        for i in range(end - start):
            if (start + i) % group == 0:
                scale = w[:, start + i : start + i + group].abs().amax(1).clamp(min=1e-9) / 7
            rounded = (part[:, i] / scale).round().clamp(-8, 7) * scale
            error = (part[:, i] - rounded) / factor[i, i]
            part[:, i:] -= error.unsqueeze(1) @ factor[i, i:].unsqueeze(0)
            part[:, i] = rounded
            errors[:, i] = error
        w[:, start:end] = part
        w[:, end:] -= errors @ inverse[start:end, end:]
    return w


def inverse_factor(hessian):
    diagonal = torch.arange(hessian.shape[0], device=hessian.device)
    hessian[diagonal, diagonal] += 0.01 * hessian.diagonal().mean()
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    return torch.linalg.cholesky(inverse, upper=True)


# Which input each weight reads, in the order in which the forward pass makes them.
INPUTS = {"q": 0, "k": 0, "v": 0, "o": 1, "gate": 2, "up": 2, "down": 3}


def block_figures():
    few, more = sizes["windows"]
    states = {count: torch.randn(count, sizes["context"], SHAPE["hidden_size"], device=DEVICE) for count in (few, more)}
    figures = {}
    for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        block = Block(dtype)
        for count in (few, more):
            x = states[count].to(dtype)
            figures[f"{name}Forward{count}Windows"] = seconds_of(lambda: [block.forward(x[i : i + 1]) for i in range(count)])
        del block
    block = Block(torch.float32)
    grams, order, observe = gram_adder()

    def with_grams():
        for i in range(more):
            order.clear()
            block.forward(states[more][i : i + 1], observe)

    figures[f"gram{more}Windows"] = seconds_of(with_grams)
    for name, solve in (("sparsegpt", sparsegpt), ("gptq", gptq)):
        start = time.perf_counter()
        for linear, position in INPUTS.items():
            solve(block.weights[linear], grams[position])
        wait()
        figures[name] = time.perf_counter() - start
    return figures


name = torch.cuda.get_device_name() if ON_GPU else "CPU"
print(json.dumps({"torch": torch.__version__, "device": name, "products": products(), "copies": copies(), "block": block_figures()}))
