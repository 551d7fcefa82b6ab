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
    const int32_t *radixes;         /* the first, perhaps 1, is of the pass that rides along with loading */
    const complex_float *twiddles;
    const float *diagonal;   /* (d_in), applied before the circulant */
    const float *circulant;  /* (q1, q2, p), first columns */
    complex_float *spectrum; /* (p, q1, q2), digit-reversed, divided by p; made here */
} stage;

enum { LEAF = 128 }; /* elements of a token: of so many, all that `convolve` touches fits the smallest cache */

static ahead nothing = {0, 0}; /* also the end of a list */

static long larger(long a, long b) { return a > b ? a : b; }
static long width_in(const stage *s) { return s->q2 * s->p; }
static long width_out(const stage *s) { return s->q1 * s->p; }
static long entries(const stage *s) { return s->q1 * s->q2 * s->p; }
static int in_place(const stage *s) { return s->q1 * s->q2 == 1; }

/* The first pass goes by windows, columns that it combines: loaded or stored together, they stay in cache. */
typedef struct {
    int r;
    long m, blocks;
} windows;

static windows windows_of(const stage *s, long blocks) {
    int r = *s->radixes;
    return r == 1 ? (windows){1, blocks * s->p, 1} : (windows){r, s->p / r, blocks};
}

/* z = a x, up to and with the first pass; if `dot`, see `take`, and if also `finish`, by what the last inverse pass
   makes of z. */
INLINE void enter(const stage *s, long blocks, const columns *x, const float *a, complex_lanes *z, int finish,
                  float *dot) {
    windows by = windows_of(s, blocks);
    for (long b = 0; b < by.blocks; b++)
        for (long j = 0; j < by.m; j += L) {
            long n = smaller(L, by.m - j);
            complex_lanes *block = z + b * s->p;
            if (finish) inverse_pass(by.r, block, 1, by.m, j, j + n, s->twiddles, &nothing);
            for (int q = 0; q < by.r; q++) take(x, b * s->p + q * by.m + j, n, a, z, dot);
            forward_pass(by.r, block, 1, by.m, j, j + n, s->twiddles, &nothing);
        }
}

/* The last inverse pass, then, if x, see `give`. */
INLINE void leave(const stage *s, long blocks, complex_lanes *u, const columns *x, float *out, const float *a,
                  float *sum) {
    windows by = windows_of(s, blocks);
    for (long b = 0; b < by.blocks; b++)
        for (long j = 0; j < by.m; j += L) {
            long n = smaller(L, by.m - j);
            inverse_pass(by.r, u + b * s->p, 1, by.m, j, j + n, s->twiddles, &nothing);
            for (int half = 0; x && half < 2; half++)
                for (int q = 0; q < by.r; q++) give(u, b * s->p + q * by.m + j, n, half, x, out, a, sum);
        }
}

/* u_i = sum_j C_ij z_j, or with INVERSE, by the transpose, u_j = sum_i conj(C_ij) z_i, from k on, n of them */
INLINE void apply_of(long to, long from, const stage *s, const complex_lanes *z, complex_lanes *u, long k, long n,
                     int direction) {
    for (long end = k + n; k < end; k++) {
        const complex_float *c = s->spectrum + k * to * from;
        for (long i = 0; i < to; i++) {
            long row = direction == FORWARD ? from : 1, step = direction == FORWARD ? 1 : to;
            complex_lanes sum = multiply(z[k], c[i * row], direction);
            for (long j = 1; j < from; j++)
                sum = add(sum, multiply(z[j * s->p + k], c[i * row + j * step], direction));
            u[i * s->p + k] = sum;
        }
    }
}

INLINE void apply(const stage *s, const complex_lanes *z, complex_lanes *u, long k, long n, int direction) {
    if (in_place(s)) apply_of(1, 1, s, z, u, k, n, direction);
    else if (direction == FORWARD) apply_of(s->q1, s->q2, s, z, u, k, n, direction);
    else apply_of(s->q2, s->q1, s, z, u, k, n, direction);
}

/* re and im += the sums over tokens of conj(a_k) b_k for n <= L of them, where b repeats itself */
INLINE void add_products(const complex_lanes *a, const complex_lanes *b, int period, long n, float *re, float *im) {
    lanes v[L] = {{0}}, w[L] = {{0}};
    for (int l = 0; l < n; l++) v[l] = a[l].re * b[l % period].re + a[l].im * b[l % period].im;
    for (int l = 0; l < n; l++) w[l] = a[l].re * b[l % period].im - a[l].im * b[l % period].re;
    lanes found_re = sums(v), found_im = sums(w);
    for (int l = 0; l < n; l++) re[l] += found_re[l], im[l] += found_im[l];
}

/* sum_ij += conj(z_j) h_i from k on, n of them, real parts before all imaginary parts. Sums of L columns cost as much
   as one: blocks of fewer, which `convolve` takes whole, are taken several at a time. */
static void correlate(const stage *s, const complex_lanes *z, const complex_lanes *h, long k, long n, float *sum) {
    long p = s->p, small = p < L, blocks = small ? 1 : s->q2, row = small ? s->q2 * p : n, step = small ? L / p * p : L;
    for (long i = 0; i < s->q1; i++)
        for (long j = 0; j < blocks; j++)
            for (long m = 0; m < row; m += step) {
                const complex_lanes *a = z + j * p + k + m, *b = h + i * p + k + (small ? 0 : m);
                float *re = sum + (i * s->q2 + j) * p + k + m, *im = re + entries(s);
                if (m + L <= row && !small) add_products(a, b, L, L, re, im);
                else add_products(a, b, (int)smaller(p, L), smaller(step, row - m), re, im);
            }
}

/* Transform, multiply by the spectra and transform back frequencies `at` to `at + n` of every block, depth first, so
   that all but the outermost passes stay in the smallest cache; with INVERSE, add what `correlate` does of z. */
static void convolve(const stage *s, complex_lanes *from, complex_lanes *to, int direction, const complex_lanes *z,
                     float *sum, ahead *soon, long at, long n, const int *radix, const complex_float *w) {
    long p = s->p, ins = direction == FORWARD ? s->q2 : s->q1, outs = direction == FORWARD ? s->q1 : s->q2;
    while (soon->at && soon->at >= soon->end) soon++;
    if (n <= LEAF) {
        for (long b = 0; b < ins; b++) fft(from + b * p + at, n, radix, w, soon);
        if (direction == FORWARD) apply(s, from, to, at, n, FORWARD);
        else correlate(s, z, from, at, n, sum), apply(s, from, to, at, n, INVERSE);
        for (long b = 0; b < outs; b++) inverse_fft(to + b * p + at, n, radix, w, soon);
        return;
    }
    long m = n / *radix;
    for (long b = 0; b < ins; b++) forward_pass(*radix, from + b * p + at, 1, m, 0, m, w, soon);
    for (int q = 0; q < *radix; q++)
        convolve(s, from, to, direction, z, sum, soon, at + q * m, m, radix + 1, w + m * (*radix - 1));
    for (long b = 0; b < outs; b++) inverse_pass(*radix, to + b * p + at, 1, m, 0, m, w, soon);
}

/* All frequencies, but for the passes of `enter` and `leave` */
static void convolve_all(const stage *s, complex_lanes *from, complex_lanes *to, int direction, const complex_lanes *z,
                         float *sum, ahead *soon) {
    long r = *s->radixes, m = s->p / r;
    for (long q = 0; q < r; q++)
        convolve(s, from, to, direction, z, sum, soon, q * m, m, s->radixes + 1, s->twiddles + m * (r - 1));
}

/* Spectra of the circulants, L blocks at a time. */
static void make_spectrum(const stage *s, complex_lanes *z) {
    long p = s->p, blocks = s->q1 * s->q2;
    for (long first = 0; first < blocks; first += L) {
        long here = smaller(L, blocks - first);
        const float *c = s->circulant + first * p;
        memset(z, 0, p * sizeof *z);
        for (long l = 0; l < here; l++)
            for (long k = 0; k < p; k++) z[k].re[l] = c[l * p + k] / p;
        fft(z, p, s->radixes, s->twiddles, &nothing);
        for (long k = 0; k < p; k++)
            for (long l = 0; l < here; l++)
                s->spectrum[k * blocks + first + l] = (complex_float){z[k].re[l], z[k].im[l]};
    }
}

/* The reverse: from what `correlate` sums to the gradient by the circulants. */
static void circulant_gradient(const stage *s, const float *sum, complex_lanes *z, float *grad) {
    long p = s->p, blocks = s->q1 * s->q2;
    for (long first = 0; first < blocks; first += L) {
        long here = smaller(L, blocks - first);
        const float *re = sum + first * p, *im = re + entries(s);
        memset(z, 0, p * sizeof *z);
        for (long l = 0; l < here; l++)
            for (long k = 0; k < p; k++) z[k].re[l] = re[l * p + k], z[k].im[l] = im[l * p + k];
        inverse_fft(z, p, s->radixes, s->twiddles, &nothing);
        for (long l = 0; l < here; l++)
            for (long k = 0; k < p; k++) grad[(first + l) * p + k] = z[k].re[l] / p;
    }
}

/* One call's scratch: spectra and alpha a_m, which threads share, and a part for each thread. */
typedef struct {
    char *memory, *parts;
    float *last;
    long widest, sums; /* longest row of blocks; what a thread sums over tokens for gradients */
    size_t part, sums_at; /* bytes of a part, and where in it the sums begin */
} scratch;

static void *take_bytes(char **memory, size_t bytes) {
    char *start = *memory;
    *memory += (bytes + 63) / 64 * 64;
    return start;
}

static int begin(scratch *own, stage *stages, int count, const float *last, float alpha, int backward, int threads) {
    long d_out = stages[count - 1].d_out, kept = 0, all_entries = 0;
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
    char *memory = own->memory = aligned_alloc(64, bytes);
    if (!memory) return 0;
    own->last = take_bytes(&memory, d_out * sizeof(float));
    for (long k = 0; k < d_out; k++) own->last[k] = alpha * last[k];
    for (stage *s = stages; s < stages + count; s++)
        s->spectrum = take_bytes(&memory, entries(s) * sizeof(complex_float));
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
    const stage *top = stages + count - 1;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (long first = 0; first < tokens; first += TOKENS) {
        int here = (int)smaller(TOKENS, tokens - first);
        complex_lanes *z = (complex_lanes *)(own.parts + omp_get_thread_num() * own.part), *u = z;
        columns rows = {x + first * stride, stride, here, 0, stages->d_in}, out = {0, 0, here, 0, top->d_out};
        ahead next_rows = rows_ahead(x, stride, first + TOKENS, tokens, stages->d_in);
        ahead soon[] = {rows_ahead(y, top->d_out, first, tokens, top->d_out), next_rows, nothing};
        open_pages(next_rows), open_pages(rows_ahead(y, top->d_out, first + TOKENS, tokens, top->d_out));
        for (const stage *s = stages; s <= top; s++) {
            columns before = {0, 0, TOKENS, u, s->d_in};
            enter(s, s->q2, s > stages ? &before : &rows, s->diagonal, z, 0, 0);
            u = in_place(s) ? z : z + own.widest;
            convolve_all(s, z, u, FORWARD, 0, 0, soon);
            if (s < top) leave(s, s->q1, u, 0, 0, 0, 0);
        }
        leave(top, top->q1, u, &out, y + first * top->d_out, own.last, 0);
    }
    free(own.memory);
    return 1;
}

/* What backward keeps of a stage: its input's spectrum and its output, which gives way to the gradient by it. */
static complex_lanes *output(const stage *s, complex_lanes *kept) { return kept + width_in(s); }
static complex_lanes *next(const stage *s, complex_lanes *kept) { return output(s, kept) + width_out(s); }
static complex_lanes *previous(const stage *s, complex_lanes *kept) {
    return kept - width_out(s - 1) - width_in(s - 1);
}

/* Gradients of sum(grad * y), by the stages' diagonals, by `last` and by the circulants one after the other into
   `grads`; where grad_x (contiguous) is given, grad_x += that by x. Returns whether there was memory. */
int cdvft_backward(stage *stages, int count, long tokens, const float *x, long stride, const float *last, float alpha,
                   const float *grad, float *grad_x, float *grads, int threads) {
    scratch own;
    if (!begin(&own, stages, count, last, alpha, 1, threads)) return 0;
    const stage *top = stages + count - 1;
    long d_in = stages->d_in, d_out = top->d_out, diagonals = 0;
    for (const stage *s = stages; s <= top; s++) diagonals += s->d_in;
    for (int thread = 0; thread < threads; thread++) /* even those that may never start */
        memset(own.parts + thread * own.part + own.sums_at, 0, own.sums * sizeof(float));
#pragma omp parallel for schedule(static) num_threads(threads)
    for (long first = 0; first < tokens; first += TOKENS) {
        int here = (int)smaller(TOKENS, tokens - first);
        char *part = own.parts + omp_get_thread_num() * own.part;
        complex_lanes *other = (complex_lanes *)part, *z = other + own.widest, *u = 0, *d = 0;
        float *diagonal_sum = (float *)(part + own.sums_at) + diagonals, *sum = diagonal_sum + d_out;
        columns rows = {x + first * stride, stride, here, 0, d_in};
        columns grad_rows = {grad + first * d_out, d_out, here, 0, d_out};
        ahead next_rows = rows_ahead(x, stride, first + TOKENS, tokens, d_in);
        ahead soon[] = {rows_ahead(grad, d_out, first, tokens, d_out),
                        grad_x ? rows_ahead(grad_x, d_in, first, tokens, d_in) : next_rows, next_rows, nothing};
        open_pages(next_rows), open_pages(rows_ahead(grad, d_out, first + TOKENS, tokens, d_out));
        if (grad_x) open_pages(rows_ahead(grad_x, d_in, first + TOKENS, tokens, d_in));
        for (const stage *s = stages; s <= top; z = next(s, z), sum += 2 * entries(s), s++) {
            columns before = {0, 0, TOKENS, u, s->d_in};
            enter(s, s->q2, s > stages ? &before : &rows, s->diagonal, z, 0, 0);
            u = output(s, z);
            convolve_all(s, z, u, FORWARD, 0, 0, soon);
            if (s < top) leave(s, s->q1, u, 0, 0, 0, 0);
        }
        for (const stage *s = top; s >= stages; s--) {
            z = previous(s + 1, z), u = output(s, z), sum -= 2 * entries(s);
            columns after = {0, 0, TOKENS, d, s->d_out};
            if (s == top) enter(s, s->q1, &grad_rows, own.last, u, 1, diagonal_sum);
            else enter(s, s->q1, &after, s[1].diagonal, u, 0, diagonal_sum);
            d = in_place(s) ? u : other;
            convolve_all(s, u, d, INVERSE, z, sum, soon);
            diagonal_sum -= s->d_in;
            if (s > stages) leave(s, s->q2, d, 0, 0, 0, 0);
        }
        leave(stages, stages->q2, d, &rows, grad_x ? grad_x + first * d_in : 0, stages->diagonal, diagonal_sum);
    }
    float *found = (float *)(own.parts + own.sums_at);
    for (int thread = 1; thread < threads; thread++)
        for (long k = 0; k < own.sums; k++)
            found[k] += ((const float *)(own.parts + thread * own.part + own.sums_at))[k];
    memcpy(grads, found, diagonals * sizeof(float));
    for (long k = 0; k < d_out; k++) grads[diagonals + k] = alpha * found[diagonals + k];
    grads += diagonals + d_out, found += diagonals + d_out;
    for (const stage *s = stages; s <= top; grads += entries(s), found += 2 * entries(s), s++)
        circulant_gradient(s, found, (complex_lanes *)own.parts, grads);
    free(own.memory);
    return 1;
}
