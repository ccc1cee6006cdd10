/* AMX-BF16 beside AVX-512, for lane tiles of two vectors or, with V_NARROW, of one: products of 16 x 32 by 32 x 16 tiles of bf16, accumulated in
   float. Scores: keys are the rows of the left tile, read in place; queries, packed as pairs, the right one. Values: columns
   are the rows of the left tile, so that a block of values is transposed once for all query tiles that share it;
   probabilities the right one, as one rounded part or as three parts that sum to the float exactly.
   A tile register holds 16 rows of 64 bytes here, always; what a shape lacks is filled up with 0. Tile registers: 0..3
   accumulators of two rows of tiles by two vectors of lanes, 4 and 5 left, 6 and 7 right.
   Subnormal bf16 factors count as 0 and sums below the normal range are flushed, as by vdpbf16ps. */
#include "body/name.h"
#include "body/exp2.h"

#include <string.h>

enum { TILE_ROWS = 16, TILE_KEYS = 32, TILE_BYTES = 1024, PART_WORDS = TILE_ROWS * LANES };
_Static_assert(V_TILE <= 2 && VL == 16, "one or two right tiles are a lane tile");

typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} tile_config;

static const tile_config all_full __attribute__((aligned(64))) = {
    .palette = 1, .bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

/* ------------------------------------------------------------------ scores */

/* 16 rows of left tiles: in place where the rows lie at one distance, else by way of `copy`. */
typedef struct left {
    const void *const *row;
    const char *base;
    ptrdiff_t step;
    int rows; /* less than 16: the others are 0 */
    int in_place;
    uint8_t copy[TILE_BYTES] __attribute__((aligned(64)));
} left;

static void left_start(left *x, const void *const *row, int rows)
{
    ptrdiff_t step = rows > 1 ? (const char *)row[1] - (const char *)row[0] : 0, off = 0;
    x->row = row;
    x->rows = rows < TILE_ROWS ? rows : TILE_ROWS;
    x->base = row[0];
    x->step = step;
    if (rows >= TILE_ROWS)
        for (int i = 2; i < TILE_ROWS; i++)
            off |= ((const char *)row[i] - (const char *)row[i - 1]) ^ step;
    x->in_place = rows >= TILE_ROWS && !off;
}

/* Address and row distance of the tile of elements t..t+31, of which `w` exist. */
FV_INLINE const void *left_tile(left *x, int t, int w, ptrdiff_t *step)
{
    if (x->in_place && w >= TILE_KEYS) {
        *step = x->step;
        return x->base + (size_t)t * 2;
    }
    const __mmask32 here = w < TILE_KEYS ? (1u << w) - 1 : ~0u;
    for (int i = 0; i < TILE_ROWS; i++)
        _mm512_store_si512(x->copy + 64 * i, i < x->rows ? _mm512_maskz_loadu_epi16(here, (const uint16_t *)x->row[i] + t)
                                                         : _mm512_setzero_si512());
    *step = 64;
    return x->copy;
}

/* Pairs of the queries from t on, filled up with zeros: for a head size that is no multiple of 32. */
static void right_tail(const uint32_t *qt, int t, int d, uint32_t *tail)
{
    for (int i = 0; i < TILE_ROWS; i++)
        for (int n = 0; n < V_TILE; n++)
            v_store((float *)tail + i * LANES + n * VL,
                    t + 2 * i < d ? v_load((const float *)qt + (size_t)(t / 2 + i) * LANES + n * VL) : v_zero());
}

/* Scores times scale, hidden pairs marked, and their maximum: of `rows` keys just stored. */
FV_INLINE void finish_scores(float *s, int keys, const uint32_t *rows, vf scale, vf *mx)
{
    for (int r = 0; r < keys; r++, s += LANES)
        FV_UNROLL
        for (int n = 0; n < V_TILE; n++) {
            vf x = v_mul(v_load(s + n * VL), scale);
            if (rows)
                x = v_select(v_mask(rows[r] >> (n * VL)), x, v_set1(FVK_HIDDEN));
            v_store(s + n * VL, x);
            mx[n] = v_max(mx[n], x);
        }
}

/* The accumulators of 16 or 32 rows. */
FV_INLINE void store_tiles(float *s, int two)
{
    _tile_stored(0, s, LANES * 4);
    if (V_TILE > 1)
        _tile_stored(1, s + VL, LANES * 4);
    if (two)
        _tile_stored(2, s + TILE_ROWS * LANES, LANES * 4);
    if (two && V_TILE > 1)
        _tile_stored(3, s + TILE_ROWS * LANES + VL, LANES * 4);
}

/* Up to 32 keys. s: room for 32 when keys > 16, else for 16. */
FV_INLINE void scores(const uint32_t *qt, const uint32_t *tail, int d, left *a, int two, float *s)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int t = 0; t < d; t += TILE_KEYS) {
        const uint32_t *q = d - t < TILE_KEYS ? tail : qt + (size_t)(t / 2) * LANES;
        ptrdiff_t step;
        const void *k = left_tile(a, t, d - t, &step);
        _tile_loadd(6, q, LANES * 4);
        if (V_TILE > 1)
            _tile_loadd(7, q + VL, LANES * 4);
        _tile_loadd(4, k, step);
        _tile_dpbf16ps(0, 4, 6);
        if (V_TILE > 1)
            _tile_dpbf16ps(1, 4, 7);
        if (two) {
            k = left_tile(a + 1, t, d - t, &step);
            _tile_loadd(5, k, step);
            _tile_dpbf16ps(2, 5, 6);
            if (V_TILE > 1)
                _tile_dpbf16ps(3, 5, 7);
        }
    }
    store_tiles(s, two);
}

static void ask_far(const void *const *far, int keys, ptrdiff_t shift, int width)
{
    for (int r = 0; r < keys; r++)
        for (int t = 0; t < width; t += 32)
            v_prefetch2((const char *)far[r] + shift + (size_t)t * sizeof(uint16_t));
}

void FVK(qk_pair_bf16)(const void *qt, int d, const void *const *k, int nk, const uint32_t *rows, float scale, float *s,
                           float *mx, const void *const *next_k, const void *const *far, ptrdiff_t shift, int width)
{
    left a[2];
    uint32_t tail[PART_WORDS] __attribute__((aligned(64)));
    float last[TILE_KEYS * LANES] __attribute__((aligned(64)));
    const vf c = v_set1(scale);
    vf m[V_TILE];
    (void)next_k; /* the hardware follows rows that are read in address order */
    for (int n = 0; n < V_TILE; n++)
        m[n] = v_load(mx + n * VL);
    if (d % TILE_KEYS)
        right_tail(qt, d / TILE_KEYS * TILE_KEYS, d, tail);
    _tile_loadconfig(&all_full);
    for (int j = 0; j < nk; j += TILE_KEYS) {
        int keys = nk - j < TILE_KEYS ? nk - j : TILE_KEYS, two = keys > TILE_ROWS;
        float *out = keys == TILE_KEYS || keys == TILE_ROWS ? s + (size_t)j * LANES : last;
        left_start(&a[0], k + j, keys);
        if (two)
            left_start(&a[1], k + j + TILE_ROWS, keys - TILE_ROWS);
        if (far)
            ask_far(far + j, keys, shift, width);
        scores(qt, tail, d, a, two, out);
        if (out == last)
            memcpy(s + (size_t)j * LANES, last, (size_t)keys * LANES * sizeof(float));
        finish_scores(s + (size_t)j * LANES, keys, rows ? rows + j : NULL, c, m);
    }
    _tile_release();
    for (int n = 0; n < V_TILE; n++)
        v_store(mx + n * VL, m[n]);
}

/* ------------------------------------------------------------------ probabilities */

/* Upper halves of two vectors, interleaved: x in the low half of each word. What they leave stays in x and y. */
FV_INLINE __m512i cut(vf *x, vf *y)
{
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000);
    const __m512i a = _mm512_castps_si512(*x), b = _mm512_castps_si512(*y);
    *x = v_sub(*x, _mm512_castsi512_ps(_mm512_and_si512(a, upper)));
    *y = v_sub(*y, _mm512_castsi512_ps(_mm512_and_si512(b, upper)));
    return _mm512_ternarylogic_epi32(_mm512_srli_epi32(a, 16), b, upper, 0xf8); /* a | (b & upper) */
}

FV_INLINE __m512i rounded(vf x, vf y)
{
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5,
                                           20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(y, x));
}

/* Two keys of one vector of lanes. Three parts of 8 bits are all 24 of a float, whatever its sign and size. */
FV_INLINE void put(uint32_t *p, vf x, vf y, const int parts)
{
    if (parts == 1)
        _mm512_storeu_si512(p, rounded(x, y));
    else
        FV_UNROLL
        for (int i = 0; i < 3; i++)
            _mm512_storeu_si512(p + i * PART_WORDS, cut(&x, &y));
}

FV_INLINE void softmax(const float *s, int nk, float *m, const float *mx, float *l, float *alpha, const int parts, uint32_t *p)
{
    for (int n = 0; n < V_TILE; n++) {
        vf old = v_load(m + n * VL), now = v_max(old, v_load(mx + n * VL));
        const vf ref = v_select(v_eq(now, v_set1(FVK_HIDDEN)), v_zero(), now), scale = v_exp2(v_sub(old, ref));
        vf sum = v_zero(), sum2 = v_zero();
        const float *a = s + n * VL;
        uint32_t *out = p + n * VL;
        v_store(m + n * VL, now);
        v_store(alpha + n * VL, scale);
        for (int j = 0; j < nk; out += (parts - 1) * PART_WORDS)
            for (int i = 0; i < TILE_ROWS; i++, j += 2, a += 2 * LANES, out += LANES) {
                vf x = j < nk ? v_exp2(v_sub(v_load(a), ref)) : v_zero();
                vf y = j + 1 < nk ? v_exp2(v_sub(v_load(a + LANES), ref)) : v_zero();
                sum = v_add(sum, x);
                sum2 = v_add(sum2, y);
                put(out, x, y, parts);
            }
        v_store(l + n * VL, v_fma(v_load(l + n * VL), scale, v_add(sum, sum2)));
    }
}

void FVK(softmax_parts_bf16)(const float *s, int nk, float *m, const float *mx, float *l, float *alpha, int parts, void *p)
{
    if (parts == 1)
        softmax(s, nk, m, mx, l, alpha, 1, p);
    else
        softmax(s, nk, m, mx, l, alpha, 3, p);
}

/* ------------------------------------------------------------------ values */

#ifndef V_NARROW /* values are turned the same way for tiles of any width */
/* 16 columns of up to 32 keys: pairs of keys interleaved, then transposed. Returns a mask of places where values were not finite,
   which become 0. */
FV_INLINE __mmask32 turn(const void *const *v, int keys, int c, int w, uint16_t *out)
{
    const __mmask16 here = w < VL ? (__mmask16)((1u << w) - 1) : 0xffff;
    const __m512i exponent = _mm512_set1_epi16(0x7f80);
    __mmask32 wild = 0;
    vf x[VL];
    FV_UNROLL
    for (int i = 0; i < VL; i++) {
        __m512i a = 2 * i < keys ? _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(here, (const uint16_t *)v[2 * i] + c))
                                 : _mm512_setzero_si512();
        __m512i b = 2 * i + 1 < keys
                        ? _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(here, (const uint16_t *)v[2 * i + 1] + c))
                        : _mm512_setzero_si512();
        a = _mm512_or_si512(a, _mm512_slli_epi32(b, 16));
        const __mmask32 bad = _mm512_cmpeq_epi16_mask(_mm512_and_si512(a, exponent), exponent);
        wild |= bad;
        x[i] = _mm512_castsi512_ps(_mm512_maskz_mov_epi16(~bad, a));
    }
    v_transpose(x);
    FV_UNROLL
    for (int i = 0; i < VL; i++)
        v_store((float *)out + i * VL, x[i]);
    return wild;
}

int fvk_values_tile_bf16__amx(const void *const *v, int nk, int dv, void *vt)
{
    uint16_t *out = vt;
    __mmask32 wild = 0;
    for (int j = 0; j < nk; j += TILE_KEYS)
        for (int c = 0; c < dv; c += VL, out += VL * TILE_KEYS)
            wild |= turn(v + j, nk - j < TILE_KEYS ? nk - j : TILE_KEYS, c, dv - c < VL ? dv - c : VL, out);
    return !wild;
}
#endif

/* The accumulator of `columns` columns times alpha, or zeros, to `to`. */
FV_INLINE void rescale(const float *ot, int columns, const float *alpha, float *to)
{
    vf a[V_TILE];
    FV_UNROLL
    for (int n = 0; n < V_TILE; n++)
        a[n] = v_load(alpha + n * VL);
    for (int c = 0; c < columns; c++)
        FV_UNROLL
        for (int n = 0; n < V_TILE; n++)
            v_store(to + c * LANES + n * VL, v_mul(a[n], v_load(ot + c * LANES + n * VL)));
}

/* 16 or 32 columns: ot of as many. vt: the columns' tile of the first 32 keys, `tiles` tiles before that of the next. */
FV_INLINE void values(const uint32_t *p, int nk, const uint16_t *vt, size_t tiles, int two, int started, const int parts,
                      float *ot)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    if (started) {
        _tile_loadd(0, ot, LANES * 4);
        if (V_TILE > 1)
            _tile_loadd(1, ot + VL, LANES * 4);
        if (two)
            _tile_loadd(2, ot + TILE_ROWS * LANES, LANES * 4);
        if (two && V_TILE > 1)
            _tile_loadd(3, ot + TILE_ROWS * LANES + VL, LANES * 4);
    }
    for (int j = 0; j < nk; j += TILE_KEYS, vt += tiles * (TILE_BYTES / 2)) {
        _tile_loadd(4, vt, 64);
        if (two)
            _tile_loadd(5, vt + TILE_BYTES / 2, 64);
        for (int i = 0; i < parts; i++, p += PART_WORDS) {
            _tile_loadd(6, p, LANES * 4);
            if (V_TILE > 1)
                _tile_loadd(7, p + VL, LANES * 4);
            _tile_dpbf16ps(0, 4, 6);
            if (V_TILE > 1)
                _tile_dpbf16ps(1, 4, 7);
            if (two)
                _tile_dpbf16ps(2, 5, 6);
            if (two && V_TILE > 1)
                _tile_dpbf16ps(3, 5, 7);
        }
    }
    store_tiles(ot, two);
}

void FVK(pv_tile_bf16)(const void *p, int parts, int nk, const void *vt, int dv, const float *alpha, float *ot)
{
    float last[2 * TILE_ROWS * LANES] __attribute__((aligned(64)));
    const size_t tiles = (size_t)(dv + TILE_ROWS - 1) / TILE_ROWS;
    const uint16_t *v = vt;
    if (parts != 1)
        parts = 3;
    _tile_loadconfig(&all_full);
    for (int c = 0; c < dv; c += 2 * TILE_ROWS, v += TILE_BYTES) {
        int columns = dv - c < 2 * TILE_ROWS ? dv - c : 2 * TILE_ROWS, two = columns > TILE_ROWS;
        int whole = columns == TILE_ROWS || columns == 2 * TILE_ROWS;
        float *at = ot + (size_t)c * LANES, *out = whole ? at : last;
        if (alpha)
            rescale(at, columns, alpha, out);
        if (alpha && !whole)
            memset(out + columns * LANES, 0, (size_t)(2 * TILE_ROWS - columns) * LANES * sizeof(float));
        values(p, nk, v, tiles, two, alpha != NULL, parts, out);
        if (!whole)
            memcpy(at, last, (size_t)columns * LANES * sizeof(float));
    }
    _tile_release();
}

/* ------------------------------------------------------------------ the machine */

#ifndef V_NARROW
double fvk_peak_bf16__amx(uint64_t n)
{
    enum { WORK = 4 * 2 * 16 * 16 * 32 };
    uint16_t x[4][TILE_BYTES / 2] __attribute__((aligned(64)));
    uint64_t rounds = n / WORK + 1;
    uint32_t bits = 1;
    for (int i = 0; i < 4; i++) /* numbers of both signs about 1 with full significands */
        for (int j = 0; j < TILE_BYTES / 2; j++) {
            bits = bits * 1664525u + 1013904223u;
            x[i][j] = (uint16_t)(0x3f00 | (bits >> 16 & 0x80ff));
        }
    _tile_loadconfig(&all_full);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (uint64_t i = 0; i < rounds; i++) {
        _tile_loadd(4, x[0], 64);
        _tile_loadd(5, x[1], 64);
        _tile_loadd(6, x[2], 64);
        _tile_loadd(7, x[3], 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_release();
    return (double)rounds * WORK;
}
#endif
