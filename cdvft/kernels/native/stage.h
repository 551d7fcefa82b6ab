/* One stage C diag(a) of the chain, and its gradients, L tokens at a time, each in a lane of its own. With P = FFT(u)
   and Q = FFT(h), IFFT(conj(P) Q) is the correlation of u and h, which is what the gradient of a circulant sums over
   tokens; so do the lanes, which are added up after one last transform. */
#include "rows.h"

typedef struct {
    int64_t d_in, d_out, q1, q2, p; /* q1 x q2 circulant blocks of p x p */
    const int32_t *radixes;         /* of `cdvft_few`, as twiddles and mirrors: of its complex transforms */
    const complex_float *twiddles;  /* of all passes, then of each frequency the delay by one entry */
    const int32_t *mirrors;  /* of each frequency, the place of its negative */
    const level *levels;     /* of the transforms of length p; the first rides along with loading, if it can */
    const float *diagonal;   /* (d_in), applied before the circulant */
    const float *circulant;  /* (q1, q2, p), first columns */
    complex_float *spectrum; /* (p / 2 + 1, q1, q2), in the order of `real_fft`, as its inverse takes it; made here */
} stage;

enum { LEAF = 128 }; /* frequencies of a token: of so many, all that `convolve` touches fits the smallest cache */

static prefetch_range no_prefetch = {0, 0}; /* also the end of a list */

static wide larger(wide a, wide b) { return a > b ? a : b; }
static wide width_in(const stage *s) { return s->q2 * s->p; }
static wide width_out(const stage *s) { return s->q1 * s->p; }
static wide spectra_in(const stage *s) { return s->q2 * half(s->p); }
static wide spectra_out(const stage *s) { return s->q1 * half(s->p); }
static wide entries(const stage *s) { return s->q1 * s->q2 * half(s->p); }
static int in_place(const stage *s) { return s->q1 * s->q2 == 1; }

/* The first pass goes by windows, columns that it combines: loaded or stored together, they stay in cache. */
static int rides_along(const stage *s) { return s->levels->radix && s->levels->m % L == 0; }

/* From the columns' a x, block by block, to z and what the first pass leaves, or where that does not ride along to
   `left` alone. If `dot`, see `load_columns`, with `kept`, or where there is none with what the last inverse pass makes
   of z and `left`. */
INLINE void load_and_first_pass(const stage *s, wide blocks, const columns *x, const float *a, complex_lanes *z,
                                lanes *left, float *dot, const lanes *kept) {
    wide p = s->p, r = s->levels->radix, m = s->levels->m;
    if (!rides_along(s)) {
        if (kept) memcpy(left, kept, blocks * p * sizeof *kept);
        for (wide k = 0; k < blocks * p; k += L) load_columns(x, k, smaller(L, blocks * p - k), a, left + k, dot);
        return;
    }
    for (wide b = 0; b < blocks; b++, z += half(p), left += p)
        for (wide j = 0; j < m; j += L) {
            lanes window[8 * L];
            for (wide q = 0; kept && q < r; q++)
                memcpy(window + q * L, kept + b * p + q * m + j, L * sizeof *kept);
            if (dot && !kept) inverse_real_pass(s->levels, window, L, j, j + L, z, left);
            for (wide q = 0; q < r; q++) load_columns(x, b * p + q * m + j, L, a, window + q * L, dot);
            real_pass(s->levels, window, L, j, j + L, z, left);
        }
}

/* The last inverse pass, then, see `store_columns`, or if there is no x, to `kept`. */
INLINE void last_pass_and_store(const stage *s, wide blocks, const complex_lanes *z, const lanes *left,
                                const columns *x, float *out, const float *a, float *sum, lanes *kept) {
    wide p = s->p, r = s->levels->radix, m = s->levels->m;
    if (!rides_along(s)) {
        if (!x) memcpy(kept, left, blocks * p * sizeof *kept);
        for (wide k = 0; x && k < blocks * p; k += L)
            store_columns(left + k, k, smaller(L, blocks * p - k), x, out, a, sum);
        return;
    }
    for (wide b = 0; b < blocks; b++, z += half(p), left += p)
        for (wide j = 0; j < m; j += L) {
            lanes window[8 * L];
            if (!x) {
                inverse_real_pass(s->levels, kept + b * p + j, m, j, j + L, z, left);
                continue;
            }
            inverse_real_pass(s->levels, window, L, j, j + L, z, left);
            for (wide q = 0; q < r; q++) store_columns(window + q * L, b * p + q * m + j, L, x, out, a, sum);
        }
}

/* u_i = sum_j C_ij z_j, or with INVERSE, by the transpose, u_j = sum_i conj(C_ij) z_i, from k on, n of them */
INLINE void apply_of(wide to, wide from, const stage *s, const complex_lanes *z, complex_lanes *u, wide k, wide n,
                     int direction) {
    for (wide end = k + n; k < end; k++) {
        const complex_float *c = s->spectrum + k * to * from;
        for (wide i = 0; i < to; i++) {
            wide row = direction == FORWARD ? from : 1, step = direction == FORWARD ? 1 : to;
            complex_lanes sum = multiply(z[k], c[i * row], direction);
            for (wide j = 1; j < from; j++)
                sum = add(sum, multiply(z[j * half(s->p) + k], c[i * row + j * step], direction));
            u[i * half(s->p) + k] = sum;
        }
    }
}

INLINE void apply(const stage *s, const complex_lanes *z, complex_lanes *u, wide k, wide n, int direction) {
    if (in_place(s)) apply_of(1, 1, s, z, u, k, n, direction);
    else if (direction == FORWARD) apply_of(s->q1, s->q2, s, z, u, k, n, direction);
    else apply_of(s->q2, s->q1, s, z, u, k, n, direction);
}

/* re and im += the sums over tokens of conj(a_k) b_k for n <= L of them, where b repeats itself */
INLINE void add_products(const complex_lanes *a, const complex_lanes *b, int period, wide n, float *re, float *im) {
    lanes v[L] = {{0}}, w[L] = {{0}};
    for (int l = 0; l < n; l++) v[l] = a[l].re * b[l % period].re + a[l].im * b[l % period].im;
    for (int l = 0; l < n; l++) w[l] = a[l].re * b[l % period].im - a[l].im * b[l % period].re;
    lanes found_re = sums(v), found_im = sums(w);
    for (int l = 0; l < n; l++) re[l] += found_re[l], im[l] += found_im[l];
}

/* sum_ij += conj(z_j) g_i from k on, n of them, real parts before all imaginary parts. Sums of L columns cost as much
   as one: blocks of fewer, which `convolve` takes whole, are taken several at a time. */
static void correlate(const stage *s, const complex_lanes *z, const complex_lanes *g, wide k, wide n, float *sum) {
    wide h = half(s->p), small = h < L, blocks = small ? 1 : s->q2, row = small ? s->q2 * h : n;
    wide step = small ? L / h * h : L;
    for (wide i = 0; i < s->q1; i++)
        for (wide j = 0; j < blocks; j++)
            for (wide m = 0; m < row; m += step) {
                const complex_lanes *a = z + j * h + k + m, *b = g + i * h + k + (small ? 0 : m);
                float *re = sum + (i * s->q2 + j) * h + k + m, *im = re + entries(s);
                if (m + L <= row && !small) add_products(a, b, L, L, re, im);
                else add_products(a, b, (int)smaller(h, L), smaller(step, row - m), re, im);
            }
}

/* What is transformed, `from` to `to`; with INVERSE, add what `correlate` does of z. */
typedef struct {
    const stage *s;
    complex_lanes *from, *to;
    lanes *left; /* p for each block: real signals between their passes */
    int direction;
    const complex_lanes *z;
    float *sum;
    prefetch_range *prefetch;
} convolution;

static wide blocks_from(const convolution *c) { return c->direction == FORWARD ? c->s->q2 : c->s->q1; }
static wide blocks_to(const convolution *c) { return c->direction == FORWARD ? c->s->q1 : c->s->q2; }

static void multiply_spectra(const convolution *c, wide at, wide n) {
    if (c->direction == FORWARD) apply(c->s, c->from, c->to, at, n, FORWARD);
    else correlate(c->s, c->z, c->from, at, n, c->sum), apply(c->s, c->from, c->to, at, n, INVERSE);
}

/* Transform, multiply by the spectra and transform back n entries from `at` on of every block, of complex signals, depth
   first, so that all but the outermost passes stay in the smallest cache. */
static void convolve(convolution *c, wide at, wide n, const int *radix, const complex_float *w) {
    wide h = half(c->s->p), ins = blocks_from(c), outs = blocks_to(c);
    while (c->prefetch->at && c->prefetch->at >= c->prefetch->end) c->prefetch++;
    if (n <= LEAF) {
        for (wide b = 0; b < ins; b++) fft(c->from + b * h + at, n, radix, w, c->prefetch);
        multiply_spectra(c, at, n);
        for (wide b = 0; b < outs; b++) inverse_fft(c->to + b * h + at, n, radix, w, c->prefetch);
        return;
    }
    wide m = n / *radix;
    for (wide b = 0; b < ins; b++) forward_pass(*radix, c->from + b * h + at, 1, m, 0, m, w, c->prefetch);
    for (int q = 0; q < *radix; q++) convolve(c, at + q * m, m, radix + 1, w + m * (*radix - 1));
    for (wide b = 0; b < outs; b++) inverse_pass(*radix, c->to + b * h + at, 1, m, 0, m, w, c->prefetch);
}

/* The same of the complex signals of a pass */
static wide convolve_branches(convolution *c, wide at, const level *of) {
    for (int k = branches(of->radix); k--; at += of->m) convolve(c, at, of->m, of->radixes, of->twiddles);
    return at;
}

/* The same of what is left, of which the frequencies begin at `at` */
static void convolve_left(convolution *c, wide at, const level *of) {
    wide p = c->s->p, h = half(p), ins = blocks_from(c), outs = blocks_to(c), n = half(length(of));
    if (n <= LEAF || !of->radix) {
        for (wide b = 0; b < ins; b++) real_fft(of, c->left + b * p, c->from + b * h + at, c->prefetch);
        multiply_spectra(c, at, n);
        for (wide b = 0; b < outs; b++) inverse_real_fft(of, c->left + b * p, c->to + b * h + at, c->prefetch);
        return;
    }
    for (wide b = 0; b < ins; b++)
        real_pass(of, c->left + b * p, of->m, 0, of->m, c->from + b * h + at, c->left + b * p);
    convolve_left(c, convolve_branches(c, at, of), of + 1);
    for (wide b = 0; b < outs; b++)
        inverse_real_pass(of, c->left + b * p, of->m, 0, of->m, c->to + b * h + at, c->left + b * p);
}

/* All frequencies, but for the passes of `load_and_first_pass` and `last_pass_and_store` */
static void convolve_all(convolution c) {
    const level *of = c.s->levels;
    if (rides_along(c.s)) convolve_left(&c, convolve_branches(&c, 0, of), of + 1);
    else convolve_left(&c, 0, of);
}

/* Of a frequency, over p: how often it counts, for itself and for its conjugate */
static float weight_of(wide p, wide k) { return (k < half(p) - real_ones(p) ? 2.f : 1.f) / p; }

/* Spectra of the circulants, L blocks at a time. */
static void make_spectrum(const stage *s, complex_lanes *z, lanes *left) {
    wide p = s->p, blocks = s->q1 * s->q2;
    for (wide first = 0; first < blocks; first += L) {
        wide here = smaller(L, blocks - first);
        const float *c = s->circulant + first * p;
        memset(left, 0, p * sizeof *left);
        for (wide l = 0; l < here; l++)
            for (wide k = 0; k < p; k++) left[k][l] = c[l * p + k];
        real_fft(s->levels, left, z, &no_prefetch);
        for (wide k = 0; k < half(p); k++)
            for (wide l = 0; l < here; l++)
                s->spectrum[k * blocks + first + l] =
                    (complex_float){weight_of(p, k) * z[k].re[l], weight_of(p, k) * z[k].im[l]};
    }
}

/* The reverse: from what `correlate` sums to the gradient by the circulants. */
static void circulant_gradient(const stage *s, const float *sum, complex_lanes *z, lanes *left, float *grad) {
    wide p = s->p, h = half(p), blocks = s->q1 * s->q2;
    for (wide first = 0; first < blocks; first += L) {
        wide here = smaller(L, blocks - first);
        const float *re = sum + first * h, *im = re + entries(s);
        memset(z, 0, h * sizeof *z);
        for (wide l = 0; l < here; l++)
            for (wide k = 0; k < h; k++)
                z[k].re[l] = weight_of(p, k) * re[l * h + k], z[k].im[l] = weight_of(p, k) * im[l * h + k];
        inverse_real_fft(s->levels, left, z, &no_prefetch);
        for (wide l = 0; l < here; l++)
            for (wide k = 0; k < p; k++) grad[(first + l) * p + k] = left[k][l];
    }
}
