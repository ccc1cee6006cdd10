/* The suite's table, the table of recorded figures, and verdicts; see suite.h. */
#include "eval/suite.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INVALID = 3, NO_MEMORY = 4 }; /* the tool's exit codes */

static const suite_kind_row kinds[SUITE_KINDS] = {
    [SUITE_PEAK] = {"peak", "%", 1, 0, "flops over time, as a share of the peak"},
    [SUITE_COLD] = {"cold", "%", 1, 0,
                    "time that memory and compute allow, over the time, from memory"},
    [SUITE_PROPORTION] = {"proportion", "%", 1, 1, "density * dense time, over the time"},
    [SUITE_POINTS] = {"points", "points", 1, 1, "share of the peak less that of the other"},
    [SUITE_TIMES] = {"times", "x", 0, 1, "time over that of the other"},
    [SUITE_NEIGHBOUR] = {"neighbour", "%", 1, 1,
                         "rate per useful flop or byte over that of the other"},
    [SUITE_EACH] = {"each", "us", 0, 0, "time for one head"},
    [SUITE_BOUND] = {"bound", "x", 0, 0, "time over that of flops and exponentials at the peak"},
    [SUITE_SPEEDUP] = {"speedup", "x", 1, 0, "time on one thread over the time"},
    [SUITE_PLAN] = {"plan", "us", 0, 0, "time to plan the shape again"},
    [SUITE_REGION] = {"region", "us", 0, 0, "time of an empty parallel region"},
    [SUITE_CUT] = {"cut", "x", 0, 0, "time to cut a row of scores over one pass over it"},
};

const suite_kind_row *suite_kind_at(unsigned kind)
{
    return kind < SUITE_KINDS ? &kinds[kind] : NULL;
}

static int fail(char *why, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int fail(char *why, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, SHAPES_TEXT, format, args);
    va_end(args);
    return code;
}

/* ------------------------------------------------------------------ rows */

enum {
    ROW,
    FIGURE,
    SPEC,
    SHAPE,
    DTYPE,
    ISA,
    LAYOUT,
    THREADS,
    GOAL,
    VS_SPEC,
    VS_SHAPE,
    VS_DTYPE,
    VS_LAYOUT,
    NOISE,
    NOTE,
    COLUMNS
};
static const char *const column_names[COLUMNS] = {
    "row",  "figure",  "spec",     "shape",    "dtype",     "isa",   "layout", "threads",
    "goal", "vs spec", "vs shape", "vs dtype", "vs layout", "noise", "note"};

static int read_number(const char *text, double least, double most, double *value)
{
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == 0 && *value >= least && *value <= most;
}

/* An empty cell keeps *index. */
static int read_word(const char *text, const char *const *words, unsigned count, int *index)
{
    if (tsv_is_empty(text))
        return 1;
    for (unsigned n = 0; n < count; n++) {
        if (strcmp(text, words[n]) == 0) {
            *index = (int)n;
            return 1;
        }
    }
    return 0;
}

enum { FAST = 3 }; /* behind the types of the library: bf16 under precision=fast */

/* SPEC, shape, type and layout; empty cells keep what is there. -1, or the column that cannot be read. */
static int read_work(char *const *cell, const int column[4], suite_work *work)
{
    static const char *const dtypes[] = {"f32", "bf16", "f16", "bf16-fast"}, *const layouts[] = {"bhld", "blhd"};
    int dtype = work->precision == FOVEA_PRECISION_FAST ? FAST : (int)work->dtype, layout = (int)work->layout;
    if (!tsv_is_empty(cell[column[0]]))
        work->spec = cell[column[0]];
    if (!tsv_is_empty(cell[column[1]])) {
        work->shape_text = cell[column[1]];
        if (!shapes_parse(work->shape_text, &work->shape))
            return column[1];
    }
    if (!read_word(cell[column[2]], dtypes, FAST + 1, &dtype))
        return column[2];
    if (!read_word(cell[column[3]], layouts, 2, &layout))
        return column[3];
    work->dtype = dtype == FAST ? FOVEA_BF16 : (fovea_dtype)dtype;
    work->precision = dtype == FAST ? FOVEA_PRECISION_FAST : FOVEA_PRECISION_EXACT;
    work->layout = (operands_layout)layout;
    return work->spec && work->shape_text ? -1 : column[work->spec ? 1 : 0];
}

static int same_work(const suite_work *a, const suite_work *b)
{
    return strcmp(a->spec, b->spec) == 0 && strcmp(a->shape_text, b->shape_text) == 0 &&
           a->dtype == b->dtype && a->precision == b->precision && a->layout == b->layout;
}

/* -1, or the column that cannot be read. */
static int read_row(char *const *cell, suite_row *row)
{
    static const int own[4] = {SPEC, SHAPE, DTYPE, LAYOUT},
                     vs[4] = {VS_SPEC, VS_SHAPE, VS_DTYPE, VS_LAYOUT};
    const char *names[SUITE_KINDS];
    double threads = 1;
    int kind = -1;
    *row = (suite_row){.name = cell[ROW], .note = tsv_is_empty(cell[NOTE]) ? "" : cell[NOTE]};
    for (unsigned n = 0; n < SUITE_KINDS; n++)
        names[n] = kinds[n].name;
    if (tsv_is_empty(row->name))
        return ROW;
    if (!read_word(cell[FIGURE], names, SUITE_KINDS, &kind) || kind < 0)
        return FIGURE;
    row->kind = (suite_kind)kind;
    int bad = read_work(cell, own, &row->work);
    if (bad >= 0)
        return bad;
    row->isa = tsv_is_empty(cell[ISA]) ? NULL : cell[ISA];
    if (row->isa && fovea_isa_available(row->isa) < 0)
        return ISA;
    if (!tsv_is_empty(cell[THREADS]) && !read_number(cell[THREADS], 1, 1024, &threads))
        return THREADS;
    row->work.threads = (unsigned)threads;
    if (!read_number(cell[GOAL], -100, 1e6, &row->goal))
        return GOAL;
    if (!tsv_is_empty(cell[NOISE]) && !read_number(cell[NOISE], 0, 1000, &row->noise))
        return NOISE;
    row->other = row->work;
    bad = read_work(cell, vs, &row->other);
    /* a second workload where the figure has one, and only there; it must differ, or the figure is always the same */
    return bad >= 0 ? bad : kinds[kind].other == !same_work(&row->work, &row->other) ? -1 : VS_SPEC;
}

int suite_read(const char *path, suite *s, char *why)
{
    memset(s, 0, sizeof *s);
    int code = tsv_read(path, column_names, COLUMNS, &s->file, why);
    if (code == 0 && s->file.rows == 0)
        code = fail(why, INVALID, "%s: holds no row", path);
    if (code == 0 && !(s->row = calloc(s->file.rows, sizeof *s->row)))
        code = fail(why, NO_MEMORY, "%s: no memory for its rows", path);
    for (size_t n = 0; code == 0 && n < s->file.rows; n++) {
        char *const *cell = s->file.cell + n * COLUMNS;
        const int bad = read_row(cell, &s->row[n]);
        if (bad >= 0)
            code = fail(why, INVALID, "%s:%d: column '%s' of row '%s' cannot be read", path,
                        s->file.line[n], column_names[bad], cell[ROW]);
        for (size_t m = 0; code == 0 && m < n; m++)
            if (strcmp(s->row[m].name, s->row[n].name) == 0)
                code = fail(why, INVALID, "%s:%d: row '%s' is there twice", path, s->file.line[n],
                            cell[ROW]);
        s->count += code == 0;
    }
    if (code != 0)
        suite_free(s);
    return code;
}

void suite_free(suite *s)
{
    free(s->row);
    tsv_free(&s->file);
    memset(s, 0, sizeof *s);
}

/* ------------------------------------------------------------------ verdicts */

int suite_is_zen4(const char *vendor, int family, int model)
{
    return strcmp(vendor, "AuthenticAMD") == 0 && family == 25 &&
           ((model >= 0x10 && model <= 0x1f) || (model >= 0x60 && model <= 0x7f) ||
            (model >= 0xa0 && model <= 0xaf));
}

double suite_shortfall(suite_kind kind, double figure, double wanted)
{
    const suite_kind_row *k = &kinds[kind];
    const double less = k->higher ? wanted - figure : figure - wanted;
    const int points = strcmp(k->unit, "%") == 0 || strcmp(k->unit, "points") == 0;
    return points ? less : 100 * less / wanted;
}

suite_verdict suite_judge(const suite_row *row, double figure, double goal, double found,
                          int asserted, double tolerance)
{
    const double from_goal = suite_shortfall(row->kind, figure, goal);
    const double from_found = suite_shortfall(row->kind, figure, found);
    suite_verdict v = {.state = SUITE_SKIPPED, .shortfall = asserted ? from_goal : from_found};
    if (isnan(figure))
        return v;
    v.met = from_goal <= 0;
    if (!asserted && from_found > tolerance + row->noise) /* false without a recorded figure */
        v.state = SUITE_REGRESSED;
    else if (from_goal <= tolerance)
        v.state = v.met ? SUITE_MET : SUITE_NEAR;
    else
        v.state = asserted ? SUITE_SHORT : SUITE_UNMET;
    return v;
}
