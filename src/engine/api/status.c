/* The text of each status: one row each. */
#include <fovea/fovea.h>

static const char *const text[FOVEA_STATUS_COUNT] = {
    [FOVEA_OK] = "done",
    [FOVEA_ERROR_NULL] = "a required pointer is NULL",
    [FOVEA_ERROR_STRUCT] = "the size of a struct is unknown to this library",
    [FOVEA_ERROR_BATCH] = "batch must be at least 1",
    [FOVEA_ERROR_HEADS] = "head counts must be at least 1, and hq a multiple of hkv",
    [FOVEA_ERROR_LENGTH] = "a length is negative or too large",
    [FOVEA_ERROR_DIM] = "a head size is outside its range",
    [FOVEA_ERROR_STRIDE] = "a stride is negative or lets output rows overlap",
    [FOVEA_ERROR_DTYPE] = "unknown element type",
    [FOVEA_ERROR_PRECISION] = "unknown precision",
    [FOVEA_ERROR_SCALE] = "scale must be finite and above 0",
    [FOVEA_ERROR_SOFTCAP] = "the soft cap must be finite and above 0",
    [FOVEA_ERROR_SINK] = "a sink logit must be a number below infinity",
    [FOVEA_ERROR_BIAS] = "the bias does not broadcast to [b, hq, lq, lk]",
    [FOVEA_ERROR_SEQLENS] = "cumulative lengths must rise from 0 to the whole length",
    [FOVEA_ERROR_PAGES] = "a page size or page number is out of range",
    [FOVEA_ERROR_ROWS] = "query rows must rise and stay below lq",
    [FOVEA_ERROR_ISA] = "unknown or unavailable instruction set",
    [FOVEA_ERROR_THREADS] = "the thread count is outside 1..1024",
    [FOVEA_ERROR_SYNTAX] = "a SPEC or pattern cannot be read",
    [FOVEA_ERROR_VARIANT] = "unknown variant",
    [FOVEA_ERROR_PARAMETER] = "unknown parameter",
    [FOVEA_ERROR_VALUE] = "a parameter's value is out of range",
    [FOVEA_ERROR_SHAPE] = "the variant does not fit the problem's shape",
    [FOVEA_ERROR_OUTPUT] = "the variant does not have this output",
    [FOVEA_ERROR_WORKSPACE] = "the workspace is too small or not aligned to 64 bytes",
    [FOVEA_ERROR_FILE] = "an array named by a recipe could not be loaded",
    [FOVEA_ERROR_OVERFLOW] = "a size does not fit",
    [FOVEA_ERROR_MEMORY] = "out of memory",
    [FOVEA_ERROR_TUNING] = "a tuning key is unknown or its value out of range",
};

const char *fovea_status_text(fovea_status status)
{
    return (unsigned)status < FOVEA_STATUS_COUNT ? text[status] : "unknown status";
}
