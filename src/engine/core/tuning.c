/* The table of tuning keys. Reader, writer, `fovea tune`, `fovea info` and the manual page all go by these rows. */
#include "core/tuning.h"

#include "core/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef FV_MINI_TILES /* test builds: inputs of a few tokens reach every path */
enum { BLOCK = 12, TILES = 2, COPY_TILES = 2, ROW_BLOCK = 16, SPLIT = 24, THREAD_FLOPS = 0 };
#else
enum {
    BLOCK = 128,      /* 16 KiB of weights for 32 lanes; 96 to 256 differ by 1 % */
    TILES = 16,
    COPY_TILES = 3,
    ROW_BLOCK = 2048, /* switching from keys to values early costs a stream from memory 15 % */
    SPLIT = 4096,
    THREAD_FLOPS = 1 << 20
};
#endif

const fovea_tuning_key fv_tuning_key[FV_TUNINGS] = {
    [FV_TUNE_BLOCK] = {"block", BLOCK, 4, 4096, 1, NULL, "keys", "keys per block of the lanes form, at most 64 of wide heads"},
    [FV_TUNE_TILES] = {"tiles", TILES, 1, FV_TILES_MOST, 1, NULL, "tiles",
                       "lane tiles that share a block of keys and values from L2, when there are tasks enough"},
    [FV_TUNE_TILE_BYTES] = {"tile_bytes", 1 << 19, 0, 1e12, 1, NULL, "bytes",
                            "queries and outputs of the tiles that share a block take at most this: half of a small L2"},
    [FV_TUNE_COPY_TILES] = {"copy_tiles", COPY_TILES, 2, FV_TILES_MOST + 1, 1, NULL, "tiles",
                            "tiles that must share a block before rows that crowd a cache are copied; more than `tiles`: never"},
    [FV_TUNE_ROW_BLOCK] = {"row_block", ROW_BLOCK, 16, 65536, 1, NULL, "keys",
                           "keys that the rows form reads before it turns to their values; twice as many in 16-bit types"},
    /* From DRAM half and twice as far cost up to 4 %, a quarter or four times up to 10 %. */
    [FV_TUNE_ROW_AHEAD] = {"row_ahead", 8192, 0, 1048576, 1, NULL, "bytes",
                           "rows form, f32: from a key that is computed with to one that is asked for"},
    [FV_TUNE_ROW_AHEAD_HALF] = {"row_ahead_half", 4096, 0, 1048576, 1, NULL, "bytes",
                                "the same for 16-bit types and several query rows"},
    [FV_TUNE_ROW_AHEAD_HALF_SINGLE] = {"row_ahead_half_single", 2048, 0, 1048576, 1, NULL, "bytes",
                                       "the same for 16-bit types and one query row; half as much again for its values"},
    [FV_TUNE_SPLIT] = {"split", SPLIT, 16, 1048576, 1, NULL, "keys",
                       "most keys of one task of the rows form; with few tasks ranges are cut down to a quarter of this"},
    [FV_TUNE_THREAD_FLOPS] = {"thread_flops", THREAD_FLOPS, 0, 1e12, 1, NULL, "flops",
                              "work below this stays on the calling thread; all of it counted at its price in fma"},
    [FV_TUNE_BF16] = {"bf16", FV_BF16_AUTO, 0, 2, 1, "auto|dot|widen", "",
                      "scores of bf16 by the native dot product or widened to float; auto: the faster rate, measured once"},
    [FV_TUNE_FORM] = {"form", FV_FORM_AUTO, 0, 5, 1, "auto|lanes|rows|small|thin|narrow", "",
                      "form of softmax passes that it can run; auto: the one that the cost model finds faster"},
    [FV_TUNE_LANES_COST] = {"lanes_cost", 1, 0.1, 10, 0, NULL, "", "price of the lanes form against the built-in cost model"},
    [FV_TUNE_ROWS_COST] = {"rows_cost", 1, 0.1, 10, 0, NULL, "", "price of the rows form against the built-in cost model"},
    [FV_TUNE_NEAR_BYTES] = {"near_bytes", 1 << 20, 0, 1e12, 1, NULL, "bytes",
                            "keys and values up to this size stay in near caches and are read for nothing"},
    [FV_TUNE_FMA] = {"fma_gflops", 0, 0, 1e6, 0, NULL, "GFLOP/s",
                     "rate of fma of one thread; 0: measured when a predicted time is asked for"},
    [FV_TUNE_READ] = {"read_gbps", 0, 0, 1e6, 0, NULL, "GB/s",
                      "rate of reading far memory of one thread; 0: 5.5 bytes in the time of a vector fma"},
};

void fv_tuning_defaults(fv_tuning *tuning)
{
    for (int i = 0; i < FV_TUNINGS; i++)
        tuning->value[i] = fv_tuning_key[i].standard;
    snprintf(tuning->source, sizeof tuning->source, "defaults");
    tuning->note[0] = 0;
    tuning->status = FOVEA_OK;
}

int fv_tuning_find(const char *name)
{
    for (int i = 0; i < FV_TUNINGS; i++)
        if (!strcmp(fv_tuning_key[i].name, name))
            return i;
    return -1;
}

void fv_tuning_value_text(int key, double value, char *out, size_t n)
{
    const char *word = fv_tuning_key[key].words;
    if (!word) {
        snprintf(out, n, "%.15g", value);
        return;
    }
    for (int i = 0; i < (int)value; i++)
        word += strcspn(word, "|") + 1;
    snprintf(out, n, "%.*s", (int)strcspn(word, "|"), word);
}

/* Index of a word in "auto|dot|widen", or -1. */
static int find_word(const char *words, const char *word)
{
    size_t n = strlen(word);
    for (int i = 0; n; i++) {
        size_t length = strcspn(words, "|");
        if (length == n && !memcmp(words, word, n))
            return i;
        if (!words[length])
            break;
        words += length + 1;
    }
    return -1;
}

static fovea_status unknown_key(const char *key, const char *value, const char *where, fovea_error *err)
{
    char known[256] = "";
    for (int i = 0; i < FV_TUNINGS; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", fv_tuning_key[i].name);
    return fv_error_set(err, FOVEA_ERROR_TUNING, "%s: unknown key \"%.40s\" with value \"%.40s\"; known: %s", where, key, value,
                        known);
}

fovea_status fv_tuning_set(fv_tuning *tuning, const char *key, const char *value, const char *where, fovea_error *err)
{
    const int at = fv_tuning_find(key);
    const fovea_tuning_key *row = &fv_tuning_key[at < 0 ? 0 : at];
    char *end;
    double x;
    if (at < 0)
        return unknown_key(key, value, where, err);
    if (row->words) {
        x = find_word(row->words, value);
        if (x < 0)
            return fv_error_set(err, FOVEA_ERROR_TUNING, "%s: %s is \"%.40s\"; allowed: %s", where, key, value, row->words);
        tuning->value[at] = x;
        return FOVEA_OK;
    }
    /* strtod would also take blanks, hexadecimals, "inf" and "nan" */
    x = value[strspn(value, "0123456789.eE+-")] || !*value ? NAN : strtod(value, &end);
    if (isnan(x) || *end || !(x >= row->min && x <= row->max) || (row->whole && x != floor(x)))
        return fv_error_set(err, FOVEA_ERROR_TUNING, "%s: %s is \"%.40s\"; allowed: %s %.15g..%.15g%s%s", where, key, value,
                            row->whole ? "whole numbers" : "numbers", row->min, row->max,
                            *row->unit ? " " : "", row->unit);
    tuning->value[at] = x;
    return FOVEA_OK;
}
