/* Numbers as people read them in a table: rounded, with a unit. Scripts get the unrounded values (table.h). */
#ifndef FV_LAB_REPORT_QUANTITY_H
#define FV_LAB_REPORT_QUANTITY_H

typedef struct quantity {
    char text[64];
} quantity;

/* "812 ns", "1.24 ms", "3.10 s": three digits, "us" without unicode. "-" for what is not finite; so do all below. */
quantity quantity_time(double ns, int unicode);
/* "1.24 ± 0.03 ms"; "+-" without unicode. */
quantity quantity_time_spread(double ns, double spread, int unicode);
/* 0.1234 -> "12.3 %" */
quantity quantity_percent(double share);
/* "12.3x", "0.87x" */
quantity quantity_ratio(double ratio);
/* Errors: two digits and an exponent, "3.1e-07", or "0". */
quantity quantity_error(double error);
/* Shares of one, four decimals; not rounded up to 1: 0.99997 is "0.9999" (1 - 1e-6 and more is "1.0000"). */
quantity quantity_share(double share);
/* Three significant digits without an exponent for the usual sizes: "0.0123", "4.56", "789", "12345". */
quantity quantity_amount(double amount);
/* "512 bytes", "1.5 GiB" */
quantity quantity_bytes(double bytes);
#endif
