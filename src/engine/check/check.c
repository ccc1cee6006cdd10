/* The driver of the kernel check. Promises: every row of the table is reported exactly once; the same seed gives the
   same cases on every machine; a failure is one line that can be pasted into a shell. */
#include "check/check.h"
#include "check/columns.h"
#include "check/lanes.h"
#include "check/rows.h"
#include "check/small.h"
#include "core/cpu.h"
#include "core/memory.h"
#include "variants/text.h"

#include <fovea/fovea.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

fv_case_fn *const fv_case_of[FVK_OPS] = {
    [FVK_PACK] = fv_case_pack,
    [FVK_QK] = fv_case_qk,
    [FVK_PACK_PAIR] = fv_case_pack_pair,
    [FVK_QK_PAIR] = fv_case_qk_pair,
    [FVK_HIDE] = fv_case_hide_scores,
    [FVK_SOFTMAX] = fv_case_softmax,
    [FVK_PV] = fv_case_pv,
    [FVK_SOFTMAX_PAIR] = fv_case_softmax,
    [FVK_VALUES_PAIR] = fv_case_values_pair,
    [FVK_PV_PAIR] = fv_case_pv_pair,
    [FVK_SOFTMAX_PARTS] = fv_case_softmax_parts,
    [FVK_VALUES_TILE] = fv_case_values_tile,
    [FVK_PV_TILE] = fv_case_pv_tile,
    [FVK_STORE] = fv_case_store,
    [FVK_FINISH] = fv_case_finish,
    [FVK_EDIT] = fv_case_edit,
    [FVK_BIAS] = fv_case_bias,
    [FVK_WIDEN] = fv_case_widen,
    [FVK_SMALL_TAIL] = fv_case_small_tail,
    [FVK_SMALL_SOFTMAX] = fv_case_small_softmax,
    [FVK_SMALL_PV] = fv_case_small_pv,
    [FVK_DOT] = fv_case_dot,
    [FVK_AXPY] = fv_case_axpy,
    [FVK_ROW_SOFTMAX] = fv_case_row_softmax,
    [FVK_ROW_EDIT] = fv_case_row_edit,
    [FVK_EXP] = fv_case_exp,
    [FVK_COUNT] = fv_case_count,
    [FVK_RANGE] = fv_case_range,
    [FVK_SIFT] = fv_case_sift,
    [FVK_MASS] = fv_case_mass,
    [FVK_SCALE] = fv_case_scale,
    [FVK_VEIL] = fv_case_veil,
    [FVK_KEPT] = fv_case_kept,
    [FVK_MOMENTS] = fv_case_moments,
    [FVK_RAMP] = fv_case_ramp,
    [FVK_COLUMN_WEIGH] = fv_case_column_weigh,
    [FVK_COLUMN_MOMENTS] = fv_case_column_moments,
    [FVK_COLUMN_SUMS] = fv_case_column_sums,
    [FVK_COLUMN_SEARCH] = fv_case_column_search,
    [FVK_COLUMN_COLLECT] = fv_case_column_collect,
    [FVK_COLUMN_ADD] = fv_case_column_add,
    [FVK_PEAK] = fv_case_peak,
    [FVK_READ] = fv_case_read,
};

static pthread_mutex_t one_check = PTHREAD_MUTEX_INITIALIZER; /* signal handlers belong to the process */

/* ------------------------------------------------------------------ memory */

void fv_check_close(fv_case_memory *memory)
{
    if (memory) {
        fv_guard_close(memory->guard);
        fv_memory_put(&fv_memory_standard, memory->q);
        fv_memory_put(&fv_memory_standard, memory->k);
        fv_memory_put(&fv_memory_standard, memory->v);
        fv_memory_put(&fv_memory_standard, memory->p);
        fv_memory_put(&fv_memory_standard, memory->o);
        fv_memory_put(&fv_memory_standard, memory->want);
        fv_memory_put(&fv_memory_standard, memory);
    }
    pthread_mutex_unlock(&one_check);
}

fv_case_memory *fv_check_open(void)
{
    const size_t tile = (size_t)FV_CASE_KEYS * FVK_MAX_LANES, rows = (size_t)FV_CASE_KEYS * FV_CASE_DIM;
    fv_case_memory *memory;
    pthread_mutex_lock(&one_check);
    memory = fv_memory_zero(&fv_memory_standard, sizeof *memory);
    if (memory) {
        memory->guard = fv_guard_open();
        memory->q = fv_memory_get(&fv_memory_standard, tile * sizeof(double));
        memory->k = fv_memory_get(&fv_memory_standard, rows * sizeof(double));
        memory->v = fv_memory_get(&fv_memory_standard, rows * sizeof(double));
        memory->p = fv_memory_get(&fv_memory_standard, tile * sizeof(double));
        memory->o = fv_memory_get(&fv_memory_standard, tile * sizeof(double));
        memory->want = fv_memory_get(&fv_memory_standard, tile * sizeof(fv_want));
    }
    if (memory && memory->guard && memory->q && memory->k && memory->v && memory->p && memory->o && memory->want)
        return memory;
    fv_check_close(memory);
    return NULL;
}

/* ------------------------------------------------------------------ one kernel */

static uint64_t hash(const char *name, uint64_t seed, unsigned number)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    h ^= seed * 0x9e3779b97f4a7c15u;
    return (h ^ h >> 29) * 0xbf58476d1ce4e5b9u + number * 0xd1342543de82ef95u;
}

static void put_size(char *text, size_t n, const char *name, long long value)
{
    size_t used = strlen(text);
    if (value)
        snprintf(text + used, n - used, "%s%s=%lld", used ? " " : "", name, value);
}

static void put_word(char *text, size_t n, const char *word)
{
    size_t used = strlen(text);
    snprintf(text + used, n - used, "%s%s", used ? " " : "", word);
}

/* "d=17 nk=33 n=5 masked start, spread values": whatever a case of this operation has. */
static void describe(const fv_case *c, char *text, size_t n)
{
    static const char *const values[FV_VALUES] = {"uniform", "spread", "equal", "tiny", "integer"};
    text[0] = 0;
    put_size(text, n, "d", c->d);
    put_size(text, n, "dv", c->dv);
    put_size(text, n, "nk", c->nk);
    put_size(text, n, "n", c->n);
    put_size(text, n, "ldq", c->ldq);
    put_size(text, n, "lds", c->lds);
    put_size(text, n, "ldp", c->ldp);
    put_size(text, n, "ldo", c->ldo);
    if (c->rows)
        put_word(text, n, "rows");
    if (c->p && c->alpha)
        put_word(text, n, "alpha");
    if (c->sink)
        put_word(text, n, "sink");
    if (c->edit.cap > 0)
        put_word(text, n, "cap");
    if (c->edit.slope)
        put_word(text, n, "slope");
    put_word(text, n, values[c->values]);
    put_word(text, n, c->number % 2 ? "guard before" : "guard behind");
}

static void start(fv_case *c, const fv_case_memory *memory, const fvk_row *row, void (*fn)(void), uint64_t seed,
                  unsigned number)
{
    *c = (fv_case){.memory = memory, .row = row, .fn = fn, .number = number};
    c->key = hash(row->name, seed, number);
    c->values = (fv_values)(fv_draw(c) % 8 < 4 ? FV_UNIFORM : fv_draw(c) % FV_VALUES);
    c->clean = fv_draw_once_in(c, 2);
    fv_guard_begin(memory->guard, number % 2 == 0);
}

int fv_check_row(const fv_case_memory *memory, const fvk_row *row, void (*fn)(void), uint64_t seed, unsigned first,
                 unsigned last, char detail[FV_CHECK_DETAIL])
{
    double worst = 0;
    char sizes[160];
    fv_case c;
    if (!fv_case_of[row->op]) {
        snprintf(detail, FV_CHECK_DETAIL, "%s: nobody wrote cases for the operation '%s'", row->name, row->op_name);
        return 0;
    }
    for (unsigned number = first; number <= last; number++) {
        start(&c, memory, row, fn, seed, number);
        fv_case_of[row->op](&c);
        if (c.failed) {
            describe(&c, sizes, sizeof sizes);
            snprintf(detail, FV_CHECK_DETAIL, "fovea check --only %s --seed %llu --case %u: %s (%s)", row->name,
                     (unsigned long long)seed, number, c.text, sizes);
            return 0;
        }
        if (c.worst > worst)
            worst = c.worst;
    }
    snprintf(detail, FV_CHECK_DETAIL, worst > 0 ? "%u case%s, largest error %.2f of its bound" : "%u case%s, exact",
             last - first + 1, last > first ? "s" : "", worst);
    return 1;
}

/* ------------------------------------------------------------------ the public function */

static void say(const fovea_check_options *o, const char *kernel, int result, const char *detail)
{
    if (o->report)
        o->report(o->user, kernel, result, detail);
}

static const char *nearest(const char *name)
{
    const char *best = "";
    unsigned least = ~0u;
    for (unsigned i = 0; i < fvk_table_rows; i++) {
        unsigned distance = fv_distance(name, fvk_table[i].name);
        if (distance < least) {
            least = distance;
            best = fvk_table[i].name;
        }
    }
    return best;
}

/* 1 when the kernel is known or all are meant; else it was reported. */
static int valid_kernel(const fovea_check_options *o)
{
    char shown[FV_SHOWN], text[FV_CHECK_DETAIL];
    if (o->only) {
        for (unsigned i = 0; i < fvk_table_rows; i++)
            if (!strcmp(o->only, fvk_table[i].name))
                return 1;
        fv_show(shown, o->only, strlen(o->only));
        snprintf(text, sizeof text, "only=%s: unknown kernel; the nearest is '%s'", shown, nearest(o->only));
        say(o, o->only, 0, text);
        return 0;
    }
    return 1;
}

static int valid_case(const fovea_check_options *o)
{
    char text[FV_CHECK_DETAIL];
    if (o->single_case >= -1 && o->single_case < UINT32_MAX)
        return 1;
    snprintf(text, sizeof text, "single_case=%lld: must be -1 (all) or 0 to %u", (long long)o->single_case,
             UINT32_MAX - 1);
    say(o, o->only ? o->only : "", 0, text);
    return 0;
}

/* The report is called with the lock held and the handlers replaced: it must not start another check. */
unsigned fovea_check_kernels(const fovea_check_options *options)
{
    static const fovea_check_options standard = {.struct_size = sizeof standard, .single_case = -1};
    const fovea_check_options *o = options ? options : &standard;
    unsigned isas = fv_cpu_isas(), failures = 0, first = 0, last;
    char detail[FV_CHECK_DETAIL];
    fv_case_memory *memory;
    if (o->struct_size != sizeof *o) /* of another version: its fields, report among them, cannot be trusted */
        return 1;
    if (!valid_kernel(o) || !valid_case(o))
        return 1;
    last = (o->cases ? o->cases : FV_CHECK_CASES) - 1;
    if (o->single_case >= 0)
        first = last = (unsigned)o->single_case;
    memory = fv_check_open();
    if (!memory) {
        say(o, o->only ? o->only : "", 0, "no memory for the guarded pages of the check (about 6 MiB)");
        return 1;
    }
    for (unsigned i = 0; i < fvk_table_rows; i++) {
        const fvk_row *row = &fvk_table[i];
        if (o->only && strcmp(o->only, row->name))
            continue;
        if (!(isas >> row->isa & 1)) {
            snprintf(detail, sizeof detail, "this CPU lacks %s", row->isa_name);
            say(o, row->name, -1, detail);
            continue;
        }
        int passed = fv_check_row(memory, row, row->fn, o->seed, first, last, detail);
        failures += !passed;
        say(o, row->name, passed, detail);
    }
    fv_check_close(memory);
    return failures;
}
