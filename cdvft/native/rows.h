/* Between rows of tokens in memory and lanes. */
#include "fft.h"

#define TOKENS (2 * L)
#define AHEAD 32 /* columns by which rows are fetched early: too many streams for the processor to foresee */

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

INLINE void transpose(lanes *r) {
#if L == 16
    SWAP_BLOCKS(8, LOW8, HIGH8)
#endif
    SWAP_BLOCKS(4, LOW4, HIGH4)
    SWAP_BLOCKS(2, LOW2, HIGH2)
    SWAP_BLOCKS(1, LOW1, HIGH1)
}

static long smaller(long a, long b) { return a < b ? a : b; }

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
