/* Guarded memory: every buffer touches a page that may not be accessed, at its end or at its start, so that a kernel
   that reads or writes beyond its contract faults; the fault is caught and described. On the side without such a
   page stand known bytes that are compared afterwards (they show stray writes only).

   While a guard is open the process's handlers of SIGSEGV, SIGBUS and SIGILL are replaced; faults of other threads
   go to the handlers that were there before. One guard at a time. */
#ifndef FV_CHECK_GUARD_H
#define FV_CHECK_GUARD_H
#include <stddef.h>

typedef struct fv_guard fv_guard;

enum { FV_GUARD_ROWS = 448, FV_GUARD_BLOCKS = 8, FV_GUARD_BLOCK_BYTES = 128 << 10 };

fv_guard *fv_guard_open(void); /* NULL when there is no memory */
void fv_guard_close(fv_guard *guard);
/* Forgets all buffers. at_end: those that follow end at a forbidden page, else they start after one. */
void fv_guard_begin(fv_guard *guard, int at_end);
/* A buffer of `bytes` > 0, named NAME or NAME[index] (index < 0: the former); its contents are arbitrary. A page or
   less takes one of FV_GUARD_ROWS places, more takes one of FV_GUARD_BLOCKS; asking for more than there are aborts. */
void *fv_guard_get(fv_guard *guard, const char *name, int index, size_t bytes);
/* An address where any access faults, for half a page on; belongs to no buffer. */
void *fv_guard_nowhere(const fv_guard *guard);
/* Calls call(arg). 1 when it returned and wrote nothing beyond the buffers; else 0 and one line in text. */
int fv_guard_call(fv_guard *guard, void (*call)(void *arg), void *arg, char *text, size_t n);
#endif
