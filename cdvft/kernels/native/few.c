/* y += alpha diag(a_m) C_{m-1} ... C_1 diag(a_1) x of a few tokens, for which `cdvft_forward` would leave most lanes
   empty: here a vector register holds L neighbours of one token. With row k of them x_k, a circulant of p = L n is a
   circulant of n x n matrices C_k of L x L, of which entry (l, l') is c[L k + l - l']; transformed along k, it is one
   L x L matrix for every frequency, and that is made of one row of L: below its diagonal it holds the transform of c,
   above it the same delayed by a row, which is a turn. Of two rows of blocks one is real, the other imaginary; of
   one that is left alone, half of the frequencies are the conjugates of the others. */
#include "stage.h"

/* A frequency's matrix: entry (l, l') is at L + l - l'. */
typedef struct { float re[2 * L], im[2 * L]; } band;

INLINE lanes row_of(const float *x, wide d) {
    lanes row = {0};
    if (d >= L) return *(const unaligned_lanes *)x;
    for (wide l = 0; l < d; l++) row[l] = x[l];
    return row;
}

/* z = FFT(diag(a) x) / n, zero from d_in on */
static void transform_input(const stage *s, const float *x, complex_lanes *z) {
    wide n = s->p / L;
    for (wide k = 0; k < s->q2 * n; k++) {
        wide left = s->d_in - k * L;
        z[k].re = row_of(x + k * L, left) * row_of(s->diagonal + k * L, left) / (float)n;
        z[k].im = (lanes){0};
    }
    for (wide j = 0; j < s->q2; j++) fft(z + j * n, n, s->radixes, s->twiddles, &no_prefetch);
}

/* Whether the row of blocks i is alone, and frequency k follows from one before it. */
INLINE int is_mirrored(const stage *s, wide i, wide k) { return i + 1 == s->q1 && s->mirrors[k] < k; }

/* The matrices of block (i, j), and in the imaginary part of (i + 1, j) where there is one; u is scratch. */
static void transform_block(const stage *s, wide i, wide j, complex_lanes *u, band *bands) {
    wide n = s->p / L;
    const float *c = s->circulant + (i * s->q2 + j) * s->p, *below = c + s->q2 * s->p;
    const complex_float *turns = s->twiddles + n - 1;
    for (wide k = 0; k < n; k++) {
        u[k].re = row_of(c + k * L, L);
        u[k].im = i + 1 < s->q1 ? row_of(below + k * L, L) : (lanes){0};
    }
    fft(u, n, s->radixes, s->twiddles, &no_prefetch);
    for (wide k = 0; k < n; k++) {
        if (is_mirrored(s, i, k)) continue;
        complex_lanes delayed = multiply(u[k], turns[k], FORWARD);
        *(lanes *)bands[k].re = delayed.re, *(lanes *)(bands[k].re + L) = u[k].re;
        *(lanes *)bands[k].im = delayed.im, *(lanes *)(bands[k].im + L) = u[k].im;
    }
}

/* The four products of real and imaginary parts, each in a sum of its own, so that none waits for another */
typedef struct { lanes re_re, im_im, re_im, im_re; } products;

/* sum += column l of a frequency's matrix times entry l of its input */
INLINE void add_column(products *sum, const band *c, const complex_lanes *z, int l) {
    lanes re = *(const unaligned_lanes *)(c->re + L - l), im = *(const unaligned_lanes *)(c->im + L - l);
    float z_re = ((const float *)&z->re)[l], z_im = ((const float *)&z->im)[l];
    sum->re_re += re * z_re, sum->im_im += im * z_im;
    sum->re_im += re * z_im, sum->im_re += im * z_re;
}

/* sum_j of a frequency's matrices times its inputs, n apart */
static complex_lanes product(const band *c, const complex_lanes *z, wide blocks, wide n) {
    products even = {{0}, {0}, {0}, {0}}, odd = even;
    for (; blocks--; c += n, z += n)
        for (int l = 0; l < L; l += 2) add_column(&even, c, z, l), add_column(&odd, c, z, l + 1);
    return (complex_lanes){even.re_re + odd.re_re - (even.im_im + odd.im_im),
                           even.re_im + odd.re_im + (even.im_re + odd.im_re)};
}

/* One half of u to block i of a row of d_out: out = u, or where there is a diagonal, out += alpha diag(last) u */
INLINE void store_block(const stage *s, wide i, const complex_lanes *u, int half, const float *last, float alpha,
                        float *out) {
    for (wide k = 0, at = i * s->p; k < s->p / L && at < s->d_out; k++, at += L) {
        lanes row = half ? u[k].im : u[k].re;
        wide left = s->d_out - at;
        if (last) row = row_of(out + at, left) + alpha * row_of(last + at, left) * row;
        if (left >= L) *(unaligned_lanes *)(out + at) = row;
        else for (wide l = 0; l < left; l++) out[at + l] = row[l];
    }
}

/* Blocks of a multiple of L, whose stages have the transform of length p / L, with every frequency's turn after its
   twiddles; x (tokens, d_in) and y (tokens, d_out) contiguous. Returns whether there was memory. */
EXPORTED int cdvft_few(const stage *stages, int count, wide tokens, const float *x, const float *last, float alpha,
                       float *y) {
    const stage *end = stages + count;
    wide widest_in = 0, widest_out = 0, longest = 0;
    for (const stage *s = stages; s < end; s++) {
        widest_in = larger(widest_in, width_in(s) / L), widest_out = larger(widest_out, s->d_out);
        longest = larger(longest, s->p / L);
    }
    size_t z_bytes = tokens * widest_in * sizeof(complex_lanes), u_bytes = longest * sizeof(complex_lanes);
    size_t between_bytes = count > 1 ? (tokens * widest_out * sizeof(float) + 63) / 64 * 64 : 0;
    char *memory = allocate_lines(z_bytes + widest_in * sizeof(band) + u_bytes + between_bytes);
    if (!memory) return 0;
    complex_lanes *z = (complex_lanes *)memory, *u = (complex_lanes *)(memory + z_bytes);
    band *bands = (band *)(memory + z_bytes + u_bytes);
    float *between = (float *)(bands + widest_in);
    for (const stage *s = stages; s < end; s++) {
        wide n = s->p / L, rows = s->q2 * n;
        for (wide t = 0; t < tokens; t++)
            transform_input(s, s == stages ? x + t * s->d_in : between + t * widest_out, z + t * rows);
        for (wide i = 0; i < s->q1; i += 2) {
            for (wide j = 0; j < s->q2; j++) transform_block(s, i, j, u, bands + j * n);
            for (wide t = 0; t < tokens; t++) {
                for (wide k = 0; k < n; k++) {
                    complex_lanes *mirror = u + s->mirrors[k];
                    if (is_mirrored(s, i, k)) u[k] = (complex_lanes){mirror->re, -mirror->im};
                    else u[k] = product(bands + k, z + t * rows + k, s->q2, n);
                }
                inverse_fft(u, n, s->radixes, s->twiddles, &no_prefetch);
                for (int half = 0; half < 2 && i + half < s->q1; half++) {
                    if (s + 1 == end) store_block(s, i + half, u, half, last, alpha, y + t * s->d_out);
                    else store_block(s, i + half, u, half, 0, 0, between + t * widest_out);
                }
            }
        }
    }
    free_lines(memory);
    return 1;
}

/* Floats in a register, by multiples of which `cdvft_few` takes blocks. */
EXPORTED int cdvft_lanes(void) { return L; }
