/* Oracle for patterns: membership of one (query, key) pair, written from the definitions in the documentation.

   An expression is a tree built by hand (or drawn at random); ref_keep answers for one pair by evaluating the
   definition of every primitive, and ref_text writes the expression in the pattern language. Shares no code with the
   library. */
#ifndef TESTS_REF_PATTERN_REF_H
#define TESTS_REF_PATTERN_REF_H
#include <stddef.h>
#include <stdint.h>

typedef enum ref_kind {
    REF_ALL,
    REF_SELF,
    REF_CAUSAL,
    REF_WINDOW, /* left, right; -1: not given */
    REF_SINKS,  /* s */
    REF_COLUMNS,
    REF_GLOBAL,   /* lists */
    REF_STRIDE,   /* l */
    REF_DILATED,  /* step, left, right */
    REF_CHUNK,    /* c */
    REF_DOCUMENT, /* list */
    REF_BLOCKS,   /* bq, bk; file */
    REF_RANDOM,   /* block, count, seed */
    REF_AXIAL,    /* axis; size */
    REF_NEIGHBORHOOD,
    REF_SWIN,
    REF_BIGBIRD,     /* block, random, seed */
    REF_BLOCKWINDOW, /* block, blocks */
    REF_SUMMARY,     /* l, c */
    REF_LASTROWS,    /* n */
    REF_LOGSPARSE,   /* sub */
    REF_LONGNET,     /* w, r */
    REF_TREE,        /* file */
    REF_LEAVES,
    REF_NOT = REF_LEAVES,
    REF_AND,
    REF_OR
} ref_kind;

enum { REF_LIST = 16 };

typedef struct ref_expr {
    ref_kind kind;
    int64_t a[3];   /* numbers, as listed above */
    unsigned count; /* of list, or axes of size */
    int64_t list[REF_LIST];
    int64_t size[3], kernel[3], stride[3], dilation[3]; /* swin: kernel is the window, stride the shift */
    int64_t causal[3];
    const char *path;    /* name of the file */
    const uint8_t *mask; /* [heads, ceil(lq/bq), ceil(lk/bk)] */
    int64_t heads;
    const int32_t *parent; /* count = a[0] */
    const struct ref_expr *left, *right;
} ref_expr;

/* 1 when query row i of head h may read key j. */
int ref_keep(const ref_expr *e, int64_t lq, int64_t lk, int64_t i, int64_t j, int64_t h);

/* Writes at most n bytes with the ending zero. */
void ref_text(const ref_expr *e, char *out, size_t n);
#endif
