/* Between rows of tokens in memory and lanes. */
#include "real.h"

#define TOKENS L

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

/* d columns of up to L tokens: rows `stride` apart in memory, or where there are none, lanes. */
typedef struct {
    const float *rows;
    wide stride;
    int tokens;
    const lanes *lanes;
    wide d;
} columns;

/* The rows of L tokens from `first` on, none beyond `tokens` */
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

static lanes column(const columns *x, wide k) {
    lanes found = {0};
    if (k < x->d && !x->rows) return x->lanes[k];
    for (int t = 0; k < x->d && t < x->tokens; t++) found[t] = x->rows[t * x->stride + k];
    return found;
}

/* z[l] = a[k + l] times column k + l, zero from d on, for n <= L of them; where `dot` is given, first dot[k + l] += the
   sum over tokens of that column times z[l]. Whether all L tokens are there makes no difference to any of them. */
INLINE void load_columns(const columns *x, wide k, wide n, const float *a, lanes *z, float *dot) {
    if (n == L && k + L <= x->d) {
        lanes tile[L];
        for (int l = 0; l < L; l++)
            if (!x->rows) tile[l] = x->lanes[k + l];
            else tile[l] = l < x->tokens ? row_part(x, l, k) : (lanes){0};
        if (x->rows) transpose(tile);
        for (int l = 0; l < L; l++) {
            lanes product = z[l];
            z[l] = a[k + l] * tile[l];
            if (dot) tile[l] *= product;
        }
        if (dot) *(unaligned_lanes *)(dot + k) += sums(tile);
    }
    else
        for (wide l = 0; l < n; l++, k++) {
            lanes x_k = column(x, k);
            if (dot && k < x->d) dot[k] += total(z[l] * x_k);
            z[l] = (k < x->d ? a[k] : 0) * x_k;
        }
}

/* Back to rows, n columns from k on: out[t][k + l] += a[k + l] u[l] where out is given, and
   sum[k + l] += x[t][k + l] u[l] where x has rows. */
INLINE void store_columns(const lanes *u, wide k, wide n, const columns *x, float *out, const float *a, float *sum) {
    wide d = x->d;
    if (n == L && k + L <= d) {
        lanes total = {0}, tile[L];
        for (int l = 0; l < L; l++) tile[l] = u[l];
        transpose(tile);
        if (x->rows) {
            for (int t = 0; t < x->tokens; t++) total += tile[t] * row_part(x, t, k);
            *(unaligned_lanes *)(sum + k) += total;
        }
        if (out) {
            lanes scale = *(const unaligned_lanes *)(a + k);
            for (int t = 0; t < x->tokens; t++) *(unaligned_lanes *)(out + t * d + k) += scale * tile[t];
        }
    }
    else
        for (wide l = 0; l < n && k < d; l++, k++)
            for (int t = 0; t < x->tokens; t++) {
                if (x->rows) sum[k] += u[l][t] * x->rows[t * x->stride + k];
                if (out) out[t * d + k] += a[k] * u[l][t];
            }
}
