/* y += alpha diag(a_m) C_{m-1} ... C_1 diag(a_1) x and its gradients, float32, stage by stage. */
#include "stage.h"

#ifdef _OPENMP
#include <omp.h>
EXPORTED int cdvft_parallel(void) { return 1; }
#else
static int omp_get_thread_num(void) { return 0; }
EXPORTED int cdvft_parallel(void) { return 0; }
#endif

/* One call's scratch: spectra and alpha a_m, which threads share, and a part for each thread. */
typedef struct {
    char *memory, *parts;
    float *last;
    wide widest, sums; /* longest row of blocks; what a thread sums over tokens for gradients */
    size_t part, sums_at; /* bytes of a part, and where in it the sums begin */
} scratch;

static void *allocate(char **memory, size_t bytes) {
    char *start = *memory;
    *memory += (bytes + 63) / 64 * 64;
    return start;
}

static int prepare(scratch *own, stage *stages, int count, const float *last, float alpha, int backward, int threads) {
    wide d_out = stages[count - 1].d_out, kept = 0, all_entries = 0;
    own->widest = 0, own->sums = d_out;
    for (const stage *s = stages; s < stages + count; s++) {
        own->widest = larger(own->widest, larger(width_in(s), width_out(s)));
        own->sums += s->d_in + 2 * entries(s);
        all_entries += entries(s);
        kept += width_in(s) + width_out(s);
    }
    own->sums_at = (own->widest + (backward ? kept : own->widest)) * sizeof(complex_lanes);
    own->part = own->sums_at + (backward ? (own->sums * sizeof(float) + 63) / 64 * 64 : 0);
    size_t shared = all_entries * sizeof(complex_float) + d_out * sizeof(float) + 64 * (count + 1);
    size_t bytes = (shared + threads * own->part + 63) / 64 * 64;
    char *memory = own->memory = allocate_lines(bytes);
    if (!memory) return 0;
    own->last = allocate(&memory, d_out * sizeof(float));
    for (wide k = 0; k < d_out; k++) own->last[k] = alpha * last[k];
    for (stage *s = stages; s < stages + count; s++)
        s->spectrum = allocate(&memory, entries(s) * sizeof(complex_float));
    own->parts = memory;
    for (stage *s = stages; s < stages + count; s++) make_spectrum(s, (complex_lanes *)own->parts);
    return 1;
}

/* y += alpha diag(last) C ... diag(a_1) x; x (tokens, d_in) in rows `stride` apart, y contiguous. Returns whether
   there was memory. The stages may be another caller's too, at the same time. */
EXPORTED int cdvft_forward(const stage *shared, int count, wide tokens, const float *x, wide stride, const float *last,
                           float alpha, float *y, int threads) {
    stage stages[count];
    memcpy(stages, shared, sizeof stages);
    scratch own;
    if (!prepare(&own, stages, count, last, alpha, 0, threads)) return 0;
    const stage *top = stages + count - 1;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (wide first = 0; first < tokens; first += TOKENS) {
        int here = (int)smaller(TOKENS, tokens - first);
        complex_lanes *z = (complex_lanes *)(own.parts + omp_get_thread_num() * own.part), *u = z;
        columns rows = {x + first * stride, stride, here, 0, stages->d_in}, out = {0, 0, here, 0, top->d_out};
        prefetch_range next_rows = prefetch_of_rows(x, stride, first + TOKENS, tokens, stages->d_in);
        prefetch_range out_rows = prefetch_of_rows(y, top->d_out, first, tokens, top->d_out);
        prefetch_range prefetch[] = {out_rows, next_rows, no_prefetch};
        prefetch_pages(next_rows), prefetch_pages(prefetch_of_rows(y, top->d_out, first + TOKENS, tokens, top->d_out));
        for (const stage *s = stages; s <= top; s++) {
            columns before = {0, 0, TOKENS, u, s->d_in};
            load_and_first_pass(s, s->q2, s > stages ? &before : &rows, s->diagonal, z, 0, 0);
            u = in_place(s) ? z : z + own.widest;
            convolve_all(s, z, u, FORWARD, 0, 0, prefetch);
            if (s < top) last_pass_and_store(s, s->q1, u, 0, 0, 0, 0);
        }
        last_pass_and_store(top, top->q1, u, &out, y + first * top->d_out, own.last, 0);
    }
    free_lines(own.memory);
    return 1;
}

/* Backward's memory for a stage: its input's spectrum, then its output, later overwritten by its gradient. */
static complex_lanes *output(const stage *s, complex_lanes *kept) { return kept + width_in(s); }
static complex_lanes *next(const stage *s, complex_lanes *kept) { return output(s, kept) + width_out(s); }
static complex_lanes *previous(const stage *s, complex_lanes *kept) {
    return kept - width_out(s - 1) - width_in(s - 1);
}

/* Gradients of sum(grad * y), by the stages' diagonals, by `last` and by the circulants one after the other into
   `grads`; where grad_x (contiguous) is given, grad_x += that by x. Returns whether there was memory. */
EXPORTED int cdvft_backward(stage *stages, int count, wide tokens, const float *x, wide stride, const float *last,
                            float alpha, const float *grad, float *grad_x, float *grads, int threads) {
    scratch own;
    if (!prepare(&own, stages, count, last, alpha, 1, threads)) return 0;
    const stage *top = stages + count - 1;
    wide d_in = stages->d_in, d_out = top->d_out, diagonals = 0;
    for (const stage *s = stages; s <= top; s++) diagonals += s->d_in;
    for (int thread = 0; thread < threads; thread++) /* even those that may never start */
        memset(own.parts + thread * own.part + own.sums_at, 0, own.sums * sizeof(float));
#pragma omp parallel for schedule(static) num_threads(threads)
    for (wide first = 0; first < tokens; first += TOKENS) {
        int here = (int)smaller(TOKENS, tokens - first);
        char *part = own.parts + omp_get_thread_num() * own.part;
        complex_lanes *other = (complex_lanes *)part, *z = other + own.widest, *u = 0, *d = 0;
        float *diagonal_sum = (float *)(part + own.sums_at) + diagonals, *sum = diagonal_sum + d_out;
        columns rows = {x + first * stride, stride, here, 0, d_in};
        columns grad_rows = {grad + first * d_out, d_out, here, 0, d_out};
        prefetch_range next_rows = prefetch_of_rows(x, stride, first + TOKENS, tokens, d_in);
        prefetch_range prefetch[] = {prefetch_of_rows(grad, d_out, first, tokens, d_out),
                                     grad_x ? prefetch_of_rows(grad_x, d_in, first, tokens, d_in) : next_rows,
                                     next_rows, no_prefetch};
        prefetch_pages(next_rows), prefetch_pages(prefetch_of_rows(grad, d_out, first + TOKENS, tokens, d_out));
        if (grad_x) prefetch_pages(prefetch_of_rows(grad_x, d_in, first + TOKENS, tokens, d_in));
        for (const stage *s = stages; s <= top; z = next(s, z), sum += 2 * entries(s), s++) {
            columns before = {0, 0, TOKENS, u, s->d_in};
            load_and_first_pass(s, s->q2, s > stages ? &before : &rows, s->diagonal, z, 0, 0);
            u = output(s, z);
            convolve_all(s, z, u, FORWARD, 0, 0, prefetch);
            if (s < top) last_pass_and_store(s, s->q1, u, 0, 0, 0, 0);
        }
        for (const stage *s = top; s >= stages; s--) {
            z = previous(s + 1, z), u = output(s, z), sum -= 2 * entries(s);
            columns after = {0, 0, TOKENS, d, s->d_out};
            if (s == top) load_and_first_pass(s, s->q1, &grad_rows, own.last, u, 1, diagonal_sum);
            else load_and_first_pass(s, s->q1, &after, s[1].diagonal, u, 0, diagonal_sum);
            d = in_place(s) ? u : other;
            convolve_all(s, u, d, INVERSE, z, sum, prefetch);
            diagonal_sum -= s->d_in;
            if (s > stages) last_pass_and_store(s, s->q2, d, 0, 0, 0, 0);
        }
        last_pass_and_store(stages, stages->q2, d, &rows, grad_x ? grad_x + first * d_in : 0, stages->diagonal,
                            diagonal_sum);
    }
    float *found = (float *)(own.parts + own.sums_at);
    for (int thread = 1; thread < threads; thread++)
        for (wide k = 0; k < own.sums; k++)
            found[k] += ((const float *)(own.parts + thread * own.part + own.sums_at))[k];
    memcpy(grads, found, diagonals * sizeof(float));
    for (wide k = 0; k < d_out; k++) grads[diagonals + k] = alpha * found[diagonals + k];
    grads += diagonals + d_out, found += diagonals + d_out;
    for (const stage *s = stages; s <= top; grads += entries(s), found += 2 * entries(s), s++)
        circulant_gradient(s, found, (complex_lanes *)own.parts, grads);
    free_lines(own.memory);
    return 1;
}
