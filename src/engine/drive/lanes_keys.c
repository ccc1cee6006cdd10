/* Keys of a tile of lanes on their way into blocks: those that all lanes see and those that only some see queue up apart. */
#include "core/numbers.h"
#include "drive/lanes.h"

#include <string.h>

enum { SHORT = 8 }; /* spans of fewer keys are taken key by key */

void fv_lanes_find_rows(fv_lanes *x)
{
    const fv_work *w = x->work;
    const fovea_problem *p = &w->problem;
    const int64_t step = x->task.pass->step * (int64_t)fv_dtype_bytes(p->dtype);
    const void *k, *v;
    x->k0 = NULL;
    x->plain = 0;
    if (x->tensors->arguments->k_rows || p->page_size)
        return;
    x->plain = !w->edits && !x->tensors->arguments->mask;
    fv_work_keys(w, x->tensors, x->task.sequence, x->task.kv, x->key_class, 1, 1, &k, &v);
    x->k0 = k;
    x->v0 = v;
    x->dk = p->k.token * step;
    x->dv = p->v.token * step;
}

/* Rows of masks for the next n keys of the spans; lanes that the tile lacks count as seeing, so that a key that all others
   see needs no mask. Moves on to the key behind. */
static void take_masks(fv_lanes_tile *y, int64_t n, uint32_t *rows)
{
    while (n > 0) {
        const fv_span *span = &y->span[y->at];
        const uint32_t mask = (uint32_t)span->lanes | ~y->all;
        int64_t m = span->hi - y->next < n ? span->hi - y->next : n;
        for (int64_t j = 0; j < m; j++)
            rows[j] = mask;
        rows += m;
        n -= m;
        y->next += m;
        if (y->next == span->hi && ++y->at < y->spans)
            y->next = y->span[y->at].lo;
    }
}

/* End of the run of consecutive keys that begins at the tile's next one and is of one kind: seen by all lanes, or an edge. */
static int64_t run_end(const fv_lanes_tile *y, int edge, int64_t stop)
{
    size_t at = y->at;
    int64_t end = y->span[at].hi;
    while (edge && end < stop && ++at < y->spans && y->span[at].lo == end && (uint32_t)y->span[at].lanes != y->all)
        end = y->span[at].hi;
    return end < stop ? end : stop;
}

/* Takes keys that all lanes see from spans of a few keys each, up to `stop`, as long as there is room. Which of such spans
   ends where is not to be foreseen, so that a branch on it would cost more than the key: one key per turn. */
static void take_short(const fv_lanes *x, fv_lanes_tile *y, int64_t stop)
{
    fv_lanes_queue *q = &y->full;
    const fv_span *span = y->span + y->at, *const behind = y->span + y->spans;
    int64_t next = y->next, last = next;
    int n = q->n;
    if (n == 0)
        q->first = next;
    else if (q->first + n != next)
        q->first = -1;
    while (n < x->work->block && next < stop && (uint32_t)span->lanes == y->all) {
        int64_t ended;
        q->k[n] = x->k0 + next * x->dk;
        q->v[n] = x->v0 + next * x->dv;
        n++;
        last = next++;
        ended = next == span->hi;
        span += ended;
        if (span == behind)
            break;
        next += (span->lo - next) & -ended;
    }
    if (last - y->next != n - q->n - 1)
        q->first = -1;
    y->at = (size_t)(span - y->span);
    y->next = next;
    q->n = n;
}

/* Takes keys of a run of one kind, up to `stop`, as many as there is room for. */
static void take_run(fv_lanes *x, fv_lanes_tile *y, fv_lanes_queue *q, int edge, int64_t stop)
{
    const fv_work *w = x->work;
    const int64_t step = x->task.pass->step, next = y->next, key = x->key_class + step * next;
    int64_t n = run_end(y, edge, stop) - next, room = w->block - q->n;
    if (n > room)
        n = room;
    fv_work_keys(w, x->tensors, x->task.sequence, x->task.kv, key, step, n, q->k + q->n, q->v + q->n);
    if (w->edits || x->tensors->arguments->mask)
        for (int64_t j = 0; j < n; j++)
            q->key[q->n + j] = (int32_t)(key + step * j);
    take_masks(y, n, q->rows + q->n);
    q->first = q->n == 0 ? next : q->first + q->n == next ? q->first : -1;
    q->n += (int)n;
}

void fv_lanes_feed(fv_lanes *x, fv_lanes_tile *y, int64_t stop)
{
    const fv_work *w = x->work;
    while (y->at < y->spans && y->next < stop) {
        int edge = (uint32_t)y->span[y->at].lanes != y->all;
        fv_lanes_queue *q = edge ? &y->edge : &y->full;
        if (!edge && x->plain && y->span[y->at].hi - y->next < SHORT)
            take_short(x, y, stop);
        else
            take_run(x, y, q, edge, stop);
        if (q->n < w->block)
            continue;
        fv_lanes_flush(x, y, q, edge);
    }
}

/* Puts the keys of both queues into one, those that all lanes see first: often the edge is what comes behind them. */
static void join(fv_lanes_queue *full, const fv_lanes_queue *edge)
{
    memset(full->rows, 0xff, (size_t)full->n * sizeof *full->rows);
    memcpy(full->k + full->n, edge->k, (size_t)edge->n * sizeof *full->k);
    memcpy(full->v + full->n, edge->v, (size_t)edge->n * sizeof *full->v);
    memcpy(full->key + full->n, edge->key, (size_t)edge->n * sizeof *full->key);
    memcpy(full->rows + full->n, edge->rows, (size_t)edge->n * sizeof *full->rows);
    if (full->first < 0 || full->first + full->n != edge->first)
        full->first = -1;
    full->n += edge->n;
}

/* The two queues together when they fit in one block, for a block costs more than its masks, but less than
   half the speed of the bf16 dot. */
void fv_lanes_drain(fv_lanes *x, fv_lanes_tile *y)
{
    fv_lanes_queue *full = &y->full, *edge = &y->edge;
    int apart = x->work->kernel.pv_pair && full->n >= fv_lanes_pair_keys(x->work);
    if (full->n && edge->n && !apart && full->n + edge->n <= x->work->block) {
        join(full, edge);
        edge->n = 0;
        fv_lanes_flush(x, y, full, 1);
        return;
    }
    if (full->n)
        fv_lanes_flush(x, y, full, 0);
    if (edge->n)
        fv_lanes_flush(x, y, edge, 1);
}
