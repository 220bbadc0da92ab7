/* The bijections there are: each is its file's one symbol; and what several of them need. Private to this floor. */
#ifndef RH_BIJECTION_PARTS_H
#define RH_BIJECTION_PARTS_H
#include "bijection/bijection.h"
#include "net/pixels.h"

#define BIJECTION(name) extern const rh_bijection_type rh_bijection_##name;
#include "bijection/bijections.def"
#undef BIJECTION

/* Elements of a row; a bijection of vectors refuses other shapes in its create. */
static inline int64_t rh_columns_of(const rh_bijection *b) {
  return b->in.dim[0];
}
rh_status rh_need_vector(const rh_bijection *b, rh_spec *spec) RH_WARN_UNUSED;
rh_status rh_need_image(const rh_bijection *b, rh_spec *spec) RH_WARN_UNUSED; /* [h, w, c] */

/* A bijection of the columns of a vector, or of the channels of every pixel of an image. */
typedef struct rh_channels {
  int64_t n, pixels; /* columns, 1; or channels, h w */
} rh_channels;
rh_status rh_need_channels(const rh_bijection *b, rh_spec *spec, rh_channels *c) RH_WARN_UNUSED;
rh_val rh_spread(const rh_bijection *b, rh_graph *g, rh_val v);       /* [n] -> the shape of b's rows */
rh_val rh_each_pixel(const rh_channels *c, rh_graph *g, rh_val ladj); /* times the pixels */
/* A state of `count` numbers: values, or `fill` when values is NULL. */
rh_status rh_state_add(const rh_build *build, const char *name, rh_shape shape, double fill, const double *values,
                       int *leaf) RH_WARN_UNUSED;

/* A table's row of a surjection or of `support`: what is done to one column. */
typedef struct rh_column_list {
  const json_t *list; /* borrowed array of objects, each with a "column"; NULL: absent */
  int64_t n;
} rh_column_list;
/* Reads key "columns": an array of objects, each with a different "column" of [0, d) -> index[0..n) (arena). */
rh_status rh_read_columns(rh_spec *spec, int64_t d, rh_arena *arena, rh_column_list *list, int32_t **index) RH_WARN_UNUSED;
#endif
