/* Tuning: the numbers that plans leave open, one table of them, and the file that holds those measured on a machine.

   Every value has a default that is right to within a few per cent on the machines it was measured on, so nothing has to
   be tuned; and every value gives results of the same tolerance class, so nothing breaks when it is. `block`, `split`,
   `row_block`, `form`, `bf16` and the costs that choose a form change how sums are grouped, and with that the last bits
   of a result. The other keys change time only. */
#ifndef FV_CORE_TUNING_H
#define FV_CORE_TUNING_H
#include <fovea/fovea.h>

enum { FV_TUNING_FORMAT = 1, FV_TUNING_FILE_MOST = 16384, FV_TUNING_SOURCE = 512, FV_TILES_MOST = 16 };

typedef enum fv_tune {
    FV_TUNE_BLOCK,
    FV_TUNE_TILES,
    FV_TUNE_TILE_BYTES,
    FV_TUNE_COPY_TILES,
    FV_TUNE_ROW_BLOCK,
    FV_TUNE_ROW_AHEAD,
    FV_TUNE_ROW_AHEAD_HALF,
    FV_TUNE_ROW_AHEAD_HALF_SINGLE,
    FV_TUNE_SPLIT,
    FV_TUNE_THREAD_FLOPS,
    FV_TUNE_BF16,
    FV_TUNE_FORM,
    FV_TUNE_LANES_COST,
    FV_TUNE_ROWS_COST,
    FV_TUNE_NEAR_BYTES,
    FV_TUNE_FMA,
    FV_TUNE_READ,
    FV_TUNINGS
} fv_tune;

enum { FV_BF16_AUTO, FV_BF16_DOT, FV_BF16_WIDEN };
enum { FV_FORM_AUTO, FV_FORM_LANES, FV_FORM_ROWS, FV_FORM_SMALL, FV_FORM_THIN, FV_FORM_NARROW };

typedef struct fv_tuning {
    double value[FV_TUNINGS];
    char source[FV_TUNING_SOURCE]; /* "defaults", the file's path, or "the program" after fovea_context_tune */
    char note[FV_TUNING_SOURCE];   /* why a file was ignored; "" when none was */
    fovea_status status;           /* of the file: OK, TUNING malformed, ISA made for something else, FILE unreadable */
} fv_tuning;

extern const fovea_tuning_key fv_tuning_key[FV_TUNINGS];

void fv_tuning_defaults(fv_tuning *tuning);
int fv_tuning_find(const char *name); /* index of a key, or -1 */
/* The value of a key as text: a number or a word. */
void fv_tuning_value_text(int key, double value, char *out, size_t n);
/* Sets one key from text. FOVEA_ERROR_TUNING, with a line that begins with `where`, names the key, the value and what is
   allowed. */
fovea_status fv_tuning_set(fv_tuning *tuning, const char *key, const char *value, const char *where, fovea_error *err);

/* tuning_file.c. Text of a file for this library, CPU and instruction set: bytes it has, without the final 0; at most n are
   written, the last one 0. */
size_t fv_tuning_write(const fv_tuning *tuning, const char *isa, const char *date, char *out, size_t n);
/* Reads such a text. `name` names the file in error lines. Nothing changes on failure: FOVEA_ERROR_TUNING for a malformed
   text, FOVEA_ERROR_ISA when it was made for something else. */
fovea_status fv_tuning_read(fv_tuning *tuning, const char *isa, const char *name, const char *text, size_t bytes,
                            fovea_error *err);
/* Path that `option` (NULL: FOVEA_TUNING, else the user's configuration folder) names; "" for none: it is "" or "off", or
   there is no such folder. *asked: 1 when somebody named the file, so that its absence is worth a line. */
void fv_tuning_path(const char *option, char path[FV_TUNING_SOURCE], int *asked);
/* Defaults, then the file. A file that cannot be used is ignored as a whole and tuning->note says why. Returns the level of
   that line for the log, or -1 when there is nothing to say. */
int fv_tuning_load(fv_tuning *tuning, const char *option, const char *isa);
#endif
