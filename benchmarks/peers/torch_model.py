"""DeepSeek-V3 in PyTorch, written for speed on a processor: what a careful user would train and decode with.

Tokens are sorted by expert, so that each expert is one product; gate and up projections are one; scores of all heads are one
batched product; decoding works on the cache of latents with the projections of keys and values absorbed.
"""
import torch
import torch.nn.functional as F
from torch import nn

EPS = 1e-6
LONGEST = 1024


def linear(inputs, outputs):
    return Linear(inputs, outputs, bias=False)


class Linear(nn.Linear):
    def forward(self, x):
        if x.numel() == self.in_features and not torch.is_grad_enabled():  # a matrix times a vector, much faster as such
            return torch.mv(self.weight, x.view(-1)).view(*x.shape[:-1], -1)
        return F.linear(x, self.weight)


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True).add_(EPS)) * self.gain


def rotate(x, cos, sin):
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.nope, self.rope, self.v = c["num_attention_heads"], c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["v_head_dim"]
        self.rank, dim, q_rank = c["kv_lora_rank"], c["hidden_size"], c["q_lora_rank"]
        self.q_down, self.q_norm = linear(dim, q_rank), Norm(q_rank)
        self.q_up = linear(q_rank, self.heads * (self.nope + self.rope))
        self.kv_down, self.kv_norm = linear(dim, self.rank + self.rope), Norm(self.rank)
        self.kv_up = linear(self.rank, self.heads * (self.nope + self.v))
        self.out = linear(self.heads * self.v, dim)
        self.scale = (self.nope + self.rope) ** -0.5

    def project(self, x, cos, sin):
        """Queries, rotated queries, the latent and the rotated key that all heads share."""
        q = self.q_up(self.q_norm(self.q_down(x))).unflatten(-1, (self.heads, -1))
        q, q_rotated = q.split([self.nope, self.rope], -1)
        latent, key = self.kv_down(x).split([self.rank, self.rope], -1)
        return q, rotate(q_rotated, cos[:, None], sin[:, None]), self.kv_norm(latent), rotate(key, cos, sin)

    def forward(self, x, cos, sin, mask, cache=None):
        batch, length, _ = x.shape
        q, q_rotated, latent, key = self.project(x, cos, sin)
        if cache is not None:
            cache[:, :length] = torch.cat([latent, key], -1)
        k, v = self.kv_up(latent).unflatten(-1, (self.heads, -1)).split([self.nope, self.v], -1)
        merge = lambda t: t.transpose(1, 2).reshape(batch * self.heads, length, -1)
        q = merge(torch.cat([q, q_rotated], -1))
        k = merge(torch.cat([k, key[:, :, None].expand(-1, -1, self.heads, -1)], -1))
        p = torch.baddbmm(mask[:length, :length], q, k.transpose(1, 2), alpha=self.scale).softmax(-1)
        y = torch.bmm(p, merge(v)).view(batch, self.heads, length, -1).transpose(1, 2)
        return self.out(y.reshape(batch, length, -1))

    def absorb(self):
        up = self.kv_up.weight.detach().view(self.heads, -1, self.rank)
        keys, values = up.split([self.nope, self.v], 1)
        self.of_keys, self.of_values = keys.contiguous(), values.transpose(1, 2).contiguous()

    def step(self, x, cos, sin, cache, at):
        batch = x.shape[0]
        q, q_rotated, latent, key = self.project(x, cos, sin)
        cache[:, at, :self.rank], cache[:, at, self.rank:] = latent[:, 0], key[:, 0]
        past = cache[:, :at + 1]
        q = torch.bmm(q[:, 0].transpose(0, 1), self.of_keys).transpose(0, 1)
        p = torch.bmm(torch.cat([q, q_rotated[:, 0]], -1), past.transpose(1, 2)).mul_(self.scale).softmax(-1)
        y = torch.bmm(p, past[..., :self.rank])
        return self.out(torch.bmm(y.transpose(0, 1), self.of_values).transpose(0, 1).reshape(batch, 1, -1))


class Dense(nn.Module):
    def __init__(self, dim, inner):
        super().__init__()
        self.gate_up, self.down = linear(dim, 2 * inner), linear(inner, dim)

    def forward(self, x):
        gate, up = self.gate_up(x).chunk(2, -1)
        return self.down(F.silu(gate) * up)


class Sparse(nn.Module):
    def __init__(self, c):
        super().__init__()
        dim, inner, self.experts = c["hidden_size"], c["moe_intermediate_size"], c["n_routed_experts"]
        self.top, self.groups, self.kept = c["num_experts_per_tok"], c["n_group"], c["topk_group"]
        self.router = nn.Parameter(torch.empty(self.experts, dim))
        self.register_buffer("bias", torch.zeros(self.experts))
        self.gate_up = nn.Parameter(torch.empty(self.experts, 2 * inner, dim))
        self.down = nn.Parameter(torch.empty(self.experts, dim, inner))
        self.shared = Dense(dim, inner)

    def route(self, x):
        scores = F.linear(x, self.router).sigmoid()
        with torch.no_grad():
            biased = scores + self.bias
            if self.groups > 1:
                grouped = biased.view(len(x), self.groups, -1)
                best = grouped.topk(2, -1)[0].sum(-1).topk(self.kept, -1, sorted=False)[1]
                out = torch.ones(grouped.shape[:2], dtype=torch.bool).scatter_(1, best, False)
                biased = grouped.masked_fill(out[..., None], -torch.inf).flatten(1)
            chosen = biased.topk(self.top, -1, sorted=False)[1]
        gates = scores.gather(1, chosen)
        return scores, chosen, gates / (gates.sum(-1, keepdim=True) + 1e-20) * 2.5

    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1])
        scores, chosen, gates = self.route(flat)
        if len(flat) == 1 and not torch.is_grad_enabled():
            return self.one(flat, chosen, gates).view_as(x)
        self.scores, self.chosen = scores.view(*x.shape[:-1], -1), chosen
        order = chosen.flatten().argsort()
        counts = torch.bincount(chosen.flatten(), minlength=self.experts).tolist()
        tokens = order.div(self.top, rounding_mode="floor")
        used = [e for e, n in enumerate(counts) if n]
        sizes = [counts[e] for e in used]
        gate_up, down = self.gate_up.unbind(0), self.down.unbind(0)
        each = lambda rows, weight: torch.cat([torch.mm(part, weight[e].t()) for part, e in zip(rows.split(sizes), used)])
        gate, up = each(flat.index_select(0, tokens), gate_up).chunk(2, -1)
        y = each(F.silu(gate) * up, down) * gates.flatten()[order, None]
        return self.shared(flat).index_add(0, tokens, y).view_as(x)

    def one(self, x, chosen, gates):
        y, row = self.shared(x), x.view(-1)
        for e, gate_of in zip(chosen[0].tolist(), gates[0].tolist()):
            gate, up = torch.mv(self.gate_up[e], row).chunk(2)
            y[0].addmv_(self.down[e], F.silu(gate).mul_(up), alpha=gate_of)
        return y

    def balance(self):
        """The report's balance loss within a sequence, before its factor."""
        with torch.no_grad():
            best = self.scores.topk(self.top, -1, sorted=False)[1]
            share = torch.zeros_like(self.scores).scatter_(-1, best, 1.0).mean(1) * (self.experts / self.top)
        return (share * (self.scores / self.scores.sum(-1, keepdim=True)).mean(1)).sum(-1).mean()

    @torch.no_grad()
    def adjust(self, speed):
        load = torch.bincount(self.chosen.flatten(), minlength=self.experts).float()
        self.bias += speed * torch.sign(load.mean() - load)


class Layer(nn.Module):
    def __init__(self, c, dense):
        super().__init__()
        self.attention_norm, self.ffn_norm = Norm(c["hidden_size"]), Norm(c["hidden_size"])
        self.attention = Attention(c)
        self.ffn = Dense(c["hidden_size"], c["intermediate_size"]) if dense else Sparse(c)

    def forward(self, x, cos, sin, mask, cache=None):
        x = x + self.attention(self.attention_norm(x), cos, sin, mask, cache)
        return x + self.ffn(self.ffn_norm(x))

    def step(self, x, cos, sin, cache, at):
        x = x + self.attention.step(self.attention_norm(x), cos, sin, cache, at)
        return x + self.ffn(self.ffn_norm(x))


class Prediction(nn.Module):
    """One module of multi-token prediction."""

    def __init__(self, c):
        super().__init__()
        dim = c["hidden_size"]
        self.embedding_norm, self.hidden_norm, self.norm = Norm(dim), Norm(dim), Norm(dim)
        self.join, self.layer = linear(2 * dim, dim), Layer(c, False)


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embedding, self.head = nn.Embedding(c["vocab_size"], c["hidden_size"]), linear(c["hidden_size"], c["vocab_size"])
        self.layers = nn.ModuleList(Layer(c, i == 0) for i in range(c["num_hidden_layers"]))
        self.predictions = nn.ModuleList(Prediction(c) for _ in range(c["num_nextn_predict_layers"]))
        self.norm = Norm(c["hidden_size"])
        rope = c["qk_rope_head_dim"]
        angles = torch.outer(torch.arange(LONGEST, dtype=torch.float64), 10000.0 ** -(torch.arange(0, rope, 2, dtype=torch.float64) / rope))
        self.cos, self.sin = angles.cos().float(), angles.sin().float()
        self.mask = torch.full((LONGEST, LONGEST), -torch.inf).triu_(1)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def sparse(self):
        return [m for m in self.modules() if isinstance(m, Sparse)]

    def run(self, x, layers, length, caches=None):
        for i, layer in enumerate(layers):
            x = layer(x, self.cos[:length], self.sin[:length], self.mask, caches and caches[i])
        return x

    def loss(self, batch):
        length = batch.shape[1] - 1
        entropy = lambda h, targets: F.cross_entropy(self.head(h).flatten(0, 1), targets.flatten())
        embedded = self.embedding(batch[:, :length])
        h = self.norm(self.run(embedded, self.layers, length))
        total = entropy(h, batch[:, 1:])
        for k, m in enumerate(self.predictions, 1):
            n = length - k
            joined = m.join(torch.cat([m.embedding_norm(embedded[:, k:]), m.hidden_norm(h[:, :n])], -1))
            h = m.norm(self.run(joined, [m.layer], n))
            total = total + 0.3 / len(self.predictions) * entropy(h, batch[:, k + 1:])
        return total + 1e-4 * sum(m.balance() for m in self.sparse())

    @torch.no_grad()
    def prefill(self, tokens, caches):
        """The logits of the last position."""
        x = self.run(self.embedding(tokens), self.layers, tokens.shape[1], caches)
        return self.head(self.norm(x[:, -1:]))

    @torch.no_grad()
    def step(self, tokens, caches, at):
        x = self.embedding(tokens)
        for layer, cache in zip(self.layers, caches):
            x = layer.step(x, self.cos[at:at + 1], self.sin[at:at + 1], cache, at)
        return self.head(self.norm(x))

    def caches(self, batch):
        for layer in self.layers:
            layer.attention.absorb()
        return [torch.zeros(batch, LONGEST, l.attention.rank + l.attention.rope) for l in self.layers]


def optimizer(model):
    """AdamW with decay of matrices only."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    return torch.optim.AdamW([dict(params=matrices, weight_decay=0.1), dict(params=vectors, weight_decay=0.0)],
                             lr=1e-3, betas=(0.9, 0.95), eps=1e-8)


def train_step(model, adamw, batch):
    adamw.zero_grad(set_to_none=True)
    model.loss(batch).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    adamw.step()
    for m in model.sparse():
        m.adjust(1e-3)
