/* The command line against rows of options: parser, typed access, nearest names, usage text. Contract in cli.h.

   Everything that can be judged from the rows alone is judged here, before a command runs: unknown names, missing
   values, numbers out of range, words that are no choice. A command only asks. */
#include "cli/cli.h"
#include <assert.h>
#include <errno.h>
#include <float.h>
#include <langinfo.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cli {
    const cli_command *command;
    int argc;
    char *const *argv;
    const cli_option **row; /* options in the order given, with their values (NULL for flags) */
    const char **value;
    unsigned given;
    const char **word;
    unsigned words;
};

const cli_option cli_common_options[] = {
    {"--isa", "NAME", 's', 0, 0, NULL,
     "strongest instruction set to use; 'fovea list isas' names them"},
    {"--threads", "N", 'i', 1, 1024, "1",
     "threads to compute with; the result does not depend on it"},
    {"--seed", "N", 'i', 0, 9007199254740991.0, "0", "seed of everything random"},
    {"--format", "table|md|csv|json|jsonl", 'c', 0, 0, "table", "how results are printed"},
    {"--quiet", NULL, 'f', 0, 0, NULL, "no remarks on standard error"},
    {"--color", "auto|always|never", 'c', 0, 0, "auto",
     "colours; NO_COLOR in the environment means never"},
    {"--help", NULL, 'f', 0, 0, NULL, "this text"},
    {0}};

/* ---------------------------------------------------------------- names */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits (insert, delete, replace, swap of neighbours) from a to b; texts are cut at 63 bytes. */
static size_t edits(const char *a, const char *b)
{
    enum { MOST = 63 };
    static size_t at[MOST + 1][MOST + 1]; /* one thread reads the command line */
    size_t na = least(strlen(a), MOST), nb = least(strlen(b), MOST);
    for (size_t i = 0; i <= na; i++) {
        for (size_t j = 0; j <= nb; j++) {
            if (i == 0 || j == 0) {
                at[i][j] = i + j;
                continue;
            }
            size_t best = at[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = least(best, least(at[i - 1][j], at[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = least(best, at[i - 2][j - 2] + 1);
            at[i][j] = best;
        }
    }
    return at[na][nb];
}

const char *cli_nearest(const char *word, const char *const *names)
{
    const char *best = NULL;
    size_t fewest = SIZE_MAX;
    for (; *names != NULL; names++) {
        size_t n = edits(word, *names);
        if (n < fewest) {
            fewest = n;
            best = *names;
        }
    }
    return best;
}

/* The lists of rows that a command reads, in order of precedence: its own, shared ones, common ones. */
enum { ROW_LISTS = 3 };

static const cli_option *row_list(const cli_command *command, unsigned n)
{
    static const cli_option none[] = {{0}};
    const cli_option *list[ROW_LISTS] = {command->options, command->shared, cli_common_options};
    return list[n] ? list[n] : none;
}

static const cli_option *find_row(const cli_command *command, const char *name, size_t length)
{
    for (unsigned n = 0; n < ROW_LISTS; n++)
        for (const cli_option *row = row_list(command, n); row->name != NULL; row++)
            if (strlen(row->name) == length && memcmp(row->name, name, length) == 0)
                return row;
    return NULL;
}

static const char *nearest_row(const cli_command *command, const char *name)
{
    const char *names[256];
    unsigned count = 0;
    for (unsigned n = 0; n < ROW_LISTS; n++)
        for (const cli_option *row = row_list(command, n); row->name != NULL && count < 255; row++)
            names[count++] = row->name;
    names[count] = NULL;
    return cli_nearest(name, names);
}

/* ---------------------------------------------------------------- values */

int cli_read_integer(const char *text, int64_t *value)
{
    const char *digits = text + (*text == '-');
    int hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    char *end;
    if (*digits < '0' || *digits > '9')
        return 0;
    errno = 0;
    long long n = strtoll(text, &end, hex ? 16 : 10);
    if (errno != 0)
        return 0;
    int64_t unit = !hex && *end == 'k' ? 1024 : !hex && *end == 'm' ? 1048576 : 1;
    end += unit != 1;
    if (*end != 0 || __builtin_mul_overflow((int64_t)n, unit, value))
        return 0;
    return 1;
}

static int read_real(const char *text, double *value)
{
    char *end;
    if (*text == 0 || strchr(" \t\n", *text) != NULL)
        return 0;
    *value = strtod(text, &end);
    return *end == 0 && isfinite(*value);
}

static void number_text(double value, char *out, size_t n)
{
    if (value == floor(value) && fabs(value) < 1e16)
        snprintf(out, n, "%.0f", value);
    else
        snprintf(out, n, "%g", value);
}

void cli_range_text(double min, double max, char *out, size_t n)
{
    char low[40], high[40];
    /* Bounds that no one would type are no bounds to a reader: beyond 2^40, or a float's limits. */
    int above = min > 0 && min < 1e-30, bottom = min <= -1e12, top = max >= 1e12;
    number_text(min, low, sizeof low);
    number_text(max, high, sizeof high);
    if (above && top)
        snprintf(out, n, "greater than 0");
    else if (above)
        snprintf(out, n, "greater than 0, at most %s", high);
    else if (bottom && top)
        snprintf(out, n, "any finite number");
    else if (bottom)
        snprintf(out, n, "at most %s", high);
    else if (top)
        snprintf(out, n, "at least %s", low);
    else
        snprintf(out, n, "%s..%s", low, high);
}

void cli_bounds_text(const cli_option *row, char *out, size_t n)
{
    cli_range_text(row->min, row->max, out, n);
}

static int bad_number(const cli *c, const cli_option *row, const char *value, const char *what)
{
    char bounds[96];
    /* The text for readers leaves far bounds out; who has met one must see it. */
    if (row->type == 'i')
        snprintf(bounds, sizeof bounds, "%.0f..%.0f", row->min, row->max);
    else
        cli_bounds_text(row, bounds, sizeof bounds);
    return cli_fail(c, EXIT_USAGE, "%s=%s %s; allowed: %s", row->name, value, what, bounds);
}

static int is_choice(const char *choices, const char *value)
{
    size_t n = strlen(value);
    while (*choices) {
        size_t m = strcspn(choices, "|");
        if (m == n && memcmp(choices, value, n) == 0)
            return 1;
        choices += m + (choices[m] == '|');
    }
    return 0;
}

static int bad_choice(const cli *c, const cli_option *row, const char *value)
{
    char words[256];
    const char *names[32];
    unsigned count = 0;
    snprintf(words, sizeof words, "%s", row->value);
    for (char *w = strtok(words, "|"); w != NULL && count < 31; w = strtok(NULL, "|"))
        names[count++] = w;
    names[count] = NULL;
    return cli_fail(c, EXIT_USAGE, "%s=%s is not one of %s; the nearest is '%s'", row->name, value,
                    row->value, cli_nearest(value, names));
}

static int check_value(const cli *c, const cli_option *row, const char *value)
{
    int64_t integer;
    double real;
    switch (row->type) {
    case 'i':
        if (!cli_read_integer(value, &integer))
            return bad_number(c, row, value, "is not a whole number");
        return (double)integer < row->min || (double)integer > row->max
                   ? bad_number(c, row, value, "is out of range")
                   : EXIT_DONE;
    case 'r':
        if (!read_real(value, &real))
            return bad_number(c, row, value, "is not a finite number");
        return real < row->min || real > row->max ? bad_number(c, row, value, "is out of range")
                                                  : EXIT_DONE;
    case 'c':
        return is_choice(row->value, value) ? EXIT_DONE : bad_choice(c, row, value);
    default:
        return EXIT_DONE;
    }
}

/* ---------------------------------------------------------------- parser */

/* One option at argv[*n]; *n is moved past a value that stands apart. */
static int parse_option(cli *c, int *n)
{
    const char *arg = c->argv[*n];
    size_t length = arg[1] == '-' ? strcspn(arg, "=") : strlen(arg);
    const char *value = arg[length] == '=' ? arg + length + 1 : NULL;
    if (strcmp(arg, "-h") == 0) {
        arg = "--help";
        length = 6;
    }
    const cli_option *row = find_row(c->command, arg, length);
    if (row == NULL)
        return cli_fail(c, EXIT_USAGE,
                        "unknown option '%.*s'; the nearest is '%s' ('fovea help %s' lists them)",
                        (int)length, arg, nearest_row(c->command, arg), c->command->name);
    if (row->value == NULL && value != NULL)
        return cli_fail(c, EXIT_USAGE,
                        "%s is a flag and takes no value, but '%s' was given; type %s alone",
                        row->name, value, row->name);
    if (row->value != NULL && value == NULL) {
        /* The next argument is the value unless it is itself an option of this command: then one was forgotten. */
        const char *next = *n + 1 < c->argc ? c->argv[*n + 1] : NULL;
        if (next == NULL ||
            (next[0] == '-' && find_row(c->command, next, strcspn(next, "=")) != NULL))
            return cli_fail(c, EXIT_USAGE, "%s wants a value: type %s %s", row->name, row->name,
                            row->value);
        value = next;
        ++*n;
    }
    c->row[c->given] = row;
    c->value[c->given++] = value;
    return value ? check_value(c, row, value) : EXIT_DONE;
}

static int check_words(const cli *c)
{
    const cli_command *command = c->command;
    if (c->words > command->max_words)
        return cli_fail(c, EXIT_USAGE,
                        "unexpected argument '%s'; 'fovea help %s' shows what it takes",
                        c->word[command->max_words], command->name);
    if (c->words < command->min_words)
        return cli_fail(c, EXIT_USAGE, "an argument is missing; usage: %s", command->usage);
    return EXIT_DONE;
}

static int parse_all(cli *c)
{
    int options = 1, code = EXIT_DONE;
    for (int n = 2; n < c->argc && code == EXIT_DONE; n++) {
        const char *arg = c->argv[n];
        if (options && strcmp(arg, "--") == 0)
            options = 0;
        else if (options && arg[0] == '-' && arg[1] != 0)
            code = parse_option(c, &n);
        else
            c->word[c->words++] = arg;
    }
    return code;
}

int cli_parse(const cli_command *command, int argc, char *const *argv, cli **out)
{
    *out = NULL;
    cli *c = calloc(1, sizeof *c);
    size_t room = (size_t)argc + 1;
    if (c != NULL) {
        c->command = command;
        c->argc = argc;
        c->argv = argv;
        c->row = calloc(room, sizeof *c->row);
        c->value = calloc(room, sizeof *c->value);
        c->word = calloc(room, sizeof *c->word);
    }
    if (c == NULL || c->row == NULL || c->value == NULL || c->word == NULL) {
        fprintf(stderr, "fovea %s: no memory for the command line\n", command->name);
        cli_free(c);
        return EXIT_RESOURCE;
    }
    int code = parse_all(c);
    int help = code == EXIT_DONE && cli_flag(c, "--help");
    if (help)
        cli_print_usage(command, stdout);
    else if (code == EXIT_DONE)
        code = check_words(c);
    if (help || code != EXIT_DONE)
        cli_free(c);
    else
        *out = c;
    return code;
}

void cli_free(cli *c)
{
    if (c == NULL)
        return;
    free(c->row);
    free(c->value);
    free(c->word);
    free(c);
}

/* ---------------------------------------------------------------- access */

static const cli_option *own_row(const cli *c, const char *name)
{
    const cli_option *row = find_row(c->command, name, strlen(name));
    assert(row != NULL);
    return row;
}

unsigned cli_count(const cli *c, const char *name)
{
    const cli_option *row = own_row(c, name);
    unsigned count = 0;
    for (unsigned n = 0; n < c->given; n++)
        count += c->row[n] == row;
    return count;
}

const char *cli_text_at(const cli *c, const char *name, unsigned index)
{
    const cli_option *row = own_row(c, name);
    for (unsigned n = 0; n < c->given; n++)
        if (c->row[n] == row && index-- == 0)
            return c->value[n];
    return NULL;
}

const char *cli_text(const cli *c, const char *name)
{
    unsigned count = cli_count(c, name);
    return count ? cli_text_at(c, name, count - 1) : own_row(c, name)->standard;
}

int64_t cli_integer(const cli *c, const char *name)
{
    const char *text = cli_text(c, name);
    int64_t value = 0;
    return text && cli_read_integer(text, &value) ? value : 0;
}

double cli_real(const cli *c, const char *name)
{
    const char *text = cli_text(c, name);
    double value = 0;
    return text && read_real(text, &value) ? value : 0;
}

int cli_flag(const cli *c, const char *name)
{
    return cli_count(c, name) > 0;
}
unsigned cli_words(const cli *c)
{
    return c->words;
}
const char *cli_word(const cli *c, unsigned n)
{
    return n < c->words ? c->word[n] : NULL;
}
int cli_argc(const cli *c)
{
    return c->argc;
}
char *const *cli_argv(const cli *c)
{
    return c->argv;
}

/* ---------------------------------------------------------------- talking */

int cli_color(const cli *c, FILE *stream)
{
    const char *wish = cli_text(c, "--color"), *no_color = getenv("NO_COLOR"),
               *term = getenv("TERM");
    if (strcmp(wish, "auto") != 0)
        return strcmp(wish, "always") == 0;
    if ((no_color != NULL && *no_color) || (term != NULL && strcmp(term, "dumb") == 0))
        return 0;
    return isatty(fileno(stream));
}

int cli_unicode(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

int cli_fail(const cli *c, int exit_code, const char *format, ...)
{
    va_list args;
    int color = cli_color(c, stderr);
    fprintf(stderr, "%sfovea %s:%s ", color ? "\033[1;31m" : "", c->command->name,
            color ? "\033[0m" : "");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    putc('\n', stderr);
    return exit_code;
}

int cli_fail_error(const cli *c, const fovea_error *err)
{
    int code = err->status == FOVEA_ERROR_MEMORY ? EXIT_RESOURCE
               : err->status == FOVEA_ERROR_FILE ? EXIT_INPUT
                                                 : EXIT_USAGE;
    return cli_fail(c, code, "%s", err->text[0] ? err->text : fovea_status_text(err->status));
}

void cli_note(const cli *c, const char *format, ...)
{
    va_list args;
    if (cli_flag(c, "--quiet"))
        return;
    fprintf(stderr, "fovea %s: ", c->command->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    putc('\n', stderr);
}

/* ---------------------------------------------------------------- usage */

void cli_print_wrapped(const char *text, unsigned at, unsigned indent, FILE *out)
{
    enum { WIDTH = 96 };
    unsigned column = at;
    int fresh = 1; /* nothing printed on this line yet */
    while (*text) {
        unsigned n = (unsigned)strcspn(text, " ");
        if (!fresh && column + 1 + n > WIDTH) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!fresh) {
            putc(' ', out);
            column++;
        }
        fresh = 0;
        fprintf(out, "%.*s", (int)n, text);
        column += n;
        text += n + strspn(text + n, " ");
    }
    putc('\n', out);
}

static void print_row(const cli_option *row, FILE *out)
{
    char left[160], bounds[96], help[1024];
    snprintf(left, sizeof left, "  %s%s%s", row->name, row->value ? " " : "",
             row->value ? row->value : "");
    size_t n = (size_t)snprintf(help, sizeof help, "%s%s", row->help,
                                row->type == 'm' ? "; may be repeated" : "");
    if (row->type == 'i' || row->type == 'r') {
        cli_bounds_text(row, bounds, sizeof bounds);
        n += (size_t)snprintf(help + least(n, sizeof help), sizeof help - least(n, sizeof help),
                              "; %s", bounds);
    }
    if (row->standard != NULL)
        snprintf(help + least(n, sizeof help), sizeof help - least(n, sizeof help), " [%s]",
                 row->standard);
    if (strlen(left) < 25)
        fprintf(out, "%-26s", left);
    else
        fprintf(out, "%s\n%26s", left, "");
    cli_print_wrapped(help, 26, 26, out);
}

static int shadowed(const cli_command *command, const cli_option *row)
{
    return find_row(command, row->name, strlen(row->name)) != row;
}

void cli_print_usage(const cli_command *command, FILE *out)
{
    static const char *const heading[ROW_LISTS] = {"Options", "Input", "Common options"};
    fprintf(out, "%s\n\nUsage: ", command->summary);
    cli_print_wrapped(command->usage, 7, 11, out);
    if (command->words != NULL) {
        putc('\n', out);
        cli_print_wrapped(command->words, 0, 0, out);
    }
    for (unsigned n = 0; n < ROW_LISTS; n++) {
        const cli_option *row = row_list(command, n);
        if (row->name == NULL)
            continue;
        fprintf(out, "\n%s\n", heading[n]);
        for (; row->name != NULL; row++)
            if (!shadowed(command, row))
                print_row(row, out);
    }
}
