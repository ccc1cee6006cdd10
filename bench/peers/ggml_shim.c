/* One ggml graph of one flash_attn_ext over memory of the caller, for engine_ggml.py. Strides are in bytes, in the order
   batch, head, token; the output is [batch, lq, hq, dv] floats. Work memory and threads are made once, not per run. */
#include <ggml-cpu.h>
#include <ggml.h>
#include <stdlib.h>

struct call { /* same order as Call in engine_ggml.py */
    void *q, *k, *v, *mask, *o;
    int64_t batch, hq, hkv, lq, lk, d, dv;
    int64_t q_stride[3], k_stride[3], v_stride[3];
    int64_t mask_heads;
    int type, threads;
    float scale;
};

struct peer {
    struct ggml_context *context;
    struct ggml_cgraph *graph;
    struct ggml_threadpool *pool;
    struct ggml_cplan plan;
};

static struct ggml_tensor *tensor(struct ggml_context *context, int type, int64_t d, int64_t l, int64_t h, int64_t b,
                                  void *data, const int64_t stride[3])
{
    struct ggml_tensor *t = ggml_new_tensor_4d(context, (enum ggml_type)type, d, l, h, b);
    t->data = data;
    t->nb[1] = (size_t)stride[2];
    t->nb[2] = (size_t)stride[1];
    t->nb[3] = (size_t)stride[0];
    return t;
}

const char *peer_ggml_version(void)
{
    return ggml_version();
}

void peer_ggml_destroy(struct peer *peer)
{
    if (!peer)
        return;
    if (peer->pool)
        ggml_threadpool_free(peer->pool);
    if (peer->context)
        ggml_free(peer->context);
    free(peer->plan.work_data);
    free(peer);
}

struct peer *peer_ggml_create(const struct call *c)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        return NULL;
    ggml_cpu_init();
    size_t bytes = 16 * ggml_tensor_overhead() + ggml_graph_overhead();
    struct ggml_init_params parameters = {.mem_size = bytes, .mem_buffer = NULL, .no_alloc = true};
    peer->context = ggml_init(parameters);
    struct ggml_tensor *q = tensor(peer->context, GGML_TYPE_F32, c->d, c->lq, c->hq, c->batch, c->q, c->q_stride);
    struct ggml_tensor *k = tensor(peer->context, c->type, c->d, c->lk, c->hkv, c->batch, c->k, c->k_stride);
    struct ggml_tensor *v = tensor(peer->context, c->type, c->dv, c->lk, c->hkv, c->batch, c->v, c->v_stride);
    struct ggml_tensor *mask = NULL;
    if (c->mask) {
        mask = ggml_new_tensor_4d(peer->context, GGML_TYPE_F16, c->lk, c->lq, c->mask_heads, 1);
        mask->data = c->mask;
    }
    struct ggml_tensor *o = ggml_flash_attn_ext(peer->context, q, k, v, mask, c->scale, 0.0f, 0.0f);
    o->data = c->o;
    peer->graph = ggml_new_graph(peer->context);
    ggml_build_forward_expand(peer->graph, o);

    struct ggml_threadpool_params pool = ggml_threadpool_params_default(c->threads);
    peer->pool = ggml_threadpool_new(&pool);
    peer->plan = ggml_graph_plan(peer->graph, c->threads, peer->pool);
    peer->plan.work_data = malloc(peer->plan.work_size + 64);
    return peer;
}

int peer_ggml_run(struct peer *peer)
{
    return ggml_graph_compute(peer->graph, &peer->plan);
}
