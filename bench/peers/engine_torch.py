"""PyTorch: SDPA as a model would call it, the unfused three steps, the two products alone, and FlexAttention.

Decoding rows fold the query group into rows ([1, hkv, group, d]): enable_gqa exists and is several times slower. Unfused
is what a model without a fused operator runs (matmul, softmax, matmul on whole tensors); 'by head' is the same for one
head at a time with preallocated scores, which stays in the caches for longer."""
import math
import warnings

import numpy as np

import rows
from engine import Missing, Prepared, Unfit

NAMES = ("torch SDPA", "torch SDPA per document", "torch unfused", "torch unfused by head", "torch FlexAttention",
         "two GEMMs, torch")
MOST_SCORES = 2 << 30  # bytes of scores that the whole-tensor unfused form may hold
MOST_HIDDEN = 1 << 27  # scores of a sparse row above which unfused forms, which compute them all, are left out
torch = flex = None


def start(settings):
    global torch, flex
    try:
        import torch as module
    except ImportError as e:
        raise Missing("torch: %s" % e) from None
    torch = module
    torch.set_num_threads(settings.threads)
    torch.set_grad_enabled(False)
    warnings.filterwarnings("ignore", module="torch")
    try:
        from torch.nn.attention import flex_attention as flex_module
        flex = flex_module
    except ImportError:
        flex = None


def version():
    return "%s, CPU capability %s" % (torch.__version__, torch.backends.cpu.get_cpu_capability())


def tensor(x):
    """A tensor on the same memory; bf16 bits become bfloat16."""
    return torch.from_numpy(x.view(np.int16)).view(torch.bfloat16) if x.dtype == np.uint16 else torch.from_numpy(x)


class Form:
    """q, k, v of a row as the engine is best given them: a query group folded into rows where no mask tells them apart."""

    def __init__(self, case):
        row = self.row = case.row
        self.case = case
        self.q, self.k, self.v = (tensor(x) for x in (case.q, case.k, case.v))
        self.group = row.hq // row.hkv
        self.folded = self.group > 1 and row.lq == 1
        if self.folded:
            self.q = self.q.reshape(row.batch, row.hkv, self.group, row.d)
        self.causal = row.mask == "causal" and row.lq > 1
        self.result = None

    def mask(self):
        """Additive for unfused and bias, boolean for SDPA; None when nothing hides."""
        if self.row.mask in ("none", "causal") and (self.row.mask == "none" or self.row.lq == 1):
            return None
        return torch.from_numpy(self.case.visible())

    def added(self, dtype):
        """Everything added to scores: mask and bias as one tensor, or None."""
        mask = self.mask()
        if mask is None and self.case.bias is None:
            return None
        out = torch.zeros((), dtype=torch.float32) if self.case.bias is None else torch.from_numpy(self.case.bias)
        if mask is not None:
            out = out + torch.zeros(mask.shape).masked_fill_(~mask, -math.inf)
        return out.to(dtype)

    def repeated(self, x):
        """k or v with one head per query head (unfused, unfolded groups): a view where that is possible."""
        if self.folded or self.group == 1:
            return x
        b, h, n, d = x.shape
        return x[:, :, None].expand(b, h, self.group, n, d).reshape(b, h * self.group, n, d)

    def output(self):
        row = self.row
        return self.result.reshape(row.batch, row.hq, row.lq, row.dv).float().numpy()

    def done(self, run, **more):
        def timed():
            self.result = run()
        return Prepared(timed, self.output, keep=(self,), **more)


def sdpa(case):
    form = Form(case)
    row = case.row
    attend = torch.nn.functional.scaled_dot_product_attention
    square = row.lq == row.lk  # is_causal aligns to the top left, which is ours only when square
    note = ""
    if form.causal and square and case.bias is None:
        options = {"is_causal": True}
    else:
        mask = form.mask() if case.bias is None else form.added(form.q.dtype)
        options = {} if mask is None else {"attn_mask": mask}
        note = "" if mask is None else "mask tensor" if case.bias is None else ""
    if form.group > 1 and not form.folded:
        options["enable_gqa"] = True
    q, k, v, scale = form.q, form.k, form.v, row.factor
    return form.done(lambda: attend(q, k, v, scale=scale, **options), note=note)


def per_document(case):
    if case.row.mask != "docs":
        raise Unfit("no documents here")
    form, ends = Form(case), np.concatenate([[0], np.cumsum(rows.lengths_of_documents(case.row))]).tolist()
    attend = torch.nn.functional.scaled_dot_product_attention
    parts = [tuple(x[:, :, a:b] for x in (form.q, form.k, form.v)) for a, b in zip(ends, ends[1:])]
    result = torch.empty_like(form.q)

    def run():
        for (a, b), (q, k, v) in zip(zip(ends, ends[1:]), parts):
            result[:, :, a:b] = attend(q, k, v, is_causal=True)
        return result
    return form.done(run)


def refuse_wasteful(row):
    if row.mask not in ("none", "causal") and row.batch * row.hq * row.lq * row.lk > MOST_HIDDEN:
        raise Unfit("nearly all of its work would be on hidden pairs, for seconds")


def unfused(case):
    form, row = Form(case), case.row
    refuse_wasteful(row)
    k, v = form.repeated(form.k), form.repeated(form.v)
    if row.batch * row.hq * row.lq * row.lk * rows.BYTES[row.dtype] > MOST_SCORES:
        raise Unfit("the scores would take over 2 GiB")
    added, q, kt, scale = form.added(form.q.dtype), form.q, k.transpose(-1, -2), row.factor
    softmax = torch.softmax

    def run():
        s = torch.matmul(q, kt).mul_(scale)
        if added is not None:
            s += added
        return torch.matmul(softmax(s, -1), v)
    return form.done(run)


def by_head(case):
    form, row = Form(case), case.row
    refuse_wasteful(row)
    if row.batch * row.hq > 512 or row.lq == 1:
        raise Unfit("more than 512 heads or a single query: calls would be all of the time")
    added, scale = form.added(form.q.dtype), row.factor
    if added is not None:
        added = added.expand(row.hq, row.lq, row.lk)
    s = torch.empty(row.lq, row.lk, dtype=form.q.dtype)
    p = torch.empty_like(s)
    result = torch.empty(row.batch, row.hq, row.lq, row.dv, dtype=form.q.dtype)
    heads = [(form.q[b, h], form.k[b, h // form.group].t(), form.v[b, h // form.group],
              None if added is None else added[h], result[b, h]) for b in range(row.batch) for h in range(row.hq)]
    mm, softmax = torch.mm, torch.softmax

    def run():
        for q, kt, v, a, o in heads:
            mm(q, kt, out=s)
            s.mul_(scale)
            if a is not None:
                s.add_(a)
            softmax(s, -1, out=p)
            mm(p, v, out=o)
        return result
    return form.done(run)


def flexible(case):
    """Compiled, with the block mask made once; its preparation is not timed."""
    row = case.row
    if flex is None or row.mask not in ("window", "blocks", "docs") or row.bias != "-" or row.group == "named":
        raise Unfit("FlexAttention is asked for sparse rows only")
    form = Form(case)
    if row.mask == "window":
        width = row.arg

        def keeps(b, h, i, j):
            return (j <= i) & (i - j < width)
    elif row.mask == "docs":
        owner = torch.from_numpy(np.repeat(np.arange(row.arg), rows.lengths_of_documents(row)))

        def keeps(b, h, i, j):
            return (j <= i) & (owner[i] == owner[j])
    else:
        table = torch.zeros(-(-row.lq // rows.BLOCK), -(-row.lk // rows.BLOCK), dtype=torch.bool)
        for i, columns in enumerate(rows.blocks_of(row)):
            table[i, columns] = True

        def keeps(b, h, i, j):
            return table[i // rows.BLOCK, j // rows.BLOCK]
    mask = flex.create_block_mask(keeps, None, None, row.lq, row.lk, device="cpu", BLOCK_SIZE=rows.BLOCK)
    torch._dynamo.reset()
    attend = torch.compile(flex.flex_attention)
    q, k, v, scale = form.q, form.k, form.v, row.factor
    return form.done(lambda: attend(q, k, v, block_mask=mask, scale=scale))


def gemms(case):
    """The two products of every head, without a softmax between them."""
    row = case.row
    if row.mask != "none" or row.lq == 1 or row.batch * row.hq > 512:
        raise Unfit("the products alone are a bound for dense rows only")
    form = Form(case)
    s = torch.empty(row.lq, row.lk, dtype=form.q.dtype)
    p = (torch.ones(row.lq, row.lk) / row.lk).to(form.q.dtype)
    o = torch.empty(row.lq, row.dv, dtype=form.q.dtype)
    heads = [(form.q[b, h], form.k[b, h // form.group].t(), form.v[b, h // form.group])
             for b in range(row.batch) for h in range(row.hq)]
    mm = torch.mm

    def run():
        for q, kt, v in heads:
            mm(q, kt, out=s)
            mm(p, v, out=o)
    return Prepared(run, lambda: None, attention=False, keep=(form,))


WAYS = dict(zip(NAMES, (sdpa, per_document, unfused, by_head, flexible, gemms)))


def prepare(name, case):
    return WAYS[name](case)
