/* fovea tune: measures what plans leave open on this machine and writes it to the tuning file that contexts read. */
#include "cli/cli.h"
#include "cli/progress.h"
#include "eval/tuner.h"
#include "io/atomic.h"
#include "io/tensor.h"
#include "report/environment.h"
#include "report/quantity.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static const cli_option tune_options[] = {
    {"--budget", "SECONDS", 'r', 0.1, 3600, "30", "time to measure for, about"},
    {"-o", "FILE", 's', 0, 0, NULL,
     "file to write; default: FOVEA_TUNING, else $XDG_CONFIG_HOME/fovea/tuning, else ~/.config/fovea/tuning"},
    {"--dry-run", NULL, 'f', 0, 0, NULL, "measure and print, write nothing"},
    {"--show", NULL, 'f', 0, 0, NULL, "print the tuning in force and where it comes from, measure nothing"},
    {0}};

static const table_column tune_columns[] = {{"key", NULL, 0},
                                            {"default", NULL, TABLE_RIGHT},
                                            {"value", NULL, TABLE_RIGHT},
                                            {"best", NULL, TABLE_RIGHT},
                                            {"gain", NULL, TABLE_RIGHT},
                                            {"noise", NULL, TABLE_RIGHT},
                                            {"rounds", NULL, TABLE_RIGHT},
                                            {"note", NULL, 0}};

static const table_column show_columns[] = {{"key", NULL, 0},
                                            {"value", NULL, TABLE_RIGHT},
                                            {"default", NULL, TABLE_RIGHT},
                                            {"min", NULL, TABLE_RIGHT | TABLE_HIDE_TEXT},
                                            {"max", NULL, TABLE_RIGHT | TABLE_HIDE_TEXT},
                                            {"unit", NULL, 0},
                                            {"help", NULL, 0}};

void cli_tuning_value(const fovea_tuning_key *key, double value, char *out, size_t n)
{
    const char *word = key->words;
    for (int i = 0; word != NULL && i < (int)value; i++)
        word += strcspn(word, "|") + 1;
    if (word != NULL)
        snprintf(out, n, "%.*s", (int)strcspn(word, "|"), word);
    else
        snprintf(out, n, "%.15g", value);
}

/* ---------------------------------------------------------------- --show */

static int show(const cli *c)
{
    fovea_context *context;
    const fovea_tuning_key *key;
    fovea_status status;
    char text[64];
    int code = cli_context(c, &context);
    if (code != EXIT_DONE)
        return code;
    fovea_context_tuning_note(context, &status);
    if (status == FOVEA_ERROR_TUNING || status == FOVEA_ERROR_FILE) {
        /* the context has said so already, as a warning, unless --quiet */
        if (cli_flag(c, "--quiet"))
            cli_fail(c, EXIT_INPUT, "%s", fovea_context_tuning_note(context, NULL));
        fovea_context_destroy(context);
        return EXIT_INPUT;
    }
    table *t = table_create(show_columns, sizeof show_columns / sizeof *show_columns);
    if (t == NULL) {
        fovea_context_destroy(context);
        return cli_fail(c, EXIT_RESOURCE, "no memory for a table");
    }
    for (unsigned i = 0; (key = fovea_tuning_key_at(i)) != NULL; i++) {
        table_row(t);
        table_text(t, "key", key->name);
        cli_tuning_value(key, fovea_context_tuning(context, key->name), text, sizeof text);
        table_text(t, "value", text);
        cli_tuning_value(key, key->standard, text, sizeof text);
        table_text(t, "default", text);
        table_real(t, "min", key->min, NULL);
        table_real(t, "max", key->max, NULL);
        table_text(t, "unit", key->words ? key->words : key->unit);
        table_text(t, "help", key->help);
    }
    snprintf(text, sizeof text, "source: ");
    table_remark(t, "source:");
    table_remark(t, fovea_context_tuning_source(context));
    code = cli_print(c, context, t,
                     json_pack("{s:s, s:s}", "tuning", fovea_context_tuning_source(context), "tuning_note",
                               fovea_context_tuning_note(context, NULL)));
    table_free(t);
    fovea_context_destroy(context);
    return code;
}

/* ---------------------------------------------------------------- the file */

enum { PATH_MOST = 4096, FILE_MOST = 16384 };

/* Where to write. The default's folders are made; a file that somebody names lies where it lies. */
static int find_path(const cli *c, char path[PATH_MOST])
{
    const char *given = cli_text(c, "-o"), *variable = getenv("FOVEA_TUNING");
    if (given != NULL) {
        if (strlen(given) >= PATH_MOST)
            return cli_fail(c, EXIT_USAGE, "-o %.40s...: a path of %zu bytes; allowed: %d", given, strlen(given), PATH_MOST - 1);
        snprintf(path, PATH_MOST, "%s", given);
        return EXIT_DONE;
    }
    if (fovea_tuning_path(path, PATH_MOST) > 0)
        return EXIT_DONE;
    return cli_fail(c, EXIT_USAGE, "no file to write: FOVEA_TUNING is %s%s%s; give -o FILE, or --dry-run",
                    variable ? "\"" : "not set and there is neither XDG_CONFIG_HOME nor HOME", variable ? variable : "",
                    variable ? "\"" : "");
}

static void make_folders(const cli *c, const char *path)
{
    char part[PATH_MOST];
    if (cli_text(c, "-o") != NULL || getenv("FOVEA_TUNING") != NULL)
        return;
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return; /* what cannot be made is named when the file is opened */
    }
}

static int write_file(const cli *c, const fovea_context *context, const char *path)
{
    char text[FILE_MOST], date[32], why[IO_TEXT];
    const time_t now = time(NULL);
    struct tm utc;
    atomic_file f;
    size_t n;
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    n = fovea_context_tuning_text(context, date, text, sizeof text);
    if (n >= sizeof text)
        return cli_fail(c, EXIT_RESOURCE, "a tuning of %zu bytes; a file may have %d", n, FILE_MOST);
    make_folders(c, path);
    int code = atomic_open(&f, path, why);
    if (code == IO_OK)
        code = atomic_write(&f, text, n, why);
    if (code == IO_OK)
        code = atomic_commit(&f, why);
    if (code != IO_OK)
        return cli_fail(c, code, "%s", why);
    cli_note(c, "wrote %s", path);
    return EXIT_DONE;
}

/* ---------------------------------------------------------------- measuring */

static void show_progress(void *user, const char *what, double part)
{
    progress_show(user, what, part);
}

static int print_steps(const cli *c, const tuner *t)
{
    table *table = table_create(tune_columns, sizeof tune_columns / sizeof *tune_columns);
    if (table == NULL)
        return cli_fail(c, EXIT_RESOURCE, "no memory for a table");
    for (unsigned i = 0; i < t->steps; i++) {
        const tuner_step *s = &t->step[i];
        table_row(table);
        table_text(table, "key", s->key);
        table_text(table, "default", s->standard);
        table_text(table, "value", s->value);
        table_text(table, "best", s->best);
        table_real(table, "gain", s->gain, isnan(s->gain) ? "" : quantity_percent(s->gain).text);
        table_real(table, "noise", s->noise, isnan(s->noise) ? "" : quantity_percent(s->noise).text);
        table_integer(table, "rounds", s->rounds, s->rounds ? NULL : "");
        table_text(table, "note", s->note);
        if (strcmp(s->value, s->standard) != 0)
            table_emphasise(table);
    }
    table_remark(table, "best: the fastest candidate; gain: the part of the default's time that it saves, by best times. It "
                        "becomes the value");
    table_remark(table, "where that exceeds the noise: 1 %, what the default gained over itself, or how far even and odd "
                        "rounds are apart.");
    int code = cli_print(c, t->one, table, NULL);
    table_free(table);
    return code;
}

static int measure(const cli *c, const char *path)
{
    const unsigned threads = cli_count(c, "--threads") ? (unsigned)cli_integer(c, "--threads") : environment_cpus();
    progress bar = progress_start(c);
    fovea_error err = {0};
    tuner t = {.seconds = cli_real(c, "--budget"), .progress = show_progress, .user = &bar};
    int code = cli_context_with(c, 1, "off", &t.one);
    if (code == EXIT_DONE && threads > 1)
        code = cli_context_with(c, threads, "off", &t.many);
    if (code == EXIT_DONE) {
        fovea_status status = tuner_run(&t, &err);
        progress_end(&bar);
        if (status != FOVEA_OK)
            code = cli_fail_error(c, &err);
    }
    if (code == EXIT_DONE)
        code = print_steps(c, &t);
    if (code == EXIT_DONE && !cli_flag(c, "--dry-run"))
        code = write_file(c, t.one, path);
    fovea_context_destroy(t.one);
    fovea_context_destroy(t.many);
    return code;
}

static int run(const cli *c)
{
    char path[PATH_MOST] = "";
    if (cli_flag(c, "--show"))
        return show(c);
    int code = cli_flag(c, "--dry-run") ? EXIT_DONE : find_path(c, path);
    return code == EXIT_DONE ? measure(c, path) : code;
}

const cli_command cli_tune = {
    .name = "tune",
    .summary = "measure block sizes, splits, thresholds and rates on this machine, and keep them in a file that plans read",
    .usage = "fovea tune [--budget SECONDS] [-o FILE|--dry-run] [--isa NAME] [--threads N]\nfovea tune --show",
    .options = tune_options,
    .run = run,
};
