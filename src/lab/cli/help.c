/* fovea help: commands, their options, parameters of variants, and the man page, all from the rows. Holds the list of
   commands. */
#include "cli/cli.h"
#include <string.h>

const cli_command *const cli_commands[] = {&cli_run,  &cli_compare, &cli_bench,
                                           &cli_list, &cli_explain, &cli_check,
                                           &cli_tune, &cli_info,    &cli_help,
                                           NULL};

static const cli_option help_options[] = {
    {"--man", NULL, 'f', 0, 0, NULL, "print the manual page in groff's man macros"}, {0}};

const cli_command *cli_find_command(const char *name)
{
    for (const cli_command *const *command = cli_commands; *command != NULL; command++)
        if (strcmp((*command)->name, name) == 0)
            return *command;
    return NULL;
}

void cli_print_overview(FILE *out)
{
    fputs("fovea: attention variants on CPUs, computed and compared\n\n"
          "Usage: fovea COMMAND [options]\n\n",
          out);
    for (const cli_command *const *command = cli_commands; *command != NULL; command++)
        fprintf(out, "  %-9s %s\n", (*command)->name, (*command)->summary);
    fputs("\nFirst steps: 'fovea list' shows the variants, 'fovea explain streaming' one of them,\n"
          "'fovea compare --sample' measures them on tensors of real models.\n"
          "'fovea help COMMAND' lists a command's options, 'fovea help VARIANT' a variant's "
          "parameters.\n",
          out);
}

/* ---------------------------------------------------------------- parameters */

/* "int, at least 1, tokens"; texts and flags have no range. */
static void type_text(const fovea_parameter *p, char *out, size_t n)
{
    char range[96] = "";
    int list = strcmp(p->type, "list") == 0;
    if (list || strcmp(p->type, "int") == 0 || strcmp(p->type, "real") == 0)
        cli_range_text(p->min, p->max, range, sizeof range);
    snprintf(out, n, "%s%s%s%s%s%s", p->required ? "required, " : "",
             list ? "list a+b+.., each" : p->type, *range ? list ? " " : ", " : "", range,
             p->unit[0] ? ", " : "", p->unit);
}

void cli_print_parameter(const fovea_parameter *p, FILE *out)
{
    char left[200], type[200], right[1200];
    snprintf(left, sizeof left, "  %s=%s", p->name, p->standard);
    type_text(p, type, sizeof type);
    snprintf(right, sizeof right, "%s (%s)", p->help, type);
    if (strlen(left) < 21)
        fprintf(out, "%-22s", left);
    else
        fprintf(out, "%s\n%22s", left, "");
    cli_print_wrapped(right, 22, 22, out);
}

static void help_variant(const fovea_variant *v, FILE *out)
{
    fprintf(out, "%s: ", v->name);
    cli_print_wrapped(v->summary, (unsigned)strlen(v->name) + 2, 2, out);
    fprintf(out, "\nSPEC  %s%s\n", v->name, v->parameter_count ? "[:key=value,...]" : "");
    if (v->parameter_count > 0)
        fputs("\nParameters (key=default)\n", out);
    for (unsigned n = 0; n < v->parameter_count; n++)
        cli_print_parameter(&v->parameters[n], out);
    fputs("\nParameters of every softmax variant\n", out);
    for (unsigned n = 0; fovea_common_parameter_at(n) != NULL; n++)
        cli_print_parameter(fovea_common_parameter_at(n), out);
    fprintf(out, "\n'fovea explain %s' tells its formula, cost and paper, and draws its mask.\n",
            v->name);
}

/* ---------------------------------------------------------------- the command */

static int unknown_word(const cli *c, const char *word)
{
    enum { MOST = 256 };
    const char *names[MOST + 1];
    unsigned count = 0;
    for (unsigned n = 0; cli_commands[n] != NULL && count < MOST; n++)
        names[count++] = cli_commands[n]->name;
    for (unsigned n = 0; fovea_variant_at(n) != NULL && count < MOST; n++)
        names[count++] = fovea_variant_at(n)->name;
    names[count] = NULL;
    return cli_fail(c, EXIT_USAGE, "'%s' is neither a command nor a variant; the nearest is '%s'",
                    word, cli_nearest(word, names));
}

static int run_help(const cli *c)
{
    const char *word = cli_word(c, 0);
    if (cli_flag(c, "--man")) {
        cli_print_man(stdout);
        return EXIT_DONE;
    }
    if (word == NULL) {
        cli_print_overview(stdout);
        return EXIT_DONE;
    }
    if (cli_find_command(word) != NULL)
        cli_print_usage(cli_find_command(word), stdout);
    else if (fovea_variant_find(word) != NULL)
        help_variant(fovea_variant_find(word), stdout);
    else
        return unknown_word(c, word);
    return EXIT_DONE;
}

const cli_command cli_help = {
    .name = "help",
    .summary = "explain a command's options or a variant's parameters",
    .usage = "fovea help [COMMAND|VARIANT] [--man]",
    .options = help_options,
    .max_words = 1,
    .run = run_help,
};
