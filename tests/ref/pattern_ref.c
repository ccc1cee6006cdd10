/* Oracle for patterns. Slow and literal: one pair at a time, lists scanned, blocks drawn into arrays. */
#include "pattern_ref.h"

#include <stdio.h>
#include <string.h>

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    if (q * b > a)
        q--;
    return q;
}

static int64_t mod(int64_t a, int64_t b)
{
    return a - floor_div(a, b) * b;
}

static int in_list(const ref_expr *e, int64_t x)
{
    for (unsigned k = 0; k < e->count; k++)
        if (e->list[k] == x)
            return 1;
    return 0;
}

static int64_t document_of(const ref_expr *e, int64_t x)
{
    int64_t end = 0;
    for (unsigned k = 0; k < e->count; k++) {
        end += e->list[k];
        if (x >= 0 && x < end)
            return k;
    }
    return -1;
}

/* ------------------------------------------------------------------ random blocks */

/* SplitMix64 as a stream. */
static uint64_t split_mix(uint64_t *state)
{
    uint64_t z;
    *state += 0x9e3779b97f4a7c15u;
    z = *state;
    z ^= z >> 30;
    z *= 0xbf58476d1ce4e5b9u;
    z ^= z >> 27;
    z *= 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Floyd's method over an explicit list of candidates; returns whether `block` is drawn. */
static int drawn(const int64_t *candidate, int64_t m, int64_t r, int64_t seed, int64_t head, int64_t row, int64_t block)
{
    int64_t taken[512], n = 0;
    uint64_t state = (uint64_t)seed;
    state = split_mix(&state) + (uint64_t)head;
    state = split_mix(&state) + (uint64_t)row;
    state = split_mix(&state);
    if (r > m)
        r = m;
    for (int64_t j = m - r; j < m; j++) {
        uint64_t u = split_mix(&state);
        int64_t x = candidate[(int64_t)(((unsigned __int128)u * (uint64_t)(j + 1)) >> 64)];
        for (int64_t k = 0; k < n; k++)
            if (taken[k] == x) {
                x = candidate[j];
                break;
            }
        taken[n++] = x;
    }
    for (int64_t k = 0; k < n; k++)
        if (taken[k] == block)
            return 1;
    return 0;
}

static int keep_random(const ref_expr *e, int64_t lk, int64_t i, int64_t j, int64_t h)
{
    int64_t b = e->a[0], candidate[512], m = 0;
    for (int64_t k = 0; k * b < lk; k++)
        candidate[m++] = k;
    return drawn(candidate, m, e->a[1], e->a[2], h, i / b, j / b);
}

static int keep_bigbird(const ref_expr *e, int64_t lk, int64_t i, int64_t j, int64_t h)
{
    int64_t b = e->a[0], nb = (lk + b - 1) / b, row = i / b, key = j / b, candidate[512], m = 0;
    if (row == 0 || row == nb - 1 || key == 0 || key == nb - 1)
        return 1;
    if (key >= row - 1 && key <= row + 1)
        return 1;
    for (int64_t k = 1; k < nb - 1; k++) {
        int near = k >= row - 1 && k <= row + 1;
        if (near || (row == 1 && k == nb - 2) || (row == nb - 2 && k == 1))
            continue;
        candidate[m++] = k;
    }
    return drawn(candidate, m, e->a[1], e->a[2], h, row, key);
}

/* ------------------------------------------------------------------ grids */

static void coordinates(const ref_expr *e, int64_t x, int64_t *at)
{
    for (unsigned a = e->count; a-- > 0;) {
        at[a] = x % e->size[a];
        x /= e->size[a];
    }
}

static int keep_axial(const ref_expr *e, const int64_t *p, const int64_t *j)
{
    for (unsigned a = 0; a < e->count; a++)
        if ((int64_t)a != e->a[0] && p[a] != j[a])
            return 0;
    return 1;
}

/* One axis of NATTEN: K consecutive members of the query's dilation group, centred on the leader of its stride group as
   far as the borders allow. */
static int keep_near(const ref_expr *e, unsigned a, int64_t p, int64_t j)
{
    int64_t d = e->dilation[a], k = e->kernel[a], t = e->stride[a], n = 0, leader, start;
    if (p % d != j % d)
        return 0;
    for (int64_t x = p % d; x < e->size[a]; x += d)
        n++;
    p /= d;
    j /= d;
    if (e->causal[a]) {
        leader = p - p % t + t - 1;
        if (leader > n - 1)
            leader = n - 1;
        return j <= p && j > leader - k;
    }
    leader = p - p % t + t / 2;
    if (leader > n - 1)
        leader = n - 1;
    start = leader - k / 2;
    if (start > n - k)
        start = n - k;
    if (start < 0)
        start = 0;
    return j >= start && j < start + k;
}

static int keep_shifted(const ref_expr *e, unsigned a, int64_t p, int64_t j)
{
    int64_t n = e->size[a], m = e->kernel[a], s = m == n ? 0 : e->stride[a];
    int64_t rp = mod(p - s, n), rj = mod(j - s, n);
    int lp = s == 0 ? 0 : rp < n - m ? 0 : rp < n - s ? 1 : 2;
    int lj = s == 0 ? 0 : rj < n - m ? 0 : rj < n - s ? 1 : 2;
    return rp / m == rj / m && lp == lj;
}

static int keep_grid(const ref_expr *e, int64_t lk, int64_t p, int64_t j)
{
    int64_t at[3], to[3];
    if (p < 0 || p >= lk)
        return 0;
    coordinates(e, p, at);
    coordinates(e, j, to);
    if (e->kind == REF_AXIAL)
        return keep_axial(e, at, to);
    for (unsigned a = 0; a < e->count; a++)
        if (!(e->kind == REF_SWIN ? keep_shifted(e, a, at[a], to[a]) : keep_near(e, a, at[a], to[a])))
            return 0;
    return 1;
}

/* ------------------------------------------------------------------ the others */

/* The rule of the authors' code, executed on the one element. */
static int keep_logsparse(int64_t sub, int64_t lk, int64_t p, int64_t j)
{
    int64_t n = 0, index = p, kept = 0;
    if (sub == 0 || sub > lk)
        sub = lk;
    while (((int64_t)1 << n) < sub)
        n++;
    if (lk / sub * 2 * n > p)
        return j <= p;
    while (index >= 0) {
        if (index - n + 1 < 0) {
            kept |= j < index;
            break;
        }
        kept |= j >= index - n + 1 && j <= index;
        for (int64_t k = 0; k < n; k++) {
            int64_t t = index - n + 1 - ((int64_t)1 << k);
            kept |= t >= 0 && index - t <= sub && j == t;
        }
        index -= sub;
    }
    return kept != 0;
}

static int keep_longnet(int64_t w, int64_t r, int64_t lk, int64_t p, int64_t j, int64_t h)
{
    if (w > lk)
        w = lk;
    return p >= 0 && p / w == j / w && p % w % r == h % r && j % w % r == h % r;
}

static int keep_tree(const ref_expr *e, int64_t lq, int64_t lk, int64_t i, int64_t j)
{
    int64_t t = e->a[0], node = i - (lq - t);
    if (node < 0)
        return j <= i + lk - lq;
    if (j < lk - t)
        return 1;
    for (; node >= 0; node = e->parent[node])
        if (j == lk - t + node)
            return 1;
    return 0;
}

static int keep_blocks(const ref_expr *e, int64_t lq, int64_t lk, int64_t i, int64_t j, int64_t h)
{
    int64_t rows = (lq + e->a[0] - 1) / e->a[0], keys = (lk + e->a[1] - 1) / e->a[1];
    if (e->heads == 1)
        h = 0;
    return e->mask[(h * rows + i / e->a[0]) * keys + j / e->a[1]] != 0;
}

int ref_keep(const ref_expr *e, int64_t lq, int64_t lk, int64_t i, int64_t j, int64_t h)
{
    const int64_t *a = e->a;
    int64_t p = i + lk - lq;

    switch (e->kind) {
    case REF_ALL:
        return 1;
    case REF_SELF:
        return j == p;
    case REF_CAUSAL:
        return j <= p;
    case REF_WINDOW:
        return (a[0] < 0 || j >= p - a[0]) && (a[1] < 0 || j <= p + a[1]);
    case REF_SINKS:
        return j < a[0];
    case REF_COLUMNS:
        return in_list(e, j);
    case REF_GLOBAL:
        return in_list(e, j) || in_list(e, p);
    case REF_STRIDE:
        return mod(p - j, a[0]) == 0;
    case REF_DILATED:
        return mod(p - j, a[0]) == 0 && p - j <= a[1] * a[0] && p - j >= -a[2] * a[0];
    case REF_CHUNK:
        return floor_div(p, a[0]) == floor_div(j, a[0]);
    case REF_DOCUMENT:
        return p >= 0 && document_of(e, p) == document_of(e, j);
    case REF_BLOCKS:
        return keep_blocks(e, lq, lk, i, j, h);
    case REF_RANDOM:
        return keep_random(e, lk, i, j, h);
    case REF_AXIAL:
    case REF_NEIGHBORHOOD:
    case REF_SWIN:
        return keep_grid(e, lk, p, j);
    case REF_BIGBIRD:
        return keep_bigbird(e, lk, i, j, h);
    case REF_BLOCKWINDOW:
        return floor_div(j, a[0]) <= floor_div(p, a[0]) && floor_div(j, a[0]) > floor_div(p, a[0]) - a[1];
    case REF_SUMMARY:
        return j % a[0] >= a[0] - a[1];
    case REF_LASTROWS:
        return i >= lq - a[0];
    case REF_LOGSPARSE:
        return keep_logsparse(a[0], lk, p, j);
    case REF_LONGNET:
        return keep_longnet(a[0], a[1], lk, p, j, h);
    case REF_TREE:
        return keep_tree(e, lq, lk, i, j);
    case REF_NOT:
        return !ref_keep(e->left, lq, lk, i, j, h);
    case REF_AND:
        return ref_keep(e->left, lq, lk, i, j, h) && ref_keep(e->right, lq, lk, i, j, h);
    case REF_OR:
        return ref_keep(e->left, lq, lk, i, j, h) || ref_keep(e->right, lq, lk, i, j, h);
    }
    return -1;
}

/* ------------------------------------------------------------------ text */

typedef struct writer {
    char *out;
    size_t n, used;
} writer;

static void put(writer *w, const char *text)
{
    size_t length = strlen(text);
    if (w->used + length + 1 > w->n)
        return;
    memcpy(w->out + w->used, text, length + 1);
    w->used += length;
}

static void put_number(writer *w, const char *before, int64_t x)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)x);
    put(w, before);
    put(w, text);
}

static void put_list(writer *w, const char *before, const char *between, const int64_t *x, unsigned n)
{
    put(w, before);
    for (unsigned k = 0; k < n; k++)
        put_number(w, k ? between : "", x[k]);
}

static void put_grid(writer *w, const ref_expr *e)
{
    put_list(w,
             e->kind == REF_AXIAL  ? "axial(size="
             : e->kind == REF_SWIN ? "swin(size="
                                   : "neighborhood( size = ",
             "+", e->size, e->count);
    if (e->kind == REF_AXIAL) {
        put_number(w, ",axis=", e->a[0]);
    } else if (e->kind == REF_SWIN) {
        put_list(w, ",window=", "+", e->kernel, e->count);
        put_list(w, ",shift=", " + ", e->stride, e->count);
    } else {
        put_list(w, ",kernel=", "+", e->kernel, e->count);
        put_list(w, ", stride=", "+", e->stride, e->count);
        put_list(w, ",dilation=", "+", e->dilation, e->count);
        put_list(w, ",causal=", "+", e->causal, e->count);
    }
    put(w, ")");
}

static void put_window(writer *w, const ref_expr *e)
{
    put(w, "window(");
    if (e->a[0] >= 0)
        put_number(w, "left=", e->a[0]);
    if (e->a[1] >= 0)
        put_number(w, e->a[0] >= 0 ? " , right=" : "right=", e->a[1]);
    put(w, ")");
}

static void put_expr(writer *w, const ref_expr *e)
{
    static const char *const plain[REF_LEAVES] = {
        [REF_ALL] = "all",          [REF_SELF] = "self",          [REF_CAUSAL] = "causal",
        [REF_SINKS] = "sinks(",     [REF_STRIDE] = "stride(",     [REF_CHUNK] = "chunk(",
        [REF_SUMMARY] = "summary(", [REF_LASTROWS] = "lastrows(", [REF_LOGSPARSE] = "logsparse(",
        [REF_LONGNET] = "longnet(",
    };
    static const unsigned numbers[REF_LEAVES] = {
        [REF_SINKS] = 1,    [REF_STRIDE] = 1,    [REF_CHUNK] = 1,   [REF_SUMMARY] = 2,
        [REF_LASTROWS] = 1, [REF_LOGSPARSE] = 1, [REF_LONGNET] = 2,
    };
    switch (e->kind) {
    case REF_NOT:
        put(w, "! (");
        put_expr(w, e->left);
        put(w, ")");
        return;
    case REF_AND:
    case REF_OR:
        put(w, "(");
        put_expr(w, e->left);
        put(w, e->kind == REF_AND ? ") & (" : ")|\t(");
        put_expr(w, e->right);
        put(w, ")");
        return;
    case REF_WINDOW:
        put_window(w, e);
        return;
    case REF_COLUMNS:
    case REF_GLOBAL:
        put_list(w, e->kind == REF_COLUMNS ? "columns(" : "global(", ", ", e->list, e->count);
        break;
    case REF_DOCUMENT:
        put_list(w, "document(", "+", e->list, e->count);
        break;
    case REF_DILATED:
        put_number(w, "dilated(step=", e->a[0]);
        put_number(w, ",left=", e->a[1]);
        put_number(w, ",right=", e->a[2]);
        break;
    case REF_BLOCKS:
        put(w, "blocks(file:");
        put(w, e->path);
        put_number(w, ",bq=", e->a[0]);
        put_number(w, ",bk=", e->a[1]);
        break;
    case REF_RANDOM:
    case REF_BIGBIRD:
        put_number(w, e->kind == REF_RANDOM ? "random(block=" : "bigbird(block=", e->a[0]);
        put_number(w, e->kind == REF_RANDOM ? ",count=" : ",random=", e->a[1]);
        put_number(w, ",seed=", e->a[2]);
        break;
    case REF_AXIAL:
    case REF_NEIGHBORHOOD:
    case REF_SWIN:
        put_grid(w, e);
        return;
    case REF_BLOCKWINDOW:
        put_number(w, "blockwindow(block=", e->a[0]);
        put_number(w, ",blocks=", e->a[1]);
        break;
    case REF_TREE:
        put(w, "tree(file: ");
        put(w, e->path);
        break;
    default:
        put_list(w, plain[e->kind], ",", e->a, numbers[e->kind]);
        if (!numbers[e->kind])
            return;
    }
    put(w, ")");
}

void ref_text(const ref_expr *e, char *out, size_t n)
{
    writer w = {out, n, 0};
    out[0] = '\0';
    put_expr(&w, e);
}
