#!/usr/bin/env python3
"""llama.cpp's speed on a GGUF file: prefill of one prompt, greedy decoding of one sequence.

    llama_bench.py LIBRARIES MODEL.gguf [--threads 2] [--prefill 512] [--prompt 128] [--tokens 128] [--repeat 5]

LIBRARIES is the folder of libllama in npm's @node-llama-cpp/linux-x64 (of node-llama-cpp 3.22.1). The library is called
directly, since a binding costs milliseconds a token. One line of JSON has the medians, under forge's names.
"""
import argparse
import ctypes
import glob
import json
import os
import statistics
import sys
import time

pointer, i32, u32, f32, flag = ctypes.c_void_p, ctypes.c_int32, ctypes.c_uint32, ctypes.c_float, ctypes.c_bool


def structure(name, *fields):
    return type(name, (ctypes.Structure,), {"_fields_": [(field, kind) for kind, names in fields for field in names.split()]})


# The structures of llama.cpp v0.5.0. `load` stops when the default values are not where they are expected.
ModelParams = structure(
    "ModelParams", (pointer, "devices overrides"), (i32, "gpu_layers split_mode load_mode lazy_mode main_gpu"),
    (pointer, "split progress progress_data metadata"), (flag, "vocabulary_only check extra_buffers no_host no_alloc mtp"))
ContextParams = structure(
    "ContextParams", (u32, "context batch ubatch sequences rs outputs outputs_per_sequence"),
    (i32, "threads threads_batch kind rope_scaling pooling attention flash_attention"),
    (f32, "rope_base rope_scale yarn_extension yarn_attention yarn_fast yarn_slow"), (u32, "yarn_context"), (f32, "defragment"),
    (pointer, "callback callback_data"), (i32, "key_type value_type"), (pointer, "abort abort_data"),
    (flag, "embeddings offload no_performance offload_operations full_window unified"), (pointer, "samplers"),
    (ctypes.c_size_t, "sampler_count"), (pointer, "other"))
Batch = structure("Batch", (i32, "count"), (pointer, "tokens embeddings positions sequence_counts sequences logits"))


def load(folder):
    def library(pattern):
        found = glob.glob(os.path.join(folder, pattern))
        if not found:
            sys.exit(f"{folder} has no {pattern}")
        return ctypes.CDLL(found[0], mode=ctypes.RTLD_GLOBAL)

    library("libggml-base.so")
    ggml, llama = library("libggml.v*.so"), library("libllama.v*.so")
    for name, result, *arguments in [
            ("model_default_params", ModelParams), ("context_default_params", ContextParams),
            ("model_load_from_file", pointer, ctypes.c_char_p, ModelParams), ("init_from_model", pointer, pointer, ContextParams),
            ("get_memory", pointer, pointer), ("memory_clear", None, pointer, flag), ("decode", i32, pointer, Batch),
            ("batch_get_one", Batch, pointer, i32), ("synchronize", None, pointer), ("sampler_init_greedy", pointer),
            ("sampler_sample", i32, pointer, pointer, i32), ("log_set", None, pointer, pointer), ("backend_init", None)]:
        function = getattr(llama, "llama_" + name)
        function.restype, function.argtypes = result, arguments
    silent = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, pointer)(lambda level, text, data: None)
    llama.silent = silent  # it must live as long as the library
    llama.llama_log_set(ctypes.cast(silent, pointer), None)
    ggml.ggml_backend_load_all_from_path(folder.encode())
    llama.llama_backend_init()
    model, context = llama.llama_model_default_params(), llama.llama_context_default_params()
    if (context.context, context.batch, context.ubatch, context.key_type, context.yarn_extension, model.extra_buffers) != (512, 2048, 512, 1, -1.0, True):
        sys.exit("this libllama's structures are not those of node-llama-cpp 3.22.1")
    return llama, model, context


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("libraries")
    arguments.add_argument("model")
    for name, value in dict(threads=2, prefill=512, prompt=128, tokens=128, repeat=5).items():
        arguments.add_argument("--" + name, type=int, default=value)
    a = arguments.parse_args()
    llama, model_params, params = load(a.libraries)
    model_params.gpu_layers = 0
    model = llama.llama_model_load_from_file(a.model.encode(), model_params)
    if not model:
        sys.exit(f"llama.cpp cannot load {a.model}")
    params.context = max(1024, a.prefill, a.prompt + a.tokens)
    params.batch = params.ubatch = max(512, a.prefill)
    params.threads = params.threads_batch = a.threads
    context = llama.llama_init_from_model(model, params)
    memory, sampler = llama.llama_get_memory(context), llama.llama_sampler_init_greedy()

    def read(tokens):
        array = (i32 * len(tokens))(*tokens)
        if llama.llama_decode(context, llama.llama_batch_get_one(ctypes.addressof(array), len(tokens))):
            sys.exit("llama.cpp failed to decode")
        llama.llama_synchronize(context)

    def prompt(n):
        llama.llama_memory_clear(memory, True)
        return [300 + 7919 * i % 701 for i in range(n)]

    read(prompt(a.prefill))  # to warm up
    prefill, decode = [], []
    for _ in range(a.repeat):
        tokens = prompt(a.prefill)
        start = time.perf_counter()
        read(tokens)
        prefill.append(a.prefill / (time.perf_counter() - start))
    for _ in range(a.repeat):
        read(prompt(a.prompt))
        start = time.perf_counter()
        for _ in range(a.tokens):
            read([llama.llama_sampler_sample(sampler, context, -1)])
        decode.append(a.tokens / (time.perf_counter() - start))
    print(json.dumps(dict(prefill_tok_s=statistics.median(prefill), decode_tok_s=statistics.median(decode))))


main()
