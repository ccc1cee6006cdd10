/* Where crowded rows of keys and values are copied to for the tiles of a group: rings of padded rows that run ahead of the tiles,
   each tile asking memory for a few rows and copying those that the tile before it asked for. What is read at one go keeps
   everybody waiting, and of rows a power of two apart few stay in the second cache until their turn comes. */
#include "core/numbers.h"
#include "drive/lanes.h"

#include <string.h>

enum { LINE = 64 };

/* Pointers to the lines of the rows behind class coordinate 0, so many lines to each, as many as a block has keys. */
static void list_lines(fv_lanes_ring *r, int lines, int n)
{
    const uintptr_t row0 = (uintptr_t)r->row0;
    uintptr_t row = row0, at = row0;
    r->per_row = (int)((r->bytes + (size_t)(lines * LINE) - 1) / (size_t)(lines * LINE));
    r->width = lines * LINE / (int)sizeof(float);
    for (int j = 0, part = 0; j < n; j++) { /* addresses, not pointers: there may be nothing */
        r->lines[j] = (const void *)at;
        at += (uintptr_t)(lines * LINE);
        if (++part == r->per_row) {
            part = 0;
            at = row += (uintptr_t)r->distance;
        }
    }
}

void fv_lanes_start_rings(fv_lanes *x, int n)
{
    const fv_work *w = x->work;
    int lines = 0, pieces = 0;
    x->copying = w->copies && n >= w->copies && !x->sparse;
    if (!x->copying)
        return;
    for (int i = 0; i < 2; i++) {
        fv_lanes_ring *r = &x->ring[i];
        r->from = r->stop = r->asked = 0;
        r->row0 = i ? x->v0 : x->k0;
        r->distance = i ? x->dv : x->dk;
    }
    if (!x->k0)
        return;
    do { /* as few lines at a time as the tiles together can ask for */
        lines = lines ? 2 * lines : 1;
        list_lines(&x->ring[0], lines, w->block);
        list_lines(&x->ring[1], lines, w->block);
        pieces = x->ring[0].per_row + x->ring[1].per_row;
    } while (pieces > n && (x->ring[0].per_row > 1 || x->ring[1].per_row > 1));
}

/* Copies the rows from r->stop to `stop`: those of row[], or at a fixed distance. */
static void copy_rows(fv_lanes_ring *r, int64_t rows, int64_t stop, const void *const *row)
{
    int64_t at = r->stop % rows;
    for (int64_t c = r->stop; c < stop; c++) {
        const void *from = row ? *row++ : r->row0 + c * r->distance;
        if (r->copied)
            memcpy(r->at + at * r->ld, from, r->bytes);
        at = at + 1 < rows ? at + 1 : 0;
    }
    r->stop = stop;
    if (r->from < stop - rows)
        r->from = stop - rows;
}

const void *const *fv_lanes_copied(fv_lanes *x, fv_lanes_ring *r, const fv_lanes_queue *q, const void *const *row)
{
    const int64_t rows = 2 * x->work->block, stop = q->first + q->n;
    if (q->first < r->from || q->first > r->stop)
        r->from = r->stop = r->asked = q->first;
    if (r->stop < stop)
        copy_rows(r, rows, stop, row + (r->stop - q->first));
    if (r->asked < r->stop)
        r->asked = r->stop;
    return r->copied ? (const void *const *)r->rows + q->first % rows : row;
}

fv_ask fv_lanes_copy_ahead(fv_lanes *x, const fv_lanes_tile *y, int n)
{
    const int64_t rows = 2 * x->work->block;
    int64_t stop = x->oldest + rows;
    fv_lanes_ring *r = x->ring;
    if (y->at == y->spans || !x->k0)
        return (fv_ask){NULL, 0, 0};
    if (stop > y->span[y->at].hi)
        stop = y->span[y->at].hi;
    for (int i = 0; i < 2; i++)
        if (x->ring[i].stop < x->ring[i].asked)
            copy_rows(&x->ring[i], rows, x->ring[i].asked, NULL);
    r += r[1].asked < r[0].asked;
    if (r->asked >= stop)
        return (fv_ask){NULL, 0, 0};
    fv_ask a = {(const void *const *)r->lines, r->asked * r->distance, r->width};
    r->asked += n / r->per_row;
    if (r->asked > stop)
        r->asked = stop;
    return a;
}
