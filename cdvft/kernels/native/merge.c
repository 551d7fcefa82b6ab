/* W + alpha diag(last) circ(c) diag(first), float32: every row of a circulant block is a window of c reversed and
   repeated. */
#include "platform.h"

/* weight and out (d_out, d_in), the former in rows `stride` apart; c (q1, q2, p). Returns whether there was memory. */
EXPORTED int cdvft_merge(const float *weight, wide stride, wide d_out, wide d_in, const float *first, const float *c,
                         const float *last, float alpha, wide q1, wide q2, wide p, float *out, int threads) {
    float *windows = malloc(2 * q1 * q2 * p * sizeof *windows);
    if (!windows) return 0;
    for (wide block = 0; block < q1 * q2; block++)
        for (wide k = 0; k < 2 * p; k++) windows[2 * block * p + k] = c[block * p + (2 * p - 1 - k) % p];
#pragma omp parallel for schedule(static) num_threads(threads)
    for (wide row = 0; row < d_out; row++) {
        const float *restrict from = weight + row * stride;
        float *restrict to = out + row * d_in;
        float scale = alpha * last[row];
        for (wide j = 0; j < q2; j++) {
            const float *restrict window = windows + 2 * (row / p * q2 + j) * p + p - 1 - row % p;
            wide begin = j * p, columns = d_in - begin < p ? d_in - begin : p;
            for (wide k = 0; k < columns; k++)
                to[begin + k] = from[begin + k] + scale * first[begin + k] * window[k];
        }
    }
    free(windows);
    return 1;
}
