/* Complex FFTs of many tokens at once: every vector register holds one component of L tokens, so that no butterfly
   ever shuffles and no token meets another. Transforms are in place and leave the spectrum in digit-reversed order,
   which pointwise products do not mind. */
#include <string.h>

#include "platform.h"

#ifdef __AVX512F__
#define L 16
#define LANES(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13), f(14), f(15)
#else
#define L 8
#define LANES(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)
#endif

typedef float lanes __attribute__((vector_size(4 * L)));
typedef float unaligned_lanes __attribute__((vector_size(4 * L), aligned(4), may_alias));
typedef float element __attribute__((may_alias));
typedef int lane_indexes __attribute__((vector_size(4 * L)));
typedef struct { lanes re, im; } complex_lanes;
typedef struct { float re, im; } complex_float;

/* The radix and the direction must be constants where a loop over them is to unroll. */
#define INLINE static inline __attribute__((always_inline))
enum { FORWARD = 1, INVERSE = -1 };

INLINE complex_lanes add(complex_lanes a, complex_lanes b) { return (complex_lanes){a.re + b.re, a.im + b.im}; }
INLINE complex_lanes sub(complex_lanes a, complex_lanes b) { return (complex_lanes){a.re - b.re, a.im - b.im}; }

/* a w, or a conj(w); a negated w.im would cost an instruction */
INLINE complex_lanes multiply(complex_lanes a, complex_float w, int direction) {
    if (direction == FORWARD) return (complex_lanes){a.re * w.re - a.im * w.im, a.im * w.re + a.re * w.im};
    return (complex_lanes){a.re * w.re + a.im * w.im, a.im * w.re - a.re * w.im};
}

/* sum + a w, or sum + a conj(w) */
INLINE complex_lanes add_product(complex_lanes sum, complex_lanes a, complex_float w, int direction) {
    sum.re += a.re * w.re, sum.im += a.im * w.re;
    if (direction == FORWARD) sum.re -= a.im * w.im, sum.im += a.re * w.im;
    else sum.re += a.im * w.im, sum.im -= a.re * w.im;
    return sum;
}

/* -i a, or i a */
INLINE complex_lanes quarter_turn(complex_lanes a, int direction) {
    return direction == FORWARD ? (complex_lanes){a.im, -a.re} : (complex_lanes){-a.im, a.re};
}

/* cos and sin of 2 pi k / r for k = 1 ... (r - 1) / 2 */
static const float COS3[] = {-0.5f}, SIN3[] = {0.86602540378443864676f};
static const float COS5[] = {0.30901699437494742410f, -0.80901699437494742410f};
static const float SIN5[] = {0.95105651629515357212f, 0.58778525229247312917f};
static const float COS7[] = {0.62348980185873353053f, -0.22252093395631440429f, -0.90096886790241912624f};
static const float SIN7[] = {0.78183148246802980871f, 0.97492791218182360702f, 0.43388373911755812048f};

/* A transform of odd length r, by sums and differences of the elements q and r - q. */
INLINE void butterfly_odd(int r, complex_lanes *v, int direction, const float *cosine, const float *sine) {
    int half = (r - 1) / 2;
    complex_lanes sums[3], differences[3], first = v[0];
    for (int q = 1; q <= half; q++) {
        sums[q - 1] = add(v[q], v[r - q]);
        differences[q - 1] = sub(v[q], v[r - q]);
        v[0] = add(v[0], sums[q - 1]);
    }
    for (int k = 1; k <= half; k++) {
        complex_lanes even = first, odd = {{0}, {0}};
        for (int q = 1; q <= half; q++) {
            int angle = k * q % r;
            float c = angle <= half ? cosine[angle - 1] : cosine[r - angle - 1];
            float s = angle <= half ? sine[angle - 1] : -sine[r - angle - 1];
            even = (complex_lanes){even.re + c * sums[q - 1].re, even.im + c * sums[q - 1].im};
            odd = (complex_lanes){odd.re + s * differences[q - 1].re, odd.im + s * differences[q - 1].im};
        }
        odd = quarter_turn(odd, direction);
        v[k] = add(even, odd);
        v[r - k] = sub(even, odd);
    }
}

INLINE void butterfly_4(complex_lanes *a, complex_lanes *b, complex_lanes *c, complex_lanes *d, int direction) {
    complex_lanes even = add(*a, *c), odd = sub(*a, *c);
    complex_lanes sum = add(*b, *d), turned = quarter_turn(sub(*b, *d), direction);
    *a = add(even, sum), *b = add(odd, turned), *c = sub(even, sum), *d = sub(odd, turned);
}

INLINE void butterfly_8(complex_lanes *v, int direction) {
    const float h = 0.70710678118654752440f;
    butterfly_4(v, v + 2, v + 4, v + 6, direction);
    butterfly_4(v + 1, v + 3, v + 5, v + 7, direction);
    complex_lanes even[4] = {v[0], v[2], v[4], v[6]};
    complex_lanes odd[4] = {v[1], multiply(v[3], (complex_float){h, -h}, direction), quarter_turn(v[5], direction),
                            multiply(v[7], (complex_float){-h, -h}, direction)};
    for (int q = 0; q < 4; q++) v[q] = add(even[q], odd[q]), v[q + 4] = sub(even[q], odd[q]);
}

INLINE void butterfly(int r, complex_lanes *v, int direction) {
    if (r == 2) {
        complex_lanes a = v[0];
        v[0] = add(a, v[1]), v[1] = sub(a, v[1]);
    }
    else if (r == 4) butterfly_4(v, v + 1, v + 2, v + 3, direction);
    else if (r == 8) butterfly_8(v, direction);
    else if (r == 3) butterfly_odd(3, v, direction, COS3, SIN3);
    else if (r == 5) butterfly_odd(5, v, direction, COS5, SIN5);
    else butterfly_odd(7, v, direction, COS7, SIN7);
}

/* Memory from `at` to `end` that will be read soon: butterflies prefetch it a few lines at a time, since arithmetic
   alone would leave the memory idle, and many loads at once would wait for it. */
typedef struct { const float *at, *end; } prefetch_range;

INLINE void prefetch_lines(prefetch_range *prefetch, int lines) {
    if (prefetch->at >= prefetch->end) return;
    for (int i = 0; i < lines; i++) __builtin_prefetch(prefetch->at + 16 * i, 0, 2);
    prefetch->at += 16 * lines;
}

/* One pass over `count` times r m elements, m apart, those from `begin` to `end` of each m: decimation in frequency
   forward, its exact reverse (up to r) inverse. */
INLINE void pass_of(int r, complex_lanes *a, wide count, wide m, wide begin, wide end, const complex_float *twiddles,
                    prefetch_range *prefetch, int direction) {
    for (; count--; a += r * m) {
        const complex_float *w = twiddles + begin * (r - 1);
        for (wide j = begin; j < end; j++, w += r - 1) {
            complex_lanes v[8];
            prefetch_lines(prefetch, r);
            for (int q = 0; q < r; q++) v[q] = a[j + q * m];
            if (direction == INVERSE && m > 1)
                for (int q = 1; q < r; q++) v[q] = multiply(v[q], w[q - 1], INVERSE);
            butterfly(r, v, direction);
            if (direction == FORWARD && m > 1)
                for (int q = 1; q < r; q++) v[q] = multiply(v[q], w[q - 1], FORWARD);
            for (int q = 0; q < r; q++) a[j + q * m] = v[q];
        }
    }
}

INLINE void pass(int r, complex_lanes *a, wide count, wide m, wide begin, wide end, const complex_float *w,
                 prefetch_range *prefetch, int direction) {
    switch (r) {
        case 1: break;
        case 2: pass_of(2, a, count, m, begin, end, w, prefetch, direction); break;
        case 3: pass_of(3, a, count, m, begin, end, w, prefetch, direction); break;
        case 4: pass_of(4, a, count, m, begin, end, w, prefetch, direction); break;
        case 5: pass_of(5, a, count, m, begin, end, w, prefetch, direction); break;
        case 7: pass_of(7, a, count, m, begin, end, w, prefetch, direction); break;
        default: pass_of(8, a, count, m, begin, end, w, prefetch, direction);
    }
}

static void forward_pass(int r, complex_lanes *a, wide count, wide m, wide begin, wide end, const complex_float *w,
                         prefetch_range *prefetch) {
    pass(r, a, count, m, begin, end, w, prefetch, FORWARD);
}

static void inverse_pass(int r, complex_lanes *a, wide count, wide m, wide begin, wide end, const complex_float *w,
                         prefetch_range *prefetch) {
    pass(r, a, count, m, begin, end, w, prefetch, INVERSE);
}

static void fft(complex_lanes *a, wide n, const int *radix, const complex_float *w, prefetch_range *prefetch) {
    for (wide m, rest = n; rest > 1; w += m * (*radix++ - 1), rest = m) {
        m = rest / *radix;
        forward_pass(*radix, a, n / rest, m, 0, m, w, prefetch);
    }
}

static void inverse_fft(complex_lanes *a, wide n, const int *radix, const complex_float *w, prefetch_range *prefetch) {
    int passes = 0;
    wide m = n;
    for (; m > 1; passes++) m /= radix[passes], w += m * (radix[passes] - 1);
    while (passes--) {
        w -= m * (radix[passes] - 1);
        inverse_pass(radix[passes], a, n / m / radix[passes], m, 0, m, w, prefetch);
        m *= radix[passes];
    }
}
