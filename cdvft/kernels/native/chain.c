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
    wide widest, spectra, sums; /* longest row of blocks, and of their spectra; what a thread sums over tokens */
    size_t part, sums_at; /* bytes of a part, and where in it the sums begin */
} scratch;

static void *allocate(char **memory, size_t bytes) {
    char *start = *memory;
    *memory += (bytes + 63) / 64 * 64;
    return start;
}

static int prepare(scratch *own, stage *stages, int count, const float *last, float alpha, int backward, int threads) {
    const stage *top = stages + count - 1;
    wide d_out = top->d_out, kept = 0, outputs = 0, all_entries = 0;
    own->widest = own->spectra = 0, own->sums = backward ? d_out : 0;
    for (const stage *s = stages; s <= top; s++) {
        own->widest = larger(own->widest, larger(width_in(s), width_out(s)));
        own->spectra = larger(own->spectra, larger(spectra_in(s), spectra_out(s)));
        all_entries += entries(s);
        kept += spectra_in(s) + spectra_out(s);
        if (s < top) outputs += width_out(s);
        if (backward) own->sums += s->d_in + sums_of(s);
    }
    wide complex_ones = own->spectra + (backward ? kept : own->spectra);
    wide real_ones = own->widest * (count > 1 ? 2 : 1) + (backward ? outputs : 0);
    size_t slack = 64 * (3 * count + 4); /* each begins at a line */
    own->sums_at = (complex_ones * sizeof(complex_lanes) + real_ones * sizeof(lanes) + slack) / 64 * 64;
    own->part = own->sums_at + (own->sums * sizeof(float) + 63) / 64 * 64;
    size_t shared = all_entries * sizeof(complex_float) + d_out * sizeof(float) + 64 * (count + 1);
    size_t bytes = (shared + threads * own->part + 63) / 64 * 64;
    char *memory = own->memory = allocate_lines(bytes);
    if (!memory) return 0;
    own->last = allocate(&memory, d_out * sizeof(float));
    for (wide k = 0; k < d_out; k++) own->last[k] = alpha * last[k];
    for (stage *s = stages; s <= top; s++) s->spectrum = allocate(&memory, entries(s) * sizeof(complex_float));
    own->parts = memory;
    for (stage *s = stages; s <= top; s++) {
        lanes *left = (lanes *)own->parts;
        make_spectrum(s, (complex_lanes *)(left + own->widest), left);
    }
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
        lanes *left = (lanes *)(own.parts + omp_get_thread_num() * own.part), *between = left + own.widest;
        complex_lanes *z = (complex_lanes *)(count > 1 ? between + own.widest : between), *u = z;
        columns rows = {x + first * stride, stride, here, 0, stages->d_in}, out = {0, 0, here, 0, top->d_out};
        prefetch_range next_rows = prefetch_of_rows(x, stride, first + TOKENS, tokens, stages->d_in);
        prefetch_range out_rows = prefetch_of_rows(y, top->d_out, first, tokens, top->d_out);
        prefetch_range prefetch[] = {out_rows, next_rows, no_prefetch};
        prefetch_pages(next_rows), prefetch_pages(prefetch_of_rows(y, top->d_out, first + TOKENS, tokens, top->d_out));
        for (const stage *s = stages; s <= top; s++) {
            columns before = {0, 0, TOKENS, between, s->d_in};
            load_and_first_pass(s, s->q2, s > stages ? &before : &rows, s->diagonal, z, left, 0, 0);
            u = in_place(s) ? z : z + own.spectra;
            convolve_all((convolution){s, z, u, left, FORWARD, 0, 0, prefetch});
            if (s < top) last_pass_and_store(s, s->q1, u, left, 0, 0, 0, 0, between);
        }
        last_pass_and_store(top, top->q1, u, left, &out, y + first * top->d_out, own.last, 0, 0);
    }
    free_lines(own.memory);
    return 1;
}

/* What backward keeps of a stage: its input's spectrum; its output's, later overwritten by that of its gradient; its
   output, of all but the last. */
typedef struct {
    complex_lanes *z, *u;
    lanes *output;
} kept;

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
        char *part = own.parts + omp_get_thread_num() * own.part, *memory = part;
        lanes *left = allocate(&memory, own.widest * sizeof(lanes));
        lanes *by_output = count > 1 ? allocate(&memory, own.widest * sizeof(lanes)) : 0;
        complex_lanes *other = allocate(&memory, own.spectra * sizeof *other), *d = 0;
        float *diagonal_sum = (float *)(part + own.sums_at) + diagonals, *sum = diagonal_sum + d_out;
        columns rows = {x + first * stride, stride, here, 0, d_in};
        columns grad_rows = {grad + first * d_out, d_out, here, 0, d_out};
        prefetch_range next_rows = prefetch_of_rows(x, stride, first + TOKENS, tokens, d_in);
        prefetch_range prefetch[] = {prefetch_of_rows(grad, d_out, first, tokens, d_out),
                                     grad_x ? prefetch_of_rows(grad_x, d_in, first, tokens, d_in) : next_rows,
                                     next_rows, no_prefetch};
        prefetch_pages(next_rows), prefetch_pages(prefetch_of_rows(grad, d_out, first + TOKENS, tokens, d_out));
        if (grad_x) prefetch_pages(prefetch_of_rows(grad_x, d_in, first + TOKENS, tokens, d_in));
        kept of[count], *own_of = of;
        for (const stage *s = stages; s <= top; sum += sums_of(s), s++, own_of++) {
            own_of->z = allocate(&memory, spectra_in(s) * sizeof *other);
            own_of->u = allocate(&memory, spectra_out(s) * sizeof *other);
            own_of->output = s < top ? allocate(&memory, width_out(s) * sizeof(lanes)) : 0;
            columns before = {0, 0, TOKENS, s > stages ? own_of[-1].output : 0, s->d_in};
            load_and_first_pass(s, s->q2, s > stages ? &before : &rows, s->diagonal, own_of->z, left, 0, 0);
            convolve_all((convolution){s, own_of->z, own_of->u, left, FORWARD, 0, 0, prefetch});
            if (s < top) last_pass_and_store(s, s->q1, own_of->u, left, 0, 0, 0, 0, own_of->output);
        }
        for (const stage *s = top; s >= stages; s--) {
            own_of--, sum -= sums_of(s);
            columns after = {0, 0, TOKENS, by_output, s->d_out};
            load_and_first_pass(s, s->q1, s == top ? &grad_rows : &after, s == top ? own.last : s[1].diagonal,
                                own_of->u, left, diagonal_sum, own_of->output);
            d = in_place(s) ? own_of->u : other;
            convolve_all((convolution){s, own_of->u, d, left, INVERSE, own_of->z, sum, prefetch});
            diagonal_sum -= s->d_in;
            if (s > stages) last_pass_and_store(s, s->q2, d, left, 0, 0, 0, 0, by_output);
        }
        last_pass_and_store(stages, stages->q2, d, left, &rows, grad_x ? grad_x + first * d_in : 0, stages->diagonal,
                            diagonal_sum, 0);
    }
    float *found = (float *)(own.parts + own.sums_at);
    for (int thread = 1; thread < threads; thread++)
        for (wide k = 0; k < own.sums; k++)
            found[k] += ((const float *)(own.parts + thread * own.part + own.sums_at))[k];
    memcpy(grads, found, diagonals * sizeof(float));
    for (wide k = 0; k < d_out; k++) grads[diagonals + k] = alpha * found[diagonals + k];
    grads += diagonals + d_out, found += diagonals + d_out;
    for (const stage *s = stages; s <= top; found += sums_of(s), grads += s->q1 * s->q2 * s->p, s++) {
        lanes *left = (lanes *)own.parts;
        circulant_gradient(s, found, (complex_lanes *)(left + own.widest), left, grads);
    }
    free_lines(own.memory);
    return 1;
}
