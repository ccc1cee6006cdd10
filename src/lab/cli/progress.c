/* The progress bar; see progress.h. */
#include "cli/progress.h"

#include "eval/clock.h"

#include <unistd.h>

enum { WIDTH = 30, PATIENCE_NS = 1000000000, PAUSE_NS = 100000000 };

progress progress_start(const cli *c)
{
    const progress p = {.wanted = isatty(STDERR_FILENO) && !cli_flag(c, "--quiet"),
                        .start_ns = clock_ns()};
    return p;
}

void progress_show(progress *p, const char *what, double part)
{
    if (!p->wanted)
        return;
    const uint64_t now = clock_ns();
    if (now - p->start_ns < PATIENCE_NS || now - p->drawn_ns < PAUSE_NS)
        return;
    char bar[WIDTH + 1];
    for (int n = 0; n < WIDTH; n++)
        bar[n] = n < part * WIDTH ? '#' : '.';
    bar[WIDTH] = 0;
    fprintf(stderr, "\r\033[K[%s] %3.0f %% %s", bar, 100 * part, what);
    fflush(stderr);
    p->drawn_ns = now;
    p->shown = 1;
}

void progress_end(progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = 0;
}
