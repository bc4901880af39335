#!/usr/bin/python3
"""PyTorch's speed on a model given by its config.json: a training step, or prefill and greedy decoding; random weights and tokens.

    torch_bench.py train|infer CONFIG.json [--threads 2] [--bf16] [--batch 8] [--seq 256] [--prefill 512] [--prompt 128] [--tokens 128]
    torch_bench.py check CONFIG.json      decoding token by token gives the logits of reading at once

It starts itself again with OpenBLAS on PyTorch's own OpenMP threads and with tcmalloc, where Debian's packages
libopenblas0-openmp and libtcmalloc-minimal4 are installed: as installed, two pools of threads compete and training takes twice as
long. One line of JSON has the medians, under forge's names, and says which set-up it was.
"""
import argparse
import ctypes
import json
import os
import statistics
import sys
import sysconfig
import time

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("what", choices=["train", "infer", "check"])
arguments.add_argument("config")
for name, value in dict(threads=2, batch=8, seq=256, prefill=512, prompt=128, tokens=128, steps=7).items():
    arguments.add_argument("--" + name, type=int, default=value)
arguments.add_argument("--bf16", action="store_true", help="train with autocast to bfloat16")
a = arguments.parse_args()


def tune():
    blas, malloc = f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}/openblas-openmp", "libtcmalloc_minimal.so.4"
    if "BENCHMARK_TUNED" in os.environ:
        return
    try:
        ctypes.CDLL(malloc)
    except OSError:
        malloc = ""
    if not malloc or not os.path.isdir(blas):
        print("libopenblas0-openmp or libtcmalloc-minimal4 is not installed: this is PyTorch's slow set-up", file=sys.stderr)
        return
    os.environ.update(BENCHMARK_TUNED="1", LD_PRELOAD=malloc, LD_LIBRARY_PATH=blas + ":" + os.environ.get("LD_LIBRARY_PATH", ""))
    os.execv(sys.executable, [sys.executable] + sys.argv)


tune()
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(a.threads)
sys.dont_write_bytecode = True
import torch

import torch_model

torch.set_num_threads(a.threads)
torch.manual_seed(0)
with open(a.config) as f:
    config = json.load(f)
model = torch_model.Model(config)
with open("/proc/self/maps") as f:
    maps = f.read()
result = dict(setup="tuned" if "openblas-openmp" in maps and "tcmalloc" in maps else "stock", torch=torch.__version__,
              params=sum(p.numel() for p in model.parameters()))


def seconds(run, steps):
    run()
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def tokens(batch, length):
    return torch.randint(0, config["vocab_size"], (batch, length))


if a.what == "train":
    adamw, batch = torch_model.optimizer(model), tokens(a.batch, a.seq + 1)

    def step():
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.bf16):
            torch_model.train_step(model, adamw, batch)

    result["train_tok_s"] = a.batch * a.seq / seconds(step, a.steps)
elif a.what == "infer":
    model.requires_grad_(False)
    prompt, caches = tokens(1, a.prefill), model.caches(1)
    result["prefill_tok_s"] = a.prefill / seconds(lambda: model.prefill(prompt, caches), a.steps)
    for batch, name in (1, "decode_tok_s"), (8, "decode_b8_tok_s"):
        prompt, caches = tokens(batch, a.prompt), model.caches(batch)
        model.prefill(prompt, caches)

        def decode():
            token = prompt[:, -1:]
            for i in range(a.tokens):
                token = model.step(token, caches, a.prompt + i).argmax(-1)

        result[name] = batch * a.tokens / seconds(decode, 3)
else:
    model.requires_grad_(False)
    text = tokens(2, 24)
    caches = model.caches(2)
    model.prefill(text[:, :16], caches)
    for at in range(16, 24):
        logits = model.step(text[:, at:at + 1], caches, at)
        whole = model.prefill(text[:, :at + 1], model.caches(2))
        difference = (logits - whole).abs().max().item() / whole.abs().max().item()
        if difference > 1e-4:
            sys.exit(f"at position {at} decoding differs by {difference:.2g}")
    result["checked"] = 8
print(json.dumps(result))
