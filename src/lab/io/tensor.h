/* Tensors in files: .npy and .safetensors. Files come from strangers; everything is bounds-checked. */
#ifndef FV_LAB_IO_TENSOR_H
#define FV_LAB_IO_TENSOR_H
#include <stddef.h>
#include <stdint.h>

typedef enum tensor_type { TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_U8, TENSOR_I32, TENSOR_I64 } tensor_type;

typedef struct tensor {
    tensor_type type;
    int rank;
    int64_t dim[8];
    const void *data; /* C order, aligned to its element; owned through `block` */
    size_t bytes;
    void *block;      /* a mapping or an allocation */
    size_t block_bytes;
    int mapped;
} tensor;

enum { IO_OK = 0, IO_INVALID = 3, IO_RESOURCE = 4 }; /* the tool's exit codes */
enum { IO_TEXT = 512 };

/* Every function returns IO_OK or an exit code with one line in why[IO_TEXT] that names the file. On failure *t is empty
   and no file is left behind. */

/* .npy: '<f4', '<f2', '|u1', '|i1', '|b1' (as TENSOR_U8), '<i4', '<i8'; versions 1-3, C order. */
int npy_read(const char *path, tensor *t, char *why);
int npy_write(const char *path, const tensor *t, char *why); /* whole file or none: temporary file, then rename */

/* One tensor of a .safetensors file by name. */
int safetensors_read(const char *path, const char *name, tensor *t, char *why);
/* Names of all tensors, in file order; free with safetensors_names_free. */
int safetensors_names(const char *path, char ***names, size_t *count, char *why);
void safetensors_names_free(char **names, size_t count);
/* Value of a key of __metadata__ or NULL (then *value = NULL, IO_OK); free() it. */
int safetensors_metadata(const char *path, const char *key, char **value, char *why);
int safetensors_write(const char *path, const char *const *names, const tensor *const *tensors, size_t count, char *why);

/* By suffix of the path; `name` is used for .safetensors. */
int tensor_read(const char *path, const char *name, tensor *t, char *why);
void tensor_free(tensor *t);
const char *tensor_type_name(tensor_type type); /* "F32" ... */
size_t tensor_type_bytes(tensor_type type);
#endif
