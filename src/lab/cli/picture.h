/* Pictures of masks: which keys each query of a small problem reads. */
#ifndef FV_LAB_CLI_PICTURE_H
#define FV_LAB_CLI_PICTURE_H
#include <fovea/fovea.h>
#include <stdint.h>
#include <stdio.h>

/* A variant scaled down so that its idea shows on a few dozen tokens. */
typedef struct picture_example {
    const char *variant;
    const char *spec;
    int64_t length;   /* tokens; lq = lk */
    const char *note; /* what to look at; "" when the picture speaks for itself */
} picture_example;

/* NULL for a variant without one (its mask comes from the user's files). */
const picture_example *picture_example_find(const char *variant);

/* Tokens that show a recipe whose parameters the user chose: the sum or product that the recipe fixes, else a few times
   its largest count; at most PICTURE_MOST. */
enum { PICTURE_LEAST = 48, PICTURE_MOST = 4096 };
int64_t picture_length(const fovea_recipe *recipe);

typedef struct picture {
    int64_t length;
    uint8_t *mask; /* length x length: 1 where the query reads the key; free() it */
    int realised;  /* 1: computed on made-up q and k, because the choice depends on the data */
} picture;

/* The mask of one head (the first). Variants of the family "pruned" run on seeded synthetic tensors. */
fovea_status picture_make(fovea_context *context, const fovea_recipe *recipe, int64_t length,
                          int causal, uint64_t seed, picture *out, fovea_error *err);
void picture_free(picture *p);

/* Draws it, keys to the right, queries down; a character covers one key and two queries, or, beyond 64 tokens, a patch
   of pairs whose share decides the shade. `margin` begins each line. */
void picture_draw(const picture *p, int unicode, const char *margin, FILE *out);
/* What the characters mean, one line. */
void picture_legend(const picture *p, int unicode, char *out, size_t n);
#endif
