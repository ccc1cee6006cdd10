/* fovea: attention on CPUs.

   The whole contract of libfovea. The order of use:

     context  -> problem -> recipe -> plan -> (workspace) -> execute

   - A context carries the host's allocator, threads, log and file loader, and the instruction-set cap.
   - A problem describes shapes, strides, element type, scale and score edits. No data.
   - A recipe names the attention variant, from a SPEC text such as "streaming:sinks=4,window=1024".
   - A plan is immutable; everything that can fail fails when it is made. Many threads may execute one plan at once,
     each with its own workspace.
   - execute reads tensors and writes outputs. Given a workspace it allocates nothing, takes no lock, prints nothing.

   Conventions (doc/numerics.md derives and tests them)
   - Tensors are [batch, head, token, dim]; strides of batch, head and token are free, dim is contiguous.
     All strides and lengths count elements, never bytes.
   - Query head h reads key/value head h / (hq / hkv).
   - A query's position is p = i + lk - lq. Causal: it sees the keys j <= p.
   - Order of edits: scale, soft cap, mask, additive bias (tensor or ALiBi), sink logit, softmax.
   - A row without visible keys gives o = 0 and lse = -infinity. NaN in a hidden key or value never leaks.
   - Natural logarithms. Outputs are float, whatever the input type; sums are accumulated in float.
   - The result does not depend on the number of threads, bit for bit.

   Every function that can fail returns a fovea_status and, when `err` is not NULL, fills it with one line that names
   the argument, its value and what is allowed. Nothing is created or written on failure. */
#ifndef FOVEA_FOVEA_H
#define FOVEA_FOVEA_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) && !defined(FOVEA_API)
#define FOVEA_API __attribute__((visibility("default")))
#elif !defined(FOVEA_API)
#define FOVEA_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define FOVEA_VERSION_MAJOR 0
#define FOVEA_VERSION_MINOR 1
#define FOVEA_VERSION_PATCH 0

/* Library version as text, "0.1.0". */
FOVEA_API const char *fovea_version(void);

/* ------------------------------------------------------------------ status */

typedef enum fovea_status {
    FOVEA_OK = 0,
    FOVEA_ERROR_NULL,       /* a required pointer is NULL */
    FOVEA_ERROR_STRUCT,     /* struct_size of an options struct is unknown to this library */
    FOVEA_ERROR_BATCH,      /* batch < 1 */
    FOVEA_ERROR_HEADS,      /* hq or hkv < 1, or hq not a multiple of hkv */
    FOVEA_ERROR_LENGTH,     /* lq or lk negative or too large */
    FOVEA_ERROR_DIM,        /* d or dv outside 1..65536 */
    FOVEA_ERROR_STRIDE,     /* a stride negative or smaller than the row it separates */
    FOVEA_ERROR_DTYPE,      /* unknown element type */
    FOVEA_ERROR_PRECISION,  /* unknown precision */
    FOVEA_ERROR_SCALE,      /* scale not finite and > 0 */
    FOVEA_ERROR_SOFTCAP,    /* soft cap not finite and > 0 */
    FOVEA_ERROR_SINK,       /* sink logit NaN or +infinity */
    FOVEA_ERROR_BIAS,       /* bias shape does not broadcast to [b, hq, lq, lk] */
    FOVEA_ERROR_SEQLENS,    /* cumulative lengths not starting at 0, decreasing or not ending at the length */
    FOVEA_ERROR_PAGES,      /* page size or page number out of range */
    FOVEA_ERROR_ROWS,       /* list of query rows out of range or not increasing */
    FOVEA_ERROR_ISA,        /* unknown instruction set, or one this CPU lacks */
    FOVEA_ERROR_THREADS,    /* thread count outside 1..1024 */
    FOVEA_ERROR_SYNTAX,     /* a SPEC or pattern expression cannot be read */
    FOVEA_ERROR_VARIANT,    /* unknown variant name */
    FOVEA_ERROR_PARAMETER,  /* unknown parameter of a variant or primitive */
    FOVEA_ERROR_VALUE,      /* a parameter's value is outside its range */
    FOVEA_ERROR_SHAPE,      /* the variant does not fit the problem's shape */
    FOVEA_ERROR_OUTPUT,     /* an output this variant does not have was asked for (lse of sparsemax, say) */
    FOVEA_ERROR_WORKSPACE,  /* workspace too small or not aligned to 64 bytes */
    FOVEA_ERROR_FILE,       /* the loader could not supply the array a recipe names */
    FOVEA_ERROR_OVERFLOW,   /* a size does not fit */
    FOVEA_ERROR_MEMORY,     /* the allocator returned NULL */
    FOVEA_ERROR_TUNING,     /* a tuning key is unknown, or its value outside its range */
    FOVEA_STATUS_COUNT
} fovea_status;

/* One short English sentence for a status; never NULL. */
FOVEA_API const char *fovea_status_text(fovea_status status);

/* What went wrong, in one line without a newline. */
typedef struct fovea_error {
    fovea_status status;
    char text[504];
} fovea_error;

/* ------------------------------------------------------------------ CPU */

/* Instruction sets known to this build, weakest first: 0 "scalar", 1 "generic", ... NULL past the last one. */
FOVEA_API const char *fovea_isa_name(unsigned index);
/* 1 when this build contains kernels of that instruction set and this CPU and operating system run them, else 0;
   -1 for an unknown name. */
FOVEA_API int fovea_isa_available(const char *name);
/* The strongest available one, before FOVEA_ISA or a context's cap. */
FOVEA_API const char *fovea_isa_best(void);
/* CPU features found, space separated ("avx2 fma f16c avx512f ..."); owned by the library. */
FOVEA_API const char *fovea_cpu_features(void);

/* ------------------------------------------------------------------ context */

typedef struct fovea_context fovea_context;

/* An array that a recipe names by file:PATH, delivered by the host's loader. C order. */
typedef struct fovea_array {
    const void *data;
    int64_t dim[8];
    int rank;
    char type; /* 'b' 1 byte, 'i' int32, 'l' int64, 'f' float32 */
    void *handle; /* the loader's own */
} fovea_array;

typedef struct fovea_context_options {
    size_t struct_size; /* sizeof(fovea_context_options) */

    /* Allocator; both or neither. alignment is a power of two. Default: the C library's. */
    void *(*allocate)(void *user, size_t bytes, size_t alignment);
    void (*release)(void *user, void *block);
    void *allocator_user;

    /* The host's threads. Must call work(arg, w) exactly once for each w in 0..workers-1, in any threads, at the same
       time or one after the other, and return when all have returned. Default: a pool of `threads` threads when the
       library was built with one, else the calling thread. */
    void (*run)(void *user, unsigned workers, void (*work)(void *arg, unsigned worker), void *arg);
    void *run_user;
    unsigned threads; /* workers to use, 1..1024; 0 means 1 */

    /* Receives one line at a time. level 0 error, 1 warning, 2 information. Default: silence. */
    void (*log)(void *user, int level, const char *line);
    void *log_user;

    /* Loads the array behind file:PATH; 0 on success, else 1 with a reason in `why` (a one-line text, at most n
       bytes). `unload` frees it. Default: file: values are refused. */
    int (*load)(void *user, const char *path, fovea_array *array, char *why, size_t n);
    void (*unload)(void *user, fovea_array *array);
    void *load_user;

    /* Strongest instruction set that plans may use; NULL means the environment variable FOVEA_ISA, or if that is not
       set the best of this CPU. Where the CPU has AMX, the first context of a process asks Linux for leave to use its tile
       registers, whatever the cap: from then on an alternate signal stack must be as large as AT_MINSIGSTKSZ says. */
    const char *isa;
    uint64_t seed; /* default of every seed= in recipes and patterns */

    /* A struct_size that ends before it means NULL. Tuning file to read (see below), "" or "off" for none, NULL for
       the environment's: FOVEA_TUNING, else $XDG_CONFIG_HOME/fovea/tuning, else ~/.config/fovea/tuning where there is one. A
       file that cannot be used is ignored as a whole, with one line to the log. */
    const char *tuning;
} fovea_context_options;

/* options NULL means all defaults. Thread safe; the context must outlive its recipes and plans. */
FOVEA_API fovea_status fovea_context_create(const fovea_context_options *options, fovea_context **context,
                                            fovea_error *err);
FOVEA_API void fovea_context_destroy(fovea_context *context); /* NULL is fine */
FOVEA_API const char *fovea_context_isa(const fovea_context *context);
FOVEA_API unsigned fovea_context_threads(const fovea_context *context);

/* ------------------------------------------------------------------ tuning */

/* What plans leave open: a table of keys with defaults that suit most machines. A context takes the values measured by
   `fovea tune` from a file of `key value` lines. No value leads out of the tolerance classes. Results have the same bits for any
   number of threads with the same tuning; keys that change how sums are grouped change the last bits. */
typedef struct fovea_tuning_key {
    const char *name;          /* "block" */
    double standard, min, max; /* default, and bounds, both inclusive */
    int whole;                 /* 1: whole numbers only */
    const char *words;         /* "auto|dot|widen": the value is the index of one of these; NULL for a number */
    const char *unit;          /* "keys", ...; "" when it has none */
    const char *help;
} fovea_tuning_key;

/* Keys in the order of the file; NULL past the last one. Owned by the library. */
FOVEA_API const fovea_tuning_key *fovea_tuning_key_at(unsigned index);
/* Value in force; NaN for an unknown key. */
FOVEA_API double fovea_context_tuning(const fovea_context *context, const char *key);
/* Where the values come from: "defaults", the path of the file read, or "the program" after fovea_context_tune. */
FOVEA_API const char *fovea_context_tuning_source(const fovea_context *context);
/* Why a file was ignored, as it went to the log; "" when none was. *status (may be NULL): FOVEA_ERROR_TUNING for a malformed
   file, FOVEA_ERROR_ISA for one made for another CPU, version or instruction set, FOVEA_ERROR_FILE for one that cannot be read. */
FOVEA_API const char *fovea_context_tuning_note(const fovea_context *context, fovea_status *status);
/* Sets one value for plans made from now on. Not while another thread uses the context. */
FOVEA_API fovea_status fovea_context_tune(fovea_context *context, const char *key, const char *value, fovea_error *err);
/* The text of a tuning file with the context's values, for this library, CPU and instruction set. Returns its length; at most
   size bytes are written, the last of them 0. `date` is any one-line text. */
FOVEA_API size_t fovea_context_tuning_text(const fovea_context *context, const char *date, char *text, size_t size);
/* Path that a context with options.tuning NULL reads, "" when tuning is off; the same conventions. */
FOVEA_API size_t fovea_tuning_path(char *path, size_t size);
/* What a tuning file is made for: the CPU's own name, family, model and stepping; owned by the library. */
FOVEA_API const char *fovea_cpu_name(void);

/* ------------------------------------------------------------------ problem */

typedef enum fovea_dtype { FOVEA_F32 = 0, FOVEA_BF16 = 1, FOVEA_F16 = 2 } fovea_dtype;
typedef enum fovea_precision {
    FOVEA_PRECISION_EXACT = 0, /* probabilities stay float */
    FOVEA_PRECISION_FAST = 1   /* with bf16 inputs, probabilities may be rounded to bf16 before they weigh values */
} fovea_precision;

/* Distance in elements between neighbours along batch, head and token. */
typedef struct fovea_strides {
    int64_t batch, head, token;
} fovea_strides;

typedef struct fovea_problem {
    size_t struct_size; /* set by fovea_problem_init */
    int64_t batch, hq, hkv, lq, lk, d, dv;
    fovea_dtype dtype; /* of q, k and v */
    fovea_precision precision;
    fovea_strides q, k, v; /* contiguous [b,h,l,d] after init */
    fovea_strides o; /* contiguous [b,hq,lq,dv] after init; token counts output rows (see rows); all 0: contiguous over these */

    int causal;      /* 1: only keys j <= p, in addition to the recipe's pattern */
    double scale;    /* 0 means 1/sqrt(d) */
    double softcap;  /* s = c tanh(s/c); 0 means none */
    int alibi;       /* 1: s += -slope(h) |p - j| */
    int has_sink;    /* 1: one logit `sink` for all heads joins the denominator */
    double sink;
    int has_sinks;   /* 1: arguments carry a logit per query head */
    int has_bias;    /* 1: arguments carry an additive bias; its strides, 0 to broadcast, are below */
    int64_t bias_batch, bias_head, bias_row; /* strides in elements; keys are contiguous */

    /* Varlen: batch must be 1; sequence s owns query tokens cu_q[s]..cu_q[s+1]-1 and key tokens cu_k[s]..cu_k[s+1]-1 of
       the lq and lk tokens. nseq+1 entries each, first 0, last lq and lk. Positions and patterns are per sequence.
       nseq = 0 means one sequence per batch entry. The arrays are copied. */
    int64_t nseq;
    const int64_t *cu_q, *cu_k;

    /* Compute only these query rows (increasing indices below lq); the outputs then hold nrows rows per head instead of
       lq, in this order. nrows = -1 means all. The array is copied. Not together with varlen. */
    int64_t nrows;
    const int64_t *rows;

    /* Keys and values by page: token j of batch b lies in row j % page_size of page number
       pages[b * page_table_stride + j / page_size]; strides k.batch and v.batch then separate pages. 0 means unpaged. */
    int64_t page_size, page_table_stride, page_count;
} fovea_problem;

/* Contiguous tensors, default scale, no edits. Checks nothing: fovea_plan_create does. */
FOVEA_API void fovea_problem_init(fovea_problem *problem, int64_t batch, int64_t hq, int64_t hkv, int64_t lq, int64_t lk,
                                  int64_t d, int64_t dv, fovea_dtype dtype);

/* ------------------------------------------------------------------ registry */

typedef struct fovea_parameter {
    const char *name;
    const char *type;     /* "int", "real", "flag", "list", "word", "file", "pattern" */
    const char *standard; /* default as text; "" when the parameter is required or derived */
    double min, max;      /* of int, real and list elements */
    const char *unit;     /* "tokens", "keys", ...; "" when it has none */
    const char *help;
    int required;
} fovea_parameter;

typedef struct fovea_variant {
    const char *name;
    const char *family; /* "exact", "static", "pruned" */
    const char *phase;  /* "prefill", "decode", "both" */
    const char *paper;  /* author, year, arXiv id; "-" when there is none */
    int training_free;  /* can be dropped into a model trained with dense attention */
    const char *summary; /* one line */
    const char *formula; /* which keys, what score, what normaliser */
    const char *cost;    /* per query row: keys, flops, bytes */
    const char *codes;   /* how other codes count the same parameters; "" when none differs */
    unsigned parameter_count;
    const fovea_parameter *parameters;
} fovea_variant;

/* Rows of the registry in display order; NULL past the last one. Owned by the library. */
FOVEA_API const fovea_variant *fovea_variant_at(unsigned index);
FOVEA_API const fovea_variant *fovea_variant_find(const char *name);
/* Parameters that every softmax variant takes (causal, scale, softcap, alibi, sink); NULL past the last one. */
FOVEA_API const fovea_parameter *fovea_common_parameter_at(unsigned index);

typedef struct fovea_primitive {
    const char *name, *usage, *keeps; /* "window", "window(left=a,right=b)", "p-a <= j <= p+b; ..." */
} fovea_primitive;
FOVEA_API const fovea_primitive *fovea_primitive_at(unsigned index);

typedef struct fovea_kernel {
    const char *name;  /* fvk_qk_f32__avx512 */
    const char *op, *dtype, *isa;
    const char *tolerance; /* class of doc/numerics.md */
    const char *tile;      /* "8x32" */
    const char *note;
    int available;         /* on this CPU */
} fovea_kernel;
/* Fills *row; 0 when there is no such index. */
FOVEA_API int fovea_kernel_at(unsigned index, fovea_kernel *row);

/* ------------------------------------------------------------------ recipe */

typedef struct fovea_recipe fovea_recipe;

/* SPEC = NAME[:key=value,...] or pattern:EXPR. Free with fovea_recipe_destroy. */
FOVEA_API fovea_status fovea_recipe_parse(fovea_context *context, const char *spec, fovea_recipe **recipe,
                                          fovea_error *err);
/* The same, by calls: create("window"), set("window", "4k"). */
FOVEA_API fovea_status fovea_recipe_create(fovea_context *context, const char *name, fovea_recipe **recipe,
                                           fovea_error *err);
FOVEA_API fovea_status fovea_recipe_set(fovea_recipe *recipe, const char *key, const char *value, fovea_error *err);
FOVEA_API void fovea_recipe_destroy(fovea_recipe *recipe);
/* The full SPEC with every parameter that was set; owned by the recipe. */
FOVEA_API const char *fovea_recipe_spec(const fovea_recipe *recipe);
FOVEA_API const fovea_variant *fovea_recipe_variant(const fovea_recipe *recipe);
/* Value of a parameter as text: set, or default; NULL when it has neither or is unknown. */
FOVEA_API const char *fovea_recipe_get(const fovea_recipe *recipe, const char *key);
/* 1 when the parameter was set explicitly. */
FOVEA_API int fovea_recipe_is_set(const fovea_recipe *recipe, const char *key);
/* 1 when the variant has a log-sum-exp. */
FOVEA_API int fovea_recipe_has_lse(const fovea_recipe *recipe);

/* ------------------------------------------------------------------ plan */

typedef struct fovea_plan fovea_plan;

/* Edits given in the recipe (causal, scale, softcap, alibi, sink) win over the problem's. */
FOVEA_API fovea_status fovea_plan_create(fovea_context *context, const fovea_problem *problem,
                                         const fovea_recipe *recipe, fovea_plan **plan, fovea_error *err);
FOVEA_API void fovea_plan_destroy(fovea_plan *plan);
/* Bytes of workspace that execute needs; the block must be aligned to 64 bytes. */
FOVEA_API size_t fovea_plan_workspace(const fovea_plan *plan);
/* Several lines for people: forms, kernels and tiles chosen, predicted times, and why others were not chosen. Made when first
   asked for; owned by the plan. */
FOVEA_API const char *fovea_plan_explain(const fovea_plan *plan);

/* One form (loop over tiles) that a pass of the plan could run in. */
typedef struct fovea_form {
    size_t struct_size;  /* sizeof(fovea_form), set by the caller */
    unsigned pass;       /* from 0 */
    const char *name;    /* "lanes", "rows", "pruned", "small" */
    int taken;
    double predicted_ns; /* of this pass by the cost model, on the context's workers; NaN when the form cannot run it */
    char reason[240];    /* of a form not taken: why; else "" */
} fovea_form;
/* Fills *form; 0 when there is no such index or struct_size is unknown. Every pass lists every form. */
FOVEA_API int fovea_plan_form(const fovea_plan *plan, unsigned index, fovea_form *form);
/* Time of one execution by the cost model: of all passes, on the context's workers. The rate of fma is measured once per
   process, in about half a millisecond, where the tuning does not hold it. */
FOVEA_API double fovea_plan_predicted_ns(const fovea_plan *plan);

typedef struct fovea_cost {
    double visible_pairs; /* (query, key) pairs the pattern lets through, summed over batch and heads; a multiset's
                             (longnet) keys count once per branch, here and in `kept` */
    double dense_pairs;   /* pairs that dense attention with the same causal flag would visit */
    double density;       /* visible / dense; 0 when there are no pairs */
    double flops;         /* 2 (d + dv) per visible pair; exponentials not counted */
    double bytes;         /* q, k, v, o read or written once, keys and values as far as some query sees them */
    const char *kernel;   /* name of the main kernel */
    const char *isa;
    const char *driver;   /* "lanes", "rows", "pruned", "small" */
} fovea_cost;
/* Walks the spans: time proportional to the kept spans, memory to one tile. */
FOVEA_API fovea_status fovea_plan_cost(const fovea_plan *plan, fovea_cost *cost, fovea_error *err);
/* Keys visible to query row i of query head h in sequence s, as bytes: out[j] = 1 or 0, for lk bytes. What the pattern
   lets through, before any score is known. */
FOVEA_API fovea_status fovea_plan_row(const fovea_plan *plan, int64_t sequence, int64_t head, int64_t row, uint8_t *out,
                                      fovea_error *err);

/* ------------------------------------------------------------------ execute */

typedef struct fovea_arguments {
    size_t struct_size; /* sizeof(fovea_arguments) */
    const void *q, *k, *v;
    /* Instead of k and v: a pointer to each key and value row, [batch][hkv][lk]. */
    const void *const *k_rows;
    const void *const *v_rows;
    const int32_t *pages; /* when the problem is paged; k and v are then the bases of the page pools */
    const float *bias;    /* when has_bias */
    const float *sinks;   /* [hq], when has_sinks */

    float *o;             /* required; strides in the problem */
    float *lse;           /* optional, [batch, hq, rows] contiguous */
    float *row_max;       /* optional, the largest edited score of each row, [batch, hq, rows]; -inf when none */
    uint8_t *mask;        /* optional, [batch, hq, rows, lk]: 1 for the pairs that entered; varlen: [1, hq, lq, max lk] */
    uint64_t *kept;       /* optional, number of pairs whose value entered the output */
} fovea_arguments;

/* workspace: fovea_plan_workspace bytes aligned to 64, or NULL to let the context's allocator provide it. */
FOVEA_API fovea_status fovea_execute(const fovea_plan *plan, const fovea_arguments *arguments, void *workspace,
                                     size_t workspace_bytes, fovea_error *err);

/* ------------------------------------------------------------------ numbers */

/* Conversions of n elements; round to nearest even. */
FOVEA_API void fovea_convert_to_f32(fovea_dtype from, const void *in, float *out, size_t n);
FOVEA_API void fovea_convert_from_f32(fovea_dtype to, const float *in, void *out, size_t n);

/* ------------------------------------------------------------------ measuring the machine */

/* Rate of the instruction set's fma, fed from L1 as a matrix kernel is, and of its bf16 dot (0 when it has none), GFLOP/s
   on the calling thread, sustained over `seconds`; and read bandwidth in GB/s over `bytes` of memory (taken from the
   context's allocator). Each takes about `seconds`. */
FOVEA_API double fovea_measure_fma(const fovea_context *context, double seconds);
FOVEA_API double fovea_measure_bf16(const fovea_context *context, double seconds);
FOVEA_API double fovea_measure_read(const fovea_context *context, size_t bytes, double seconds);
/* Best time in nanoseconds of one empty parallel region of the context's workers, back to back with others. */
FOVEA_API double fovea_measure_region(const fovea_context *context, double seconds);
/* Best time in nanoseconds of cutting one row of `keys` scores to the `kept` largest and their weights, as topk does;
   *pass: the same for reading the row once. 0 without memory. */
FOVEA_API double fovea_measure_cut(const fovea_context *context, size_t keys, size_t kept, double seconds,
                                   double *pass);

/* ------------------------------------------------------------------ checking kernels */

typedef struct fovea_check_options {
    size_t struct_size;
    const char *only;   /* kernel name, NULL for all */
    uint64_t seed;
    int64_t single_case; /* run only this case, -1 for all */
    unsigned cases;     /* per kernel; 0 means 200 */
    /* called once per kernel: passed 1, failed 0 or skipped -1 (this CPU lacks it), and a one-line detail which for a
       failure holds the arguments that reproduce it */
    void (*report)(void *user, const char *kernel, int result, const char *detail);
    void *user;
} fovea_check_options;
/* Every kernel row of this build against a scalar double reference on guarded pages. Returns the number of failures. */
FOVEA_API unsigned fovea_check_kernels(const fovea_check_options *options);

#ifdef __cplusplus
}
#endif
#endif
