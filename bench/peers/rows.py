"""The workloads: reads rows.tsv and the named shapes, and says what each row means (visible pairs, flops, bytes).

Needs nothing but the standard library, so that the tests run where no peer is installed. A row that cannot be read is an
error that names the file, the line and the field."""
import dataclasses
import random

COLUMNS = ("name", "group", "batch", "hq", "hkv", "lq", "lk", "d", "dv", "dtype", "mask", "bias", "layout", "cache", "quick")
SIZES = COLUMNS[2:9]
GROUPS = ("prefill", "long", "decode", "window", "sparse", "documents", "small", "layout", "lengths", "accuracy", "named")
BYTES = {"f32": 4, "bf16": 2, "f16": 2}
MASKS = {"none": False, "causal": False, "window": True, "blocks": True, "docs": True}  # whether it takes a number
BLOCK = 128  # side of a block of mask blocks=P
MOST_FLOPS = 12e9  # named shapes above this run with fewer heads and batches: every engine gets the same cut


class RowError(ValueError):
    pass


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    group: str
    batch: int
    hq: int
    hkv: int
    lq: int
    lk: int
    d: int
    dv: int
    dtype: str
    mask: str = "none"   # word of MASKS
    arg: int = 0         # its number
    bias: str = "-"
    layout: str = "bhld"
    cache: str = "warm"
    quick: int = 0
    scale: float = 0.0   # 0: 1/sqrt(d)
    note: str = ""

    @property
    def causal(self):
        return self.mask in ("causal", "window", "docs")

    @property
    def factor(self):
        return self.scale or self.d ** -0.5

    @property
    def decode(self):
        """Judged by bytes instead of flops: few queries on many keys."""
        return self.lq <= 16 and self.lk >= 1024

    def shape(self):
        text = "%d,%d,%d,%d,%d,%d" % (self.batch, self.hq, self.hkv, self.lq, self.lk, self.d)
        return text if self.d == self.dv else "%s,%d" % (text, self.dv)


def lengths_of_documents(row):
    """Lengths of a docs=N row: uneven (from a quarter of the mean to about four times it), adding up to lk, the same in
    every run."""
    rng = random.Random(row.arg * 1000003 + row.lk)
    weights = [2.0 ** rng.uniform(-2, 2) for _ in range(row.arg)]
    lengths = [1 + int((row.lk - row.arg) * w / sum(weights)) for w in weights]
    lengths[lengths.index(max(lengths))] += row.lk - sum(lengths)
    return lengths


def blocks_of(row):
    """Which blocks a blocks=P row keeps: per row of blocks a sorted list of block columns; at least the diagonal one."""
    columns = -(-row.lk // BLOCK)
    keep = max(1, round(columns * row.arg / 100))
    rng = random.Random(row.arg * 7919 + row.lk)
    lists = []
    for i in range(-(-row.lq // BLOCK)):
        others = [c for c in range(columns) if c != i]
        lists.append(sorted(rng.sample(others, keep - 1) + [min(i, columns - 1)]))
    return lists


def spans(row, i):
    """Half-open ranges of the keys that query row i sees, ascending."""
    last = i + row.lk - row.lq + 1  # one past the query's own position
    if row.mask == "none":
        return [(0, row.lk)]
    if row.mask == "causal":
        return [(0, last)]
    if row.mask == "window":
        return [(max(0, last - row.arg), last)]
    if row.mask == "blocks":
        return [(c * BLOCK, min(row.lk, (c + 1) * BLOCK)) for c in blocks_of(row)[i // BLOCK]]
    start = 0
    for length in lengths_of_documents(row):
        if i < start + length:
            return [(start, i + 1)]
        start += length
    raise AssertionError("row outside its documents")


def pairs(row):
    """Visible (query, key) pairs of one head."""
    if row.mask == "none":
        return row.lq * row.lk
    if row.mask in ("causal", "window"):
        most = row.arg if row.mask == "window" else row.lk
        return sum(min(most, i + row.lk - row.lq + 1) for i in range(row.lq))
    if row.mask == "docs":
        return sum(n * (n + 1) // 2 for n in lengths_of_documents(row))
    total = 0
    for i, columns in enumerate(blocks_of(row)):
        total += min(BLOCK, row.lq - i * BLOCK) * sum(min(BLOCK, row.lk - c * BLOCK) for c in columns)
    return total


def flops(row):
    """2 (d + dv) per visible pair; exponentials are not counted."""
    return 2.0 * (row.d + row.dv) * pairs(row) * row.batch * row.hq


def kv_bytes(row):
    """What a decoding step reads at least: every key and value once."""
    return float(row.batch * row.hkv * row.lk * (row.d + row.dv) * BYTES[row.dtype])


def parse_mask(text):
    word, _, number = text.partition("=")
    if word not in MASKS:
        raise RowError("mask '%s' is none of %s" % (text, ", ".join(MASKS)))
    if MASKS[word] != bool(number):
        raise RowError("mask '%s': %s" % (text, "needs a number, %s=N" % word if MASKS[word] else "takes no number"))
    if number and (not number.isdigit() or int(number) < 1):
        raise RowError("mask '%s': the number must be at least 1" % text)
    return word, int(number or 0)


def check(row):
    for name, value, allowed in (("group", row.group, GROUPS), ("dtype", row.dtype, BYTES), ("bias", row.bias, ("-", "head")),
                                 ("layout", row.layout, ("bhld", "blhd")), ("cache", row.cache, ("warm", "cold")),
                                 ("quick", row.quick, (0, 1, 2))):
        if value not in allowed:
            raise RowError("%s '%s' is none of %s" % (name, value, ", ".join(str(a) for a in allowed)))
    for name in SIZES:
        if getattr(row, name) < 1:
            raise RowError("%s=%d must be at least 1" % (name, getattr(row, name)))
    if row.hq % row.hkv:
        raise RowError("hq=%d is no multiple of hkv=%d" % (row.hq, row.hkv))
    if row.causal and row.lk < row.lq:
        raise RowError("mask '%s' with lk=%d below lq=%d" % (row.mask, row.lk, row.lq))
    if row.mask == "blocks" and row.arg > 100:
        raise RowError("blocks=%d: at most 100 percent" % row.arg)
    if row.mask == "docs" and (row.batch != 1 or row.lq != row.lk or row.arg > row.lk):
        raise RowError("docs=%d needs batch 1, lq = lk and at most lk documents" % row.arg)
    return row


def parse_line(line):
    fields = line.split("\t")
    if len(fields) != len(COLUMNS):
        raise RowError("%d fields instead of %d" % (len(fields), len(COLUMNS)))
    value = dict(zip(COLUMNS, fields))
    for name in SIZES + ("quick",):
        if not value[name].isdigit():
            raise RowError("%s '%s' is no number" % (name, value[name]))
        value[name] = int(value[name])
    value["mask"], value["arg"] = parse_mask(value["mask"])
    return check(Row(**value))


def data_lines(path):
    """(line number, line) of the lines that are neither empty nor comments."""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\n")
            if line and not line.startswith("#"):
                yield number, line


def read(path):
    rows, header = [], None
    for number, line in data_lines(path):
        if header is None:
            header = line
            if tuple(line.split("\t")) != COLUMNS:
                raise RowError("%s:%d: the header must be: %s" % (path, number, " ".join(COLUMNS)))
            continue
        try:
            rows.append(parse_line(line))
        except RowError as e:
            raise RowError("%s:%d: %s" % (path, number, e)) from None
        if len([r for r in rows if r.name == rows[-1].name]) > 1:
            raise RowError("%s:%d: name '%s' is there twice" % (path, number, rows[-1].name))
    return rows


def cut(row):
    """The row with fewer heads, then fewer batches, until its work is below MOST_FLOPS; says so in its note."""
    group, hkv, batch = row.hq // row.hkv, row.hkv, row.batch

    def at(b, h, g):
        return dataclasses.replace(row, batch=b, hq=h * g, hkv=h)

    while flops(at(batch, hkv, group)) > MOST_FLOPS and (hkv > 1 or batch > 1):
        if batch > 1:
            batch = (batch + 1) // 2
        else:
            hkv = (hkv + 1) // 2
    while flops(at(batch, hkv, group)) > MOST_FLOPS and group > 1:
        group = (group + 1) // 2
    smaller = at(batch, hkv, group)
    if smaller == row:
        return row
    return dataclasses.replace(smaller, note="cut from b=%d hq=%d hkv=%d" % (row.batch, row.hq, row.hkv))


def named(path, sets=("smoke", "awkward")):
    """Rows of the named shapes whose sets meet `sets`, cut to a bearable size. A soft cap or a sink would be lost: refused."""
    rows, names = [], None
    for number, line in data_lines(path):
        fields = line.split("\t")
        if names is None:
            names = fields
            continue
        value = dict(zip(names, fields))
        if not set(value["sets"].split(",")) & set(sets):
            continue
        if value["softcap"] != "-" or value["sink"] != "-":
            raise RowError("%s:%d: %s: peers take no soft cap and no sink" % (path, number, value["name"]))
        sizes = {name: int(value[name]) for name in SIZES}
        mask, bias = value["mask"], "-"
        if mask.startswith("bias"):
            mask, bias = "none", "head"
        elif mask != "causal":
            mask = "none"  # 'none', and 'other' whose plain operator stands in
        window = 0 if value["window"] == "-" else int(value["window"])
        scale = 0.0 if value["scale"] == "-" else float(value["scale"])
        row = Row(value["name"], "named", dtype=value["dtype"], mask="window" if window else mask, arg=window, bias=bias,
                  cache="cold" if sizes["lq"] == 1 else "warm", scale=scale,
                  quick=int("smoke" in value["sets"].split(",")), **sizes)
        rows.append(cut(check(row)))
    return rows


def chosen(rows, only=(), groups=(), quick=False, long=False):
    """Rows whose name holds one of `only`; --quick keeps the marked ones, --long adds those that want it."""
    found = []
    for row in rows:
        if only and not any(text in row.name for text in only):
            continue
        if groups and row.group not in groups:
            continue
        if quick and row.quick != 1 or row.quick == 2 and not (long or row.name in only):
            continue
        found.append(row)
    return found
