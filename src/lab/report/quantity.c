/* Numbers for people; see quantity.h. */
#include "report/quantity.h"

#include <math.h>
#include <stdio.h>

static const quantity nothing = {"-"};

/* Decimals that leave three significant digits. */
static int decimals(double value)
{
    const double size = fabs(value);
    return size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 ? 2 : size >= 0.09995 ? 3 : 4;
}

typedef struct unit {
    const char *name;
    double size;
} unit;

/* The largest unit that the value reaches; units descend. */
static const unit *unit_for(const unit *units, unsigned count, double value)
{
    unsigned u = 0;
    while (u + 1 < count && value < units[u].size)
        u++;
    return &units[u];
}

static const unit *time_unit(double ns, int unicode)
{
    static const unit plain[] = {{"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}};
    static const unit greek[] = {{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}, {"ns", 1}};
    return unit_for(unicode ? greek : plain, 4, ns);
}

quantity quantity_time(double ns, int unicode)
{
    if (!isfinite(ns))
        return nothing;
    const unit *u = time_unit(ns, unicode);
    quantity q;
    snprintf(q.text, sizeof q.text, "%.*f %s", decimals(ns / u->size), ns / u->size, u->name);
    return q;
}

quantity quantity_time_spread(double ns, double spread, int unicode)
{
    if (!isfinite(ns))
        return nothing;
    const unit *u = time_unit(ns, unicode);
    const int digits = decimals(ns / u->size);
    quantity q;
    snprintf(q.text, sizeof q.text, "%.*f %s %.*f %s", digits, ns / u->size, unicode ? "±" : "+-",
             digits, spread / u->size, u->name);
    return q;
}

quantity quantity_percent(double share)
{
    if (!isfinite(share))
        return nothing;
    quantity q;
    snprintf(q.text, sizeof q.text, "%.*f %%",
             decimals(100 * share) > 2 ? 2 : decimals(100 * share), 100 * share);
    return q;
}

quantity quantity_ratio(double ratio)
{
    if (!isfinite(ratio))
        return nothing;
    quantity q;
    snprintf(q.text, sizeof q.text, "%.*fx", ratio < 9.995 ? 2 : 1, ratio);
    return q;
}

quantity quantity_error(double error)
{
    if (!isfinite(error))
        return nothing;
    quantity q;
    snprintf(q.text, sizeof q.text, error == 0 ? "%.0f" : "%.1e", error);
    return q;
}

quantity quantity_share(double share)
{
    if (!isfinite(share))
        return nothing;
    quantity q;
    /* what is lost must show, but not the last bits of a sum */
    const double shown = share < 1 - 1e-6 && share > 0.9999 ? 0.9999 : share;
    snprintf(q.text, sizeof q.text, "%.4f", shown);
    return q;
}

quantity quantity_amount(double amount)
{
    if (!isfinite(amount))
        return nothing;
    quantity q;
    if (amount != 0 && fabs(amount) < 0.001)
        snprintf(q.text, sizeof q.text, "%.1e", amount);
    else
        snprintf(q.text, sizeof q.text, "%.*f", amount == 0 ? 0 : decimals(amount), amount);
    return q;
}

quantity quantity_bytes(double bytes)
{
    static const unit units[] = {
        {"TiB", 0x1p40}, {"GiB", 0x1p30}, {"MiB", 0x1p20}, {"KiB", 0x1p10}, {"bytes", 1}};
    if (!isfinite(bytes))
        return nothing;
    const unit *u = unit_for(units, 5, bytes);
    quantity q;
    snprintf(q.text, sizeof q.text, "%.*f %s", u->size == 1 ? 0 : decimals(bytes / u->size),
             bytes / u->size, u->name);
    return q;
}
