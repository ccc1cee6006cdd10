/* fovea bench --suite limits: the workloads of limits.tsv, each held to its goal or to what was recorded for this CPU. */
#ifndef FV_LAB_CLI_SUITE_H
#define FV_LAB_CLI_SUITE_H
#include "cli/cli.h"

/* The command line is that of bench. EXIT_CHECK_FAILED when a row that counts falls short. */
int suite_run(const cli *c);
/* EXIT_DONE, or the line for an option that means something with --suite only. */
int suite_refuse_options(const cli *c);
#endif
