/* One stage C diag(a) of the chain, and its gradients, 2 L tokens at a time.
   Real circulants act alike on real and imaginary parts, so two tokens share one complex transform and nothing
   need be unpacked: with P = FFT(u + i u') and Q = FFT(h + i h'), the real part of IFFT(conj(P) Q) is the
   correlation of u and h plus that of u' and h', which is what the gradient of a circulant sums; so do the lanes,
   which are added up after one last transform. */
#include "rows.h"

typedef struct {
    int64_t d_in, d_out, q1, q2, p; /* q1 x q2 circulant blocks of p x p */
    const int32_t *radixes;         /* the first, perhaps 1, is of the pass that rides along with loading */
    const complex_float *twiddles;  /* of all passes, then of each frequency the delay by one entry */
    const int32_t *mirrors;  /* of each frequency, the place of its negative */
    const float *diagonal;   /* (d_in), applied before the circulant */
    const float *circulant;  /* (q1, q2, p), first columns */
    complex_float *spectrum; /* (p, q1, q2), digit-reversed, divided by p; made here */
} stage;

enum { LEAF = 128 }; /* elements of a token: of so many, all that `convolve` touches fits the smallest cache */

static prefetch_range no_prefetch = {0, 0}; /* also the end of a list */

static wide larger(wide a, wide b) { return a > b ? a : b; }
static wide width_in(const stage *s) { return s->q2 * s->p; }
static wide width_out(const stage *s) { return s->q1 * s->p; }
static wide entries(const stage *s) { return s->q1 * s->q2 * s->p; }
static int in_place(const stage *s) { return s->q1 * s->q2 == 1; }

/* The first pass goes by windows, columns that it combines: loaded or stored together, they stay in cache. */
typedef struct {
    int r;
    wide m, blocks;
} windows;

static windows windows_of(const stage *s, wide blocks) {
    int r = *s->radixes;
    return r == 1 ? (windows){1, blocks * s->p, 1} : (windows){r, s->p / r, blocks};
}

/* z = a x, up to and with the first pass; if `dot`, see `load_columns`, and if also `finish`, by what the last
   inverse pass makes of z. */
INLINE void load_and_first_pass(const stage *s, wide blocks, const columns *x, const float *a, complex_lanes *z,
                                int finish, float *dot) {
    windows by = windows_of(s, blocks);
    for (wide b = 0; b < by.blocks; b++)
        for (wide j = 0; j < by.m; j += L) {
            wide n = smaller(L, by.m - j);
            complex_lanes *block = z + b * s->p;
            if (finish) inverse_pass(by.r, block, 1, by.m, j, j + n, s->twiddles, &no_prefetch);
            for (int q = 0; q < by.r; q++) load_columns(x, b * s->p + q * by.m + j, n, a, z, dot);
            forward_pass(by.r, block, 1, by.m, j, j + n, s->twiddles, &no_prefetch);
        }
}

/* The last inverse pass, then, if x, see `store_columns`. */
INLINE void last_pass_and_store(const stage *s, wide blocks, complex_lanes *u, const columns *x, float *out,
                                const float *a, float *sum) {
    windows by = windows_of(s, blocks);
    for (wide b = 0; b < by.blocks; b++)
        for (wide j = 0; j < by.m; j += L) {
            wide n = smaller(L, by.m - j);
            inverse_pass(by.r, u + b * s->p, 1, by.m, j, j + n, s->twiddles, &no_prefetch);
            for (int half = 0; x && half < 2; half++)
                for (int q = 0; q < by.r; q++) store_columns(u, b * s->p + q * by.m + j, n, half, x, out, a, sum);
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
                sum = add(sum, multiply(z[j * s->p + k], c[i * row + j * step], direction));
            u[i * s->p + k] = sum;
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

/* sum_ij += conj(z_j) h_i from k on, n of them, real parts before all imaginary parts. Sums of L columns cost as much
   as one: blocks of fewer, which `convolve` takes whole, are taken several at a time. */
static void correlate(const stage *s, const complex_lanes *z, const complex_lanes *h, wide k, wide n, float *sum) {
    wide p = s->p, small = p < L, blocks = small ? 1 : s->q2, row = small ? s->q2 * p : n, step = small ? L / p * p : L;
    for (wide i = 0; i < s->q1; i++)
        for (wide j = 0; j < blocks; j++)
            for (wide m = 0; m < row; m += step) {
                const complex_lanes *a = z + j * p + k + m, *b = h + i * p + k + (small ? 0 : m);
                float *re = sum + (i * s->q2 + j) * p + k + m, *im = re + entries(s);
                if (m + L <= row && !small) add_products(a, b, L, L, re, im);
                else add_products(a, b, (int)smaller(p, L), smaller(step, row - m), re, im);
            }
}

/* Transform, multiply by the spectra and transform back frequencies `at` to `at + n` of every block, depth first, so
   that all but the outermost passes stay in the smallest cache; with INVERSE, add what `correlate` does of z. */
static void convolve(const stage *s, complex_lanes *from, complex_lanes *to, int direction, const complex_lanes *z,
                     float *sum, prefetch_range *prefetch, wide at, wide n, const int *radix, const complex_float *w) {
    wide p = s->p, ins = direction == FORWARD ? s->q2 : s->q1, outs = direction == FORWARD ? s->q1 : s->q2;
    while (prefetch->at && prefetch->at >= prefetch->end) prefetch++;
    if (n <= LEAF) {
        for (wide b = 0; b < ins; b++) fft(from + b * p + at, n, radix, w, prefetch);
        if (direction == FORWARD) apply(s, from, to, at, n, FORWARD);
        else correlate(s, z, from, at, n, sum), apply(s, from, to, at, n, INVERSE);
        for (wide b = 0; b < outs; b++) inverse_fft(to + b * p + at, n, radix, w, prefetch);
        return;
    }
    wide m = n / *radix;
    for (wide b = 0; b < ins; b++) forward_pass(*radix, from + b * p + at, 1, m, 0, m, w, prefetch);
    for (int q = 0; q < *radix; q++)
        convolve(s, from, to, direction, z, sum, prefetch, at + q * m, m, radix + 1, w + m * (*radix - 1));
    for (wide b = 0; b < outs; b++) inverse_pass(*radix, to + b * p + at, 1, m, 0, m, w, prefetch);
}

/* All frequencies, but for the passes of `load_and_first_pass` and `last_pass_and_store` */
static void convolve_all(const stage *s, complex_lanes *from, complex_lanes *to, int direction, const complex_lanes *z,
                         float *sum, prefetch_range *prefetch) {
    wide r = *s->radixes, m = s->p / r;
    for (wide q = 0; q < r; q++)
        convolve(s, from, to, direction, z, sum, prefetch, q * m, m, s->radixes + 1, s->twiddles + m * (r - 1));
}

/* Spectra of the circulants, L blocks at a time. */
static void make_spectrum(const stage *s, complex_lanes *z) {
    wide p = s->p, blocks = s->q1 * s->q2;
    for (wide first = 0; first < blocks; first += L) {
        wide here = smaller(L, blocks - first);
        const float *c = s->circulant + first * p;
        memset(z, 0, p * sizeof *z);
        for (wide l = 0; l < here; l++)
            for (wide k = 0; k < p; k++) z[k].re[l] = c[l * p + k] / p;
        fft(z, p, s->radixes, s->twiddles, &no_prefetch);
        for (wide k = 0; k < p; k++)
            for (wide l = 0; l < here; l++)
                s->spectrum[k * blocks + first + l] = (complex_float){z[k].re[l], z[k].im[l]};
    }
}

/* The reverse: from what `correlate` sums to the gradient by the circulants. */
static void circulant_gradient(const stage *s, const float *sum, complex_lanes *z, float *grad) {
    wide p = s->p, blocks = s->q1 * s->q2;
    for (wide first = 0; first < blocks; first += L) {
        wide here = smaller(L, blocks - first);
        const float *re = sum + first * p, *im = re + entries(s);
        memset(z, 0, p * sizeof *z);
        for (wide l = 0; l < here; l++)
            for (wide k = 0; k < p; k++) z[k].re[l] = re[l * p + k], z[k].im[l] = im[l * p + k];
        inverse_fft(z, p, s->radixes, s->twiddles, &no_prefetch);
        for (wide l = 0; l < here; l++)
            for (wide k = 0; k < p; k++) grad[(first + l) * p + k] = z[k].re[l] / p;
    }
}
