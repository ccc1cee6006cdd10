/* Refusals: what tests of invalid arguments share. A refusal has an exact status and one line that holds the facts (the
   argument, its value, what is allowed), however it is worded. */
#ifndef FV_TESTS_REFUSAL_H
#define FV_TESTS_REFUSAL_H
#include <criterion/criterion.h>
#include <fovea/fovea.h>
#include <stddef.h>

enum { FACTS = 4 };

/* What a handle points to before a call, so that NULL afterwards is the call's doing. */
extern int refusal_nothing;
#define NOTHING ((void *)&refusal_nothing)

void check_refusal(const char *what, fovea_status got, fovea_status expected, const fovea_error *err,
                   const char *const facts[FACTS]);

/* One field of a struct made invalid. */
typedef enum field_type { I64, F64, INT, UNSIGNED, SIZE, POINTER } field_type;

typedef struct poke {
    const char *what;
    size_t offset;
    field_type type;
    double number;
    const void *pointer; /* of POINTER */
    fovea_status status;
    const char *facts[FACTS];
} poke;
void poke_apply(const poke *p, void *object);

/* What must succeed. */
fovea_context *new_context(void);
fovea_recipe *new_recipe(fovea_context *context, const char *spec);
#endif
