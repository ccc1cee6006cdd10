/* Error lines of the readers and writers. */
#include "io/fail.h"
#include "io/tensor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PATH_SHOWN = 200 }; /* longer paths lose their front: the reason behind them must fit */

static int is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Control characters, those of UTF-8's C1 block too, could move a terminal's cursor or break the line. */
static void make_printable(char *text)
{
    for (char *c = text; *c; c++) {
        unsigned char byte = (unsigned char)*c;
        unsigned char next = (unsigned char)c[1];
        if (byte < 0x20 || byte == 0x7f) {
            *c = '?';
        } else if (byte == 0xc2 && next >= 0x80 && next <= 0x9f) {
            c[0] = '?';
            c[1] = '?';
        }
    }
}

/* Ends a text that was cut to n - 1 bytes at a whole character, with three dots. */
static void mark_cut(char *text, size_t n)
{
    size_t end = n - 4;
    while (end && is_continuation(text[end]))
        end--;
    memcpy(text + end, "...", 4);
}

int io_fail(char *why, int code, const char *path, const char *format, ...)
{
    size_t length = strlen(path);
    const char *shown = path;
    const char *dots = "";
    if (length > PATH_SHOWN) {
        shown = path + length - PATH_SHOWN;
        while (is_continuation(*shown))
            shown++;
        dots = "...";
    }
    int used = snprintf(why, IO_TEXT, "%s%s: ", dots, shown);
    va_list list;
    va_start(list, format);
    int more = vsnprintf(why + used, (size_t)(IO_TEXT - used), format, list);
    va_end(list);
    if (used + more >= IO_TEXT)
        mark_cut(why, IO_TEXT);
    make_printable(why);
    return code;
}

int io_fail_system(char *why, const char *path, const char *what, int error)
{
    int exhausted =
        error == ENOMEM || error == ENOSPC || error == EDQUOT || error == EFBIG || error == EMFILE || error == ENFILE;
    return io_fail(why, exhausted ? IO_RESOURCE : IO_INVALID, path, "%s: %s", what, strerror(error));
}
