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

enum { TILE = 4 }; /* rows of a product of blocks that share what they load; their sums fit the registers of AVX2 */

/* Of `rows` rows from i on: u_i = sum_j C_ij z_j of frequency k, or with INVERSE, u_i = sum_j conj(C_ji) z_j */
INLINE void apply_rows(int rows, wide i, wide to, wide from, const stage *s, const complex_lanes *z, complex_lanes *u,
                       wide k, int direction) {
    wide row = direction == FORWARD ? from : 1, step = direction == FORWARD ? 1 : to;
    const complex_float *c = s->spectrum + k * to * from + i * row;
    complex_lanes found[TILE];
    for (int r = 0; r < rows; r++) found[r] = multiply(z[k], c[r * row], direction);
    for (wide j = 1; j < from; j++) {
        complex_lanes a = z[j * half(s->p) + k];
        for (int r = 0; r < rows; r++) found[r] = add_product(found[r], a, c[r * row + j * step], direction);
    }
    for (int r = 0; r < rows; r++) u[(i + r) * half(s->p) + k] = found[r];
}

INLINE void apply_of(wide to, wide from, const stage *s, const complex_lanes *z, complex_lanes *u, wide k, wide n,
                     int direction) {
    for (wide end = k + n; k < end; k++) {
        wide i = 0;
        for (; i + TILE <= to; i += TILE) apply_rows(TILE, i, to, from, s, z, u, k, direction);
        for (; i + 2 <= to; i += 2) apply_rows(2, i, to, from, s, z, u, k, direction);
        if (i < to) apply_rows(1, i, to, from, s, z, u, k, direction);
    }
}

/* The products of all blocks by their spectra, at frequencies k to k + n */
INLINE void apply(const stage *s, const complex_lanes *z, complex_lanes *u, wide k, wide n, int direction) {
    if (in_place(s)) apply_of(1, 1, s, z, u, k, n, direction);
    else if (direction == FORWARD) apply_of(s->q1, s->q2, s, z, u, k, n, direction);
    else apply_of(s->q2, s->q1, s, z, u, k, n, direction);
}

/* Sums over tokens of conj(z_j) g_i. Of a few blocks L frequencies at a time, with a token in each lane; lanes are added
   up at the end, which takes as long for one frequency as for L. Of many, which are short (16 entries have 9 frequencies),
   each frequency's are a product of matrices, in which a lane is a block of the side that has more of them, and nothing
   is added up. */
static wide lane_blocks(const stage *s) { return larger(s->q1, s->q2); }
static wide other_blocks(const stage *s) { return smaller(s->q1, s->q2); }
static int sums_by_blocks(const stage *s) { return lane_blocks(s) >= 8 && other_blocks(s) >= TILE; }
static wide row_of_sums(const stage *s) { return (lane_blocks(s) + L - 1) / L * L; }
/* Real and imaginary parts */
static wide sums_of(const stage *s) {
    return 2 * half(s->p) * other_blocks(s) * (sums_by_blocks(s) ? row_of_sums(s) : lane_blocks(s));
}

/* re and im += the sums over tokens of conj(a_k) b_k for n <= L of them */
INLINE void add_products(const complex_lanes *a, const complex_lanes *b, wide n, float *re, float *im) {
    lanes v[L] = {{0}}, w[L] = {{0}};
    for (int l = 0; l < n; l++) v[l] = a[l].re * b[l].re + a[l].im * b[l].im;
    for (int l = 0; l < n; l++) w[l] = a[l].re * b[l].im - a[l].im * b[l].re;
    lanes found_re = sums(v), found_im = sums(w);
    for (int l = 0; l < n; l++) re[l] += found_re[l], im[l] += found_im[l];
}

/* `rows` rows of re and im, `row` apart, += the sums over tokens of conj(a) b, where a token's a stand in lanes, and a
   row's b in the tokens' lanes, `stride` from the next row's */
INLINE void add_outer_products(int rows, const lanes *a_re, const lanes *a_im, const complex_lanes *b, wide stride,
                               float *re, float *im, wide row) {
    lanes found_re[TILE], found_im[TILE];
    for (int r = 0; r < rows; r++) {
        found_re[r] = *(const unaligned_lanes *)(re + r * row);
        found_im[r] = *(const unaligned_lanes *)(im + r * row);
    }
    for (int t = 0; t < L; t++)
        for (int r = 0; r < rows; r++) {
            float b_re = ((const element *)&b[r * stride].re)[t], b_im = ((const element *)&b[r * stride].im)[t];
            found_re[r] += a_re[t] * b_re, found_im[r] += a_re[t] * b_im;
            found_re[r] += a_im[t] * b_im, found_im[r] -= a_im[t] * b_re;
        }
    for (int r = 0; r < rows; r++) {
        *(unaligned_lanes *)(re + r * row) = found_re[r];
        *(unaligned_lanes *)(im + r * row) = found_im[r];
    }
}

/* The sums of frequency k: (other_blocks, row_of_sums), where a lane's block is z's or g's */
static void correlate_blocks(const stage *s, const complex_lanes *z, const complex_lanes *g, wide k, float *re) {
    wide h = half(s->p), row = row_of_sums(s), others = other_blocks(s);
    const complex_lanes *a = s->q2 >= s->q1 ? z : g, *b = s->q2 >= s->q1 ? g : z;
    float *im = re + others * row;
    for (wide first = 0; first < lane_blocks(s); first += L, re += L, im += L) {
        lanes a_re[L] = {{0}}, a_im[L] = {{0}};
        wide here = smaller(L, lane_blocks(s) - first), i = 0;
        for (wide l = 0; l < here; l++) a_re[l] = a[(first + l) * h + k].re, a_im[l] = a[(first + l) * h + k].im;
        transpose(a_re), transpose(a_im);
        for (; i + TILE <= others; i += TILE)
            add_outer_products(TILE, a_re, a_im, b + i * h + k, h, re + i * row, im + i * row, row);
        for (; i < others; i++) add_outer_products(1, a_re, a_im, b + i * h + k, h, re + i * row, im + i * row, row);
    }
}

/* sum += those of frequencies k to k + n */
static void correlate(const stage *s, const complex_lanes *z, const complex_lanes *g, wide k, wide n, float *sum) {
    wide h = half(s->p);
    if (sums_by_blocks(s)) {
        for (wide end = k + n; k < end; k++) correlate_blocks(s, z, g, k, sum + sums_of(s) / h * k);
        return;
    }
    for (wide i = 0; i < s->q1; i++)
        for (wide j = 0; j < s->q2; j++)
            for (wide m = k; m < k + n; m += L) {
                float *re = sum + (i * s->q2 + j) * h + m, *im = re + entries(s);
                if (m + L <= k + n) add_products(z + j * h + m, g + i * h + m, L, re, im);
                else add_products(z + j * h + m, g + i * h + m, k + n - m, re, im);
            }
}

/* The sum over all tokens of conj(z_j) g_i at frequency k */
static complex_float correlation_of(const stage *s, const float *sum, wide i, wide j, wide k) {
    if (!sums_by_blocks(s)) {
        const float *re = sum + (i * s->q2 + j) * half(s->p) + k;
        return (complex_float){re[0], re[entries(s)]};
    }
    int lanes_are_inputs = s->q2 >= s->q1;
    wide row = row_of_sums(s), size = other_blocks(s) * row;
    const float *re = sum + 2 * size * k + (lanes_are_inputs ? i * row + j : j * row + i);
    return (complex_float){re[0], lanes_are_inputs ? re[size] : -re[size]};
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
        memset(z, 0, h * sizeof *z);
        for (wide l = 0; l < here; l++)
            for (wide k = 0; k < h; k++) {
                complex_float found = correlation_of(s, sum, (first + l) / s->q2, (first + l) % s->q2, k);
                z[k].re[l] = weight_of(p, k) * found.re, z[k].im[l] = weight_of(p, k) * found.im;
            }
        inverse_real_fft(s->levels, left, z, &no_prefetch);
        for (wide l = 0; l < here; l++)
            for (wide k = 0; k < p; k++) grad[(first + l) * p + k] = left[k][l];
    }
}
