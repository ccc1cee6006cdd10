/* Addresses and tasks: which query rows a tile holds, where its tensors lie. No arithmetic on their contents. */
#include "drive/work.h"

#include "core/numbers.h"

#include <float.h>
#include <math.h>

void fv_work_task(const fv_work *work, unsigned pass, int64_t t, fv_task *task)
{
    int64_t lo = 0, hi = work->sequences - 1, units;
    if (!work->problem.nseq && hi >= 0) { /* a batch of one shape */
        units = work->sequence[0].lengths->pass[pass].units * work->problem.hkv;
        lo = hi = units > 0 ? t / units : 0;
    }
    while (lo < hi) { /* last sequence whose first task is not after t; empty ones are skipped */
        int64_t mid = lo + (hi - lo + 1) / 2;
        if (work->sequence[mid].unit0[pass] <= t)
            lo = mid;
        else
            hi = mid - 1;
    }
    task->sequence = &work->sequence[lo];
    task->pass = &task->sequence->lengths->pass[pass];
    units = task->pass->units;
    t -= task->sequence->unit0[pass];
    task->kv = t / units;
    task->unit = t % units;
}

/* Rows of class c among n rows in steps of step. */
static int64_t class_rows(int64_t n, int64_t step, int64_t c)
{
    return n > c ? (n - c + step - 1) / step : 0;
}

int64_t fv_work_units(const fv_work *work, const fv_lengths *lengths, int64_t step, int width)
{
    int64_t n = lengths->rows, long_classes, classes = step < n ? step : n, rows;
    if (n == 0)
        return 0;
    rows = (n + step - 1) / step; /* of the first, longest classes */
    long_classes = step < n ? n - (rows - 1) * step : n;
    return long_classes * ((work->group * rows + width - 1) / width) +
           (rows > 1 ? (classes - long_classes) * ((work->group * (rows - 1) + width - 1) / width) : 0);
}

int fv_work_places(const fv_work *work, const fv_task *task, int64_t unit, int width, fv_place *place, int64_t *key_class)
{
    const fv_lengths *lengths = task->sequence->lengths;
    int64_t step = task->pass->step, n = lengths->rows, top = (n + step - 1) / step;
    int64_t long_classes = step < n ? n - (top - 1) * step : n;
    int64_t per_long = (work->group * top + width - 1) / width, c, tile, rows, row, head;
    int count;
    if (unit < long_classes * per_long) {
        c = unit / per_long;
        tile = unit % per_long;
    } else {
        int64_t per_short = (work->group * (top - 1) + width - 1) / width;
        unit -= long_classes * per_long;
        c = long_classes + unit / per_short;
        tile = unit % per_short;
    }
    rows = class_rows(n, step, c);
    count = (int)(work->group * rows - tile * width < width ? work->group * rows - tile * width : width);
    head = task->kv * work->group + tile * width / rows;
    row = tile * width % rows;
    for (int i = 0; i < count; i++) {
        int64_t out = c + row * step;
        place[i].out = out;
        place[i].lane.row = work->rows ? work->rows[out] : out;
        place[i].lane.head = head;
        if (++row == rows) {
            row = 0;
            head++;
        }
    }
    c = (c + lengths->shape.lk - lengths->shape.lq) % step;
    *key_class = c < 0 ? c + step : c;
    return count;
}

void fv_work_pointers(const fv_work *w, const fv_tensors *tensors, const fv_sequence *s, const fv_place *place, int n,
                      const void **q, float **o)
{
    const int64_t size = (int64_t)fv_dtype_bytes(w->problem.dtype);
    const int64_t q_token = w->problem.q.token * size, o_token = w->problem.o.token;
    for (int i = 0; i < n; i++) {
        if (i && place[i].lane.head == place[i - 1].lane.head && place[i].out == place[i - 1].out + 1 &&
            place[i].lane.row == place[i - 1].lane.row + 1) {
            q[i] = (const char *)q[i - 1] + q_token;
            o[i] = o[i - 1] + o_token;
        } else {
            q[i] = fv_work_query(w, tensors, s, &place[i]);
            o[i] = fv_work_output(w, tensors, s, &place[i]);
        }
    }
}

int fv_work_addresses(const fv_work *w, const fv_tensors *tensors, const fv_task *task, int64_t unit, int width,
                      const void **q, float **o)
{
    const int64_t size = (int64_t)fv_dtype_bytes(w->problem.dtype), rows = task->sequence->lengths->rows;
    const int64_t q_token = w->problem.q.token * size, o_token = w->problem.o.token;
    const int64_t left = w->group * rows - unit * width, head = task->kv * w->group + unit * width / rows;
    const int count = (int)(left < width ? left : width);
    fv_place place = {{unit * width % rows, head}, unit * width % rows};
    for (int i = 0; i < count;) {
        const char *from = fv_work_query(w, tensors, task->sequence, &place);
        float *to = fv_work_output(w, tensors, task->sequence, &place);
        const int stop = rows - place.out < count - i ? i + (int)(rows - place.out) : count;
        for (; i < stop; i++, from += q_token, to += o_token) {
            q[i] = from;
            o[i] = to;
        }
        place = (fv_place){{0, place.lane.head + 1}, 0};
    }
    return count;
}

void fv_work_keys(const fv_work *w, const fv_tensors *tensors, const fv_sequence *s, int64_t kv, int64_t first,
                  int64_t step, int64_t n, const void **k, const void **v)
{
    const fovea_problem *p = &w->problem;
    const fovea_arguments *a = tensors->arguments;
    int64_t size = (int64_t)fv_dtype_bytes(p->dtype);
    int64_t token = s->k0 + first;
    if (a->k_rows) {
        int64_t at = (s->batch * p->hkv + kv) * p->lk + token;
        for (int64_t j = 0; j < n; j++, at += step) {
            k[j] = a->k_rows[at];
            v[j] = a->v_rows[at];
        }
    } else if (p->page_size) {
        const int32_t *table = a->pages + s->batch * p->page_table_stride;
        for (int64_t j = 0; j < n; j++, token += step) {
            int64_t page = table[token / p->page_size], row = token % p->page_size;
            k[j] = (const char *)a->k + (page * p->k.batch + kv * p->k.head + row * p->k.token) * size;
            v[j] = (const char *)a->v + (page * p->v.batch + kv * p->v.head + row * p->v.token) * size;
        }
    } else {
        const char *x = (const char *)a->k + (s->batch * p->k.batch + kv * p->k.head + token * p->k.token) * size;
        const char *y = (const char *)a->v + (s->batch * p->v.batch + kv * p->v.head + token * p->v.token) * size;
        int64_t dx = p->k.token * step * size, dy = p->v.token * step * size;
        for (int64_t j = 0; j < n; j++, x += dx, y += dy) {
            k[j] = x;
            v[j] = y;
        }
    }
}

void fv_work_next_head(const fv_work *w, const fv_tensors *tensors, const fv_task *task, ptrdiff_t *k, ptrdiff_t *v)
{
    const fv_sequence *s = task->sequence, *next = s;
    int64_t kv = task->kv + 1;
    const void *from[2], *to[2];
    *k = *v = 0;
    if (kv == w->problem.hkv) {
        kv = 0;
        next = s + 1;
    }
    if (tensors->arguments->k_rows || w->problem.page_size || next == w->sequence + w->sequences)
        return;
    fv_work_keys(w, tensors, s, task->kv, 0, 1, 1, from, from + 1);
    fv_work_keys(w, tensors, next, kv, 0, 1, 1, to, to + 1);
    *k = (const char *)to[0] - (const char *)from[0];
    *v = (const char *)to[1] - (const char *)from[1];
}

/* In a file that does not use it: gcc 12 takes a function that only prefetches for one without effect, and drops calls that it sees
   through. */
void fv_work_ask(const fv_ask *ask, int n)
{
    for (int i = 0; i < n; i++) /* an address, not a pointer: there may be nothing */
        for (size_t c = 0; c < (size_t)ask->width * sizeof(float); c += 64)
            __builtin_prefetch((const void *)((uintptr_t)ask->row[i] + (uintptr_t)ask->shift + c), 0, 2);
}

const float *fv_work_bias(const fv_work *w, const fv_tensors *tensors, const fv_sequence *s, const fv_place *place)
{
    const fovea_problem *p = &w->problem;
    if (!w->has_bias)
        return NULL;
    return tensors->arguments->bias + s->batch * p->bias_batch + place->lane.head * p->bias_head +
           place->lane.row * p->bias_row;
}

float fv_work_sink(const fv_work *w, const fv_tensors *tensors, int64_t head)
{
    double sink = w->sink_all;
    if (w->problem.has_sinks)
        sink = tensors->arguments->sinks[head];
    if (w->zero_logit)
        sink = sink > 0 ? sink + log1p(exp(-sink)) : log1p(exp(sink)); /* log(e^sink + e^0) */
    return (float)sink;
}

uint8_t *fv_work_mask(const fv_work *w, const fv_tensors *tensors, const fv_sequence *s, const fv_place *place)
{
    if (!tensors->arguments->mask)
        return NULL;
    return tensors->arguments->mask + fv_work_row(w, s, place) * w->mask_keys;
}

const float *fv_work_sinks(const fv_work *w, const fv_tensors *tensors, const fv_place *place, int n, int lanes, float *sink)
{
    if (!w->sink)
        return NULL;
    for (int i = 0; i < lanes; i++) {
        const float logit = i < n ? fv_work_sink(w, tensors, place[i].lane.head) : -INFINITY;
        sink[i] = logit == -INFINITY ? FVK_HIDDEN : logit * (float)FVK_LOG2E;
    }
    return sink;
}

float fv_work_row_max(float m, float l)
{
    return l == 0 ? -INFINITY : m == FVK_LOWEST ? -FLT_MAX : m * (float)FVK_LN2;
}

uint64_t fv_work_report(const fv_work *w, const fv_tensors *tensors, const fv_sequence *s, const fv_place *place, float m,
                        float l, float lse, int see)
{
    const fovea_arguments *a = tensors->arguments;
    const int64_t row = fv_work_row(w, s, place);
    const float *bias = fv_work_bias(w, tensors, s, place);
    uint8_t *mask = fv_work_mask(w, tensors, s, place);
    uint64_t kept = 0;
    if (a->lse)
        a->lse[row] = lse;
    if (a->row_max)
        a->row_max[row] = fv_work_row_max(m, l);
    for (int j = 0; (mask || a->kept) && j < see; j++) {
        const int seen = !bias || bias[j] != -INFINITY;
        kept += (uint64_t)seen;
        if (mask)
            mask[j] = (uint8_t)seen;
    }
    return kept;
}
