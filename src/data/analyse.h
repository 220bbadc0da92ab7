/* clang-format off */
/* What the training rows are like, and what is done about it before a flow sees them: the handling plan, a JSON object.
 *
 * A continuous density means nothing for some columns: it is unbounded where values repeat (constant, discrete, duplicated, collinear columns).
 * RH_HANDLE_AUTO drops or dequantizes those, and maps limited, skewed columns to the line; RH_HANDLE_NONE only standardizes, and warns.
 *
 *   {"handle": "auto", "columns": d, "rows": n,
 *    "keep": [i, ...],            ascending; the columns that are not dropped
 *    "drop": [{"column": i, "reason": "constant" | "duplicated" | "collinear", "recipe": RECIPE}, ...],
 *    "dequantize": [              y = x + s u, u uniform in (0, 1)
 *      {"column": i, "step": s, "offset": o}         x = o + k s for whole k: back by x = o + s floor((y - o) / s)
 *      {"column": i, "step": s, "levels": [x, ...]}  no grid; ascending, at least s apart: back by x = the greatest level <= y
 *      ...],
 *    "transform": [
 *      {"column": i, "kind": "log", "low": a}                y = log(x - a)
 *      {"column": i, "kind": "logit", "low": a, "high": b}   y = log((x - a) / (b - x))
 *      ...],
 *    "standardize": {"mean": [...], "scale": [...]},         y = (x - mean) / scale; one for each of "keep", in that order
 *    "seen": [{"column": i, "what": [WORD, ...]}, ...],      WORD: one of the rules' names below
 *    "repeated_rows": r,                                     rows that equal an earlier row
 *    "report": [sentence, ...],                              what was seen and what is done
 *    "warnings": [sentence, ...]}                            where the log-likelihood means little, or the data should be looked at
 *   RECIPE, from raw values of kept columns j:
 *      {"kind": "constant", "value": v}
 *      {"kind": "copy", "of": j}
 *      {"kind": "linear", "intercept": c, "of": [j, ...], "weights": [w, ...], "error": e}     e: root mean square of the remainder
 * Columns count from 0 in JSON and from 1 in sentences. The steps apply in the order drop, dequantize, transform, standardize; mean and scale
 * (standard deviation, n in the denominator; 1 where it is 0) are those of the values after the steps before (a map takes them at u = 1/2).
 *
 * The rules, on the training rows (above 2^20 rows all but mean, scale and limits are judged on 2^17 of them, evenly spread):
 *   constant      the least value is the greatest one
 *   duplicated    equal to an earlier column in every row
 *   collinear     pivoted Cholesky of the correlation matrix leaves at most 1e-8 of its variance unexplained by the kept columns. Looked for in
 *                 up to 1,024 columns and where there are at least twice as many rows as columns
 *   discrete      each value twice on average, and fewer than 500 values or all on a grid; or each ten times on average. More than 4,096 values
 *                 without a grid, or distances too fine for the arithmetic, are a warning and nothing is done
 *   spiked        not discrete, but one value holds at least 1 % of the rows (and 10 rows): a warning
 *   bounded       no value below 0; or values crowd at an end, where a tail would thin out (then only reported)
 *   heavy-tailed  excess kurtosis above 10
 *   outliers      rows more than 20 robust deviations (interquartile range / 1.349, or where greater the 5-95 % range / 3.29) from the median
 *   rounding      in float32: its numbers lie more than 1e-3 standard deviations apart where the values are largest: a warning; an error where
 *                 fewer than ten different ones are left
 * A log (values >= 0) or logit (values in 0 to 1) is taken where it makes a normal density fit better by at least 0.1 nats a row, its log-det
 * included; not for spiked columns or those of fewer than 32 values. The limits stand a little outside, so that 0 and 1 have a finite place. */
/* clang-format on */
#ifndef RH_DATA_ANALYSE_H
#define RH_DATA_ANALYSE_H
#include <jansson.h>

#include "data/table.h"

typedef enum rh_handle { RH_HANDLE_AUTO, RH_HANDLE_NONE } rh_handle;

/* rows: the training rows, array[n], or NULL for all rows (then n is ignored). *plan: a new reference. real_bytes: 4 or 8, the
 * arithmetic of the fit. Fewer than two rows, no column that is not constant, and columns that the arithmetic or a model cannot hold are
 * errors. Everything is computed in float64 and in row order. */
rh_status rh_analyse(const rh_table *table, const int64_t *rows, int64_t n, rh_handle handle, int real_bytes, json_t **plan) RH_WARN_UNUSED;
/* The same of the columns of `table` alone, which is a view of `whole`: repeated rows are those that repeat in all of its columns. */
rh_status rh_analyse_part(const rh_table *table, const rh_table *whole, const int64_t *rows, int64_t n, rh_handle handle, int real_bytes,
                          json_t **plan) RH_WARN_UNUSED;
#endif
