/* The lanes family for the instruction set whose vec header was included before: what a tile of queries goes through. */
#include "vec/vec_math.h"
#include "body/name.h"
#include "body/exp2.h"
#include "body/far.h"
#include "body/qk.h"
#include "body/softmax.h"
#include "body/pv.h"
#include "body/edit.h"

#define FV_T float
#define FV_LOAD v_load
#define FV_LOAD_N v_load_n
#define FV_NAME pack_f32
#define FV_QUADS
#include "body/pack.h"
#undef FV_QUADS
#include "body/end.h"

#define FV_T uint16_t
#define FV_LOAD v_load_bf16
#define FV_LOAD_N v_load_bf16_n
#define FV_NAME pack_bf16
#include "body/pack.h"
#include "body/end.h"

#define FV_T uint16_t
#define FV_LOAD v_load_f16
#define FV_LOAD_N v_load_f16_n
#define FV_NAME pack_f16
#include "body/pack.h"
#include "body/end.h"
