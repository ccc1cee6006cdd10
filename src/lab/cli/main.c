/* fovea, the tool: finds the command and runs it. Exit codes are those of cli.h. */
#include "cli/cli.h"
#include <errno.h>
#include <locale.h>
#include <string.h>

static int unknown_command(const char *name)
{
    const char *names[32];
    unsigned count = 0;
    for (; cli_commands[count] != NULL && count < 31; count++)
        names[count] = cli_commands[count]->name;
    names[count] = NULL;
    fprintf(stderr, "fovea: unknown command '%s'; the nearest is '%s' ('fovea help' lists all)\n",
            name, cli_nearest(name, names));
    return EXIT_USAGE;
}

/* A full disk or a closed pipe must not look like success. */
static int finish(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "fovea: cannot write to standard output: %s\n", strerror(errno));
    return code == EXIT_DONE ? EXIT_RESOURCE : code;
}

int main(int argc, char **argv)
{
    cli *c = NULL;
    /* Only the character set: numbers are read and written with a point everywhere. */
    setlocale(LC_CTYPE, "");
    if (argc < 2) {
        cli_print_overview(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("fovea %s\n", fovea_version());
        return finish(EXIT_DONE);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        cli_print_overview(stdout);
        return finish(EXIT_DONE);
    }
    const cli_command *command = cli_find_command(argv[1]);
    if (command == NULL)
        return unknown_command(argv[1]);
    int code = cli_parse(command, argc, argv, &c);
    if (code == EXIT_DONE && c != NULL)
        code = command->run(c);
    cli_free(c);
    return finish(code);
}
