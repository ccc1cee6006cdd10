/* Rows that memory is asked for, to L2, while others are computed with: a line of a row per key and 16 columns. Rows that lie side
   by side can be asked for in the order of memory, for the hardware's prefetchers look at these requests: line by line they run
   ahead of them, with more lines on their way than a core can ask for; in steps of a row they see nothing. That gains 10 to 20 %
   where a tile alone waits for memory, and loses up to 7 where a head is over before what they brought is read. */

/* What a call asks for: in order only if the rows are. */
FV_INLINE fvk_far far_begin(const fvk_far *far, int n)
{
    fvk_far f = {NULL, 0, 0, 0};
    if (!far || !far->row)
        return f;
    const ptrdiff_t bytes = (ptrdiff_t)far->width * (ptrdiff_t)sizeof(float);
    f = *far;
    f.in_order &= n > 1 && (const char *)f.row[1] - (const char *)f.row[0] == bytes &&
                  (const char *)f.row[n - 1] - (const char *)f.row[0] == (n - 1) * bytes;
    return f;
}

/* Those of key j and of the keys behind it. in_order: a constant in hot loops. */
FV_INLINE fvk_far far_from(const fvk_far *f, int j, const int in_order)
{
    const fvk_far g = {f->row ? f->row + j : NULL, f->shift, f->width, in_order};
    return g;
}
