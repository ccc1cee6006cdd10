/* Tiles: the run lists of up to 64 lanes, swept into spans with lane sets.

   Lanes with equal lists are gathered first: neighbours that must be equal (one block row, one document, one position
   with several heads) are not evaluated again, neighbours that happen to be equal are found by comparing. A sweep
   over what is left costs a pass over the distinct lists for every span. */
#include "pattern/internal.h"

#include <string.h>

/* Lanes that share one list. */
typedef struct group {
    const fv_run *run;
    size_t count;
    uint64_t lanes;
} group;

static size_t padded(size_t bytes)
{
    return (bytes + 15) & ~(size_t)15;
}

/* Every run has two ends and a span begins at an end; no more spans than keys. */
static size_t most_spans(const fv_pattern *pattern, const fv_part *part, unsigned lanes)
{
    size_t keys = (size_t)fv_max(1, fv_ceil_div(pattern->shape.lk, part->step));
    size_t ends = 2 * (size_t)lanes * part->need.result;
    return ends < keys ? ends : keys;
}

size_t fv_pattern_tile_scratch(const fv_pattern *pattern, unsigned index, unsigned lanes)
{
    const fv_part *part = fv_pattern_part(pattern, index);
    size_t runs = (size_t)(lanes - 1) * part->need.result + part->need.stack;
    return padded(pattern->bits * sizeof(uint64_t)) +
           padded(most_spans(pattern, part, lanes) * sizeof(fv_span)) + runs * sizeof(fv_run);
}

/* Evaluates the lanes one after the other; lists stand in `pool` one behind the other. */
static unsigned gather(const fv_pattern *pattern, const fv_part *part, const fv_lane *lanes,
                       unsigned n, int64_t key_class, uint64_t *bits, fv_run *pool, group *groups)
{
    unsigned count = 0;
    int64_t lo = 0, hi = 0, head = 0; /* positions known to see what the last lane saw */
    int64_t first = pattern->shape.lk - pattern->shape.lq;

    for (unsigned k = 0; k < n; k++) {
        int64_t p = lanes[k].row + first;
        group *last = count ? groups + count - 1 : NULL;
        if (last && p >= lo && p < hi && lanes[k].head == head) {
            last->lanes |= (uint64_t)1 << k;
            continue;
        }
        fv_view view = fv_view_of(pattern, lanes[k], part->step, key_class);
        view.bits = bits;
        size_t runs = fv_eval(part->node, &view, pool);
        if (last && runs == last->count && !memcmp(pool, last->run, runs * sizeof *pool)) {
            last->lanes |= (uint64_t)1 << k;
        } else {
            groups[count++] = (group){pool, runs, (uint64_t)1 << k};
            pool += runs;
        }
        head = lanes[k].head;
        lo = p;
        hi = p + 1;
        if (!part->nature.each_row && k + 1 < n) {
            lo = INT64_MIN;
            hi = INT64_MAX;
            fv_node_extent(part->node, &view, &lo, &hi);
        }
    }
    return count;
}

/* Like gather, for parts that do not depend on the head, or on nothing: then equal positions suffice. */
static unsigned gather_headless(const fv_pattern *pattern, const fv_part *part,
                                const fv_lane *lanes, unsigned n, int64_t key_class, uint64_t *bits,
                                fv_run *pool, group *groups)
{
    fv_lane plain[FV_LANES];
    if (!(part->nature.uses & FV_USES_ROW)) {
        fv_view view = fv_view_of(pattern, lanes[0], part->step, key_class);
        view.bits = bits;
        groups[0] = (group){pool, fv_eval(part->node, &view, pool), ~(uint64_t)0 >> (FV_LANES - n)};
        return 1;
    }
    for (unsigned k = 0; k < n; k++)
        plain[k] = (fv_lane){lanes[k].row, 0};
    return gather(pattern, part, plain, n, key_class, bits, pool, groups);
}

static size_t copy_spans(const group *only, fv_span *out)
{
    for (size_t k = 0; k < only->count; k++)
        out[k] = (fv_span){only->run[k].lo, only->run[k].hi, only->lanes};
    return only->count;
}

/* Walks the ends of all runs in rising order. `end[g]` is the next end of group g, a beginning and an ending in turn;
   ends within a list all differ, so the set of lanes changes at every stop and spans are as long as they can be. */
static size_t sweep(const group *groups, unsigned count, fv_span *out)
{
    const int64_t *end[FV_LANES], *stop[FV_LANES];
    int64_t next[FV_LANES];
    uint64_t lanes[FV_LANES], active = 0;
    unsigned alive = 0;
    int64_t at = 0;
    size_t spans = 0;

    for (unsigned g = 0; g < count; g++) {
        if (!groups[g].count)
            continue;
        end[alive] = &groups[g].run->lo;
        stop[alive] = &groups[g].run[groups[g].count - 1].hi;
        next[alive] = *end[alive];
        lanes[alive++] = groups[g].lanes;
    }
    while (alive) {
        int64_t to = next[0];
        for (unsigned g = 1; g < alive; g++)
            to = next[g] < to ? next[g] : to;
        if (active)
            out[spans++] = (fv_span){at, to, active};
        at = to;
        for (unsigned g = 0; g < alive;) {
            if (next[g] != to) {
                g++;
                continue;
            }
            active ^= lanes[g];
            if (end[g] == stop[g]) {
                alive--;
                end[g] = end[alive];
                stop[g] = stop[alive];
                next[g] = next[alive];
                lanes[g] = lanes[alive];
                continue;
            }
            next[g] = *++end[g];
            g++;
        }
    }
    return spans;
}

/* Spans of a band for lanes whose positions rise: both ends of their runs rise too, so that a merge of the two lists meets
   the changes in order. Returns 0 and leaves *count alone when positions fall somewhere (two heads in one tile). */
static int band_spans(const fv_pattern *pattern, const fv_part *part, const fv_lane *lanes, unsigned n, fv_span *out,
                      size_t *count)
{
    const int64_t first = pattern->shape.lk - pattern->shape.lq, lk = pattern->shape.lk;
    int64_t lo[FV_LANES], hi[FV_LANES], at = 0;
    uint64_t active = 0;
    unsigned enter = 0, leave = 0;
    size_t spans = 0;

    for (unsigned k = 0; k < n; k++) {
        int64_t p = lanes[k].row + first;
        if (k && lanes[k].row < lanes[k - 1].row)
            return 0;
        lo[k] = fv_min(fv_max(p - part->back, 0), lk); /* back and ahead are clipped: no overflow */
        hi[k] = fv_max(fv_min(p + part->ahead + 1, lk), lo[k]);
    }
    while (leave < n) {
        int64_t to = enter < n ? fv_min(lo[enter], hi[leave]) : hi[leave];
        if (active && at < to)
            out[spans++] = (fv_span){at, to, active};
        at = to;
        while (enter < n && lo[enter] == to)
            active |= (uint64_t)1 << enter++;
        while (leave < enter && hi[leave] == to)
            active &= ~((uint64_t)1 << leave++);
    }
    *count = spans;
    return 1;
}

size_t fv_pattern_tile(const fv_pattern *pattern, unsigned index, const fv_lane *lanes, unsigned n,
                       int64_t key_class, void *scratch, const fv_span **out)
{
    const fv_part *part = fv_pattern_part(pattern, index);
    uint64_t *bits = scratch;
    fv_span *spans = (fv_span *)(void *)((char *)scratch + padded(pattern->bits * sizeof *bits));
    fv_run *pool =
        (fv_run *)(void *)((char *)spans + padded(most_spans(pattern, part, n) * sizeof *spans));
    group groups[FV_LANES];
    unsigned count;

    *out = spans;
    if (part->band && (part->nature.uses & FV_USES_ROW)) {
        size_t found;
        if (band_spans(pattern, part, lanes, n, spans, &found))
            return found;
    }
    if (part->nature.uses & FV_USES_HEAD)
        count = gather(pattern, part, lanes, n, key_class, bits, pool, groups);
    else
        count = gather_headless(pattern, part, lanes, n, key_class, bits, pool, groups);
    return count == 1 ? copy_spans(&groups[0], spans) : sweep(groups, count, spans);
}
