"""Writes logits.safetensors, what TestVersion2 wants: a forward pass of DeepSeek-V2 in float64, by NumPy alone, with the weights
of ../moe-groups. Layer 3 and the routers' biases are left out, and the configuration is changed as changes.json says: softmax scores,
groups judged by their best expert, weights not normalised, and yarn whose two magnitudes differ.

    python3 compute.py
"""
import json, math, os, struct
import numpy as np

CHANGES = json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "changes.json")))


def load(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    dtypes = {"F32": "<f4", "I64": "<i8", "I32": "<i4"}
    return {
        name: np.frombuffer(data[t["data_offsets"][0] : t["data_offsets"][1]], dtypes[t["dtype"]]).reshape(t["shape"])
        for name, t in header.items()
        if name != "__metadata__"
    }


def save(path, tensors):
    header, data = {}, b""
    for name, value in tensors.items():
        raw = value.tobytes()
        header[name] = {"dtype": {"float32": "F32", "int64": "I64"}[value.dtype.name], "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


here = os.path.dirname(os.path.abspath(__file__))
source = os.path.join(here, "..", "moe-groups")
W = {}
for i in (1, 2, 3):
    W.update(load(os.path.join(source, f"model-{i:05d}-of-00003.safetensors")))
W = {name: value.astype(np.float64) for name, value in W.items()}
c = json.load(open(os.path.join(source, "config.json")))
c.update(CHANGES)
heads, nope, rope, vdim, rank = c["num_attention_heads"], c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["v_head_dim"], c["kv_lora_rank"]

# YaRN, arXiv 2309.00071, as DeepSeek's published code computes it.
y, theta = c["rope_scaling"], c["rope_theta"]
turns = lambda r: rope * math.log(y["original_max_position_embeddings"] / (2 * math.pi * r)) / (2 * math.log(theta))
low, high = max(math.floor(turns(y["beta_fast"])), 0), min(math.ceil(turns(y["beta_slow"])), rope - 1)
high += 0.001 if low == high else 0
i = np.arange(rope // 2)
ramp = np.clip((i - low) / (high - low), 0, 1)
frequency = theta ** (-2 * i / rope)
frequency = frequency * (1 - ramp) + frequency / y["factor"] * ramp
magnitude = lambda k: 0.1 * k * math.log(y["factor"]) + 1
amplitude = magnitude(y["mscale"]) / magnitude(y["mscale_all_dim"])
scale = magnitude(y["mscale_all_dim"]) ** 2 / math.sqrt(nope + rope)


def norm(x, name):
    return W[name] * x / np.sqrt((x * x).mean(-1, keepdims=True) + c["rms_norm_eps"])


def linear(x, name):
    return x @ W[name].T


def turn(x):
    angle = np.arange(x.shape[-2])[:, None] * frequency
    cos, sin = np.cos(angle) * amplitude, np.sin(angle) * amplitude
    out = np.empty_like(x)
    out[..., 0::2] = x[..., 0::2] * cos - x[..., 1::2] * sin
    out[..., 1::2] = x[..., 0::2] * sin + x[..., 1::2] * cos
    return out


def mlp(x, p):
    gate = linear(x, p + "gate_proj.weight")
    return linear(gate / (1 + np.exp(-gate)) * linear(x, p + "up_proj.weight"), p + "down_proj.weight")


def attention(x, p):
    n = len(x)
    q = linear(norm(linear(x, p + "q_a_proj.weight"), p + "q_a_layernorm.weight"), p + "q_b_proj.weight").reshape(n, heads, nope + rope).transpose(1, 0, 2)
    kv = linear(x, p + "kv_a_proj_with_mqa.weight")
    k = linear(norm(kv[:, :rank], p + "kv_a_layernorm.weight"), p + "kv_b_proj.weight").reshape(n, heads, nope + vdim).transpose(1, 0, 2)
    scores = q[..., :nope] @ k[..., :nope].transpose(0, 2, 1) + turn(q[..., nope:]) @ turn(kv[:, rank:]).T
    scores = scores * scale + np.triu(np.full((n, n), -np.inf), 1)
    return linear((softmax(scores) @ k[..., nope:]).transpose(1, 0, 2).reshape(n, heads * vdim), p + "o_proj.weight")


def experts(x, p):
    s = softmax(linear(x, p + "gate.weight"))
    out = mlp(x, p + "shared_experts.")
    for t in range(len(x)):
        groups = s[t].reshape(c["n_group"], -1)
        best = np.argsort(-groups.max(1))[: c["topk_group"]]
        kept = np.zeros_like(groups)
        kept[best] = groups[best]
        for e in np.argsort(-kept.ravel())[: c["num_experts_per_tok"]]:
            out[t] += s[t, e] * c["routed_scaling_factor"] * mlp(x[t], f"{p}experts.{e}.")
    return out


ids = load(os.path.join(source, "expected.safetensors"))["input_ids"]
logits = []
for tokens in ids:
    x = W["model.embed_tokens.weight"][tokens]
    for n in range(c["num_hidden_layers"]):
        p = f"model.layers.{n}."
        x = x + attention(norm(x, p + "input_layernorm.weight"), p + "self_attn.")
        h = norm(x, p + "post_attention_layernorm.weight")
        x = x + (mlp(h, p + "mlp.") if n < c["first_k_dense_replace"] else experts(h, p + "mlp."))
    logits.append(linear(norm(x, "model.norm.weight"), "lm_head.weight"))
save(os.path.join(here, "logits.safetensors"), {"input_ids": ids, "logits": np.array(logits, dtype=np.float32)})
