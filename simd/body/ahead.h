/* Which rows to ask memory for while others are computed with: those some bytes further on in the order of reading, beyond
   the end of a call's rows those of fvk_ahead. Without any, the last row again, which is in L1. */
FV_INLINE int ahead_rows(const fvk_ahead *ahead, size_t row)
{
    size_t bytes = ahead ? (size_t)ahead->bytes : 0;
    return (int)((bytes + row - 1) / row);
}

/* Row pointer number j of a call's n rows and what follows them. */
FV_INLINE const void *ahead_row(const void *const *row, int n, int j, const fvk_ahead *ahead)
{
    int over = j - n;
    return over < 0 ? row[j] : ahead && over < ahead->count ? ahead->next[over] : row[n - 1];
}

/* `count` row pointers from number j on; `edge` is filled when they do not all lie in `row`. */
FV_INLINE const void *const *ahead_group(const void *const *row, int n, int j, int count, const fvk_ahead *ahead,
                                         const void **edge)
{
    if (j + count <= n)
        return row + j;
    for (int i = 0; i < count; i++)
        edge[i] = ahead_row(row, n, j + i, ahead);
    return edge;
}

/* Row pointers on their way from memory to use: an address that comes from L2 while every line buffer waits for DRAM
   comes late, and the requests that need it with it: a fifth of the bandwidth. So pointers are fetched a group before the
   first use, and kept from there on. A ring, entry j at j modulo its size, whose first entries are repeated behind the last so
   that 16 pointers from a multiple of 8 on are always neighbours. */
enum { AHEAD_GROUP = 16, AHEAD_FAR = 32, AHEAD_RING = AHEAD_FAR + 2 * AHEAD_GROUP, AHEAD_SIZE = AHEAD_RING + 8 };
enum { QUAD_DIM = 512 }; /* largest head whose rows are taken four elements at a time */

FV_INLINE const void *const *ahead_at(const void *const *ring, int j)
{
    return ring + (j & (AHEAD_RING - 1));
}

/* Entries j .. j + 7, j a multiple of 8. */
FV_INLINE void ahead_fetch(const void **ring, const void *const *row, int n, int j, const fvk_ahead *ahead)
{
    const void **to = ring + (j & (AHEAD_RING - 1));
    if (j + 8 <= n)
        memcpy(to, row + j, 8 * sizeof *to);
    else
        for (int i = 0; i < 8; i++)
            to[i] = ahead_row(row, n, j + i, ahead);
    if (to == ring)
        memcpy(ring + AHEAD_RING, ring, 8 * sizeof *to);
}

/* What group j and the requests beside it need, and what the next group needs: j = 0 fills the ring. */
FV_INLINE void ahead_next(const void **ring, const void *const *row, int n, int j, int far, const fvk_ahead *ahead)
{
    for (int i = j ? j + far + AHEAD_GROUP : 0; i < j + far + 2 * AHEAD_GROUP; i += 8)
        ahead_fetch(ring, row, n, i, ahead);
}

/* Distance in rows, whole tiles. */
FV_INLINE int ahead_distance(const fvk_ahead *ahead, size_t row)
{
    int n = (ahead_rows(ahead, row) + 7) / 8 * 8;
    return n < AHEAD_FAR ? n : AHEAD_FAR;
}

/* Rows asked for a few lines at a time: `lines` rows side by side, line by line, so that every prefetch instruction walks
   through memory in steps of a line. Hardware prefetchers look at these steps: with steps of a row of 512 bytes the same
   requests bring a fifth less, and requests in bursts hold up what is computed between them. */
typedef struct ahead_walk {
    const void *const *row, *const *end;
    int line, bytes; /* where the walk is in its rows, and their length */
} ahead_walk;

/* `spare` holds 8 pointers for the case of fewer rows than may be taken side by side. */
FV_INLINE ahead_walk ahead_begin(const void *const *row, int n, size_t bytes, const void **spare)
{
    ahead_walk a = {row, row + n, 0, (int)bytes};
    if (n < 8) {
        for (int i = 0; i < 8; i++)
            spare[i] = row[i < n ? i : 0];
        a.row = spare;
        a.end = spare + 8;
    }
    return a;
}

FV_INLINE void ahead_step(ahead_walk *a, const int lines)
{
    FV_UNROLL
    for (int i = 0; i < lines; i++)
        v_prefetch1((const char *)a->row[i] + a->line);
    a->line += 64;
    if (a->line >= a->bytes) {
        a->line = 0;
        if (a->row + 2 * lines <= a->end)
            a->row += lines;
    }
}
