/* What compare and bench compute on: real q, k, v from files or samples, or a shape filled with synthetic data. */
#ifndef FV_LAB_CLI_SOURCE_H
#define FV_LAB_CLI_SOURCE_H
#include "cli/cli.h"
#include "cli/tensors.h"
#include "eval/measure.h"
#include "eval/operands.h"

typedef struct source {
    fovea_problem problem;     /* causal, scale, soft cap and sinks are set */
    fovea_arguments arguments; /* q, k, v, sinks; no outputs */
    int synthetic;
    char text[400];   /* "SmolLM2-135M, layer 10 (samples/smollm2-causal.safetensors)" */
    char shape[160];  /* "b=1 hq=9 hkv=3 lq=1024 lk=1024 d=64 dv=64" */
    int64_t window;   /* a named shape's own window, else 0 */
    qkv file;
    void *made[3];
    float *sinks;
} source;

/* From --sample [NAME], --qkv, --q --k --v or --shape, of which one must be given. EXIT_DONE, or the line is printed
   and the exit code returned. Free with source_free. */
int source_open(const cli *c, source *s);
/* From one text of --shape; the command needs --synthetic, --seed, --dtype, --causal and --scale. */
int source_open_shape(const cli *c, const char *text, operands_layout layout, source *s);
void source_free(source *s);

/* EXIT_DONE, or EXIT_RESOURCE with a line when `bytes` more do not fit into memory. `what` is what needs them. */
int source_check_memory(const cli *c, double bytes, const char *what);

/* Word of the command line that --sample may be followed by, for the command's `words`. */
extern const char source_words[];
/* "gaussian|needle|.." for the row of --synthetic. */
#define SOURCE_SYNTHETIC_CHOICES "gaussian|needle|sinks-and-local|clustered|low-rank"
#endif
