/* Runs the passes of a plan over the workers. */
#ifndef FV_DRIVE_EXECUTE_H
#define FV_DRIVE_EXECUTE_H
#include "core/threads.h"
#include "drive/work.h"

/* workspace: shared_bytes + workers * scratch_bytes, aligned to 64. */
void fv_execute(const fv_work *work, fv_tensors *tensors, const fv_threads *threads, void *workspace);
#endif
