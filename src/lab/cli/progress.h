/* A progress bar on standard error, for people only: on a terminal, not with --quiet, and not before a second has
   passed. */
#ifndef FV_LAB_CLI_PROGRESS_H
#define FV_LAB_CLI_PROGRESS_H
#include "cli/cli.h"

typedef struct progress {
    int wanted;        /* a terminal that is to be told */
    int shown;         /* something stands in the line */
    uint64_t start_ns, drawn_ns;
} progress;

progress progress_start(const cli *c);
/* `part` of the whole in [0, 1]; `what` is a word or two. Draws at most ten times a second. */
void progress_show(progress *p, const char *what, double part);
/* Wipes the line. */
void progress_end(progress *p);
#endif
