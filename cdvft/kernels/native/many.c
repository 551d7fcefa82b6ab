/* Rows of a batch that each have an adapter of their own, in one call: a row of one token costs less than a call. */
#include "stage.h"

int cdvft_few(const stage *stages, int count, wide tokens, const float *x, const float *last, float alpha, float *y);
int cdvft_forward(const stage *shared, int count, wide tokens, const float *x, wide stride, const float *last,
                  float alpha, float *y, int threads);

typedef struct {
    int64_t first, count, few; /* of all stages, and whether they are those of `cdvft_few` */
    const float *x, *last;
    float *y;
    double alpha;
} row;

/* y_r += alpha_r dW_r x_r; x_r (tokens, d_in) and y_r (tokens, d_out) contiguous. With several threads no two rows may
   have the same y. Returns whether there was memory. */
EXPORTED int cdvft_many(const stage *stages, const row *rows, wide count, wide tokens, int threads) {
    int failed = 0;
#pragma omp parallel for schedule(static) num_threads(threads) reduction(+ : failed)
    for (wide k = 0; k < count; k++) {
        const row *r = rows + k;
        const stage *own = stages + r->first;
        failed += r->few ? !cdvft_few(own, (int)r->count, tokens, r->x, r->last, (float)r->alpha, r->y)
                         : !cdvft_forward(own, (int)r->count, tokens, r->x, own->d_in, r->last, (float)r->alpha,
                                          r->y, 1);
    }
    return !failed;
}
