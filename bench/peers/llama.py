"""One Llama block in float32 with PyTorch's own operations, and the loop over calibration windows that the reference
implementations have: hidden states of all windows in memory, one block at a time, a few windows in one call."""
import json
import math

import numpy
import torch
import torch.nn.functional as F

# The inputs of a block's linears, in the order in which a forward pass makes them, and who reads each.
LINEARS = {
    "attention": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    "attended": ["self_attn.o_proj"],
    "ffn": ["mlp.gate_proj", "mlp.up_proj"],
    "inner": ["mlp.down_proj"],
}


class Block:
    def __init__(self, config, checkpoint, index):
        self.config, self.prefix = config, f"model.layers.{index}."
        self.weights = {}
        for linear in sum(LINEARS.values(), []):
            self.weights[linear] = checkpoint.floats(f"{self.prefix}{linear}.weight")
        self.first = checkpoint.floats(f"{self.prefix}input_layernorm.weight")
        self.second = checkpoint.floats(f"{self.prefix}post_attention_layernorm.weight")

    def norm(self, x, gain):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.config["rms_norm_eps"]) * gain

    def forward(self, x, tables, observe=lambda name, values: None):
        """x [windows, tokens, hidden]; `observe` sees each input [tokens, columns] as hooks on the linears would."""
        linear = lambda name, values: F.linear(values, self.weights[name])
        heads, kv_heads = self.config["num_attention_heads"], self.config["num_key_value_heads"]
        windows, tokens, _ = x.shape
        by_head = lambda values, count: values.view(windows, tokens, count, -1).transpose(1, 2)
        normed = self.norm(x, self.first)
        observe("attention", normed)
        q, k, v = (linear(name, normed) for name in LINEARS["attention"])
        q, k, v = rotate(by_head(q, heads), tables), rotate(by_head(k, kv_heads), tables), by_head(v, kv_heads)
        if heads != kv_heads:
            k, v = (part.repeat_interleave(heads // kv_heads, 1) for part in (k, v))
        scores = torch.matmul(q, k.transpose(2, 3)) / math.sqrt(q.shape[-1]) + tables["mask"]
        attended = torch.matmul(F.softmax(scores, -1), v).transpose(1, 2).reshape(windows, tokens, -1)
        del scores, q, k, v
        observe("attended", attended)
        x = x + linear("self_attn.o_proj", attended)
        normed = self.norm(x, self.second)
        observe("ffn", normed)
        inner = F.silu(linear("mlp.gate_proj", normed)) * linear("mlp.up_proj", normed)
        observe("inner", inner)
        return x + linear("mlp.down_proj", inner)


def rotate(x, tables):
    first, second = x.chunk(2, -1)
    return x * tables["cos"] + torch.cat((-second, first), -1) * tables["sin"]


def tables_for(config, tokens):
    width = config["head_dim"]
    frequencies = config["rope_theta"] ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.outer(torch.arange(tokens, dtype=torch.float64), frequencies).repeat(1, 2)
    mask = torch.full((tokens, tokens), torch.finfo(torch.float32).min).triu(1)
    return {"cos": angles.cos().float(), "sin": angles.sin().float(), "mask": mask}


def embedded(config, checkpoint, ids_file, tokens):
    """The hidden states of all windows, [windows, tokens, hidden]; `ids_file` holds int32 ids, window after window."""
    ids = torch.from_numpy(numpy.fromfile(ids_file, numpy.int32).astype(numpy.int64)).view(-1, tokens)
    return F.embedding(ids, checkpoint.floats("model.embed_tokens.weight"))


def run(block, states, tables, at_once, observe=None, store=False):
    """Sends all windows through the block; its outputs replace its inputs where they are stored."""
    for start in range(0, len(states), at_once):
        some = states[start : start + at_once]
        output = block.forward(some, tables, observe) if observe else block.forward(some, tables)
        if store:
            states[start : start + at_once] = output


def read_config(folder):
    with open(f"{folder}/config.json") as file:
        return json.load(file)
