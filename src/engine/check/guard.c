/* Guarded memory. One reserved range per kind of place, forbidden, in which the data pages are opened:
   forbidden, data, forbidden, data, ..., forbidden. */
#include "check/guard.h"

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MARGIN = 128, MARK = 0xa5, SIGNALS = 3 };

typedef struct place {
    unsigned char *base; /* first data byte; `room` of them, with a forbidden page on both sides */
    unsigned char *at;   /* the buffer */
    size_t bytes;
    const char *name;
    int index;
} place;

typedef struct range {
    unsigned char *memory;
    size_t bytes, room; /* room: data bytes of a place */
    place *places;
    int count, used;
} range;

struct fv_guard {
    range rows, blocks;
    size_t page;
    int at_end;
    struct sigaction before[SIGNALS];
    sigjmp_buf jump;
    uintptr_t address; /* of the fault */
};

static const int signals[SIGNALS] = {SIGSEGV, SIGBUS, SIGILL};
static fv_guard *active;
static _Thread_local volatile sig_atomic_t armed; /* this thread is inside fv_guard_call */

static void on_fault(int number, siginfo_t *info, void *machine)
{
    (void)machine;
    if (!armed) { /* not ours: the faulting instruction runs again and meets the handler of before */
        for (int i = 0; i < SIGNALS; i++)
            if (signals[i] == number)
                sigaction(number, &active->before[i], NULL);
        return;
    }
    armed = 0;
    active->address = (uintptr_t)info->si_addr;
    siglongjmp(active->jump, number);
}

static int open_range(range *r, size_t page, int count, size_t room, place *places)
{
    size_t step = room + page;
    *r = (range){.bytes = (size_t)count * step + page, .room = room, .places = places, .count = count};
    r->memory = mmap(NULL, r->bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (r->memory == MAP_FAILED) {
        r->memory = NULL;
        return 0;
    }
    for (int i = 0; i < count; i++) {
        places[i].base = r->memory + page + (size_t)i * step;
        if (mprotect(places[i].base, room, PROT_READ | PROT_WRITE))
            return 0;
    }
    return 1;
}

static void unmap(fv_guard *guard)
{
    if (guard->rows.memory)
        munmap(guard->rows.memory, guard->rows.bytes);
    if (guard->blocks.memory)
        munmap(guard->blocks.memory, guard->blocks.bytes);
    free(guard);
}

fv_guard *fv_guard_open(void)
{
    fv_guard *guard = calloc(1, sizeof *guard + (FV_GUARD_ROWS + FV_GUARD_BLOCKS) * sizeof(place));
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    place *places;
    size_t page;
    if (!guard)
        return NULL;
    places = (place *)(guard + 1);
    page = guard->page = (size_t)sysconf(_SC_PAGESIZE);
    if (!open_range(&guard->rows, page, FV_GUARD_ROWS, page, places) ||
        !open_range(&guard->blocks, page, FV_GUARD_BLOCKS, (FV_GUARD_BLOCK_BYTES + page - 1) / page * page,
                    places + FV_GUARD_ROWS)) {
        unmap(guard);
        return NULL;
    }
    active = guard;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &action, &guard->before[i]);
    return guard;
}

void fv_guard_close(fv_guard *guard)
{
    if (!guard)
        return;
    for (int i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &guard->before[i], NULL);
    active = NULL;
    unmap(guard);
}

void fv_guard_begin(fv_guard *guard, int at_end)
{
    guard->at_end = at_end;
    guard->rows.used = guard->blocks.used = 0;
}

/* Marked bytes before and after a buffer: as many as the place has, at most MARGIN. */
static size_t margin_before(const place *p)
{
    size_t n = (size_t)(p->at - p->base);
    return n < MARGIN ? n : MARGIN;
}

static size_t margin_after(const range *r, const place *p)
{
    size_t n = r->room - (size_t)(p->at - p->base) - p->bytes;
    return n < MARGIN ? n : MARGIN;
}

void *fv_guard_get(fv_guard *guard, const char *name, int index, size_t bytes)
{
    range *r = bytes <= guard->page ? &guard->rows : &guard->blocks;
    place *p;
    if (r->used == r->count || bytes > r->room) {
        fprintf(stderr, "fovea: a check case asks for more guarded memory than there is (%s, %zu bytes)\n", name,
                bytes);
        abort();
    }
    p = &r->places[r->used++];
    p->name = name;
    p->index = index;
    p->bytes = bytes;
    p->at = guard->at_end ? p->base + r->room - bytes : p->base;
    memset(p->at - margin_before(p), MARK, margin_before(p));
    memset(p->at + bytes, MARK, margin_after(r, p));
    return p->at;
}

void *fv_guard_nowhere(const fv_guard *guard)
{
    return guard->rows.memory;
}

static void put_name(const place *p, char *text, size_t n)
{
    if (p->index < 0)
        snprintf(text, n, "%s", p->name);
    else
        snprintf(text, n, "%s[%d]", p->name, p->index);
}

static int all_marked(const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != MARK)
            return 0;
    return 1;
}

static int intact(const range *r, char *text, size_t n)
{
    char name[32];
    for (int i = 0; i < r->used; i++) {
        const place *p = &r->places[i];
        int before = all_marked(p->at - margin_before(p), margin_before(p));
        if (before && all_marked(p->at + p->bytes, margin_after(r, p)))
            continue;
        put_name(p, name, sizeof name);
        snprintf(text, n, "writes %s %s (%zu bytes)", before ? "past the end of" : "before", name, p->bytes);
        return 0;
    }
    return 1;
}

/* The buffer beside whose place the address lies. */
static const place *beside(const range *r, size_t page, uintptr_t address)
{
    for (int i = 0; i < r->used; i++) {
        uintptr_t base = (uintptr_t)r->places[i].base;
        if (address >= base - page && address < base + r->room + page) {
            /* a forbidden page has two neighbours: the one that touches it is meant */
            const place *p = &r->places[i];
            int at_start = p->at == p->base, at_end = p->at + p->bytes == p->base + r->room;
            if ((address >= base + r->room && !at_end) || (address < base && !at_start))
                continue;
            return p;
        }
    }
    return NULL;
}

static void describe_fault(const fv_guard *guard, int number, char *text, size_t n)
{
    const place *p = beside(&guard->rows, guard->page, guard->address);
    char name[32];
    if (!p)
        p = beside(&guard->blocks, guard->page, guard->address);
    if (number == SIGILL) {
        snprintf(text, n, "illegal instruction: the CPU was taken for one that has it");
    } else if (guard->address - (uintptr_t)fv_guard_nowhere(guard) < guard->page / 2) {
        snprintf(text, n, "touches rows that may only be prefetched");
    } else if (!p) {
        snprintf(text, n, "touches memory that is no argument (address 0x%llx)", (unsigned long long)guard->address);
    } else {
        long long offset = (long long)(guard->address - (uintptr_t)p->at);
        put_name(p, name, sizeof name);
        snprintf(text, n, "touches byte %lld of %s, which has %zu", offset, name, p->bytes);
    }
}

int fv_guard_call(fv_guard *guard, void (*call)(void *arg), void *arg, char *text, size_t n)
{
    int number = sigsetjmp(guard->jump, 1);
    if (number) {
        describe_fault(guard, number, text, n);
        return 0;
    }
    armed = 1;
    call(arg);
    armed = 0;
    return intact(&guard->rows, text, n) && intact(&guard->blocks, text, n);
}
