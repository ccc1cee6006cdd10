/* Forgets the names of one element type. */
#undef FV_T
#undef FV_LOAD
#undef FV_LOAD_N
#undef FV_NAME
#undef FV_DOT
#undef FV_AXPY
