/* Passes over one row of scores that choose among them: sift copies those of a range side by side, mass, veil and moments
   add up in double what lies above a threshold, ramp is the weight of a sparse map. Contracts: kernel.h.

   sift works in two ways. Where little is kept: bits of 32 numbers at a time, a list of the groups that have any (made
   without branches), then bit by bit; about a cycle per vector and six per number kept. With v_pack, vector by vector: five
   shuffles per vector, whatever is kept. A row is cut in chunks, and each chunk takes the way that suits the one before. */
enum { SIFT_GROUP = 32, SIFT_CHUNK = 1024, SIFT_FEW = SIFT_CHUNK / 48 };

FV_INLINE int64_t sift_bits(uint32_t bits, const float *x, int64_t first, float *y, int32_t *at)
{
    int64_t m = 0;
    for (; bits; bits &= bits - 1) {
        int i = __builtin_ctz(bits);
        y[m] = x[first + i];
        at[m++] = (int32_t)(first + i);
    }
    return m;
}

/* Lanes below low or, where it matters, above high. */
FV_INLINE uint32_t sift_out(vf z, vf low, vf high, const int two)
{
    uint32_t out = v_bits(v_lt(z, low));
    return two ? out | v_bits(v_lt(high, z)) : out;
}

/* Numbers from first on, n of them: whole groups, at most a chunk. */
FV_INLINE int64_t sift_few(const float *x, int64_t first, int64_t n, vf low, vf high, float *y, int32_t *at, const int two)
{
    uint32_t bits[SIFT_CHUNK / SIFT_GROUP];
    int32_t group[SIFT_CHUNK / SIFT_GROUP];
    int64_t m = 0, groups = 0;
    for (int g = 0; g < n / SIFT_GROUP; g++) {
        uint32_t out = 0;
        FV_UNROLL
        for (int i = 0; i < SIFT_GROUP; i += VL)
            out |= sift_out(v_load(x + first + g * SIFT_GROUP + i), low, high, two) << i;
        bits[g] = ~out;
        group[groups] = g;
        groups += ~out != 0;
    }
    for (int64_t i = 0; i < groups; i++)
        m += sift_bits(bits[group[i]], x, first + group[i] * SIFT_GROUP, y + m, at + m);
    return m;
}

FV_INLINE int64_t sift_row(const float *x, int64_t n, float lo, float hi, float *y, int32_t *at, const int two)
{
    const vf low = v_set1(lo), high = v_set1(hi);
    int64_t m = 0, j = 0;
#ifdef V_HAS_PACK
    int64_t before = SIFT_CHUNK;
#else
    int64_t before = 0;
#endif
    while (n - j >= SIFT_GROUP) {
        int64_t size = n - j < SIFT_CHUNK ? (n - j) / SIFT_GROUP * SIFT_GROUP : SIFT_CHUNK, m0 = m;
        if (before < SIFT_FEW)
            m += sift_few(x, j, size, low, high, y + m, at + m, two);
#ifdef V_HAS_PACK
        else
            for (int64_t i = j; i < j + size; i += VL) {
                vf z = v_load(x + i);
                vm in = two ? v_and(v_nlt(z, low), v_nlt(high, z)) : v_nlt(z, low);
                m += v_pack(in, z, (int32_t)i, y + m, at + m);
            }
        before = m - m0;
#else
        (void)m0;
#endif
        j += size;
    }
    for (; j < n; j++)
        if (!(x[j] < lo) && !(x[j] > hi)) {
            y[m] = x[j];
            at[m++] = (int32_t)j;
        }
    return m;
}

int64_t FVK(sift_f32)(const float *x, int64_t n, float lo, float hi, float *y, int32_t *at)
{
    return hi == INFINITY ? sift_row(x, n, lo, hi, y, at, 0) : sift_row(x, n, lo, hi, y, at, 1);
}

double FVK(mass_f32)(const float *x, const float *w, int64_t n, float t, int64_t *count)
{
    const vf limit = v_set1(t);
    vd sum[V_PARTS];
    double all = 0;
    int64_t m = 0, j = 0;
    for (int i = 0; i < V_PARTS; i++)
        sum[i] = v_dset1(0);
    for (; j + VL <= n; j += VL) {
        vm above = v_lt(limit, v_load(x + j));
        vf y = v_select(above, v_load(w + j), v_zero());
        m += __builtin_popcount(v_bits(above));
        FV_UNROLL
        for (int i = 0; i < V_PARTS; i++)
            sum[i] = sum[i] + v_part(y, i);
    }
    for (int i = 0; i < V_PARTS; i++)
        all += v_dsum(sum[i]);
    for (; j < n; j++)
        if (x[j] > t) {
            all += (double)w[j];
            m++;
        }
    *count = m;
    return all;
}

/* c in two floats: rounding it would shift all of a row to the same side. */
void FVK(scale_f32)(const float *x, int64_t n, double c, float *y)
{
    const vf high = v_set1((float)c), low = v_set1((float)(c - (double)(float)c));
    int64_t j = 0;
    for (; j + VL <= n; j += VL) {
        vf z = v_load(x + j);
        v_store(y + j, v_fma(z, high, v_mul(z, low)));
    }
    if (j < n) {
        vf z = v_load_n(x + j, (int)(n - j));
        v_store_n(y + j, v_fma(z, high, v_mul(z, low)), (int)(n - j));
    }
}

double FVK(veil_f32)(const float *x, const float *e, int64_t n, float lo, float *y, int64_t *count)
{
    const vf low = v_set1(lo), dropped = v_set1(FVK_DROPPED);
    vd sum[V_PARTS];
    double all = 0;
    int64_t out = 0, j = 0;
    for (int i = 0; i < V_PARTS; i++)
        sum[i] = v_dset1(0);
    for (; j + VL <= n; j += VL) {
        vm under = v_lt(v_load(x + j), low);
        vf z = v_load(e + j), w = v_select(under, v_zero(), z);
        v_store(y + j, v_select(under, dropped, z));
        out += __builtin_popcount(v_bits(under));
        FV_UNROLL
        for (int i = 0; i < V_PARTS; i++)
            sum[i] = sum[i] + v_part(w, i);
    }
    for (int i = 0; i < V_PARTS; i++)
        all += v_dsum(sum[i]);
    for (; j < n; j++) {
        int under = x[j] < lo;
        float z = e[j];
        y[j] = under ? FVK_DROPPED : z;
        all += under ? 0 : (double)z;
        out += under;
    }
    *count = n - out;
    return all;
}

/* A tile of weights, in lanes. */
void FVK(kept_f32)(float *p, int nk, uint32_t *rows)
{
    for (int j = 0; j < nk; j++) {
        uint32_t out = 0;
        for (int n = 0; n < V_TILE; n++) {
            float *to = p + (size_t)j * LANES + n * VL;
            vf x = v_load(to);
            vm under = v_lt(x, v_zero());
            v_store(to, v_select(under, v_zero(), x));
            out |= v_bits(under) << (n * VL);
        }
        rows[j] = ~out;
    }
}

/* slope is a power of two wherever bits matter, and its product exact: with and without an fma they are the same. */
FV_INLINE vd ramp_part(vd x, const fvk_ramp *ramp)
{
    vd r = v_dfma(x - v_dset1(ramp->shift), v_dset1(ramp->slope), v_dset1(-ramp->tau));
    return v_dmax(v_dset1(0), r); /* NaN stays */
}

FV_INLINE void moments_add(vd x, const fvk_ramp *ramp, vd sum[3], const int square)
{
    vd r = ramp_part(x, ramp);
    sum[0] = v_dcount(sum[0], r);
    sum[1] = sum[1] + r;
    if (square)
        sum[2] = v_dfma(r, r, sum[2]);
}

FV_INLINE void moments_row(const float *x, int64_t n, const fvk_ramp *ramp, double sum[3], const int square)
{
    vd part[V_PARTS][3];
    int64_t j = 0;
    for (int i = 0; i < V_PARTS; i++)
        part[i][0] = part[i][1] = part[i][2] = v_dset1(0);
    for (; j + VL <= n; j += VL)
        FV_UNROLL
        for (int i = 0; i < V_PARTS; i++)
            moments_add(v_dload(x + j + i * (VL / V_PARTS)), ramp, part[i], square);
    if (j < n) { /* what is not there is far below */
        vf rest = v_select(v_mask((1u << (n - j)) - 1), v_load_n(x + j, (int)(n - j)), v_set1(-INFINITY));
        for (int i = 0; i < V_PARTS; i++)
            moments_add(v_part(rest, i), ramp, part[i], square);
    }
    for (int k = 0; k < 3; k++) {
        sum[k] = 0;
        for (int i = 0; i < V_PARTS; i++)
            sum[k] += v_dsum(part[i][k]);
    }
}

void FVK(moments_f32)(const float *x, int64_t n, const fvk_ramp *ramp, int square, double sum[3])
{
    const fvk_ramp here = *ramp;
    if (square)
        moments_row(x, n, &here, sum, 1);
    else
        moments_row(x, n, &here, sum, 0);
}

FV_INLINE vf ramp_one(const vd x[V_PARTS], const fvk_ramp *ramp, int square)
{
    vd r[V_PARTS];
    FV_UNROLL
    for (int i = 0; i < V_PARTS; i++) {
        r[i] = ramp_part(x[i], ramp);
        if (square)
            r[i] = r[i] * r[i];
    }
    return v_join(r);
}

void FVK(ramp_f32)(const float *x, int64_t n, const fvk_ramp *ramp, int square, float *y)
{
    const fvk_ramp here = *ramp;
    vd part[V_PARTS];
    int64_t j = 0;
    for (; j + VL <= n; j += VL) {
        FV_UNROLL
        for (int i = 0; i < V_PARTS; i++)
            part[i] = v_dload(x + j + i * (VL / V_PARTS));
        v_store(y + j, ramp_one(part, &here, square));
    }
    if (j < n) {
        vf rest = v_load_n(x + j, (int)(n - j));
        for (int i = 0; i < V_PARTS; i++)
            part[i] = v_part(rest, i);
        v_store_n(y + j, ramp_one(part, &here, square), (int)(n - j));
    }
}
