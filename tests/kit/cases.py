"""The case lists. A list is a function that yields Cases; `everything` chains them. Names are paths such as
"static/window:window=3/2" and are unique; the numbers of a case are drawn from its name, shapes from its list's seed.
"""
import numpy as np

from check import Case, Failure


def shapes(rng, count, lq=(1, 40), lk=(1, 70), heads=((1, 1), (2, 2), (4, 2), (3, 1), (6, 2)), square=False):
    """Random small shapes as keyword arguments."""
    for _ in range(count):
        hq, hkv = heads[rng.integers(len(heads))]
        n = int(rng.integers(*lk))
        d = int(rng.choice([1, 3, 8, 16, 20, 32, 33, 64]))
        yield dict(b=int(rng.integers(1, 3)), hq=hq, hkv=hkv, lk=n, lq=n if square else int(rng.integers(*lq)),
                   d=d, dv=d if rng.random() < 0.5 else int(rng.integers(1, 50)))


# ---------------------------------------------------------------- primitives

PRIMITIVES = [
    "all", "self", "causal", "window(left=3,right=2)", "window(left=5)", "window(right=4)", "window(left=0,right=0)",
    "window()", "sinks(0)", "sinks(3)", "sinks(500)", "columns(0)", "columns(1,4,7)", "global(0)", "global(2,5)",
    "stride(1)", "stride(4)", "stride(7)", "dilated(step=2,left=3,right=1)", "dilated(step=3,left=4,right=0)",
    "dilated(step=1,left=2,right=2)", "chunk(1)", "chunk(6)", "chunk(100)",
    "causal & window(left=6)", "causal & (window(left=2) | sinks(2))", "!causal", "!(window(left=2,right=2))",
    "causal & !self", "stride(3) & causal | sinks(1)", "sinks(1)|stride(3)&causal", "!!causal & !sinks(2)",
    " causal&( window( left = 4 )|global( 0 , 3 ) ) ", "columns(2) | self & causal", "!all", "all & !chunk(5)",
    "causal & (chunk(8) | columns(3)) & !dilated(step=2,left=2,right=2)",
]


def primitives():
    rng = np.random.default_rng(101)
    for expr in PRIMITIVES:
        lists = list(shapes(rng, 2, lk=(8, 70))) + [dict(hq=2, hkv=1, lq=33, lk=19, d=8, dv=8)]
        for n, shape in enumerate(lists):
            yield Case("pattern/%s/%d" % (expr, n), "pattern:" + expr, causal=bool(n == 1 and rng.random() < 0.4), **shape)
    for expr in ("causal & window(left=200)", "causal & (stride(64) | window(left=31))", "dilated(step=5,left=90,right=7)",
                 "causal & (sinks(5) | chunk(300))", "columns(0,17,900,1023) | causal & window(left=100)"):
        yield Case("pattern/long %s" % expr, "pattern:" + expr, hq=2, hkv=1, lq=24, lk=1500, d=16, dv=8)
        yield Case("pattern/square %s" % expr, "pattern:" + expr, hq=1, hkv=1, lq=1030, lk=1030, d=4, dv=3, mask=False)
    for lengths in ("20", "5+9+6", "1+1+18", "3+17"):
        for causal in (False, True):
            yield Case("pattern/document(%s)/%d" % (lengths, causal), "pattern:document(%s)" % lengths, lq=20, lk=20,
                       causal=causal, hq=2, hkv=1)
    yield Case("pattern/document or self", "pattern:document(4+6+10) & !self | sinks(1)", lq=13, lk=20)
    yield Case("pattern/document more queries", "pattern:document(7+5)", lq=17, lk=12)
    for n, (heads, bq, bk, lq, lk) in enumerate([(1, 4, 4, 16, 16), (2, 4, 8, 18, 33), (1, 5, 3, 11, 20), (2, 16, 1, 30, 9),
                                                 (1, 64, 64, 20, 100)]):
        mask = (np.random.default_rng(n).random((heads, -(-lq // bq), -(-lk // bk))) < 0.5).astype(np.uint8)
        for causal in (False, True):
            yield Case("pattern/blocks/%d%d" % (n, causal), "pattern:blocks(file:{m},bq=%d,bk=%d)" % (bq, bk), lq=lq, lk=lk,
                       causal=causal, extra={"m": mask})
        yield Case("pattern/blocks or/%d" % n, "pattern:self | blocks(file:{m},bq=%d,bk=%d) & !sinks(2)" % (bq, bk), lq=lq,
                   lk=lk, extra={"m": mask})
    for size, lk in (("4+6", 24), ("3+4+5", 60), ("24", 24), ("1+9", 9), ("2+1+7", 14)):
        for axis in range(size.count("+") + 1):
            yield Case("pattern/axial/%s/%d" % (size, axis), "pattern:axial(size=%s,axis=%d)" % (size, axis), lq=lk, lk=lk,
                       hq=2, hkv=1)
    yield Case("pattern/axial/decode", "pattern:axial(size=4+6,axis=0) | self", lq=5, lk=24)
    yield Case("pattern/axial/more queries", "pattern:axial(size=4+6,axis=0)", lq=31, lk=24)
    for size, lk, rest in NEIGHBOURHOODS:
        yield Case("pattern/neighborhood/%s/%s" % (size, rest), "pattern:neighborhood(size=%s,%s)" % (size, rest), lq=lk,
                   lk=lk, hq=2, hkv=1, d=8, dv=8)


NEIGHBOURHOODS = [
    ("11", 11, "kernel=3"), ("11", 11, "kernel=4"), ("11", 11, "kernel=11"), ("12", 12, "kernel=5,stride=2"),
    ("12", 12, "kernel=4,stride=4"), ("13", 13, "kernel=3,dilation=3"), ("14", 14, "kernel=4,stride=2,dilation=2"),
    ("6+7", 42, "kernel=3"), ("6+7", 42, "kernel=3+5"), ("6+8", 48, "kernel=3,stride=1+2,dilation=2+1"),
    ("3+4+5", 60, "kernel=3"), ("4+4+4", 64, "kernel=2+3+4,stride=2+1+3"), ("9+1", 9, "kernel=7+1"),
    ("10", 10, "kernel=5,stride=3"), ("5+9", 45, "kernel=2+4,dilation=2+2,stride=2+1"),
]

# ---------------------------------------------------------------- static rows

STATIC = [
    "dense", "dense:causal", "window:window=1", "window:window=3", "window:window=16", "window:window=4k", "window",
    "window:left=3,right=2", "window:left=4", "window:right=1", "window:left=5,right=0,causal", "window:left=2,causal",
    "streaming:sinks=2,window=5", "streaming:sinks=0,window=4", "streaming:sinks=4,window=1", "streaming",
    "streaming:sinks=300,window=3", "trishape:sinks=2,window=4,last=3", "trishape:sinks=1,window=2,last=0", "trishape",
    "trishape:sinks=1,window=3,last=1000", "chunked:chunk=7", "chunked:chunk=1", "chunked", "chunked:chunk=16",
    "prefix:prefix=0", "prefix:prefix=5", "prefix:prefix=9999", "blockwindow:block=4,blocks=2", "blockwindow:block=16,blocks=1",
    "blockwindow:block=5,blocks=3", "blockwindow", "sparse-strided:stride=4", "sparse-strided:stride=5,part=local",
    "sparse-strided:stride=5,part=stride", "sparse-strided:stride=1", "sparse-strided", "sparse-strided:part=both,stride=9",
    "sparse-fixed:stride=8,summary=2", "sparse-fixed:stride=5,summary=0", "sparse-fixed:stride=6,summary=6", "sparse-fixed",
    "sparse-fixed:stride=7,summary=1", "logsparse", "logsparse:sub=8", "logsparse:sub=2", "logsparse:sub=5",
    "longnet:segments=8+16,dilations=1+2", "longnet:segments=64,dilations=1", "longnet:segments=6+6,dilations=1+1",
    "longnet:segments=4+12+64,dilations=1+3+4", "longnet:segments=10,dilations=3", "longnet",
    "longnet:segments=8+16,dilations=2+4", "longnet:segments=8+16,dilations=1+2,causal", "longformer:window=2,global=0",
    "longformer:window=3,global=1+6", "longformer:window=4,global=", "longformer:window=0,global=3", "longformer",
    "longformer:window=500,global=0", "longformer:window=3,global=0+2,causal",
]


def static():
    rng = np.random.default_rng(202)
    for spec in STATIC:
        lists = list(shapes(rng, 3, lk=(9, 80))) + [dict(hq=2, hkv=1, lq=29, lk=17, d=8, dv=8)]
        for n, shape in enumerate(lists):
            yield Case("static/%s/%d" % (spec, n), spec, causal=n == 1, **shape)
    for spec in ("dense", "dense:causal", "window:window=100", "streaming:sinks=3,window=200", "chunked:chunk=257",
                 "blockwindow", "sparse-strided", "sparse-fixed", "logsparse", "logsparse:sub=256", "prefix:prefix=700",
                 "longformer:window=40,global=0+999", "trishape:sinks=2,window=100,last=5",
                 "longnet:segments=256+2048,dilations=1+4", "window:left=900,right=20"):
        for lq, lk in ((20, 1100), (1, 3000), (7, 2049)):
            yield Case("long/%s/%dx%d" % (spec, lq, lk), spec, hq=2, hkv=1, lq=lq, lk=lk, d=16, dv=16)
        yield Case("square/%s" % spec, spec, hq=1, hkv=1, lq=700, lk=700, d=3, dv=5, mask=False)
    yield from grids()
    yield from with_files()
    yield from fixed_causality()


def fixed_causality():
    """A flag on a row that fixes causality changes nothing; causal=0 in a SPEC wins over --causal."""
    for spec in ("prefix:prefix=6,causal", "window:window=4,causal", "streaming:sinks=1,window=3,causal",
                 "chunked:chunk=4,causal", "blockwindow:block=4,blocks=2,causal", "logsparse:sub=4,causal"):
        yield Case("fixed/" + spec, spec, lq=14, lk=19, causal=True)
    for spec in ("dense:causal=0", "longformer:window=2,causal=0", "topk:k=4,causal=0", "window:left=2,right=2,causal=0"):
        yield Case("fixed/" + spec, spec, lq=14, lk=19, causal=True)
    yield Case("fixed/dense:causal=1", "dense:causal=1", lq=14, lk=19)


def grids():
    for size, n, axes in (("5+8", 40, 2), ("3+4+5", 60, 3), ("7", 7, 1)):
        for axis in range(axes):
            for causal in (False, True):
                yield Case("grid/axial/%s/%d/%d" % (size, axis, causal), "axial:size=%s,axis=%d" % (size, axis), lq=n, lk=n,
                           hq=3, hkv=1, causal=causal)
    for size, n in (("5+8", 40), ("1+12", 12), ("12+1", 12), ("6+6", 36)):
        for causal in (False, True):
            yield Case("grid/crisscross/%s/%d" % (size, causal), "crisscross:size=" + size, lq=n, lk=n, causal=causal)
    yield Case("grid/crisscross/decode", "crisscross:size=5+8", lq=9, lk=40)
    for size, n, rest in (("14+14", 196, "window=7"), ("14+7", 98, "window=7,shift=3"), ("8+12", 96, "window=4,shift=2"),
                          ("8+12", 96, "window=4+6,shift=1+3"), ("4+8", 32, "window=4,shift=2"), ("12", 12, "window=4,shift=1"),
                          ("4+4+6", 96, "window=2+2+3,shift=1"), ("8+8", 64, "window=4,shift=2,causal"), ("7+7", 49, "shift=3"),
                          ("9+6", 54, "window=3,shift=0+2"), ("8+4", 32, "window=2,shift=1")):
        yield Case("grid/swin/%s/%s" % (size, rest), "swin:size=%s,%s" % (size, rest), lq=n, lk=n, hq=2, hkv=2, d=8, dv=8)
    for size, n, rest in NEIGHBOURHOODS:
        alternating = ",causal=" + "+".join("10"[i % 2] for i in range(size.count("+") + 1))
        for extra in ("", ",causal", alternating):
            yield Case("grid/natten/%s/%s%s" % (size, rest, extra), "natten:size=%s,%s%s" % (size, rest, extra), lq=n, lk=n,
                       hq=2, hkv=1, d=8, dv=8)
    yield Case("grid/natten/default", "natten:size=9+10", lq=90, lk=90, hq=2, hkv=2, d=8, dv=8)
    yield Case("grid/natten/--causal", "natten:size=6+7,kernel=3", lq=42, lk=42, causal=True)
    yield Case("grid/natten/--causal and causal=", "natten:size=6+7,kernel=3,causal=0+1", lq=42, lk=42, causal=True)
    yield Case("grid/natten/decode", "natten:size=6+7,kernel=3", lq=8, lk=42)


def with_files():
    for n, lengths in enumerate(("24", "7+9+8", "1+1+22", "12+12")):
        for causal in (False, True):
            yield Case("document/%s/%d" % (lengths, causal), "document:lengths=" + lengths, lq=24, lk=24, hq=4, hkv=2,
                       causal=causal, d=(8, 20, 32, 64)[n])
    yield Case("document/flag", "document:lengths=10+14,causal", lq=24, lk=24)
    yield Case("document/fewer queries", "document:lengths=10+14", lq=17, lk=24, causal=True)
    yield Case("document/more queries", "document:lengths=10+14", lq=30, lk=24)
    yield Case("document/long", "document:lengths=100+1+400+250", lq=751, lk=751, hq=1, hkv=1, d=4, dv=4, causal=True,
               mask=False)
    for n, (heads, bq, bk, lq, lk) in enumerate([(1, 4, 4, 16, 16), (2, 4, 8, 18, 33), (2, 5, 3, 11, 20), (1, 16, 1, 30, 9)]):
        mask = (np.random.default_rng(50 + n).random((heads, -(-lq // bq), -(-lk // bk))) < 0.4).astype(np.uint8)
        for causal in (False, True):
            yield Case("blocks/%d/%d" % (n, causal), "blocks:mask=file:{m},bq=%d,bk=%d" % (bq, bk), lq=lq, lk=lk,
                       causal=causal, extra={"m": mask}, b=2)
    yield Case("blocks/default sizes", "blocks:mask=file:{m}", lq=140, lk=300, hq=2, hkv=1,
               extra={"m": np.array([[[1, 0, 1], [0, 1, 0]]], np.uint8)})
    yield Case("blocks/nothing", "blocks:mask=file:{m},bq=8,bk=8", lq=16, lk=16, extra={"m": np.zeros((1, 2, 2), np.uint8)})
    trees = [[-1], [-1, 0, 1, 2], [-1, 0, 0, 1, 1, 2], [-1, -1, 0, 1, 2, 2, 4], [-1, 0, 0, 0, 1, 1, 2, 6, 6]]
    for n, parents in enumerate(trees):
        t = len(parents)
        for lq, lk in ((t, t), (t, t + 20), (t + 5, t + 12), (t + 9, t + 9)):
            yield Case("tree/%d/%dx%d" % (n, lq, lk), "tree:parents=file:{t}", lq=lq, lk=lk, hq=4, hkv=2,
                       extra={"t": np.array(parents, np.int32)})
    deep = np.maximum(np.arange(90) // 3 - 1, -1)
    yield Case("tree/wide", "tree:parents=file:{t}", lq=90, lk=130, hq=2, hkv=1, extra={"t": deep.astype(np.int32)},
               causal=True)


# ---------------------------------------------------------------- heads, sizes, edges

DIMS = [1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 40, 63, 64, 65, 72, 80, 96, 127, 128, 129, 160, 192, 255, 256, 257]


def sizes():
    for d in DIMS:
        yield Case("dim/prefill d=%d" % d, "dense", lq=19, lk=37, d=d, dv=d, hq=2, hkv=1, causal=True)
        yield Case("dim/decode d=%d" % d, "dense", lq=1, lk=53, d=d, dv=d, hq=4, hkv=2)
        yield Case("dim/dv=%d" % d, "window:window=9", lq=18, lk=30, d=24, dv=d, hq=2, hkv=2)
        yield Case("dim/pruned d=%d" % d, "topk:k=5", lq=5, lk=21, d=d, dv=DIMS[-1 - DIMS.index(d)], hq=2, hkv=1)
    for hq, hkv in ((1, 1), (8, 8), (8, 2), (6, 3), (7, 1), (12, 4), (16, 1), (9, 3), (32, 8), (15, 5)):
        for lq in (1, 3, 17):
            yield Case("heads/%d:%d lq=%d" % (hq, hkv, lq), "dense", hq=hq, hkv=hkv, lq=lq, lk=29, causal=True, d=16, b=2)
        yield Case("heads/topp %d:%d" % (hq, hkv), "topp:p=0.8", hq=hq, hkv=hkv, lq=2, lk=29, b=2)
        yield Case("heads/stream %d:%d" % (hq, hkv), "streaming:sinks=2,window=6", hq=hq, hkv=hkv, lq=3, lk=29, b=2)
    for lq in (1, 2, 4, 8, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 100):
        for lk in (1, 2, 15, 16, 17, 64, 65, 130):
            yield Case("length/%dx%d" % (lq, lk), "dense", lq=lq, lk=lk, hq=1, hkv=1, d=8, dv=8, causal=(lq + lk) % 2 == 1)
    for lk in (1, 2, 3):
        for spec in EVERY_ROW:
            yield Case("tiny/%s/lk=%d" % (spec, lk), spec, lq=4, lk=lk, hq=2, hkv=1)
    for rank in (2, 3, 4):
        heads = dict(hq=1, hkv=1) if rank == 2 else dict(hq=4, hkv=2)
        for spec in ("dense", "streaming:sinks=1,window=4", "topk:k=3", "sparsemax", "longnet:segments=4+9,dilations=1+2"):
            yield Case("rank/%d %s" % (rank, spec), spec, rank=rank, lq=6, lk=11, **heads)
    for b in (2, 3, 5):
        yield Case("batch/%d" % b, "dense:causal", b=b, lq=5, lk=7)
        yield Case("batch/topk %d" % b, "topk:k=2", b=b, lq=5, lk=7)


# one SPEC for every row of sections 3 and 4 that needs no file and no grid
EVERY_ROW = ["dense", "window:window=3", "streaming:sinks=1,window=2", "trishape:sinks=1,window=2,last=2", "chunked:chunk=2",
             "prefix:prefix=1", "blockwindow:block=2,blocks=1", "sparse-strided:stride=2", "sparse-fixed:stride=3,summary=1",
             "longnet:segments=2+4,dilations=1+2", "longformer:window=1,global=0", "topk:k=2", "topp:p=0.7", "threshold:rel=1",
             "threshold:prob=0.3", "localv:k=2", "sparsemax", "entmax15", "entmax:alpha=1.7", "relu", "sigmoid", "offbyone"]


def empty():
    for spec in EVERY_ROW + ["pattern:causal", "logsparse"]:
        yield Case("empty/lq=0 " + spec, spec, lq=0, lk=5)
        yield Case("empty/lk=0 " + spec, spec, lq=3, lk=0)
    for spec in EVERY_ROW:
        yield Case("no keys/causal " + spec, spec, lq=23, lk=9, hq=2, hkv=1, causal=True)
    for spec in ("dense", "topk:k=3", "topp:p=0.5", "threshold:rel=2", "localv:k=2", "sparsemax", "entmax15", "relu", "sigmoid",
                 "offbyone", "streaming:sinks=1,window=3"):
        yield Case("no keys/bias " + spec, spec, lq=7, lk=9, bias="lqlk", bias_kind="row")
    for spec in ("dense:sink=1.5", "topk:k=2,sink=0", "dense:causal,sink=-2", "streaming:sinks=1,window=2,sink=3"):
        yield Case("no keys/sink " + spec, spec, lq=9, lk=5, causal=True)
        yield Case("no keys/sink holes " + spec, spec, lq=9, lk=5, bias="hq", bias_kind="row", hq=3, hkv=1)
    yield Case("no keys/!all", "pattern:!all", lq=5, lk=9)
    yield Case("no keys/decode", "pattern:!all", lq=1, lk=9, hq=4, hkv=1)


# ---------------------------------------------------------------- NaN and infinity

POISON_ROWS = ["dense", "window:window=4", "window:left=2,right=1", "streaming:sinks=2,window=4", "chunked:chunk=5",
               "blockwindow:block=4,blocks=2", "sparse-strided:stride=4", "sparse-fixed:stride=6,summary=1", "logsparse:sub=8",
               "longformer:window=2,global=0", "longnet:segments=4+8,dilations=2+4", "prefix:prefix=3",
               "pattern:causal & stride(3)", "pattern:window(left=2,right=0)|columns(1)", "pattern:causal & !columns(3,7)"]


def nan():
    for spec in POISON_ROWS:
        for lq in (1, 3, 16):
            for kind in ("hidden", "inf-hidden"):
                # the bias hides columns, so that some keys are hidden under every pattern
                yield Case("nan/%s %s lq=%d" % (kind, spec, lq), spec, lq=lq, lk=22, poison=kind, bias="lqlk",
                           bias_kind="columns", hq=2, hkv=1, causal=True)
    for spec in ("window:window=4", "pattern:columns(1,5)", "pattern:causal & dilated(step=3,left=2,right=0)",
                 "streaming:sinks=1,window=3", "topk:k=2,pattern=\"window(left=3)\"", "sparsemax:pattern=\"columns(2,3,9)\"",
                 "topp:p=0.9,pattern=\"window(left=5,right=0)\"", "threshold:rel=3,pattern=\"sinks(4)\"",
                 "localv:k=2,pattern=\"chunk(6)\"", "entmax15:pattern=\"sinks(5)\"", "relu:pattern=\"sinks(6)\"",
                 "sigmoid:pattern=\"causal & window(left=3)\"", "offbyone:pattern=\"columns(7)\"",
                 "entmax:alpha=1.3,pattern=\"sinks(4)\""):
        for kind in ("hidden", "inf-hidden"):
            yield Case("nan/%s pattern %s" % (kind, spec), spec, lq=3, lk=30, poison=kind, hq=2, hkv=1)
            yield Case("nan/%s pattern decode %s" % (kind, spec), spec, lq=1, lk=30, poison=kind, hq=4, hkv=1, d=40, dv=24)
    for spec in ("topk:k=3", "topp:p=0.8", "threshold:rel=3", "localv:k=4", "sparsemax", "entmax15", "entmax:alpha=1.5", "relu",
                 "sigmoid", "offbyone"):
        yield Case("nan/hidden pruned " + spec, spec, lq=6, lk=22, poison="hidden", bias="lqlk", bias_kind="columns",
                   causal=True)
        yield Case("nan/causal pruned " + spec, spec, lq=8, lk=20, poison="hidden", bias="hq", bias_kind="columns", dtype="bf16")
    for spec in ("axial:size=4+6,axis=1", "crisscross:size=4+6", "natten:size=4+6,kernel=3", "document:lengths=5+6+13",
                 "tree:parents=file:{t}", "blocks:mask=file:{m},bq=2,bk=4", "trishape:sinks=1,window=3,last=0"):
        extra = {"t": np.array([-1], np.int32)} if "{t}" in spec else {"m": np.eye(6, dtype=np.uint8)[None, :2]} if "{m}" in spec else {}
        for kind in ("hidden", "inf-hidden"):
            yield Case("nan/%s %s" % (kind, spec), spec, lq=3, lk=24, poison=kind, extra=extra, bias="lqlk", bias_kind="columns")
        if not spec.startswith("tree"):
            yield Case("nan/visible v " + spec, spec, lq=3, lk=24, poison="visible-v", extra=extra)
    for lq in (1, 4, 20):
        for spec in ("dense", "dense:causal", "window:window=6", "streaming:sinks=1,window=5", "offbyone", "dense:softcap=5"):
            yield Case("nan/visible k %s lq=%d" % (spec, lq), spec, lq=lq, lk=20, poison="visible-k", hq=4, hkv=2, b=2)
            yield Case("nan/visible v %s lq=%d" % (spec, lq), spec, lq=lq, lk=20, poison="visible-v", hq=4, hkv=2, b=2)
        yield Case("nan/query lq=%d" % lq, "dense:causal", lq=lq, lk=20, poison="q", hq=4, hkv=2, b=2)
    for lq in (1, 9):
        for rank in ("lqlk", "hq", "b"):
            yield Case("nan/visible bias %s lq=%d" % (rank, lq), "dense", lq=lq, lk=14, bias=rank, bias_kind="nan-visible", b=2, hq=4)
    yield Case("nan/query without keys", "pattern:!all", lq=5, lk=9, poison="q")
    for rank in ("lqlk", "hq", "b"):
        for spec in ("dense", "window:window=3", "topk:k=3", "relu"):
            yield Case("nan/bias %s %s" % (rank, spec), spec, lq=9, lk=14, bias=rank, bias_kind="nan-hidden", causal=True, b=2)


# ---------------------------------------------------------------- score edits


def edits():
    for scale in (0.5, 1.0, 0.03125, 2.5, 1e-3):
        yield Case("edit/--scale %g" % scale, "dense", scale=scale, lq=9, lk=13)
        yield Case("edit/scale=%g" % scale, "dense:scale=%g" % scale, scale=9.0, lq=9, lk=13)
    for cap in (0.5, 1, 5, 30, 50, 1000):
        for data in ("normal", "peaky"):
            yield Case("edit/softcap=%g %s" % (cap, data), "dense:softcap=%g" % cap, lq=9, lk=33, data=data)
            yield Case("edit/softcap=%g %s decode" % (cap, data), "dense:softcap=%g" % cap, lq=1, lk=33, data=data, hq=4, hkv=1)
    for hq in (1, 2, 3, 4, 5, 8, 12, 20):
        for causal in (False, True):
            yield Case("edit/alibi %d heads %d" % (hq, causal), "dense:alibi", hq=hq, hkv=1 if hq % 2 else hq // 2, lq=7, lk=40,
                       causal=causal)
    yield Case("edit/alibi more queries", "dense:alibi", lq=19, lk=7, hq=4, hkv=2)
    yield Case("edit/alibi long", "dense:alibi,causal", lq=6, lk=2000, hq=8, hkv=2)
    for rank in ("lqlk", "hq", "b"):
        for kind in ("random", "holes", "row"):
            for lq in (1, 21):
                for spec in ("dense", "window:left=6,right=3"):
                    yield Case("edit/bias %s %s %s lq=%d" % (rank, kind, spec, lq), spec, bias=rank, bias_kind=kind, lq=lq, lk=26,
                               b=2, hq=4, hkv=2)
    for sink in (-30, -1, 0, 2, 30):
        yield Case("edit/sink=%d" % sink, "dense:sink=%d" % sink, lq=9, lk=13)
        yield Case("edit/sink=%d causal" % sink, "dense:sink=%d,causal" % sink, lq=9, lk=5)
        yield Case("edit/sink=%d decode" % sink, "streaming:sinks=1,window=4,sink=%d" % sink, lq=1, lk=13, hq=4, hkv=2)
    for spec in ("dense", "window:window=4", "topk:k=4", "topp:p=0.7", "threshold:prob=0.1", "threshold:rel=1,renorm=0",
                 "localv:k=3", "longnet:segments=4+8,dilations=1+2"):
        yield Case("edit/--sink " + spec, spec, sink=True, lq=8, lk=17, hq=6, hkv=3, b=2)
        yield Case("edit/--sink decode " + spec, spec, sink=True, lq=1, lk=17, hq=6, hkv=3, b=2)
    for n, spec in enumerate(("dense:softcap=4,alibi,sink=1,scale=0.7,causal", "window:window=7,softcap=3,alibi,scale=0.5",
                              "streaming:sinks=2,window=5,softcap=2,sink=0.5", "topk:k=4,softcap=3,alibi,sink=1",
                              "topp:p=0.8,scale=0.4,softcap=6,alibi,causal", "sparsemax:softcap=2,alibi,scale=0.6",
                              "entmax15:softcap=2,causal,alibi", "relu:softcap=1.5,alibi", "sigmoid:softcap=3,alibi,causal",
                              "offbyone:softcap=2,alibi,scale=0.9", "longnet:segments=6+12,dilations=1+2,softcap=2,alibi",
                              "threshold:rel=1.5,softcap=4,alibi", "localv:k=3,softcap=4,alibi,sink=-1")):
        for lq in (1, 11):
            yield Case("edit/all/%d lq=%d" % (n, lq), spec, lq=lq, lk=24, hq=4, hkv=2, bias="hq", bias_kind="holes", b=2,
                       data="peaky")
    for scale in (1, 4):  # scores of hundreds: no overflow, no loss of the maximum
        for spec in ("dense", "dense:causal,sink=5", "topk:k=3", "offbyone", "streaming:sinks=1,window=6", "topp:p=0.9"):
            yield Case("edit/large scores %s x%d" % (spec, scale), spec, scale=float(scale), data="wide", lq=9, lk=21, d=32)
    for kind in ("huge", "lowest"):  # the additive masks other codes pass: -1e9 and the lowest float; only -inf hides
        for spec in ("dense", "dense:causal", "window:window=5", "topk:k=3", "offbyone", "dense:softcap=4,sink=1"):
            for lq in (1, 12):
                yield Case("edit/bias %s %s lq=%d" % (kind, spec, lq), spec, lq=lq, lk=20, bias="hq", bias_kind=kind, causal=True)
    yield Case("edit/offbyone and sink", "offbyone:sink=1", lq=6, lk=11)
    for spec in ("dense", "topk:k=3", "streaming:sinks=1,window=3"):
        yield Case("edit/sink -inf in some heads " + spec, spec, lq=6, lk=11, sink=True, sink_kind="-inf", hq=4, hkv=2)
    for spec in ("window: window = 4", "dense: causal , scale = 0.5", "topk:k=3, pattern=\" causal & window( left = 5 ) \"",
                 "window:window=1k", "topk:k=1m", "streaming:sinks=1k,window=2"):
        yield Case("edit/grammar " + spec, spec, lq=9, lk=21)
    yield Case("edit/equal scores", "dense:causal", data="equal", lq=30, lk=30)
    yield Case("edit/equal scores long", "dense", data="equal", lq=3, lk=2500, hq=1, hkv=1)


# ---------------------------------------------------------------- pruned

PRUNED = ["topk:k=1", "topk:k=3", "topk:k=16", "topk", "topk:k=5000", "topp:p=0.3", "topp", "topp:p=0.99", "topp:p=1",
          "threshold", "threshold:rel=0", "threshold:rel=1", "threshold:rel=2.5,renorm=0", "threshold:prob=0.05",
          "threshold:prob=0.08,renorm=0", "threshold:prob=0.02,renorm=1", "localv:k=1", "localv:k=4", "localv", "sparsemax",
          "entmax15", "entmax:alpha=1.5", "entmax:alpha=2", "entmax:alpha=1.2", "entmax:alpha=1.05", "entmax:alpha=3",
          "relu", "relu:power=0", "relu:power=0.5", "sigmoid", "sigmoid:bias=0", "sigmoid:bias=-2.5", "sigmoid:bias=auto", "offbyone",
          "topk:k=4,pattern=\"causal & (window(left=6) | sinks(2))\"", "topp:p=0.6,pattern=\"stride(2)\"",
          "threshold:rel=1,pattern=\"chunk(8)\"", "localv:k=3,pattern=\"window(left=9,right=9)\"", "sparsemax:pattern=\"causal\"",
          "entmax15:pattern=\"causal & !self\"", "entmax:alpha=1.6,pattern=\"sinks(9)\"", "relu:pattern=\"window(left=4)\"",
          "sigmoid:pattern=\"causal & chunk(5)\"", "offbyone:pattern=\"columns(1,2,3) | self\""]


def pruned():
    rng = np.random.default_rng(303)
    for spec in PRUNED:
        for n, shape in enumerate(shapes(rng, 4, lq=(1, 14), lk=(4, 90))):
            yield Case("pruned/%s/%d" % (spec, n), spec, causal=n % 2 == 1, data=("normal", "peaky")[n // 2], **shape)
        yield Case("pruned/%s/square" % spec, spec, lq=20, lk=20, hq=2, hkv=1, causal=True)
        yield Case("pruned/%s/more queries" % spec, spec, lq=15, lk=8, hq=2, hkv=1, causal=True)
    for spec in ("topk:k=100", "topp:p=0.9", "threshold:rel=2", "localv:k=50", "sparsemax", "entmax15", "entmax:alpha=1.4", "relu",
                 "sigmoid", "offbyone"):
        for lq, lk in ((3, 1000), (1, 3000), (33, 300)):
            yield Case("pruned/long %s %dx%d" % (spec, lq, lk), spec, lq=lq, lk=lk, hq=2, hkv=1, causal=True)
    # exact ties: whole numbers and a power of two as scale make every score exact
    for spec in ("topk:k=1", "topk:k=4", "topk:k=9", "localv:k=3", "threshold:rel=0", "threshold:rel=2", "sparsemax", "entmax15",
                 "topk:k=5,softcap=3", "localv:k=4,causal", "relu"):
        for lq, d in ((1, 4), (13, 4), (13, 16), (40, 64)):
            yield Case("pruned/ties %s lq=%d d=%d" % (spec, lq, d), spec, lq=lq, lk=45, d=d, data="integer", scale=0.25, hq=2,
                       hkv=1)
    for spec in ("topk:k=7", "localv:k=7", "sparsemax", "entmax15", "entmax:alpha=1.5", "topk:k=7,causal", "threshold:rel=0"):
        yield Case("pruned/all equal " + spec, spec, lq=9, lk=30, data="equal", scale=0.25)
    # without a mask: the oracle's own choice must be reproduced (whole numbers, so that it is forced)
    for spec in ("topk:k=4", "localv:k=4", "threshold:rel=1.3", "sparsemax"):
        yield Case("pruned/no mask " + spec, spec, lq=13, lk=40, data="integer", scale=0.5, mask=False)
    for spec in ("topk:k=64", "topp:p=1", "threshold:rel=1000", "localv:k=64"):
        yield Case("pruned/identity " + spec, spec, lq=13, lk=40)


# ---------------------------------------------------------------- storage types, files, instruction sets, threads

SOME_ROWS = ["dense", "dense:causal", "streaming:sinks=2,window=7", "longformer:window=3,global=0", "sparse-strided:stride=5",
             "topk:k=4", "topp:p=0.8", "sparsemax", "sigmoid", "longnet:segments=5+16,dilations=1+2", "pattern:causal & stride(3)"]


def types():
    for dtype in ("bf16", "f16", "f32"):
        for spec in SOME_ROWS:
            for lq in (1, 14):
                yield Case("type/--dtype %s %s lq=%d" % (dtype, spec, lq), spec, dtype=dtype, lq=lq, lk=27, hq=4, hkv=2, d=40)
        for d in (1, 2, 3, 7, 16, 31, 33, 64, 65, 128, 129):
            yield Case("type/--dtype %s d=%d" % (dtype, d), "dense", dtype=dtype, lq=9, lk=21, d=d, dv=d, causal=True)
            yield Case("type/--dtype %s decode d=%d" % (dtype, d), "dense", dtype=dtype, lq=1, lk=21, d=d, dv=d, hq=4, hkv=1)
        yield Case("type/--dtype %s nan" % dtype, "window:window=3", dtype=dtype, lq=2, lk=21, poison="hidden")
        yield Case("type/--dtype %s visible nan" % dtype, "dense:causal", dtype=dtype, lq=12, lk=21, poison="visible-k")
        yield Case("type/--dtype %s edits" % dtype, "dense:softcap=4,alibi,sink=1", dtype=dtype, lq=6, lk=21, bias="hq",
                   bias_kind="holes")
    for kind in ("f32", "f16", "F32", "F16", "BF16"):
        for dtype in (None, "f32", "bf16", "f16"):
            for one in ((False, True) if kind.isupper() else (False,)):
                yield Case("file/%s --dtype %s one=%d" % (kind, dtype, one), "dense:causal", kind=kind, dtype=dtype, one_file=one,
                           lq=9, lk=15, hq=4, hkv=2, d=24, dv=10, out="safetensors" if one else "npy")
        yield Case("file/%s topk" % kind, "topk:k=3", kind=kind, lq=4, lk=15)
        for rank in (2, 3):
            yield Case("file/%s rank %d" % (kind, rank), "dense", kind=kind, rank=rank, hq=1, hkv=1, lq=4, lk=15,
                       out="safetensors")
    for dtype in ("f32", "bf16", "f16"):
        for spec in ("dense", "dense:causal", "streaming:sinks=1,window=9", "topk:k=5"):
            yield Case("type/fast %s %s" % (dtype, spec), spec, dtype=dtype, precision="fast", lq=17, lk=40, d=64)
        yield Case("type/exact %s" % dtype, "dense", dtype=dtype, precision="exact", lq=17, lk=40, d=64)


    for d in DIMS[::2]:
        for dtype in ("bf16", "f16"):
            yield Case("type/dv=%d %s" % (d, dtype), "dense", dtype=dtype, lq=18, lk=33, d=24, dv=d, hq=2, hkv=1)
            yield Case("type/dv=%d %s decode" % (d, dtype), "dense", dtype=dtype, lq=1, lk=33, d=d, dv=d, hq=4, hkv=1)
    for dtype in ("bf16", "f16"):  # f16 keys below its normal range count in full
        for lq in (1, 20):
            yield Case("type/small %s lq=%d" % (dtype, lq), "dense", dtype=dtype, lq=lq, lk=33, data="small", scale=2.0 ** 18)
            yield Case("type/long %s lq=%d" % (dtype, lq), "dense", dtype=dtype, lq=lq, lk=2500, hq=4, hkv=1, d=65, dv=33)
    for version in (2, 3):
        yield Case("file/npy version %d" % version, "dense", lq=4, lk=9, npy_version=version)
    yield Case("file/safetensors with more in it", "dense", lq=4, lk=9, kind="F32", one_file=True, crowded=True)
    mask = (np.random.default_rng(9).random((2, 3, 3)) < 0.6)
    for kind in (bool, np.uint8, np.int8):
        yield Case("file/blocks %s" % np.dtype(kind), "blocks:mask=file:{m},bq=4,bk=4", lq=12, lk=12, extra={"m": mask.astype(kind)})


def isas():
    for isa in ("scalar", "generic", "avx2", "avx512"):
        for dtype in ("f32", "bf16", "f16"):
            for spec in SOME_ROWS:
                yield Case("isa/%s %s %s" % (isa, dtype, spec), spec, isa=isa, dtype=dtype, lq=19, lk=37, hq=4, hkv=2, d=33,
                           dv=20)
            for d in (1, 8, 17, 64, 100, 128, 257):
                yield Case("isa/%s %s prefill d=%d" % (isa, dtype, d), "dense:causal", isa=isa, dtype=dtype, lq=35, lk=40, d=d,
                           dv=d, hq=1, hkv=1)
                yield Case("isa/%s %s decode d=%d" % (isa, dtype, d), "dense", isa=isa, dtype=dtype, lq=1, lk=70, d=d, dv=d,
                           hq=3, hkv=1)
        for n in (16, 17, 40):
            yield Case("isa/%s lk=%d" % (isa, n), "dense", isa=isa, lq=3, lk=n, d=5, dv=5)
        yield Case("isa/%s edits" % isa, "dense:softcap=3,alibi,sink=1,causal", isa=isa, lq=19, lk=37, bias="hq",
                   bias_kind="holes")
        yield Case("isa/%s hidden nan" % isa, "window:window=5", isa=isa, lq=2, lk=37, poison="hidden")
        yield Case("isa/%s visible nan" % isa, "dense:causal", isa=isa, lq=20, lk=37, poison="visible-v")
        yield Case("isa/%s no keys" % isa, "dense:causal", isa=isa, lq=40, lk=7)
        yield Case("isa/%s entmax15" % isa, "entmax15", isa=isa, lq=5, lk=37)


    for spec in SOME_ROWS:
        for lq in (1, 19):
            yield Case("isa/avx512_bf16 %s lq=%d" % (spec, lq), spec, isa="avx512_bf16", dtype="bf16", lq=lq, lk=37, hq=4, hkv=2,
                       d=33, dv=20)
            yield Case("isa/amx %s lq=%d" % (spec, lq), spec, isa="amx", dtype="bf16", lq=3 * lq, lk=150, hq=4, hkv=2,
                       d=33, dv=20)


# ---------------------------------------------------------------- the engine's own random choice


def block_counts(block, count, lq, lk):
    """random(): per query block and head exactly `count` distinct whole key blocks."""
    def pairs(case, mask):
        if not (mask == mask[:1]).all():
            raise Failure("the choice depends on the batch entry")
        per_block = []
        for h in range(case.hq):
            for i in range(0, lq, block):
                rows = mask[0, h, i:i + block]
                if not (rows == rows[:1]).all():
                    raise Failure("rows of query block %d of head %d differ" % (i // block, h))
                sums = [int(rows[0, j:j + block].sum()) for j in range(0, lk, block)]
                wide = [min(block, lk - j) for j in range(0, lk, block)]
                if any(s not in (0, w) for s, w in zip(sums, wide)):
                    raise Failure("a key block is kept in part")
                per_block.append(tuple(s > 0 for s in sums))
                if sum(per_block[-1]) != count:
                    raise Failure("head %d block %d keeps %d blocks, expected %d" % (h, i // block, sum(per_block[-1]), count))
        blocks = len(per_block[0])
        if 0 < count < blocks and len(per_block) >= 12 and len(set(per_block)) < 3:
            raise Failure("every query block drew the same key blocks")
        if len(per_block) * count >= 12 * blocks and not all(any(r[j] for r in per_block) for j in range(blocks)):
            raise Failure("a key block was never drawn")
    return pairs


def bigbird_blocks(block, count, length):
    def pairs(case, mask):
        nb = -(-length // block)
        for h in range(case.hq):
            for n in range(nb):
                rows = mask[0, h, n * block:(n + 1) * block]
                if not (mask[:, h, n * block:(n + 1) * block] == rows[:1]).all():
                    raise Failure("rows of block %d differ" % n)
                sums = [int(rows[0, j:j + block].sum()) for j in range(0, length, block)]
                if any(s not in (0, min(block, length - j * block)) for j, s in enumerate(sums)):
                    raise Failure("a key block is kept in part")
                have = {j for j, s in enumerate(sums) if s}
                if n in (0, nb - 1):
                    if len(have) != nb:
                        raise Failure("row block %d does not see everything" % n)
                    continue
                forced = {0, n - 1, n, n + 1, nb - 1}
                barred = {1: {nb - 2}, nb - 2: {1}}.get(n, set()) - forced
                forced |= {2} if n == 1 else {nb - 3} if n == nb - 2 else set()
                if not forced <= have:
                    raise Failure("row block %d lacks forced blocks %s" % (n, sorted(forced - have)))
                if have & barred:
                    raise Failure("row block %d drew the barred block %s" % (n, sorted(have & barred)))
                if len(have) != len(forced) + count:
                    raise Failure("row block %d keeps %d blocks, expected %d" % (n, len(have), len(forced) + count))
    return pairs


def rows_per_head():
    """Every number of query rows per key head about where one form of kernel hands over to the other."""
    for hkv, group in ((1, 1), (2, 2), (1, 4), (1, 7), (1, 16), (2, 32)):
        for lq in (1, 2, 3, 4, 5, 6, 7, 9, 12, 16, 31):
            if group * lq > 130:
                continue
            for spec in ("dense:causal", "topk:k=6"):
                yield Case("rows/%s group %d lq=%d" % (spec, group, lq), spec, hq=hkv * group, hkv=hkv, lq=lq, lk=45, d=24, dv=17)
    for n in (1, 2, 3, 8):
        for lq in (1, 2, 5):
            yield Case("rows/long threads=%d lq=%d" % (n, lq), "dense:causal", hq=4, hkv=1, lq=lq, lk=2900, d=33, dv=65, threads=n)


def drawn():
    for n, (block, count, lq, lk, hq) in enumerate([(4, 1, 16, 16, 2), (4, 3, 40, 40, 4), (8, 2, 30, 61, 2), (1, 5, 20, 33, 2),
                                                    (16, 0, 20, 40, 2), (4, 10, 12, 40, 2), (7, 2, 5, 100, 4), (2, 3, 60, 30, 4)]):
        for seed in (0, 7):
            yield Case("random/%d seed=%d" % (n, seed), "pattern:random(block=%d,count=%d,seed=%d)" % (block, count, seed), b=2,
                       hq=hq, hkv=hq // 2, lq=lq, lk=lk, given=True, pairs=block_counts(block, count, lq, lk))
    for n, (block, count, length) in enumerate([(4, 3, 40), (4, 1, 30), (8, 2, 77), (5, 0, 45), (4, 3, 48), (3, 4, 60)]):
        for seed in (0, 3):
            yield Case("bigbird/%d seed=%d" % (n, seed), "bigbird:block=%d,random=%d,seed=%d" % (block, count, seed), b=2, hq=4,
                       hkv=2, lq=length, lk=length, given=True, pairs=bigbird_blocks(block, count, length))
    yield Case("bigbird/default block", "bigbird", hq=2, hkv=1, lq=600, lk=600, d=4, dv=4, given=True,
               pairs=bigbird_blocks(64, 3, 600))


# ---------------------------------------------------------------- anything with anything


def mixed(seed, count):
    """`count` cases with everything drawn: row, shape, edits, types, instruction set, threads."""
    rng = np.random.default_rng(seed)

    def maybe(chance, value, otherwise=None):
        return value if rng.random() < chance else otherwise

    def pick(values):
        return values[int(rng.integers(len(values)))]
    for n in range(count):
        spec = pick([pick(STATIC), "pattern:" + pick(PRIMITIVES), pick(PRUNED), pick(POISON_ROWS)])
        name = spec.partition(":")[0]
        softmax = name not in ("sparsemax", "entmax15", "entmax", "relu", "sigmoid", "offbyone")
        if name != "pattern":
            extra = [maybe(0.2, "softcap=%g" % pick([1, 3, 30])), maybe(0.2, "alibi"), maybe(0.2, "scale=%g" % pick([0.1, 0.6, 2]))]
            extra.append(maybe(0.2, "sink=%g" % pick([-1, 0, 3])) if softmax else None)
            text = ",".join(e for e in extra if e)
            if text:
                spec += ("," if ":" in spec else ":") + text
        shape = next(shapes(rng, 1, lq=(1, pick([2, 10, 40])), lk=(1, pick([20, 90, 300])),
                            heads=((1, 1), (2, 2), (4, 2), (5, 1), (8, 2), (6, 3))))
        if rng.random() < 0.3:
            shape.update(d=pick(DIMS), dv=pick(DIMS))
        if rng.random() < 0.25 and name not in ("pattern",):  # a grid of the right length
            a, c = int(rng.integers(3, 9)), int(rng.integers(3, 9))
            shape["lk"], shape["lq"] = a * c, pick([1, 3, a * c])
            kernel = int(rng.integers(1, min(a, c) + 1))
            spec = pick(["axial:size=%d+%d,axis=1", "axial:size=%d+%d,axis=0", "crisscross:size=%d+%d", "document:lengths=%d+%d",
                         "natten:size=%d+%d,kernel=" + "%d" % kernel, "topp:p=0.8,pattern=\"!axial(size=%d+%d,axis=0)\"",
                         "swin:size=%d+%d,window=" + "%d+%d" % (a, c), "topk:k=3,pattern=\"document(%d+%d) & causal\""]) % (a, c)
            if "document" in spec:
                shape["lk"] = a + c
        bias = maybe(0.3, pick(["lqlk", "hq", "b"]))
        dtype = pick([None, None, "f32", "bf16", "f16"])
        yield Case("mixed/%d-%d %s" % (seed, n, spec), spec, causal=bool(rng.random() < 0.4), scale=maybe(0.2, 0.3), bias=bias,
                   bias_kind=pick(["random", "holes", "row", "columns", "nan-hidden"]) if bias else "random",
                   sink=bool(softmax and "sink=" not in spec and rng.random() < 0.2), kind=pick(["f32", "f32", "f16", "F32", "BF16"]),
                   dtype=dtype, data=pick(["normal", "normal", "peaky"]), poison=maybe(0.3, pick(["hidden?", "inf-hidden?"])),
                   isa=maybe(0.4, pick(["scalar", "generic", "avx2", "avx512"])), threads=maybe(0.3, pick([1, 2, 3, 8])),
                   precision=maybe(0.1, "fast"), out=pick(["npy", "safetensors"]), **shape)


def everything(seed=1, count=300):
    for source in (primitives, static, sizes, empty, nan, edits, pruned, types, isas, rows_per_head, drawn):
        yield from source()
    yield from mixed(seed, count)
