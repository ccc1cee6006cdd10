/* Memory that this process can still take. */
#ifndef FV_LAB_EVAL_AVAILABLE_H
#define FV_LAB_EVAL_AVAILABLE_H
/* Bytes: the smaller of what the kernel calls available (/proc/meminfo) and what the control group leaves; where
   neither is readable, physical memory; 0 when nothing is known. */
double available_bytes(void);
#endif
