/* dot: scores of n <= 8 query rows against keys read once. Included once per element type with FV_T, FV_LOAD, FV_LOAD_N,
   FV_DOT. Contract: kernel.h.

   The query rows are copied to a buffer, vector after vector of all rows, so that a tile needs one address for them. A tile
   is n rows x 1, 2 or 4 keys, whatever fits half the registers. Its accumulators are summed across lanes VL at a time
   (v_sums: 45 instructions for 16 results where one at a time takes 128), in registers: sums that wait in a buffer for
   others cost a tenth, since the keys that pass through L1 push the buffer out. A single row has nothing to share:
   VL keys one after the other, then their sums together, through a buffer small enough to stay.
   Each line of a key that is read goes with a request for the same line of the key `ahead`.

   Bound at n = 8, AVX-512: 8 fma for each key vector, and 3 vector instructions per key and row for the sums. */
/* w <= VL elements at t. */
FV_INLINE void FV_NAME(dot_step)(const float *q, const FV_T *const *x, const FV_T *const *ahead, int t, int w, vf *acc,
                                 const int n, const int m)
{
    vf y[4];
    FV_UNROLL
    for (int i = 0; i < m; i++) {
        v_prefetch1(ahead[i] + t);
        y[i] = w < VL ? FV_LOAD_N(x[i] + t, w) : FV_LOAD(x[i] + t);
    }
    FV_UNROLL
    for (int r = 0; r < n; r++) {
        vf a = v_load(q + (size_t)t * n + r * VL);
        FV_UNROLL
        for (int i = 0; i < m; i++)
            acc[r * m + i] = v_fma(a, y[i], acc[r * m + i]);
    }
}

FV_INLINE void FV_NAME(dot_tile)(const float *q, int d, const void *const *k, ptrdiff_t from, const void *const *ahead,
                                 vf *sums, const int n, const int m)
{
    enum { LINE = 64 / (int)sizeof(FV_T) }; /* elements of a cache line */
    const FV_T *x[4], *far[4];
    vf acc[32];
    int t = 0;
    FV_UNROLL
    for (int i = 0; i < 32; i++)
        acc[i] = v_zero();
    FV_UNROLL
    for (int i = 0; i < m; i++) {
        x[i] = (const FV_T *)k[i] + from;
        far[i] = (const FV_T *)ahead[i] + from;
    }
    for (; t + LINE <= d; t += LINE) {
        FV_UNROLL
        for (int i = 0; i < m; i++)
            v_prefetch1(far[i] + t);
        FV_UNROLL_4
        for (int u = 0; u < LINE; u += VL) {
            vf y[4];
            FV_UNROLL
            for (int i = 0; i < m; i++)
                y[i] = FV_LOAD(x[i] + t + u);
            FV_UNROLL
            for (int r = 0; r < n; r++) {
                vf a = v_hold(v_load(q + (size_t)(t + u) * n + r * VL));
                FV_UNROLL
                for (int i = 0; i < m; i++)
                    acc[r * m + i] = v_fma(a, y[i], acc[r * m + i]);
            }
        }
    }
    for (; t + VL <= d; t += VL)
        FV_NAME(dot_step)(q, x, far, t, VL, acc, n, m);
    if (t < d)
        FV_NAME(dot_step)(q, x, far, t, d - t, acc, n, m);
    if (n * m == 1)
        *sums = acc[0];
    else {
        FV_UNROLL
        for (int i = 0; i < n * m; i += VL)
            sums[i / VL] = v_sums(acc + i);
    }
}

/* The same, and the scores go to column j of s; added to it unless the columns of k are the first. */
FV_INLINE void FV_NAME(dot_store)(const float *q, int d, const void *const *k, ptrdiff_t from, const void *const *ahead,
                                  float *s, ptrdiff_t lds, const int n, const int m)
{
    enum { MOST = 32 / VL };
    vf sums[MOST];
    float room[MOST * VL], *x = fv_opaque_room(room);
    FV_NAME(dot_tile)(q, d, k, from, ahead, sums, n, m);
    if (n * m == 1)
        x[0] = v_sum(sums[0]);
    else {
        FV_UNROLL
        for (int i = 0; i < n * m; i += VL)
            v_store(x + i, sums[i / VL]);
    }
    FV_UNROLL
    for (int r = 0; r < n; r++) {
        FV_UNROLL
        for (int i = 0; i < m && from; i++)
            x[r * m + i] += s[r * lds + i];
        memcpy(s + r * lds, x + r * m, (size_t)m * sizeof(float));
    }
}

/* VL keys for one row. Four keys are summed to one vector before it is put aside: stores beside the stream of keys cost
   more than the shuffles. */
FV_INLINE void FV_NAME(dot_single)(const float *q, int d, const void *const *k, ptrdiff_t from, const void *const *ahead,
                                   float *s)
{
    enum { FOUR = VL < 4 ? VL : 4 };
    vf quads[VL / FOUR], x;
    for (int i = 0; i < VL; i += FOUR) {
        vf sums[4];
        FV_UNROLL
        for (int e = 0; e < FOUR; e++)
            FV_NAME(dot_tile)(q, d, k + i + e, from, ahead + i + e, sums + e, 1, 1);
        quads[i / FOUR] = VL < 4 ? sums[0] : v_quads(sums[0], sums[1 % FOUR], sums[2 % FOUR], sums[3 % FOUR]);
    }
    x = v_sum_quads(quads);
    v_store(s, from ? v_add(v_load(s), x) : x);
}

/* Columns from .. from + d - 1 of all keys. */
FV_INLINE void FV_NAME(dot_slice)(const float *q, int d, const void *const *k, int nk, ptrdiff_t from,
                                  const fvk_ahead *ahead, float *s, ptrdiff_t lds, const int n)
{
    const int m = n == 1 ? VL : n > 4 ? V_REGS / 16 : V_REGS / 8;
    const void *ring[AHEAD_SIZE];
    const int far = ahead_distance(ahead, (size_t)d * sizeof(FV_T));
    for (int j = 0; j < nk; j += AHEAD_GROUP) {
        int w = nk - j < AHEAD_GROUP ? nk - j : AHEAD_GROUP, i = 0;
        ahead_next(ring, k, nk, j, far, ahead);
        for (; i + m <= w; i += m) {
            const void *const *x = ahead_at(ring, j + i);
            const void *const *y = ahead_at(ring, j + i + far);
            if (n == 1)
                FV_NAME(dot_single)(q, d, x, from, y, s + j + i);
            else
                FV_NAME(dot_store)(q, d, x, from, y, s + j + i, lds, n, m);
        }
        for (; i < w; i++)
            FV_NAME(dot_store)(q, d, k + j + i, from, k + j + i, s + j + i, lds, n, 1);
    }
}

/* More than four rows: four elements of as many rows as fit ride in a vector, q[t / 4][row][4], against four elements of one key
   broadcast. The same fma count, but sums over 4 lanes instead of VL: half an instruction per score instead of three. Tiles
   of 8 keys x 2 vectors of rows (4 x 2 with 16 registers), which leave four neighbouring scores of a row side by side.
   Keys come as floats, 16-bit ones widened to L1 before. */
enum { FV_NAME(quad_rows) = VL < 8 ? 1 : VL / 4 * 2, FV_NAME(quad_keys) = V_REGS / 4 }; /* of a tile */

FV_INLINE void FV_NAME(dot_quad)(const float *q, const float *const *k, int t, vf acc[2][FV_NAME(quad_keys)])
{
    vf a = v_load(q + (size_t)t * FV_NAME(quad_rows)), b = v_load(q + (size_t)t * FV_NAME(quad_rows) + VL);
    FV_UNROLL
    for (int i = 0; i < FV_NAME(quad_keys); i++) {
        vf y = v_hold(v_load_quad(k[i] + t));
        acc[0][i] = v_fma(a, y, acc[0][i]);
        acc[1][i] = v_fma(b, y, acc[1][i]);
    }
}

FV_INLINE void FV_NAME(dot_quads)(const float *q, int d, const float *const *k, ahead_walk *ahead, float *s,
                                  ptrdiff_t lds, int rows)
{
    enum { LINE = 64 / (int)sizeof(FV_T), KEYS = FV_NAME(quad_keys), ROWS = FV_NAME(quad_rows) };
    enum { HALVES = KEYS * 8 / LINE == 2 && sizeof(FV_T) == 2 }; /* two lines, one after the other */
    ahead_walk walk = *ahead;
    vf acc[2][KEYS];
    float room[VL], *x = fv_opaque_room(room);
    int t = 0;
    FV_UNROLL
    for (int i = 0; i < KEYS; i++)
        acc[0][i] = acc[1][i] = v_zero();
    for (; t + 8 <= d; t += 8) {
        ahead_step(&walk, HALVES ? 1 : KEYS * 8 / LINE);
        FV_NAME(dot_quad)(q, k, t, acc);
        if (HALVES)
            ahead_step(&walk, 1);
        FV_NAME(dot_quad)(q, k, t + 4, acc);
    }
    if (t < d)
        FV_NAME(dot_quad)(q, k, t, acc);
    *ahead = walk;
    FV_UNROLL
    for (int g = 0; g < 2; g++)
        FV_UNROLL
        for (int i = 0; i < KEYS; i += 4) {
            v_store(x, v_quads(acc[g][i], acc[g][i + 1], acc[g][i + 2], acc[g][i + 3]));
            FV_UNROLL
            for (int r = 0; r < ROWS / 2; r++)
                if (g * (ROWS / 2) + r < rows)
                    memcpy(s + (g * (ROWS / 2) + r) * lds + i, x + 4 * r, 4 * sizeof(float));
        }
}

/* w <= quad_keys keys from a ring of pointers; missing ones are the last again, and their scores stay here. */
FV_INLINE void FV_NAME(dot_quad_group)(const float *q, int n, int d, const void *const *k, int w,
                                       const void *const *ahead, float *s, ptrdiff_t lds)
{
    enum { KEYS = FV_NAME(quad_keys), ROWS = FV_NAME(quad_rows), WIDE = sizeof(FV_T) == 4 ? 1 : KEYS };
    _Alignas(64) float wide[WIDE][QUAD_DIM + 16], some[8][KEYS];
    const float *x[KEYS];
    const void *spare[8];
    ahead_walk walk = ahead_begin(ahead, w, (size_t)d * sizeof(FV_T), spare);
    float *to = w < KEYS ? some[0] : s;
    ptrdiff_t ld = w < KEYS ? KEYS : lds;
    FV_UNROLL
    for (int i = 0; i < KEYS; i++) {
        const FV_T *row = k[i < w ? i : w - 1];
        if (sizeof(FV_T) == 4)
            x[i] = (const float *)(const void *)row;
        else {
            int t = 0;
            for (; t + VL <= d; t += VL)
                v_store(wide[i % WIDE] + t, FV_LOAD(row + t));
            if (t < d)
                v_store(wide[i % WIDE] + t, FV_LOAD_N(row + t, d - t));
            x[i] = wide[i % WIDE];
        }
    }
    for (int r = 0; r < n; r += ROWS)
        FV_NAME(dot_quads)(q + (size_t)r * (size_t)d, d, x, &walk, to + r * ld, ld, n - r);
    for (int r = 0; w < KEYS && r < n; r++)
        memcpy(s + r * lds, some[r], (size_t)w * sizeof(float));
}

FV_INLINE void FV_NAME(dot_by_quads)(const float *q, ptrdiff_t ldq, int n, int d, const void *const *k, int nk, float *s,
                                     ptrdiff_t lds, const fvk_ahead *ahead)
{
    enum { KEYS = FV_NAME(quad_keys), ROWS = FV_NAME(quad_rows) };
    _Alignas(64) float room[8 * QUAD_DIM];
    float *quads = fv_opaque_room(room);
    const void *ring[AHEAD_SIZE];
    const int far = ahead_distance(ahead, (size_t)d * sizeof(FV_T));
    for (int r = 0; r < 8; r++)
        for (int t = 0; t < d; t += 4) {
            float *to = quads + (size_t)(r / ROWS * ROWS) * (size_t)d + (size_t)t * ROWS + r % ROWS * 4;
            if (r < n)
                memcpy(to, q + r * ldq + t, 4 * sizeof(float));
            else
                memset(to, 0, 4 * sizeof(float));
        }
    for (int j = 0; j < nk; j += AHEAD_GROUP) {
        int w = nk - j < AHEAD_GROUP ? nk - j : AHEAD_GROUP;
        ahead_next(ring, k, nk, j, far, ahead);
        for (int i = 0; i < w; i += KEYS)
            FV_NAME(dot_quad_group)(quads, n, d, ahead_at(ring, j + i), w - i < KEYS ? w - i : KEYS,
                                    ahead_at(ring, j + i + far), s + j + i, lds);
    }
}

void FVK(FV_DOT)(const float *q, ptrdiff_t ldq, int n, int d, const void *const *k, int nk, float *s, ptrdiff_t lds,
                 const fvk_ahead *ahead)
{
    enum { SLICE = 512 };
    _Alignas(64) float room[8 * SLICE];
    float *slice = fv_opaque_room(room);
    if (VL >= 8 && n > FV_NAME(quad_rows) / 2 && d % 4 == 0 && d <= QUAD_DIM) {
        FV_NAME(dot_by_quads)(q, ldq, n, d, k, nk, s, lds, ahead);
        return;
    }
    for (int from = 0; from < d; from += SLICE) {
        int w = d - from < SLICE ? d - from : SLICE;
        for (int t = 0; t < w; t += VL)
            for (int r = 0; r < n; r++) {
                const float *x = q + r * ldq + from + t;
                v_store(slice + (size_t)t * (size_t)n + (size_t)r * VL, w - t < VL ? v_load_n(x, w - t) : v_load(x));
            }
        switch (n) {
        case 1: FV_NAME(dot_slice)(slice, w, k, nk, from, ahead, s, lds, 1); break;
        case 2: FV_NAME(dot_slice)(slice, w, k, nk, from, ahead, s, lds, 2); break;
        case 3: FV_NAME(dot_slice)(slice, w, k, nk, from, ahead, s, lds, 3); break;
        case 4: FV_NAME(dot_slice)(slice, w, k, nk, from, ahead, s, lds, 4); break;
        case 5: FV_NAME(dot_slice)(slice, w, k, nk, from, ahead, s, lds, 5); break;
        case 6: FV_NAME(dot_slice)(slice, w, k, nk, from, ahead, s, lds, 6); break;
        case 7: FV_NAME(dot_slice)(slice, w, k, nk, from, ahead, s, lds, 7); break;
        default: FV_NAME(dot_slice)(slice, w, k, nk, from, ahead, s, lds, 8); break;
        }
    }
}
