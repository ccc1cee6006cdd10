"""Which keys a query may read: the grammar of SPEC and EXPR, and every primitive as a dense boolean array.

Written from the table of primitives alone: p = i + lk - lq is a query's position, j a key's. An array here is
[hq or 1, lq, lk]; True means kept. Nothing is clever: every rule is evaluated for every pair.
"""
import re

import numpy as np


class SpecError(Exception):
    pass


def number(text):
    """4096, 4k, 1m, -1.5, 1e-3."""
    text = text.strip()
    m = re.fullmatch(r"(\d+)([km])", text)
    if m:
        return int(m.group(1)) * {"k": 1024, "m": 1024 * 1024}[m.group(2)]
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)


def numbers(text):
    """"2048+4096" -> [2048, 4096]; "" -> []."""
    return [number(t) for t in text.split("+") if t.strip()]


def parse_spec(spec):
    """-> (name, {key: text}); "pattern:EXPR" -> ("pattern", {"pattern": EXPR}). A bare flag has the text "1"."""
    name, colon, rest = spec.partition(":")
    if name == "pattern":
        return name, {"pattern": rest}
    params = {}
    for item in re.findall(r'(?:[^,"]|"[^"]*")+', rest):
        key, eq, value = item.partition("=")
        params[key.strip()] = value.strip().strip('"') if eq else "1"
    return name, params


class Shape:
    """Lengths of one problem and the positions of its queries and keys."""

    def __init__(self, hq, lq, lk):
        self.hq, self.lq, self.lk = hq, lq, lk
        self.i = np.arange(lq)[:, None]
        self.p = self.i + lk - lq
        self.j = np.arange(lk)[None, :]

    def none(self):
        return np.zeros((1, self.lq, self.lk), bool)

    def full(self, keep):
        return np.broadcast_to(keep, (self.lq, self.lk))[None].copy()


# ---------------------------------------------------------------- primitives


def causal(s):
    return s.full(s.j <= s.p)


def window(s, left=None, right=None):
    keep = s.full(np.array(True))
    if left is not None:
        keep = keep & (s.j >= s.p - left)
    if right is not None:
        keep = keep & (s.j <= s.p + right)
    return keep


def sinks(s, n):
    return s.full(s.j < n)


def columns(s, which):
    return s.full(np.isin(s.j, which))


def rows_and_columns(s, which):
    return s.full(np.isin(s.j, which) | np.isin(s.p, which))


def stride(s, l):
    return s.full(np.mod(s.p - s.j, l) == 0)


def dilated(s, step, left, right):
    far = s.p - s.j
    return s.full((np.mod(far, step) == 0) & (far <= left * step) & (far >= -right * step))


def chunk(s, c):
    return s.full(np.floor_divide(s.j, c) == np.floor_divide(s.p, c))


def document(s, lengths):
    if sum(lengths) != s.lk:
        raise SpecError("document lengths")
    owner = np.repeat(np.arange(len(lengths)), lengths)
    own_q = np.where(s.p >= 0, owner[np.maximum(s.p, 0)] if s.lk else -1, -1)
    return s.full(own_q == owner[None, :])


def blocks(s, mask, bq, bk):
    mask = np.asarray(mask)
    return (mask[:, s.i // bq, s.j // bk] != 0) if s.lk and s.lq else s.none()


def coordinates(s, size):
    """Coordinates of every position 0..lk-1 on a grid, slowest axis first: list of arrays [lk]."""
    if int(np.prod(size)) != s.lk:
        raise SpecError("grid size")
    return np.unravel_index(np.arange(s.lk), size)


def on_grid(s, size, tables):
    """Keeps a pair when every axis' table [n, n] (query coordinate, key coordinate) does."""
    keep = s.full(s.p >= 0)
    at = np.maximum(s.p[:, 0], 0)
    for axis, table in zip(coordinates(s, size), tables):
        keep &= table[axis[at][:, None], axis[None, :]][None]
    return keep


def axial(s, size, axis):
    tables = [np.ones((n, n), bool) if a == axis else np.eye(n, dtype=bool) for a, n in enumerate(size)]
    return on_grid(s, size, tables)


def neighbour_axis(n, kernel, step, dilation, is_causal):
    """NATTEN's rule on one axis: [n, n]."""
    keep = np.zeros((n, n), bool)
    wl = kernel // 2
    wr = kernel // 2 + kernel % 2 - 1
    for x in range(n):
        g, i = x % dilation, x // dilation
        ng = len(range(g, n, dilation))
        if is_causal:
            leader = min((i // step) * step + step - 1, ng - 1)
            start, end = max(leader - wl - wr, 0), min(i + 1, ng)
        else:
            leader = min((i // step) * step + step // 2, ng - 1)
            start = max(leader - wl, 0)
            if leader + wr >= ng:
                start += ng - wr - leader - 1
            end = start + kernel
        for y in range(start, end):
            keep[x, y * dilation + g] = True
    return keep


def per_axis(values, size):
    return list(values) * len(size) if len(values) == 1 else list(values)


def neighborhood(s, size, kernel, step=(1,), dilation=(1,), is_causal=(0,)):
    rules = [per_axis(v, size) for v in (kernel, step, dilation, is_causal)]
    tables = [neighbour_axis(n, *(r[a] for r in rules)) for a, n in enumerate(size)]
    return on_grid(s, size, tables)


def swin(s, size, width, shift):
    """Windows of the cyclically shifted grid; tokens that were wrapped around form regions of their own."""
    tables = []
    for n, m, by in zip(size, per_axis(width, size), per_axis(shift, size)):
        if n % m:
            raise SpecError("window does not divide the axis")
        if m == n:
            by = 0
        y = np.mod(np.arange(n) - by, n)
        label = (y // m) * 3 + (y >= n - m).astype(int) + ((y >= n - by) if by else 0)
        tables.append(label[:, None] == label[None, :])
    return on_grid(s, size, tables)


# ---------------------------------------------------------------- EXPR


class Expression:
    """Recursive descent over EXPR: | binds loosest, then &, then !."""

    def __init__(self, text, shape, load):
        self.text, self.at, self.s, self.load = text, 0, shape, load

    def peek(self):
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.text[self.at] if self.at < len(self.text) else ""

    def value(self):
        keep = self.either()
        if self.peek():
            raise SpecError("trailing text: " + self.text[self.at:])
        return keep

    def either(self):
        keep = self.both()
        while self.peek() == "|":
            self.at += 1
            keep = keep | self.both()
        return keep

    def both(self):
        keep = self.factor()
        while self.peek() == "&":
            self.at += 1
            keep = keep & self.factor()
        return keep

    def factor(self):
        c = self.peek()
        if c == "!":
            self.at += 1
            return ~self.factor()
        if c == "(":
            self.at += 1
            keep = self.either()
            if self.peek() != ")":
                raise SpecError("missing )")
            self.at += 1
            return keep
        m = re.compile(r"[a-z]+").match(self.text, self.at)
        if not m:
            raise SpecError("primitive expected at " + self.text[self.at:])
        self.at = m.end()
        words, named = [], {}
        if self.peek() == "(":
            close = self.text.index(")", self.at)
            for item in self.text[self.at + 1:close].split(","):
                key, eq, val = item.partition("=")
                if eq:
                    named[key.strip()] = val.strip()
                elif item.strip():
                    words.append(item.strip())
            self.at = close + 1
        return self.primitive(m.group(), words, named)

    def primitive(self, name, words, named):
        s = self.s
        nums = {k: numbers(v) for k, v in named.items() if not v.startswith("file:")}
        one = {k: v[0] for k, v in nums.items() if v}
        if name == "all":
            return s.full(np.array(True))
        if name == "self":
            return s.full(s.j == s.p)
        if name == "causal":
            return causal(s)
        if name == "window":
            return window(s, one.get("left"), one.get("right"))
        if name == "sinks":
            return sinks(s, number(words[0]))
        if name in ("columns", "global"):
            which = [number(w) for w in words]
            return columns(s, which) if name == "columns" else rows_and_columns(s, which)
        if name == "stride":
            return stride(s, number(words[0]))
        if name == "dilated":
            return dilated(s, one["step"], one["left"], one["right"])
        if name == "chunk":
            return chunk(s, number(words[0]))
        if name == "document":
            return document(s, numbers(words[0]))
        if name == "blocks":
            return blocks(s, self.load(words[0][len("file:"):]), one["bq"], one["bk"])
        if name == "axial":
            return axial(s, nums["size"], one["axis"])
        if name == "neighborhood":
            return neighborhood(s, nums["size"], nums["kernel"], nums.get("stride", (1,)), nums.get("dilation", (1,)))
        raise SpecError("no oracle for primitive " + name)


def expression(text, shape, load):
    return np.array(Expression(text, shape, load).value())
