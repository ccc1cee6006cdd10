/* How much memory there is to take; see available.h. */
#include "eval/available.h"

#include <stdio.h>
#include <unistd.h>

/* "MemAvailable:   12345 kB"; -1 when there is no such line. */
static double kernel_available(void)
{
    FILE *file = fopen("/proc/meminfo", "r");
    if (!file)
        return -1;
    char line[128];
    double kib, bytes = -1;
    while (bytes < 0 && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %lf", &kib) == 1)
            bytes = kib * 1024;
    fclose(file);
    return bytes;
}

/* The number in a file, -1 when it holds none ("max"). */
static double number_in(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    double value;
    if (fscanf(file, "%lf", &value) != 1)
        value = -1;
    fclose(file);
    return value;
}

double available_bytes(void)
{
    double bytes = kernel_available();
    if (bytes < 0) {
        const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
        bytes = pages > 0 && size > 0 ? (double)pages * (double)size : 0;
    }
    const double limit = number_in("/sys/fs/cgroup/memory.max"),
                 used = number_in("/sys/fs/cgroup/memory.current");
    if (limit >= 0 && used >= 0 && limit - used < bytes)
        bytes = limit > used ? limit - used : 0;
    return bytes;
}
