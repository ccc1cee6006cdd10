/* Where crowded rows of keys and values are copied to for the tiles of a group: rings of padded rows that run ahead of the tiles,
   each tile asking memory for a few rows and copying those that the tile before it asked for. What is read at one go keeps
   everybody waiting, and of rows a power of two apart few stay in the second cache until their turn comes. For the same reason
   a tile's queries are asked for by the tile in front of it. */
#include "core/numbers.h"
#include "drive/lanes.h"

#include <string.h>

enum { LINE = 64 };

/* Rows to ask for: row[], or `distance` apart from `at` on. Addresses: there may be nothing. */
typedef struct ask_rows {
    const void *const *row;
    uintptr_t at;
    int64_t distance, n;
    size_t bytes;
} ask_rows;

/* Pointers to the rows' pieces of `step` bytes. */
static const void **list_pieces(const ask_rows *a, size_t step, const void **to)
{
    for (int64_t j = 0; j < a->n; j++) {
        uintptr_t at = a->row ? (uintptr_t)a->row[j] : a->at + (uintptr_t)(j * a->distance);
        for (const uintptr_t end = at + a->bytes; at < end; at += step)
            *to++ = (const void *)at;
    }
    return to;
}

/* Spreads rows over the n keys of a block, for a core has no more than 10 to 16 lines on their way at a time and those that the
   scores wait for are among them; what is too many for a short block is asked for at once. */
static fv_ask spread(fv_lanes *x, const ask_rows *a, int count, int n)
{
    const void **to = x->behind;
    int64_t pieces;
    size_t step = LINE / 2, longest = 0;
    fv_ask ask;
    do {
        step *= 2;
        pieces = 0;
        for (int i = 0; i < count; i++) {
            longest = a[i].bytes > longest ? a[i].bytes : longest;
            pieces += a[i].n * (int64_t)((a[i].bytes + step - 1) / step);
        }
    } while (pieces > n && step < longest);
    for (int i = 0; i < count; i++)
        to = list_pieces(&a[i], step, to);
    if (to == x->behind)
        return (fv_ask){NULL, 0, 0};
    for (; to < x->behind + n; to++)
        *to = to[-1];
    ask = (fv_ask){x->behind + n, 0, (int)(step / sizeof(float))};
    fv_work_ask(&ask, (int)(to - ask.row));
    ask.row = x->behind;
    return ask;
}

/* Whether each tile sees all keys from its first to its last, and whether these begin at `first`. */
static void find_range(fv_lanes *x, int n, int64_t first)
{
    x->whole = x->together = 1;
    for (const fv_lanes_tile *y = x->tile; y < x->tile + n; y++) {
        x->whole &= y->spans && y->whole;
        x->together &= y->spans && y->span[0].lo == first;
    }
    x->together &= x->whole;
}

/* As few lines at a time as the tiles together can ask for. */
static void set_pieces(fv_lanes *x, int n)
{
    size_t step = LINE / 2;
    int pieces;
    do {
        step *= 2;
        pieces = 0;
        for (int i = 0; i < 2; i++) {
            fv_lanes_ring *r = &x->ring[i];
            r->per_row = (int)((r->bytes + step - 1) / step);
            r->width = (int)(step / sizeof(float));
            pieces += r->per_row;
        }
    } while (pieces > n && pieces > 2);
    for (int i = 0; i < 2; i++) {
        const fv_lanes_ring *r = &x->ring[i];
        const ask_rows a = {NULL, (uintptr_t)r->row0, r->distance, (x->work->block + r->per_row - 1) / r->per_row, r->bytes};
        list_pieces(&a, step, r->lines);
    }
}

void fv_lanes_start_rings(fv_lanes *x, int n)
{
    const fv_work *w = x->work;
    const int64_t first = x->tile[0].spans ? x->tile[0].span[0].lo : 0;
    const int goes_on = x->next_sequence == x->task.sequence && x->next_kv == x->task.kv && x->next_first == first;
    const void *next[2];
    x->copying = w->copies && n >= w->copies && !x->sparse;
    x->next_sequence = NULL;
    x->next_keys = 0;
    if (!x->copying)
        return;
    find_range(x, n, first);
    if (!w->copy_keys && !x->together) { /* a copy of values alone gains little: 2 % lost where tiles of a window share it */
        x->copying = 0;
        return;
    }
    for (int i = 0; i < 2; i++) {
        fv_lanes_ring *r = &x->ring[i];
        if (goes_on) {
            r->turn += x->next_shift;
            r->stop -= x->next_shift;
            if (r->stop > x->last) /* what lies behind is of the next task again */
                r->stop = x->last;
            r->asked = r->stop;
            r->from = first;
        } else
            r->from = r->stop = r->asked = r->turn = 0;
        r->row0 = i ? x->v0 : x->k0;
        r->distance = i ? x->dv : x->dk;
    }
    if (!x->k0)
        return;
    set_pieces(x, n);
    if (!x->together || x->key_class || x->task.pass->step > 1 || x->follows < 0)
        return;
    fv_work_keys(w, x->tensors, x->task.sequence, x->follows, first, 1, 1, &next[0], &next[1]);
    for (int i = 0; i < 2; i++)
        x->ring[i].next_row = (const char *)next[i];
    x->next_sequence = x->task.sequence;
    x->next_kv = x->follows;
    x->next_first = first;
    x->next_shift = x->last - first;
    x->next_keys = x->tile[0].span[x->tile[0].spans - 1].hi - first;
    if (x->next_keys > w->block)
        x->next_keys = w->block;
}

static int64_t ring_rows(const fv_lanes *x)
{
    return 2 * x->work->block;
}

/* The row at a class coordinate; those behind the last key of the group are of the next task. */
static const char *row_at(const fv_lanes *x, const fv_lanes_ring *r, int64_t c)
{
    return c < x->last ? r->row0 + c * r->distance : r->next_row + (c - x->last) * r->distance;
}

/* Copies the rows from r->stop to `stop`: those of row[], or at a fixed distance. */
static void copy_rows(fv_lanes *x, fv_lanes_ring *r, int64_t stop, const void *const *row)
{
    const int64_t rows = ring_rows(x);
    int64_t at = (r->stop + r->turn) % rows;
    for (int64_t c = r->stop; r->copied && c < stop; c++) {
        memcpy(r->at + at * r->ld, row ? *row++ : row_at(x, r, c), r->bytes);
        at = at + 1 < rows ? at + 1 : 0;
    }
    r->stop = stop;
    if (r->from < stop - rows)
        r->from = stop - rows;
}

const void *const *fv_lanes_copied(fv_lanes *x, fv_lanes_ring *r, const fv_lanes_queue *q, const void *const *row)
{
    const int64_t stop = q->first + q->n;
    if (q->first < r->from || q->first > r->stop)
        r->from = r->stop = r->asked = q->first;
    if (r->stop < stop)
        copy_rows(x, r, stop, row + (r->stop - q->first));
    if (r->asked < r->stop)
        r->asked = r->stop;
    return r->copied ? (const void *const *)r->rows + (q->first + r->turn) % ring_rows(x) : row;
}

/* Up to where a tile may ask: not beyond what the rings hold, nor for keys that perhaps nobody needs. */
static int64_t ahead_stop(const fv_lanes *x, const fv_lanes_tile *y)
{
    const int64_t stop = x->oldest + ring_rows(x);
    const int64_t end = !x->k0 ? 0 : x->whole ? x->last + x->next_keys : y->at < y->spans ? y->span[y->at].hi : 0;
    return stop < end ? stop : end;
}

/* The next rows of a ring, `most` or what there is up to `stop`; they do not go across the end of the group's. */
static ask_rows take_share(const fv_lanes *x, fv_lanes_ring *r, int64_t most, int64_t stop)
{
    const int64_t from = r->asked;
    if (from < x->last && stop > x->last)
        stop = x->last;
    most = stop - from < most ? stop - from : most;
    if (most <= 0)
        return (ask_rows){NULL, 0, 0, 0, 0};
    r->asked += most;
    return (ask_rows){NULL, (uintptr_t)row_at(x, r, from), r->distance, most, r->bytes};
}

fv_ask fv_lanes_copy_ahead(fv_lanes *x, fv_lanes_tile *y, const fv_lanes_queue *q)
{
    const int n = q->n;
    const fovea_problem *p = &x->work->problem;
    const int64_t stop = ahead_stop(x, y), share = (x->work->block + x->sharing - 1) / x->sharing;
    const int leads = !y->led && y + 1 < x->tile + x->sharing, ends = y->at == y->spans && !y->asked;
    fv_lanes_ring *r = x->ring;
    ask_rows a[5];
    int count = 0;
    for (int i = 0; i < 2; i++) { /* not over the rows of this block: an edge may have waited, and lie behind `oldest` */
        const int64_t room = q->first + ring_rows(x), end = r[i].asked < room ? r[i].asked : room;
        if (r[i].stop < end)
            copy_rows(x, &r[i], end, NULL);
    }
    y->led = 1;
    if (!leads && !ends) {
        if (!x->k0)
            return (fv_ask){NULL, 0, 0};
        r += r[1].asked < r[0].asked;
        const ask_rows one = take_share(x, r, n / r->per_row, stop);
        if (!one.n)
            return (fv_ask){NULL, 0, 0};
        return (fv_ask){(const void *const *)r->lines, (ptrdiff_t)(one.at - (uintptr_t)r->row0), r->width};
    }
    if (ends) {
        a[count++] = (ask_rows){(const void *const *)y->o, 0, 0, y->n, (size_t)p->dv * sizeof(float)};
        if (y == x->tile) { /* the queries of the tile that most likely takes its place */
            const int64_t rows = x->sharing * x->work->kernel.lanes * x->task.pass->step, next = (p->causal ? -rows : rows) * p->q.token;
            const int64_t row = p->q.token * (int64_t)sizeof(float);
            a[count++] = (ask_rows){NULL, (uintptr_t)y->q[0] + (uintptr_t)next * sizeof(float), row, y->n,
                                    (size_t)p->d * sizeof(float)};
        }
        y->asked = 1;
    }
    if (leads)
        a[count++] = (ask_rows){y[1].q, 0, 0, y[1].n, (size_t)p->d * sizeof(float)};
    a[count] = take_share(x, &r[0], share, stop);
    count += a[count].n > 0;
    a[count] = take_share(x, &r[1], share, stop);
    count += a[count].n > 0;
    return spread(x, a, count, n);
}
