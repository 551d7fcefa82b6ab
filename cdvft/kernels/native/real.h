/* Half spectra of real signals, one token to a lane, so that no token ever meets another. A pass of radix r cuts a
   signal of r m entries into (r - 1) / 2 complex signals of length m, whose conjugates nobody needs, and what is left:
   a real one of length m for odd r, of 2 m for even r (its frequencies 0 and r / 2), which the next pass cuts up. The
   complex ones are transformed as `fft` does. In all p / 2 + 1 frequencies are left; of these the real ones, with an
   imaginary part of zero, are the last. Inverse transforms give the real part of a sum over those frequencies: what
   comes from a spectrum must hold twice those that stand for their conjugates, too. */
#include "fft.h"

/* A pass, and how its complex signals are transformed; after the last comes one of radix 0, with 1 or 2 entries left. */
typedef struct {
    int64_t radix, m;
    const complex_float *turns;    /* (m, branches): each branch's twiddle factors */
    const int32_t *radixes;        /* of the transforms of length m */
    const complex_float *twiddles;
} level;

static int branches(wide r) { return (int)(r - 1) / 2; }
static wide length(const level *of) { return of->radix ? of->radix * of->m : of->m; }
/* Frequencies of a real signal of n entries */
static wide half(wide n) { return n / 2 + 1; }
/* Those among them that are their own conjugates */
static wide real_ones(wide n) { return n % 2 ? 1 : 2; }

INLINE void real_butterfly_odd(int r, const lanes *v, lanes *left, complex_lanes *x, const float *cosine,
                               const float *sine) {
    int h = (r - 1) / 2;
    lanes sums[3], differences[3], all = v[0];
    for (int q = 1; q <= h; q++) {
        sums[q - 1] = v[q] + v[r - q], differences[q - 1] = v[r - q] - v[q];
        all += sums[q - 1];
    }
    for (int k = 1; k <= h; k++) {
        complex_lanes found = {v[0], {0}};
        for (int q = 1; q <= h; q++) {
            int angle = k * q % r;
            found.re += (angle <= h ? cosine[angle - 1] : cosine[r - angle - 1]) * sums[q - 1];
            found.im += (angle <= h ? sine[angle - 1] : -sine[r - angle - 1]) * differences[q - 1];
        }
        x[k - 1] = found;
    }
    left[0] = all;
}

INLINE void inverse_real_butterfly_odd(int r, lanes *v, const lanes *left, const complex_lanes *x,
                                       const float *cosine, const float *sine) {
    int h = (r - 1) / 2;
    v[0] = left[0];
    for (int k = 0; k < h; k++) v[0] += x[k].re;
    for (int q = 1; q <= h; q++) {
        lanes even = left[0], odd = {0};
        for (int k = 1; k <= h; k++) {
            int angle = k * q % r;
            even += (angle <= h ? cosine[angle - 1] : cosine[r - angle - 1]) * x[k - 1].re;
            odd += (angle <= h ? sine[angle - 1] : -sine[r - angle - 1]) * x[k - 1].im;
        }
        v[q] = even - odd, v[r - q] = even + odd;
    }
}

/* r entries to (r - 1) / 2 complex ones and the one or two that are left */
INLINE void real_butterfly(int r, const lanes *v, lanes *left, complex_lanes *x) {
    const float h = 0.70710678118654752440f;
    if (r == 8) {
        lanes s0 = v[0] + v[4], s1 = v[1] + v[5], s2 = v[2] + v[6], s3 = v[3] + v[7];
        lanes d0 = v[0] - v[4], d1 = v[1] - v[5], d2 = v[2] - v[6], d3 = v[3] - v[7];
        lanes re = h * (d1 - d3), im = h * (d1 + d3);
        x[0] = (complex_lanes){d0 + re, -d2 - im};
        x[1] = (complex_lanes){s0 - s2, s3 - s1};
        x[2] = (complex_lanes){d0 - re, d2 - im};
        left[0] = s0 + s2, left[1] = s1 + s3;
    }
    else if (r == 4) {
        x[0] = (complex_lanes){v[0] - v[2], v[3] - v[1]};
        left[0] = v[0] + v[2], left[1] = v[1] + v[3];
    }
    else if (r == 3) real_butterfly_odd(3, v, left, x, COS3, SIN3);
    else if (r == 5) real_butterfly_odd(5, v, left, x, COS5, SIN5);
    else real_butterfly_odd(7, v, left, x, COS7, SIN7);
}

INLINE void inverse_real_butterfly(int r, lanes *v, const lanes *left, const complex_lanes *x) {
    const float h = 0.70710678118654752440f;
    if (r == 8) {
        lanes b0 = left[0] + x[1].re, b1 = left[1] - x[1].im, b2 = left[0] - x[1].re, b3 = left[1] + x[1].im;
        lanes o0 = x[0].re + x[2].re, o2 = x[2].im - x[0].im, re = h * (x[0].re - x[2].re);
        lanes im = h * (x[0].im + x[2].im), o1 = re - im, o3 = -re - im;
        v[0] = b0 + o0, v[1] = b1 + o1, v[2] = b2 + o2, v[3] = b3 + o3;
        v[4] = b0 - o0, v[5] = b1 - o1, v[6] = b2 - o2, v[7] = b3 - o3;
    }
    else if (r == 4) {
        v[0] = left[0] + x[0].re, v[1] = left[1] - x[0].im;
        v[2] = left[0] - x[0].re, v[3] = left[1] + x[0].im;
    }
    else if (r == 3) inverse_real_butterfly_odd(3, v, left, x, COS3, SIN3);
    else if (r == 5) inverse_real_butterfly_odd(5, v, left, x, COS5, SIN5);
    else inverse_real_butterfly_odd(7, v, left, x, COS7, SIN7);
}

/* Entries `begin` to `end` of each m: v's, `stride` from one another and counted from `begin`, to those of the complex
   signals z and what is left; may be in place, v == left. */
INLINE void real_pass_of(int r, const lanes *v, wide stride, wide m, wide begin, wide end, complex_lanes *z,
                         lanes *left, const complex_float *turns) {
    int count = (r - 1) / 2;
    for (wide j = begin; j < end; j++) {
        lanes in[8], rest[2];
        complex_lanes x[3];
        for (int q = 0; q < r; q++) in[q] = v[j - begin + q * stride];
        real_butterfly(r, in, rest, x);
        for (int k = 0; k < count; k++) z[j + k * m] = multiply(x[k], turns[j * count + k], FORWARD);
        left[j] = rest[0];
        if (r % 2 == 0) left[j + m] = rest[1];
    }
}

INLINE void inverse_real_pass_of(int r, lanes *v, wide stride, wide m, wide begin, wide end, const complex_lanes *z,
                                 const lanes *left, const complex_float *turns) {
    int count = (r - 1) / 2;
    for (wide j = begin; j < end; j++) {
        lanes out[8], rest[2] = {left[j], {0}};
        complex_lanes x[3];
        if (r % 2 == 0) rest[1] = left[j + m];
        for (int k = 0; k < count; k++) x[k] = multiply(z[j + k * m], turns[j * count + k], INVERSE);
        inverse_real_butterfly(r, out, rest, x);
        for (int q = 0; q < r; q++) v[j - begin + q * stride] = out[q];
    }
}

static void real_pass(const level *of, const lanes *v, wide stride, wide begin, wide end, complex_lanes *z,
                      lanes *left) {
    switch (of->radix) {
        case 8: real_pass_of(8, v, stride, of->m, begin, end, z, left, of->turns); break;
        case 4: real_pass_of(4, v, stride, of->m, begin, end, z, left, of->turns); break;
        case 3: real_pass_of(3, v, stride, of->m, begin, end, z, left, of->turns); break;
        case 5: real_pass_of(5, v, stride, of->m, begin, end, z, left, of->turns); break;
        default: real_pass_of(7, v, stride, of->m, begin, end, z, left, of->turns);
    }
}

static void inverse_real_pass(const level *of, lanes *v, wide stride, wide begin, wide end, const complex_lanes *z,
                              const lanes *left) {
    switch (of->radix) {
        case 8: inverse_real_pass_of(8, v, stride, of->m, begin, end, z, left, of->turns); break;
        case 4: inverse_real_pass_of(4, v, stride, of->m, begin, end, z, left, of->turns); break;
        case 3: inverse_real_pass_of(3, v, stride, of->m, begin, end, z, left, of->turns); break;
        case 5: inverse_real_pass_of(5, v, stride, of->m, begin, end, z, left, of->turns); break;
        default: inverse_real_pass_of(7, v, stride, of->m, begin, end, z, left, of->turns);
    }
}

/* From the real signal v, which is overwritten, to its frequencies z */
static void real_fft(const level *of, lanes *v, complex_lanes *z, prefetch_range *prefetch) {
    for (; of->radix; of++) {
        real_pass(of, v, of->m, 0, of->m, z, v);
        for (int k = branches(of->radix); k--; z += of->m) fft(z, of->m, of->radixes, of->twiddles, prefetch);
    }
    if (of->m == 1) z[0] = (complex_lanes){v[0], {0}};
    else z[0] = (complex_lanes){v[0] + v[1], {0}}, z[1] = (complex_lanes){v[0] - v[1], {0}};
}

static void inverse_real_fft(const level *of, lanes *v, complex_lanes *z, prefetch_range *prefetch) {
    const level *first = of;
    for (; of->radix; of++)
        for (int k = branches(of->radix); k--; z += of->m) inverse_fft(z, of->m, of->radixes, of->twiddles, prefetch);
    lanes sum = z[0].re;
    if (of->m == 2) v[0] = sum + z[1].re, v[1] = sum - z[1].re;
    else v[0] = sum;
    while (of != first) {
        of--;
        z -= branches(of->radix) * of->m;
        inverse_real_pass(of, v, of->m, 0, of->m, z, v);
    }
}
