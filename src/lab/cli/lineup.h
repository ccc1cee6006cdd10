/* The variants that a command measures side by side, and the cells that show what was measured. */
#ifndef FV_LAB_CLI_LINEUP_H
#define FV_LAB_CLI_LINEUP_H
#include "cli/cli.h"
#include "cli/source.h"
#include "eval/measure.h"
#include "report/table.h"

typedef struct lineup {
    fovea_recipe **recipe;
    measure_result *result; /* after lineup_measure */
    void (*beside)(void *user); /* see measure_options; may be NULL */
    void *beside_user;
    char **kernel;          /* name of each plan's main kernel; "" when it has none */
    unsigned count;
    int has_baseline;       /* the first one is */
} lineup;

/* Parses and appends one SPEC; one that says the same as an earlier one is left out. EXIT_DONE, or the line is
   printed. */
int lineup_add(const cli *c, fovea_context *context, const char *spec, lineup *l);
/* The same, but a SPEC that does not fit the problem's shape (too few blocks, lq not lk) is left out with a remark. */
int lineup_add_if_it_fits(const cli *c, fovea_context *context, const char *spec, const fovea_problem *problem, lineup *l);
/* Plans, checks memory, runs. Uses --repeat, --budget and --rows, with a progress bar. *sampled: rows checked per
   head. */
int lineup_measure(const cli *c, fovea_context *context, const source *s, lineup *l, int64_t *sampled);
void lineup_free(lineup *l);

/* Sets the cells that compare and bench have in common, keys of lineup_columns, for variant i of the last row. */
void lineup_cells(table *t, const lineup *l, unsigned i);

/* Options that steer the measuring; the numbers of --repeat and --rows differ by command. */
#define LINEUP_BUDGET_HELP "seconds after which no new round of timing begins; three rounds always run"
/* One line that says what the sampled errors are measured against. */
void lineup_explain_errors(table *t, int64_t sampled, int64_t lq);
#endif
