/* Instantiates every body for the instruction set whose vec header was included before. */
#include "body/lanes.h"
#include "body/small.h"
#include "body/row.h"
#include "body/sift.h"
#include "body/column.h"
#include "body/ahead.h"
#include "body/peak.h"

#define FV_T float
#define FV_LOAD v_load
#define FV_LOAD_N v_load_n
#define FV_NAME(x) x##_f32
#define FV_DOT dot_f32
#define FV_AXPY axpy_f32
#include "body/dot.h"
#include "body/axpy.h"
#include "body/end.h"

#define FV_T uint16_t
#define FV_LOAD v_load_bf16
#define FV_LOAD_N v_load_bf16_n
#define FV_NAME widen_bf16
#include "body/widen.h"
#undef FV_NAME
#define FV_NAME(x) x##_bf16
#define FV_DOT dot_bf16
#define FV_AXPY axpy_bf16
#include "body/dot.h"
#include "body/axpy.h"
#include "body/end.h"

#define FV_T uint16_t
#define FV_LOAD v_load_f16
#define FV_LOAD_N v_load_f16_n
#define FV_NAME widen_f16
#include "body/widen.h"
#undef FV_NAME
#define FV_NAME(x) x##_f16
#define FV_DOT dot_f16
#define FV_AXPY axpy_f16
#include "body/dot.h"
#include "body/axpy.h"
#include "body/end.h"
