/* Named attention shapes: calls that real models make, read from shapes.tsv. */
#ifndef FV_LAB_EVAL_SHAPES_H
#define FV_LAB_EVAL_SHAPES_H
#include "io/tsv.h"
#include <fovea/fovea.h>
#include <stddef.h>
#include <stdint.h>

typedef struct shape {
    const char *name;    /* "llama3-8b-p8k" */
    const char *section; /* regime the row belongs to */
    const char *what;    /* the model, for people */
    int64_t batch, hq, hkv, lq, lk, d, dv;
    fovea_dtype dtype; /* what the model runs in */
    const char *mask;  /* "causal", "none", "bias", ... as in the file */
    int causal;        /* mask is "causal" */
    int64_t window;    /* keys kept with the query's own, 0: no window */
    int sink;          /* one learned logit per head */
    double softcap;    /* 0: none */
    double scale;      /* 0: 1/sqrt(d) */
    int64_t calls;     /* such calls in one forward pass or decode step; 0: not stated */
    const char *source;
    const char *sets; /* comma separated: "smoke,report"; "" when in none */
} shape;

typedef struct shapes {
    shape *row;
    size_t count;
    tsv file; /* what the strings point into */
} shapes;

enum { SHAPES_TEXT = 1024 };

/* Reads shapes.tsv of the data folder. 0, or the tool's exit code (3 unreadable, 4 memory) with one line in
   why[SHAPES_TEXT]; a missing file's line names the paths tried. Free with shapes_free. */
int shapes_load(shapes *s, char *why);
/* The same from one given file. */
int shapes_read(const char *path, shapes *s, char *why);
void shapes_free(shapes *s);

const shape *shapes_find(const shapes *s, const char *name); /* NULL when there is none */
/* 1 when the row belongs to that set. */
int shapes_in_set(const shape *row, const char *set);
/* The nearest names decide on a misspelling: all names, NULL at the end; free() the array. NULL without memory. */
const char **shapes_names(const shapes *s);

/* "b,hq,hkv,lq,lk,d[,dv]" (k and m as suffixes; dv defaults to d). 1 when the text has that form and the numbers can be
   a shape; names and masks are then empty, dtype f32. */
int shapes_parse(const char *text, shape *row);

/* Full path of a data file ("shapes.tsv", "samples/NAME"). Folders tried, in this order: FOVEA_DATA when set, and then
   no other; the source tree that the executable was built in or under; ../share/fovea beside the executable; the folder
   given at build time. On failure 0, with the paths tried in why[SHAPES_TEXT]. */
int shapes_data_path(const char *file, char *path, size_t n, char *why);
/* The folders that shapes_data_path would try, a comma between them. */
void shapes_data_folders(char *out, size_t n);
#endif
