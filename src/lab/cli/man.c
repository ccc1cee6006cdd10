/* The manual page, fovea(1), from the same rows as the parser and the help: it cannot fall behind them. */
#include "cli/cli.h"
#include <string.h>

/* Text in groff's terms: hyphens that a reader may copy stay hyphens, backslashes are printed, and no line of text is
   taken for a request. */
static void print_text(const char *text, FILE *out)
{
    int line_start = 1;
    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        if (*text == '-')
            fputs("\\-", out);
        else if (*text == '\\')
            fputs("\\e", out);
        else
            putc(*text, out);
        line_start = *text == '\n';
    }
}

static void print_line(const char *text, FILE *out)
{
    print_text(text, out);
    putc('\n', out);
}

static void print_option(const cli_option *row, FILE *out)
{
    char bounds[96];
    fputs(".TP\n\\fB", out);
    print_text(row->name, out);
    fputs("\\fR", out);
    if (row->value != NULL) {
        fputs(" \\fI", out);
        print_text(row->value, out);
        fputs("\\fR", out);
    }
    putc('\n', out);
    print_text(row->help, out);
    if (row->type == 'i' || row->type == 'r') {
        cli_bounds_text(row, bounds, sizeof bounds);
        fputs("; ", out);
        print_text(bounds, out);
    }
    if (row->type == 'm')
        fputs("; may be repeated", out);
    if (row->standard != NULL) {
        fputs(" (default ", out);
        print_text(row->standard, out);
        putc(')', out);
    }
    fputs(".\n", out);
}

static void print_options(const cli_option *row, FILE *out)
{
    for (; row != NULL && row->name != NULL; row++)
        print_option(row, out);
}

static void print_command(const cli_command *command, FILE *out)
{
    fprintf(out, ".SS %s\n", command->name);
    print_text(command->summary, out);
    fputs(".\n.PP\n.nh\n", out);
    print_line(command->usage, out);
    fputs(".hy\n", out);
    if (command->words != NULL) {
        fputs(".PP\n", out);
        print_line(command->words, out);
    }
    print_options(command->options, out);
    print_options(command->shared, out);
}

static void print_parameters(const fovea_parameter *p, FILE *out)
{
    fputs(".br\n\\fI", out);
    print_text(p->name, out);
    fputs("=", out);
    print_text(p->standard, out);
    fputs("\\fR: ", out);
    print_line(p->help, out);
}

static void print_variants(FILE *out)
{
    for (unsigned n = 0; fovea_variant_at(n) != NULL; n++) {
        const fovea_variant *v = fovea_variant_at(n);
        fputs(".TP\n\\fB", out);
        print_text(v->name, out);
        fputs("\\fR\n", out);
        print_line(v->summary, out);
        for (unsigned x = 0; x < v->parameter_count; x++)
            print_parameters(&v->parameters[x], out);
    }
    fputs(".PP\nEvery softmax variant also takes:\n", out);
    for (unsigned n = 0; fovea_common_parameter_at(n) != NULL; n++)
        print_parameters(fovea_common_parameter_at(n), out);
}

static void print_primitives(FILE *out)
{
    for (unsigned n = 0; fovea_primitive_at(n) != NULL; n++) {
        const fovea_primitive *p = fovea_primitive_at(n);
        fputs(".TP\n\\fB", out);
        print_text(p->usage, out);
        fputs("\\fR\nkeeps ", out);
        print_line(p->keeps, out);
    }
}

static void print_tuning(FILE *out)
{
    const fovea_tuning_key *key;
    char value[64], least[32], most[32];
    fputs(".SH TUNING\nWhat plans leave open, by keys. \\fBfovea tune\\fR measures them and writes a file that every context "
          "reads: \\fBFOVEA_TUNING\\fR, else \\fI$XDG_CONFIG_HOME/fovea/tuning\\fR, else "
          "\\fI~/.config/fovea/tuning\\fR. It holds lines of a key and a value, and # comments. A file made for another CPU, "
          "version or instruction set, or with a line that cannot be read, is ignored as a whole, with one line that says why. "
          "Results have the same bits for any number of threads with the same tuning.\n",
          out);
    for (unsigned n = 0; (key = fovea_tuning_key_at(n)) != NULL; n++) {
        cli_tuning_value(key, key->standard, value, sizeof value);
        cli_tuning_value(key, key->min, least, sizeof least);
        cli_tuning_value(key, key->max, most, sizeof most);
        fputs(".TP\n\\fB", out);
        print_text(key->name, out);
        fputs("\\fR\n", out);
        print_text(key->help, out);
        if (key->words != NULL)
            fprintf(out, "; %s", key->words);
        else
            fprintf(out, "; %s..%s%s%s", least, most, *key->unit ? " " : "", key->unit);
        fprintf(out, " (default %s).\n", value);
    }
}

static void print_end(FILE *out)
{
    fputs(".SH EXIT STATUS\n"
          ".TP\n0\ndone\n.TP\n1\na check or threshold failed\n.TP\n2\nusage: an unknown name, a "
          "value out of range, shapes "
          "that do not fit\n.TP\n3\nan input file cannot be read or is invalid\n.TP\n4\na resource "
          "is exhausted: memory, "
          "disk\n"
          ".SH ENVIRONMENT\n"
          ".TP\n\\fBFOVEA_ISA\\fR\nstrongest instruction set to use; \\fB\\-\\-isa\\fR wins over "
          "it. An unknown name is an "
          "error.\n"
          ".TP\n\\fBFOVEA_TUNING\\fR\ntuning file, in place of the one in the user's configuration folder; "
          "\\fBoff\\fR for none.\n"
          ".TP\n\\fBFOVEA_DATA\\fR\nfolder with shapes.tsv, limits.tsv, limits-found.tsv and the samples, in place of the "
          "installed one.\n"
          ".TP\n\\fBNO_COLOR\\fR\nwhen set and not empty, no colours.\n"
          ".SH EXAMPLES\n.nf\n"
          "fovea compare \\-\\-sample \\-\\-variant window:window=256 \\-\\-variant topk:k=32\n"
          "fovea run \\-\\-variant streaming:sinks=4,window=1k \\-\\-q q.npy \\-\\-k k.npy \\-\\-v "
          "v.npy \\-o o.npy\n"
          "fovea explain \\(aqpattern:causal & (window(left=255) | stride(64))\\(aq\n"
          ".fi\n",
          out);
}

void cli_print_man(FILE *out)
{
    fprintf(out, ".TH FOVEA 1 \"\" \"fovea %s\" \"User Commands\"\n", fovea_version());
    fputs(".SH NAME\nfovea \\- attention variants on CPUs, computed and compared\n"
          ".SH SYNOPSIS\n\\fBfovea\\fR \\fICOMMAND\\fR [\\fIoptions\\fR]\n"
          ".SH DESCRIPTION\n"
          "Computes attention variants (dense, windows, sparse patterns, pruning by score) on "
          "tensors in files, and compares\n"
          "their time, density and error with dense attention. Results go to standard output, "
          "everything else to standard\n"
          "error.\n"
          ".PP\nA SPEC is \\fINAME\\fR[:\\fIkey\\fR=\\fIvalue\\fR,...] or "
          "\\fBpattern:\\fR\\fIEXPR\\fR. Numbers take the "
          "suffixes k (1024) and m\n(1048576); lists are joined by +, as in 2048+4096; a flag may "
          "stand without =1; "
          "file:\\fIPATH\\fR names a .npy file.\n"
          ".SH COMMANDS\n",
          out);
    for (const cli_command *const *command = cli_commands; *command != NULL; command++)
        print_command(*command, out);
    fputs(".SS Options of every command\n", out);
    print_options(cli_common_options, out);
    fputs(".SH VARIANTS\n", out);
    print_variants(out);
    fputs(".SH PATTERNS\nPrimitives join by | (either), & (both), ! (not) and parentheses. p = i + "
          "lk \\- lq is the query's "
          "position, j the key's.\n",
          out);
    print_primitives(out);
    print_tuning(out);
    print_end(out);
}
