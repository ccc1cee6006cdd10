/* Attention as one would first write it in C: scores of a row, softmax, weighted sum of values. Compiled twice, at -O3 and
   at -O3 -ffast-math, to say what a compiler alone makes of it.

   q, o [heads, lq, *], k, v [heads / group, lk, *], contiguous floats. causal: row i sees the keys j <= i + lk - lq. bias:
   [bias_heads, lq, lk] or NULL; head h adds bias[h % bias_heads]. scores: lk floats of scratch. */
#include <math.h>
#include <stddef.h>

void plain_attention(const float *q, const float *k, const float *v, const float *bias, float *o, float *scores, long heads,
                     long group, long lq, long lk, long d, long dv, long bias_heads, int causal, float scale)
{
    for (long h = 0; h < heads; h++) {
        const float *kh = k + h / group * lk * d, *vh = v + h / group * lk * dv;
        for (long i = 0; i < lq; i++) {
            const float *qi = q + (h * lq + i) * d;
            long seen = causal ? i + lk - lq + 1 : lk;
            float most = -INFINITY, sum = 0.0f;
            for (long j = 0; j < seen; j++) {
                float s = 0.0f;
                for (long c = 0; c < d; c++)
                    s += qi[c] * kh[j * d + c];
                s *= scale;
                if (bias)
                    s += bias[(h % bias_heads * lq + i) * lk + j];
                scores[j] = s;
                most = s > most ? s : most;
            }
            float *oi = o + (h * lq + i) * dv;
            for (long c = 0; c < dv; c++)
                oi[c] = 0.0f;
            for (long j = 0; j < seen; j++) {
                float p = expf(scores[j] - most);
                sum += p;
                for (long c = 0; c < dv; c++)
                    oi[c] += p * vh[j * dv + c];
            }
            for (long c = 0; c < dv; c++)
                oi[c] /= sum;
        }
    }
}
