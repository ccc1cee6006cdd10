/* What the commands of the tool share: options as rows, exit codes, the context made from the common options. */
#ifndef FV_LAB_CLI_H
#define FV_LAB_CLI_H
#include "report/table.h"
#include <fovea/fovea.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

enum { EXIT_DONE = 0, EXIT_CHECK_FAILED = 1, EXIT_USAGE = 2, EXIT_INPUT = 3, EXIT_RESOURCE = 4 };

/* One option of a command. Rows drive the parser, `help`, the man page and the tests of bounds. */
typedef struct cli_option {
    const char *name; /* "--repeat" */
    const char *
        value; /* "N", "FILE", "SPEC"; of a choice all its words, "auto|always|never"; NULL for a flag */
    char
        type; /* 'f' flag, 's' text (last one wins), 'm' text, may be repeated, 'c' one of the words in `value`,
                          'i' integer (0x.. and the suffixes k, m are read), 'r' finite real */
    double min, max;      /* of 'i' and 'r', both inclusive; min = DBL_MIN reads "greater than 0" */
    const char *standard; /* default as text, or NULL */
    const char *help;
} cli_option;

/* A parsed command line. */
typedef struct cli cli;

typedef struct cli_command {
    const char *name;
    const char *summary;
    const char *usage; /* "fovea run --variant SPEC ..." */
    const cli_option *
        options; /* ends with a row whose name is NULL; the common options are added to each command */
    unsigned min_words, max_words; /* positional arguments */
    int (*run)(const cli *c);
    const cli_option *shared; /* more rows, used by several commands (qkv_options), or NULL */
    const char *words;        /* what the positional arguments are, one line, or NULL */
} cli_command;

/* Names are those of the rows; asking for a row that the command does not have is a mistake in the program (assert). */
const char *cli_text(const cli *c, const char *name); /* value, default, or NULL */
unsigned cli_count(const cli *c, const char *name);   /* times given */
const char *cli_text_at(const cli *c, const char *name, unsigned n);
int64_t cli_integer(const cli *c, const char *name); /* 0 without value and default */
double cli_real(const cli *c, const char *name);
int cli_flag(const cli *c, const char *name);
unsigned cli_words(const cli *c);
const char *cli_word(const cli *c, unsigned n);
int cli_argc(const cli *c); /* the whole command line, for JSON's "command" */
char *const *cli_argv(const cli *c);

/* Reads argv[2..] against the rows of the command. EXIT_DONE and *c (cli_free frees it), or the line is printed and the
   exit code returned. `--help` anywhere gives EXIT_DONE and *c = NULL, its text printed. argv must outlive *c. */
int cli_parse(const cli_command *command, int argc, char *const *argv, cli **c);
void cli_free(cli *c);

/* Prints "fovea COMMAND: " and the line to stderr; returns the exit code given. */
int cli_fail(const cli *c, int exit_code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for an engine error: usage statuses exit 2, file ones 3, memory 4. */
int cli_fail_error(const cli *c, const fovea_error *err);
/* A remark for people, to stderr; silent with --quiet. */
void cli_note(const cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* 1 when that stream gets colours: --color, NO_COLOR, and whether it is a terminal. */
int cli_color(const cli *c, FILE *stream);
/* 1 when the locale writes UTF-8, so that block characters arrive. */
int cli_unicode(void);

/* Context from --isa, --threads, --seed, with the npy loader for file: values. On failure prints and returns an exit code. */
int cli_context(const cli *c, fovea_context **context);
/* The same with a number of threads and a tuning option of one's own (fovea_context_options.tuning). */
int cli_context_with(const cli *c, unsigned threads, const char *tuning, fovea_context **context);
/* The text of a key's value: a number or one of its words. */
void cli_tuning_value(const fovea_tuning_key *key, double value, char *out, size_t n);
/* The environment block of JSON results; new reference, or NULL without memory. Callers may add keys. */
json_t *cli_environment(const cli *c, const fovea_context *context);
/* Prints the table to stdout in the --format asked for. `extra` (may be NULL) is merged into the environment; its
   reference is taken. Returns EXIT_DONE or, when there is no memory, EXIT_RESOURCE with its line. */
int cli_print(const cli *c, const fovea_context *context, const table *t, json_t *extra);

/* The list entry (ends with NULL) that needs the fewest edits to become `word`; NULL for an empty list. */
const char *cli_nearest(const char *word, const char *const *names);
/* Bounds as text: "1..1024", "greater than 0", "at least 0"; those beyond 1e12 are left out. */
void cli_range_text(double min, double max, char *out, size_t n);
void cli_bounds_text(const cli_option *row, char *out, size_t n);
/* A whole number as options take it: decimal or 0x.., suffix k (1024) or m (1048576). 1 when the text is one. */
int cli_read_integer(const char *text, int64_t *value);
/* Options that every command has; ends with a row whose name is NULL. */
extern const cli_option cli_common_options[];
/* A variant's parameters as the array that "list" and "explain" print; new reference, NULL without memory. */
json_t *cli_parameters_json(const fovea_variant *v);
/* Usage, options and their bounds of one command, to `out`. */
void cli_print_usage(const cli_command *command, FILE *out);
/* `text` in lines of at most 96 columns: the first begins at column `at`, the others at `indent`. Ends the line. */
void cli_print_wrapped(const char *text, unsigned at, unsigned indent, FILE *out);
/* A variant's parameter for people: name, default, meaning, type and bounds. */
void cli_print_parameter(const fovea_parameter *p, FILE *out);
/* The man page in groff's man macros, made from the rows. */
void cli_print_man(FILE *out);
/* The commands, one line each. */
void cli_print_overview(FILE *out);
const cli_command *cli_find_command(const char *name); /* NULL when there is none */

/* Commands, one file each. */
extern const cli_command cli_list, cli_explain, cli_run, cli_compare, cli_bench, cli_check,
    cli_tune, cli_info, cli_help;
extern const cli_command *const cli_commands[]; /* ends with NULL; in help.c */
#endif
