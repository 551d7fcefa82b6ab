/* y += diag(a_m) C_{m-1} ... C_1 diag(a_1) x and its gradients, float32, 2 L tokens at a time.
   Real circulants act alike on real and imaginary parts, so two tokens share one complex transform and nothing
   need be unpacked: with P = FFT(u + i u') and Q = FFT(h + i h'), the real part of IFFT(conj(P) Q) is the
   correlation of u and h plus that of u' and h', which is what the gradient of a circulant sums; so do the lanes,
   which are added up after one last transform. */
#include <stdint.h>

#include "fft.h"

#define TOKENS (2 * L)
#define AHEAD 32 /* columns by which rows are fetched early: too many streams for the processor to foresee */

typedef struct {
    int64_t d_in, d_out, q1, q2, p; /* q1 x q2 circulant blocks of p x p */
    const int32_t *radixes;
    const complex_float *twiddles;
    const float *diagonal;         /* (d_in), applied before the circulant */
    const complex_float *spectrum; /* (q1, q2, p), digit-reversed, divided by p */
} stage;

static long smaller(long a, long b) { return a < b ? a : b; }
static long larger(long a, long b) { return a > b ? a : b; }
static long width_in(const stage *s) { return s->q2 * s->p; }
static long width_out(const stage *s) { return s->q1 * s->p; }
static long entries(const stage *s) { return s->q1 * s->q2 * s->p; }

/* What backward keeps of a stage, one after the other: its input's spectrum, its output, a sum over tokens. */
static long kept_size(const stage *s) { return width_in(s) + width_out(s) + entries(s); }

/* z[k] = a[k] times column k of the tokens' rows, zero from d to width and where tokens are missing */
static void load(const float *rows, long stride, int tokens, const float *a, long d, long width, complex_lanes *z) {
    const float *row[TOKENS];
    for (int t = 0; t < TOKENS; t++) row[t] = rows + (t < tokens ? t : 0) * stride;
    long k = 0;
    for (; k + L <= d; k += L)
        for (int half = 0; half < 2; half++) {
            lanes tile[L];
            for (int l = 0; l < L; l++) {
                int t = half * L + l;
                __builtin_prefetch(row[t] + k + AHEAD);
                tile[l] = t < tokens ? (lanes) * (const unaligned_lanes *)(row[t] + k) : (lanes){0};
            }
            transpose(tile);
            for (int l = 0; l < L; l++)
                if (half) z[k + l].im = a[k + l] * tile[l];
                else z[k + l].re = a[k + l] * tile[l];
        }
    for (; k < d; k++)
        for (int l = 0; l < L; l++) {
            z[k].re[l] = l < tokens ? a[k] * row[l][k] : 0;
            z[k].im[l] = L + l < tokens ? a[k] * row[L + l][k] : 0;
        }
    memset(z + k, 0, (width - k) * sizeof *z);
}

/* Back to rows: out[t][k] += a[k] u[k] where out is given, sum[k] += other[t][k] u[k] where other is. */
INLINE void store(const complex_lanes *u, int tokens, long d, float *out, const float *a, const float *other,
                  long stride, float *sum) {
    long k = 0;
    for (; k + L <= d; k += L) {
        lanes total = {0}, scale = out ? (lanes) * (const unaligned_lanes *)(a + k) : total;
        for (int half = 0; half < 2; half++) {
            lanes tile[L];
            for (int l = 0; l < L; l++) tile[l] = half ? u[k + l].im : u[k + l].re;
            transpose(tile);
            for (int l = 0; l < smaller(L, tokens - half * L); l++) {
                long t = half * L + l;
                if (other) __builtin_prefetch(other + t * stride + k + AHEAD);
                if (out) __builtin_prefetch(out + t * d + k + AHEAD, 1);
                if (other) total += tile[l] * *(const unaligned_lanes *)(other + t * stride + k);
                if (out) *(unaligned_lanes *)(out + t * d + k) += scale * tile[l];
            }
        }
        if (other) *(unaligned_lanes *)(sum + k) += total;
    }
    for (; k < d; k++)
        for (long t = 0; t < tokens; t++) {
            float value = t < L ? u[k].re[t] : u[k].im[t - L];
            if (other) sum[k] += value * other[t * stride + k];
            if (out) out[t * d + k] += a[k] * value;
        }
}

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

static long widest(const stage *stages, int count) {
    long width = 0;
    for (int s = 0; s < count; s++) width = larger(width, larger(width_in(stages + s), width_out(stages + s)));
    return width;
}

#ifdef _OPENMP
#include <omp.h>
int cdvft_parallel(void) { return 1; }
#else
static int omp_get_thread_num(void) { return 0; }
int cdvft_parallel(void) { return 0; }
#endif

/* Scratch floats that a thread needs. */
long cdvft_scratch(const stage *stages, int count, int backward) {
    long size = 2 * widest(stages, count);
    if (backward)
        for (int s = 0; s < count; s++) size += kept_size(stages + s);
    return size * (long)(sizeof(complex_lanes) / sizeof(float));
}

/* y += diag(last) C ... diag(a_1) x; x (tokens, d_in) in rows `stride` apart, y contiguous */
void cdvft_forward(const stage *stages, int count, long tokens, const float *x, long stride, const float *last,
                   float *y, float *scratch, int threads) {
    long groups = (tokens + TOKENS - 1) / TOKENS, size = cdvft_scratch(stages, count, 0);
    long d_out = stages[count - 1].d_out;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (long group = 0; group < groups; group++) {
        long first = group * TOKENS;
        int here = tokens - first < TOKENS ? (int)(tokens - first) : TOKENS;
        complex_lanes *z = (complex_lanes *)(scratch + omp_get_thread_num() * size), *u = z + widest(stages, count);
        for (int n = 0; n < count; n++) {
            const stage *s = stages + n;
            if (n) scale(u, s->diagonal, s->d_in, width_in(s), z);
            else load(x + first * stride, stride, here, s->diagonal, s->d_in, width_in(s), z);
            transform(s, z, s->q2);
            apply(s, z, u, FORWARD);
            transform_back(s, u, s->q1);
        }
        store(u, here, d_out, y + first * d_out, last, 0, 0, 0);
    }
}

/* Gradients by the stages' diagonals, by `last` and by the circulants, one after the other, in a zeroed row of
   `grads` for each thread; where grad_x (contiguous) is given, grad_x += that by x. */
void cdvft_backward(const stage *stages, int count, long tokens, const float *x, long stride, const float *grad,
                    const float *last, float *grad_x, float *grads, float *scratch, int threads) {
    long groups = (tokens + TOKENS - 1) / TOKENS, size = cdvft_scratch(stages, count, 1);
    long d_in = stages[0].d_in, d_out = stages[count - 1].d_out, row = d_out;
    for (int n = 0; n < count; n++) row += stages[n].d_in + entries(stages + n);
#pragma omp parallel num_threads(threads)
    {
        int thread = omp_get_thread_num();
        complex_lanes *h = (complex_lanes *)(scratch + thread * size), *d = h + widest(stages, count);
        complex_lanes *kept = d + widest(stages, count);
        float *grad_last = grads + thread * row;
        for (int n = 0; n < count; n++) grad_last += stages[n].d_in;
        for (long n = 0, at = 0; n < count; at += kept_size(stages + n++))
            memset(kept + at + width_in(stages + n) + width_out(stages + n), 0, entries(stages + n) * sizeof *kept);
#pragma omp for schedule(static)
        for (long group = 0; group < groups; group++) {
            long first = group * TOKENS;
            int here = tokens - first < TOKENS ? (int)(tokens - first) : TOKENS;
            const float *rows = x + first * stride, *grad_rows = grad + first * d_out;
            complex_lanes *z = kept, *y = 0;
            for (int n = 0; n < count; z += kept_size(stages + n++)) {
                const stage *s = stages + n;
                if (n) scale(y, s->diagonal, s->d_in, width_in(s), z);
                else load(rows, stride, here, s->diagonal, s->d_in, width_in(s), z);
                transform(s, z, s->q2);
                y = z + width_in(s);
                apply(s, z, y, FORWARD);
                transform_back(s, y, s->q1);
            }
            store(y, here, d_out, 0, 0, grad_rows, d_out, grad_last);
            load(grad_rows, d_out, here, last, d_out, width_out(stages + count - 1), h);
            float *grad_diagonal = grad_last;
            for (int n = count - 1; n >= 0; n--) {
                const stage *s = stages + n;
                z -= kept_size(s);
                transform(s, h, s->q1);
                correlate(s, z, h, z + width_in(s) + width_out(s));
                apply(s, h, d, INVERSE);
                transform_back(s, d, s->q2);
                grad_diagonal -= s->d_in;
                if (n == 0) {
                    if (grad_x) store(d, here, d_in, grad_x + first * d_in, s->diagonal, rows, stride, grad_diagonal);
                    else store(d, here, d_in, 0, 0, rows, stride, grad_diagonal);
                } else {
                    y = z - width_out(s - 1) - entries(s - 1);
                    for (long k = 0; k < s->d_in; k++) grad_diagonal[k] += total(d[k].re * y[k].re + d[k].im * y[k].im);
                    scale(d, s->diagonal, s->d_in, width_out(s - 1), h);
                }
            }
        }
        float *grad_circulant = grad_last + d_out;
        for (int n = 0; n < count; n++) {
            const stage *s = stages + n;
            complex_lanes *sum = kept + width_in(s) + width_out(s);
            transform_back(s, sum, s->q1 * s->q2);
            for (long k = 0; k < entries(s); k++) *grad_circulant++ = total(sum[k].re) / s->p;
            kept += kept_size(s);
        }
    }
}
