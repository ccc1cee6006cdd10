/* Problems: defaults, and every check that does not need a recipe. */
#include "api/problem.h"

#include "core/error.h"

#include <math.h>

/* Saturates: a stride that does not fit is refused when a plan is made. */
static int64_t times(int64_t a, int64_t b)
{
    int64_t c;
    return __builtin_mul_overflow(a, b, &c) ? INT64_MAX : c;
}

static fovea_strides contiguous(int64_t heads, int64_t length, int64_t dim)
{
    return (fovea_strides){times(heads, times(length, dim)), times(length, dim), dim};
}

void fovea_problem_init(fovea_problem *problem, int64_t batch, int64_t hq, int64_t hkv, int64_t lq, int64_t lk, int64_t d,
                        int64_t dv, fovea_dtype dtype)
{
    if (!problem)
        return;
    *problem = (fovea_problem){.struct_size = sizeof *problem, .batch = batch, .hq = hq, .hkv = hkv, .lq = lq, .lk = lk,
                               .d = d, .dv = dv, .dtype = dtype, .nrows = -1};
    problem->q = contiguous(hq, lq, d);
    problem->k = contiguous(hkv, lk, d);
    problem->v = contiguous(hkv, lk, dv);
    problem->o = contiguous(hq, lq, dv);
}

static fovea_status check_range(fovea_error *err, fovea_status status, const char *name, int64_t value, int64_t min,
                                int64_t max)
{
    if (value >= min && value <= max)
        return FOVEA_OK;
    return fv_error_set(err, status, "%s %lld is outside %lld..%lld", name, (long long)value, (long long)min,
                        (long long)max);
}

static fovea_status check_shape(const fovea_problem *p, fovea_error *err)
{
    const int64_t most = INT32_MAX;
    fovea_status s = FOVEA_OK;
    if (!s)
        s = check_range(err, FOVEA_ERROR_BATCH, "batch", p->batch, 1, most);
    if (!s)
        s = check_range(err, FOVEA_ERROR_HEADS, "hq", p->hq, 1, most);
    if (!s)
        s = check_range(err, FOVEA_ERROR_HEADS, "hkv", p->hkv, 1, most);
    if (!s && p->hq % p->hkv)
        s = fv_error_set(err, FOVEA_ERROR_HEADS, "hq %lld is not a multiple of hkv %lld", (long long)p->hq,
                         (long long)p->hkv);
    if (!s)
        s = check_range(err, FOVEA_ERROR_LENGTH, "lq", p->lq, 0, most);
    if (!s)
        s = check_range(err, FOVEA_ERROR_LENGTH, "lk", p->lk, 0, most);
    if (!s)
        s = check_range(err, FOVEA_ERROR_DIM, "d", p->d, 1, 65536);
    if (!s)
        s = check_range(err, FOVEA_ERROR_DIM, "dv", p->dv, 1, 65536);
    if (!s && (unsigned)p->dtype > FOVEA_F16)
        s = fv_error_set(err, FOVEA_ERROR_DTYPE, "dtype %d is none of FOVEA_F32 (0), FOVEA_BF16 (1), FOVEA_F16 (2)",
                         (int)p->dtype);
    if (!s && (unsigned)p->precision > FOVEA_PRECISION_FAST)
        s = fv_error_set(err, FOVEA_ERROR_PRECISION,
                         "precision %d is neither FOVEA_PRECISION_EXACT (0) nor FOVEA_PRECISION_FAST (1)",
                         (int)p->precision);
    return s;
}

static fovea_status check_strides(fovea_error *err, const char *name, const fovea_strides *s)
{
    const char *const axis[] = {"batch", "head", "token"};
    const int64_t value[] = {s->batch, s->head, s->token};
    for (int i = 0; i < 3; i++)
        if (value[i] < 0)
            return fv_error_set(err, FOVEA_ERROR_STRIDE, "%s.%s stride %lld is negative; allowed: 0 and above", name,
                                axis[i], (long long)value[i]);
    return FOVEA_OK;
}

/* The last element of a tensor must be within reach of a signed byte offset. */
static fovea_status check_extent(fovea_error *err, const char *name, const fovea_strides *s, int64_t batch, int64_t heads,
                                 int64_t length, int64_t dim, int64_t bytes)
{
    int64_t b, h, t, sum = 0;
    if (batch == 0 || heads == 0 || length == 0)
        return FOVEA_OK;
    if (__builtin_mul_overflow(batch - 1, s->batch, &b) || __builtin_mul_overflow(heads - 1, s->head, &h) ||
        __builtin_mul_overflow(length - 1, s->token, &t) || __builtin_add_overflow(b, h, &sum) ||
        __builtin_add_overflow(sum, t, &sum) || __builtin_add_overflow(sum, dim, &sum) ||
        __builtin_mul_overflow(sum, bytes, &sum))
        return fv_error_set(err, FOVEA_ERROR_OVERFLOW,
                            "%s of %lld x %lld x %lld x %lld elements with strides %lld, %lld, %lld does not fit in memory",
                            name, (long long)batch, (long long)heads, (long long)length, (long long)dim,
                            (long long)s->batch, (long long)s->head, (long long)s->token);
    return FOVEA_OK;
}

static fovea_status check_extents(const fovea_problem *p, fovea_error *err)
{
    const int64_t size = p->dtype == FOVEA_F32 ? 4 : 2, rows = p->nrows >= 0 ? p->nrows : p->lq;
    const int64_t tokens = p->page_size ? p->page_size : p->lk, batch = p->page_size ? p->page_count : p->batch;
    const fovea_strides plain = {times(p->hq, times(rows, p->dv)), times(rows, p->dv), p->dv};
    fovea_status s = check_extent(err, "q", &p->q, p->batch, p->hq, p->lq, p->d, size);
    if (!s)
        s = check_extent(err, "k", &p->k, batch, p->hkv, tokens, p->d, size);
    if (!s)
        s = check_extent(err, "v", &p->v, batch, p->hkv, tokens, p->dv, size);
    if (!s) /* also the bound of everything that is kept per row */
        s = check_extent(err, "o", &plain, p->batch, p->hq, rows, p->dv, 4);
    if (!s && (p->o.batch || p->o.head || p->o.token))
        s = check_extent(err, "o", &p->o, p->batch, p->hq, rows, p->dv, 4);
    return s;
}

/* Output rows must not overlap. */
static fovea_status check_output(const fovea_problem *p, fovea_error *err)
{
    int64_t rows = p->nrows >= 0 ? p->nrows : p->lq;
    fovea_status s = check_strides(err, "o", &p->o);
    if (s || rows == 0 || (!p->o.batch && !p->o.head && !p->o.token))
        return s;
    if (rows > 1 && p->o.token < p->dv)
        return fv_error_set(err, FOVEA_ERROR_STRIDE, "o.token stride %lld is below dv %lld: rows would overlap",
                            (long long)p->o.token, (long long)p->dv);
    if (p->hq > 1 && p->o.head < p->dv)
        return fv_error_set(err, FOVEA_ERROR_STRIDE, "o.head stride %lld is below dv %lld: heads would overlap",
                            (long long)p->o.head, (long long)p->dv);
    if (p->batch > 1 && p->o.batch < p->dv)
        return fv_error_set(err, FOVEA_ERROR_STRIDE, "o.batch stride %lld is below dv %lld: batches would overlap",
                            (long long)p->o.batch, (long long)p->dv);
    return FOVEA_OK;
}

static fovea_status check_edits(const fovea_problem *p, fovea_error *err)
{
    if (p->scale != 0 && !(p->scale > 0 && isfinite(p->scale)))
        return fv_error_set(err, FOVEA_ERROR_SCALE, "scale %g is not a finite number above 0 (0 means 1/sqrt(d))",
                            p->scale);
    if (p->softcap != 0 && !(p->softcap > 0 && isfinite(p->softcap)))
        return fv_error_set(err, FOVEA_ERROR_SOFTCAP, "softcap %g is not a finite number above 0 (0 means none)",
                            p->softcap);
    if (p->has_sink && !(p->sink < INFINITY))
        return fv_error_set(err, FOVEA_ERROR_SINK, "sink %g is not a number below infinity", p->sink);
    if (p->has_sink && p->has_sinks)
        return fv_error_set(err, FOVEA_ERROR_SINK, "has_sink and has_sinks are both set; one logit or one per head");
    if (p->has_bias && (p->bias_batch < 0 || p->bias_head < 0 || p->bias_row < 0))
        return fv_error_set(err, FOVEA_ERROR_BIAS, "bias strides %lld, %lld, %lld: none may be negative",
                            (long long)p->bias_batch, (long long)p->bias_head, (long long)p->bias_row);
    return FOVEA_OK;
}

static fovea_status check_cumulative(fovea_error *err, const char *name, const int64_t *cu, int64_t n, int64_t length)
{
    if (!cu)
        return fv_error_set(err, FOVEA_ERROR_NULL, "%s is NULL with nseq %lld", name, (long long)n);
    if (cu[0] != 0)
        return fv_error_set(err, FOVEA_ERROR_SEQLENS, "%s[0] is %lld, not 0", name, (long long)cu[0]);
    for (int64_t i = 0; i < n; i++)
        if (cu[i + 1] < cu[i])
            return fv_error_set(err, FOVEA_ERROR_SEQLENS, "%s[%lld] = %lld is below %s[%lld] = %lld", name,
                                (long long)(i + 1), (long long)cu[i + 1], name, (long long)i, (long long)cu[i]);
    if (cu[n] != length)
        return fv_error_set(err, FOVEA_ERROR_SEQLENS, "%s[%lld] = %lld is not the length %lld", name, (long long)n,
                            (long long)cu[n], (long long)length);
    return FOVEA_OK;
}

static fovea_status check_sequences(const fovea_problem *p, fovea_error *err)
{
    fovea_status s;
    if (p->nseq < 0)
        return fv_error_set(err, FOVEA_ERROR_SEQLENS, "nseq %lld is negative", (long long)p->nseq);
    if (!p->nseq)
        return FOVEA_OK;
    if (p->batch != 1)
        return fv_error_set(err, FOVEA_ERROR_SEQLENS, "nseq %lld with batch %lld: a varlen batch has batch 1",
                            (long long)p->nseq, (long long)p->batch);
    if (p->nrows >= 0)
        return fv_error_set(err, FOVEA_ERROR_ROWS, "nrows %lld together with nseq %lld is not supported; use -1",
                            (long long)p->nrows, (long long)p->nseq);
    if (p->has_bias)
        return fv_error_set(err, FOVEA_ERROR_BIAS, "has_bias together with nseq %lld is not supported",
                            (long long)p->nseq);
    s = check_cumulative(err, "cu_q", p->cu_q, p->nseq, p->lq);
    return s ? s : check_cumulative(err, "cu_k", p->cu_k, p->nseq, p->lk);
}

static fovea_status check_rows(const fovea_problem *p, fovea_error *err)
{
    if (p->nrows < -1 || p->nrows > p->lq)
        return fv_error_set(err, FOVEA_ERROR_ROWS, "nrows %lld is outside -1..lq = %lld", (long long)p->nrows,
                            (long long)p->lq);
    if (p->nrows > 0 && !p->rows)
        return fv_error_set(err, FOVEA_ERROR_NULL, "rows is NULL with nrows %lld", (long long)p->nrows);
    for (int64_t i = 0; i < p->nrows; i++)
        if (p->rows[i] < 0 || p->rows[i] >= p->lq || (i && p->rows[i] <= p->rows[i - 1]))
            return fv_error_set(err, FOVEA_ERROR_ROWS, "rows[%lld] = %lld: rows must rise and stay within 0..%lld",
                                (long long)i, (long long)p->rows[i], (long long)(p->lq - 1));
    return FOVEA_OK;
}

static fovea_status check_pages(const fovea_problem *p, fovea_error *err)
{
    int64_t pages;
    if (p->page_size == 0)
        return FOVEA_OK;
    if (p->page_size < 0)
        return fv_error_set(err, FOVEA_ERROR_PAGES, "page_size %lld is negative; 0 means unpaged", (long long)p->page_size);
    pages = (p->lk + p->page_size - 1) / p->page_size;
    if (p->page_table_stride < (p->batch > 1 ? pages : 0))
        return fv_error_set(err, FOVEA_ERROR_PAGES, "page_table_stride %lld is below the %lld pages of lk %lld",
                            (long long)p->page_table_stride, (long long)pages, (long long)p->lk);
    if (p->page_count < (p->lk > 0))
        return fv_error_set(err, FOVEA_ERROR_PAGES, "page_count %lld is below 1", (long long)p->page_count);
    return FOVEA_OK;
}

fovea_status fv_problem_check(const fovea_problem *p, fovea_error *err)
{
    fovea_status s;
    if (!p)
        return fv_error_set(err, FOVEA_ERROR_NULL, "problem is NULL");
    if (p->struct_size != sizeof *p)
        return fv_error_set(err, FOVEA_ERROR_STRUCT, "problem.struct_size %zu is not sizeof(fovea_problem) = %zu",
                            p->struct_size, sizeof *p);
    s = check_shape(p, err);
    if (!s)
        s = check_strides(err, "q", &p->q);
    if (!s)
        s = check_strides(err, "k", &p->k);
    if (!s)
        s = check_strides(err, "v", &p->v);
    if (!s)
        s = check_edits(p, err);
    if (!s)
        s = check_sequences(p, err);
    if (!s)
        s = check_rows(p, err);
    if (!s)
        s = check_output(p, err);
    if (!s)
        s = check_pages(p, err);
    if (!s)
        s = check_extents(p, err);
    return s;
}
