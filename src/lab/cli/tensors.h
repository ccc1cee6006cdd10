/* q, k and v from files: three files, or one .safetensors file that holds them. Shared by run, compare and bench.

   Ranks 2 to 4 are read as [L, D], [H, L, D] and [B, H, L, D]; all three must have the same rank. */
#ifndef FV_LAB_CLI_TENSORS_H
#define FV_LAB_CLI_TENSORS_H
#include "cli/cli.h"
#include "io/tensor.h"

/* Rows of --q, --k, --v, --qkv, --layer and --dtype; put them in a command's `shared`. */
extern const cli_option qkv_options[];

typedef struct qkv {
    int rank; /* of the files */
    int64_t batch, hq, hkv, lq, lk, d, dv;
    fovea_dtype dtype;
    const void *q, *k, *v; /* contiguous [b, h, l, d] of dtype */
    int causal;            /* the file's metadata say causal = 1; 0 for three files */
    int64_t layer;         /* read from layer.N.q, or -1 */
    char *model;           /* metadata `model` or NULL */
    tensor file[3];
    void *converted[3];
} qkv;

/* From the options of qkv_options, of which --qkv or all of --q, --k, --v must be given. EXIT_DONE, or the line is
   printed and the exit code returned: 2 shapes that do not fit, 3 unreadable files, 4 memory. Free with qkv_free. */
int qkv_load(const cli *c, qkv *in);
/* One .safetensors file. layer -1: the tensors q, k, v, or without them the layer that the metadata call default_layer.
   dtype -1: the file's. */
int qkv_load_file(const cli *c, const char *path, int64_t layer, int dtype, qkv *in);
void qkv_free(qkv *in);

/* "f32", "bf16", "f16" -> fovea_dtype; -1 for another text or NULL. */
int qkv_dtype(const char *name);
const char *qkv_dtype_name(fovea_dtype dtype);
size_t qkv_dtype_bytes(fovea_dtype dtype);
/* Elements of t as f32: the tensor's own data, or a new block in *block (to be freed). NULL without memory. The tensor
   must be F32, F16 or BF16. */
const float *tensor_as_f32(const tensor *t, void **block);
/* Product of the dimensions. */
int64_t tensor_count(const tensor *t);
/* "[1, 12, 512, 32]" */
void tensor_shape_text(const tensor *t, char *out, size_t n);
#endif
