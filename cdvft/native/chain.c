/* y += alpha diag(a_m) C_{m-1} ... C_1 diag(a_1) x and its gradients, float32, 2 L tokens at a time.
   Real circulants act alike on real and imaginary parts, so two tokens share one complex transform and nothing
   need be unpacked: with P = FFT(u + i u') and Q = FFT(h + i h'), the real part of IFFT(conj(P) Q) is the
   correlation of u and h plus that of u' and h', which is what the gradient of a circulant sums; so do the lanes,
   which are added up after one last transform. */
#include <stdint.h>
#include <stdlib.h>

#include "rows.h"

#ifdef _OPENMP
#include <omp.h>
int cdvft_parallel(void) { return 1; }
#else
static int omp_get_thread_num(void) { return 0; }
int cdvft_parallel(void) { return 0; }
#endif

typedef struct {
    int64_t d_in, d_out, q1, q2, p; /* q1 x q2 circulant blocks of p x p */
    const int32_t *radixes;
    const complex_float *twiddles;
    const float *diagonal;   /* (d_in), applied before the circulant */
    const float *circulant;  /* (q1, q2, p), first columns */
    complex_float *spectrum; /* (q1, q2, p), digit-reversed, divided by p; made here */
} stage;

static long larger(long a, long b) { return a > b ? a : b; }
static long width_in(const stage *s) { return s->q2 * s->p; }
static long width_out(const stage *s) { return s->q1 * s->p; }
static long entries(const stage *s) { return s->q1 * s->q2 * s->p; }

static void scale(const complex_lanes *y, const float *a, long d, long width, complex_lanes *z) {
    for (long k = 0; k < d; k++) z[k].re = a[k] * y[k].re, z[k].im = a[k] * y[k].im;
    memset(z + d, 0, (width - d) * sizeof *z);
}

static void transform(const stage *s, complex_lanes *a, long blocks) {
    for (long i = 0; i < blocks; i++) fft(a + i * s->p, s->p, s->radixes, s->twiddles);
}

static void transform_back(const stage *s, complex_lanes *a, long blocks) {
    for (long i = 0; i < blocks; i++) inverse_fft(a + i * s->p, s->p, s->radixes, s->twiddles);
}

/* u_i = sum_j C_ij z_j, or with INVERSE, by the transpose, u_j = sum_i conj(C_ij) z_i */
INLINE void apply(const stage *s, const complex_lanes *z, complex_lanes *u, int direction) {
    long p = s->p, to = direction == FORWARD ? s->q1 : s->q2, from = direction == FORWARD ? s->q2 : s->q1;
    for (long i = 0; i < to; i++)
        for (long j = 0; j < from; j++) {
            const complex_float *c = s->spectrum + (direction == FORWARD ? i * s->q2 + j : j * s->q2 + i) * p;
            complex_lanes *target = u + i * p;
            const complex_lanes *source = z + j * p;
            for (long k = 0; k < p; k++) {
                complex_lanes product = multiply(source[k], c[k], direction);
                target[k] = j ? add(target[k], product) : product;
            }
        }
}

/* sum_ij += conj(z_j) h_i */
static void correlate(const stage *s, const complex_lanes *z, const complex_lanes *h, complex_lanes *sum) {
    long p = s->p;
    for (long i = 0; i < s->q1; i++)
        for (long j = 0; j < s->q2; j++, sum += p)
            for (long k = 0; k < p; k++) {
                complex_lanes a = z[j * p + k], b = h[i * p + k];
                sum[k].re += a.re * b.re + a.im * b.im;
                sum[k].im += a.re * b.im - a.im * b.re;
            }
}

static float total(lanes v) {
    float sum = 0;
    for (int l = 0; l < L; l++) sum += v[l];
    return sum;
}

/* Spectra of the circulants, L blocks at a time. */
static void make_spectrum(const stage *s, complex_lanes *z) {
    long p = s->p, blocks = s->q1 * s->q2;
    for (long first = 0; first < blocks; first += L) {
        long here = smaller(L, blocks - first);
        const float *c = s->circulant + first * p;
        complex_float *spectrum = s->spectrum + first * p;
        memset(z, 0, p * sizeof *z);
        for (long l = 0; l < here; l++)
            for (long k = 0; k < p; k++) z[k].re[l] = c[l * p + k] / p;
        transform(s, z, 1);
        for (long l = 0; l < here; l++)
            for (long k = 0; k < p; k++) spectrum[l * p + k] = (complex_float){z[k].re[l], z[k].im[l]};
    }
}

/* One call's scratch: spectra and alpha a_m, which threads share, and a part for each thread. */
typedef struct {
    char *memory, *parts;
    float *last;
    long widest, gradients;    /* longest row of blocks; entries of all factors */
    size_t part, gradients_at; /* bytes of a part, and where in it sums for the gradients begin */
} scratch;

static void *take(char **memory, size_t bytes) {
    char *start = *memory;
    *memory += (bytes + 63) / 64 * 64;
    return start;
}

static int begin(scratch *own, stage *stages, int count, const float *last, float alpha, int backward, int threads) {
    long d_out = stages[count - 1].d_out, kept = 0, all_entries = 0;
    own->widest = 0, own->gradients = d_out;
    for (const stage *s = stages; s < stages + count; s++) {
        own->widest = larger(own->widest, larger(width_in(s), width_out(s)));
        own->gradients += s->d_in + entries(s);
        all_entries += entries(s);
        kept += width_in(s) + width_out(s) + entries(s);
    }
    own->gradients_at = (2 * own->widest + (backward ? kept : 0)) * sizeof(complex_lanes);
    own->part = own->gradients_at + (backward ? (own->gradients * sizeof(float) + 63) / 64 * 64 : 0);
    size_t shared = all_entries * sizeof(complex_float) + d_out * sizeof(float) + 64 * (count + 1);
    size_t bytes = (shared + threads * own->part + 63) / 64 * 64;
    char *memory = own->memory = aligned_alloc(64, bytes);
    if (!memory) return 0;
    own->last = take(&memory, d_out * sizeof(float));
    for (long k = 0; k < d_out; k++) own->last[k] = alpha * last[k];
    for (stage *s = stages; s < stages + count; s++) s->spectrum = take(&memory, entries(s) * sizeof(complex_float));
    own->parts = memory;
    for (stage *s = stages; s < stages + count; s++) make_spectrum(s, (complex_lanes *)own->parts);
    return 1;
}

/* y += alpha diag(last) C ... diag(a_1) x; x (tokens, d_in) in rows `stride` apart, y contiguous. Returns whether
   there was memory. */
int cdvft_forward(stage *stages, int count, long tokens, const float *x, long stride, const float *last, float alpha,
                  float *y, int threads) {
    scratch own;
    if (!begin(&own, stages, count, last, alpha, 0, threads)) return 0;
    long d_out = stages[count - 1].d_out;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (long first = 0; first < tokens; first += TOKENS) {
        int here = (int)smaller(TOKENS, tokens - first);
        complex_lanes *z = (complex_lanes *)(own.parts + omp_get_thread_num() * own.part), *u = z + own.widest;
        for (const stage *s = stages; s < stages + count; s++) {
            if (s > stages) scale(u, s->diagonal, s->d_in, width_in(s), z);
            else load(x + first * stride, stride, here, s->diagonal, s->d_in, width_in(s), z);
            transform(s, z, s->q2);
            apply(s, z, u, FORWARD);
            transform_back(s, u, s->q1);
        }
        store(u, here, d_out, y + first * d_out, own.last, 0, 0, 0);
    }
    free(own.memory);
    return 1;
}

/* What backward keeps of a stage: its input's spectrum, its output, and a sum over tokens for the circulant. */
static complex_lanes *output(const stage *s, complex_lanes *kept) { return kept + width_in(s); }
static complex_lanes *sum_of(const stage *s, complex_lanes *kept) { return output(s, kept) + width_out(s); }
static complex_lanes *next(const stage *s, complex_lanes *kept) { return sum_of(s, kept) + entries(s); }
static complex_lanes *previous(const stage *s, complex_lanes *kept) {
    return kept - entries(s - 1) - width_out(s - 1) - width_in(s - 1);
}

/* Gradients of sum(grad * y), by the stages' diagonals, by `last` and by the circulants one after the other into
   `grads`; where grad_x (contiguous) is given, grad_x += that by x. Returns whether there was memory. */
int cdvft_backward(stage *stages, int count, long tokens, const float *x, long stride, const float *last, float alpha,
                   const float *grad, float *grad_x, float *grads, int threads) {
    scratch own;
    if (!begin(&own, stages, count, last, alpha, 1, threads)) return 0;
    const stage *end = stages + count;
    long d_in = stages[0].d_in, d_out = end[-1].d_out, diagonals = 0;
    for (const stage *s = stages; s < end; s++) diagonals += s->d_in;
    for (int thread = 0; thread < threads; thread++) /* even those that may never start */
        memset(own.parts + thread * own.part + own.gradients_at, 0, own.gradients * sizeof(float));
#pragma omp parallel num_threads(threads)
    {
        char *part = own.parts + omp_get_thread_num() * own.part;
        complex_lanes *h = (complex_lanes *)part, *d = h + own.widest, *kept = d + own.widest;
        float *grad_last = (float *)(part + own.gradients_at) + diagonals;
        for (const stage *s = stages; s < end; kept = next(s, kept), s++)
            memset(sum_of(s, kept), 0, entries(s) * sizeof *kept);
        kept = d + own.widest;
#pragma omp for schedule(static)
        for (long first = 0; first < tokens; first += TOKENS) {
            int here = (int)smaller(TOKENS, tokens - first);
            const float *rows = x + first * stride, *grad_rows = grad + first * d_out;
            complex_lanes *z = kept, *y = 0;
            for (const stage *s = stages; s < end; z = next(s, z), s++) {
                if (s > stages) scale(y, s->diagonal, s->d_in, width_in(s), z);
                else load(rows, stride, here, s->diagonal, s->d_in, width_in(s), z);
                transform(s, z, s->q2);
                y = output(s, z);
                apply(s, z, y, FORWARD);
                transform_back(s, y, s->q1);
            }
            store(y, here, d_out, 0, 0, grad_rows, d_out, grad_last);
            load(grad_rows, d_out, here, own.last, d_out, width_out(end - 1), h);
            float *grad_diagonal = grad_last;
            for (const stage *s = end - 1; s >= stages; s--) {
                z = previous(s + 1, z);
                transform(s, h, s->q1);
                correlate(s, z, h, sum_of(s, z));
                apply(s, h, d, INVERSE);
                transform_back(s, d, s->q2);
                grad_diagonal -= s->d_in;
                if (s > stages) {
                    y = output(s - 1, previous(s, z));
                    for (long k = 0; k < s->d_in; k++) grad_diagonal[k] += total(d[k].re * y[k].re + d[k].im * y[k].im);
                    scale(d, s->diagonal, s->d_in, width_out(s - 1), h);
                }
                else if (grad_x) store(d, here, d_in, grad_x + first * d_in, s->diagonal, rows, stride, grad_diagonal);
                else store(d, here, d_in, 0, 0, rows, stride, grad_diagonal);
            }
        }
        for (long k = 0; k < d_out; k++) grad_last[k] *= alpha;
        float *grad_circulant = grad_last + d_out;
        for (const stage *s = stages; s < end; kept = next(s, kept), s++) {
            transform_back(s, sum_of(s, kept), s->q1 * s->q2);
            for (long k = 0; k < entries(s); k++) *grad_circulant++ = total(sum_of(s, kept)[k].re) / s->p;
        }
    }
    memset(grads, 0, own.gradients * sizeof(float));
    for (int thread = 0; thread < threads; thread++) {
        const float *found = (const float *)(own.parts + thread * own.part + own.gradients_at);
        for (long k = 0; k < own.gradients; k++) grads[k] += found[k];
    }
    free(own.memory);
    return 1;
}
