/* Between rows of tokens in memory and lanes. */
#include "fft.h"

#define TOKENS (2 * L)

#ifdef __clang__
#define SHUFFLE(a, b, f) __builtin_shufflevector(a, b, LANES(f))
#else
#define SHUFFLE(a, b, f) __builtin_shuffle(a, b, (lane_indexes){LANES(f)})
#endif

/* Swap the off-diagonal s x s blocks of every 2 s x 2 s block; all s in turn transpose L x L. */
#define SWAP_BLOCKS(s, low, high)                                        \
    for (int i = 0; i < L; i++)                                          \
        if (!(i & s)) {                                                  \
            lanes a = r[i], b = r[i | s];                                \
            r[i] = SHUFFLE(a, b, low), r[i | s] = SHUFFLE(a, b, high);   \
        }
#define LOW(l, s) ((l) & (s) ? (l) - (s) + L : (l))
#define HIGH(l, s) ((l) & (s) ? (l) + L : (l) + (s))
#define LOW1(l) LOW(l, 1)
#define LOW2(l) LOW(l, 2)
#define LOW4(l) LOW(l, 4)
#define LOW8(l) LOW(l, 8)
#define HIGH1(l) HIGH(l, 1)
#define HIGH2(l) HIGH(l, 2)
#define HIGH4(l) HIGH(l, 4)
#define HIGH8(l) HIGH(l, 8)

/* The same steps, adding the two halves at once: r[0] becomes the sums of r[0], ... r[L - 1]. */
#define ADD_BLOCKS(s, low, high) \
    for (int i = 0; i < s; i++) r[i] = SHUFFLE(r[i], r[i | s], low) + SHUFFLE(r[i], r[i | s], high);

INLINE void transpose(lanes *r) {
#if L == 16
    SWAP_BLOCKS(8, LOW8, HIGH8)
#endif
    SWAP_BLOCKS(4, LOW4, HIGH4)
    SWAP_BLOCKS(2, LOW2, HIGH2)
    SWAP_BLOCKS(1, LOW1, HIGH1)
}

INLINE lanes sums(lanes *r) {
#if L == 16
    ADD_BLOCKS(8, LOW8, HIGH8)
#endif
    ADD_BLOCKS(4, LOW4, HIGH4)
    ADD_BLOCKS(2, LOW2, HIGH2)
    ADD_BLOCKS(1, LOW1, HIGH1)
    return r[0];
}

static float total(lanes v) {
    float sum = 0;
    for (int l = 0; l < L; l++) sum += v[l];
    return sum;
}

static wide smaller(wide a, wide b) { return a < b ? a : b; }

/* d columns of up to 2 L tokens: rows `stride` apart in memory, or where there are none, lanes. */
typedef struct {
    const float *rows;
    wide stride;
    int tokens;
    const complex_lanes *lanes;
    wide d;
} columns;

/* The rows of 2 L tokens from `first` on, none beyond `tokens` */
static prefetch_range prefetch_of_rows(const float *rows, wide stride, wide first, wide tokens, wide d) {
    const float *at = rows + first * stride;
    return (prefetch_range){at, first < tokens ? at + (smaller(TOKENS, tokens - first) - 1) * stride + d : at};
}

/* A line of every page of 4 KB: addresses then are translated when the rest of it is fetched. */
static void prefetch_pages(prefetch_range rows) {
    for (; rows.at < rows.end; rows.at += 1024) __builtin_prefetch(rows.at, 0, 2);
}

INLINE lanes row_part(const columns *x, wide t, wide k) {
    return *(const unaligned_lanes *)(x->rows + t * x->stride + k);
}

static complex_lanes column(const columns *x, wide k) {
    complex_lanes found = {{0}, {0}};
    if (k < x->d && !x->rows) return x->lanes[k];
    for (int t = 0; k < x->d && t < x->tokens; t++)
        (t < L ? (float *)&found.re : (float *)&found.im)[t % L] = x->rows[t * x->stride + k];
    return found;
}

/* z[k] = a[k] times column k, zero from d on, for n <= L of them from k on; where `dot` is given, first dot[k] += the
   sum over tokens of column k times z[k]. */
INLINE void load_columns(const columns *x, wide k, wide n, const float *a, complex_lanes *z, float *dot) {
    if (n == L && k + L <= x->d && x->tokens == TOKENS) {
        lanes re[L], im[L];
        for (int l = 0; l < L; l++) re[l] = x->rows ? row_part(x, l, k) : x->lanes[k + l].re;
        if (x->rows) transpose(re);
        if (dot)
            for (int l = 0; l < L; l++) {
                lanes product = re[l] * z[k + l].re;
                z[k + l].re = a[k + l] * re[l];
                re[l] = product;
            }
        else
            for (int l = 0; l < L; l++) z[k + l].re = a[k + l] * re[l];
        for (int l = 0; l < L; l++) im[l] = x->rows ? row_part(x, L + l, k) : x->lanes[k + l].im;
        if (x->rows) transpose(im);
        for (int l = 0; l < L; l++) {
            if (dot) re[l] += im[l] * z[k + l].im;
            z[k + l].im = a[k + l] * im[l];
        }
        if (dot) *(unaligned_lanes *)(dot + k) += sums(re);
    }
    else
        for (wide end = k + n; k < end; k++) {
            complex_lanes x_k = column(x, k);
            float scale = k < x->d ? a[k] : 0;
            if (dot && k < x->d) dot[k] += total(z[k].re * x_k.re + z[k].im * x_k.im);
            z[k] = (complex_lanes){scale * x_k.re, scale * x_k.im};
        }
}

/* Back to rows, n columns from k on of one half of the tokens: out[t][k] += a[k] u[k] where out is given, and
   sum[k] += x[t][k] u[k] where x has rows. */
INLINE void store_columns(const complex_lanes *u, wide k, wide n, int half, const columns *x, float *out,
                          const float *a, float *sum) {
    wide d = x->d, first = half * L;
    if (n == L && k + L <= d && x->tokens == TOKENS) {
        lanes total = {0}, tile[L];
        for (int l = 0; l < L; l++) tile[l] = half ? u[k + l].im : u[k + l].re;
        transpose(tile);
        if (x->rows) {
            for (int l = 0; l < L; l++) total += tile[l] * row_part(x, first + l, k);
            *(unaligned_lanes *)(sum + k) += total;
        }
        if (out) {
            lanes scale = *(const unaligned_lanes *)(a + k);
            for (int l = 0; l < L; l++) tile[l] = *(unaligned_lanes *)(out + (first + l) * d + k) + scale * tile[l];
            for (int l = 0; l < L; l++) *(unaligned_lanes *)(out + (first + l) * d + k) = tile[l];
        }
    }
    else
        for (wide end = smaller(k + n, d); k < end; k++)
            for (wide t = first; t < smaller(first + L, x->tokens); t++) {
                float value = half ? u[k].im[t - L] : u[k].re[t];
                if (x->rows) sum[k] += value * x->rows[t * x->stride + k];
                if (out) out[t * d + k] += a[k] * value;
            }
}
