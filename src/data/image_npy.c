/* NumPy's arrays of images. */
#include <string.h>

#include "data/image_source.h"

/* The order of a 4-axis array: where height, width and channels stand. */
typedef struct layout {
  const char *name;
  int h, w, c;
} layout;
static const layout layouts[] = {{"hwc", 1, 2, 3}, {"chw", 2, 3, 1}}; /* in the order of preference */

static bool colours(int64_t c) {
  return c == 1 || c == 3;
}

static rh_status choose_layout(const char *name, const rh_npy_array *a, const rh_image_options *options, const layout **out) {
  char text[RH_NPY_SHAPE_BYTES];
  for (size_t i = 0; i < RH_COUNT_OF(layouts); i++) {
    if (options->layout && strcmp(options->layout, layouts[i].name) != 0) continue;
    if (colours(a->shape[layouts[i].c])) {
      *out = &layouts[i];
      return RH_OK;
    }
    if (options->layout) {
      return rh_fail(RH_E_SHAPE, "%s: shape (%s) read as %s has %lld channels; images have 1 or 3: give another layout or slice the array",
                     name, rh_npy_shape(a, text), options->layout, (long long)a->shape[layouts[i].c]);
    }
  }
  return rh_fail(RH_E_SHAPE, "%s: shape (%s) has no axis of 1 or 3 channels, last or second; save (n, h, w, c) or (n, c, h, w)", name,
                 rh_npy_shape(a, text));
}

/* set from an array that lies whole in memory. */
static rh_status describe(const char *name, const rh_npy_array *a, const rh_image_options *options, rh_image_set *set) {
  char text[RH_NPY_SHAPE_BYTES];
  if (a->axes < 3 || a->axes > 4) {
    return rh_fail(RH_E_SHAPE, "%s: shape (%s) is none of images; save (n, h, w), (n, h, w, c) or (n, c, h, w)", name,
                   rh_npy_shape(a, text));
  }
  if (a->cell != RH_CELL_U1) {
    return rh_fail(RH_E_UNSUPPORTED, "%s: dtype %s is not read as images; save whole numbers from 0 to 255 with .astype('uint8')", name,
                   rh_cell_name(a->cell));
  }
  RH_TRY(rh_npy_check(name, a, true));
  int64_t step[4] = {0};
  for (int k = 0, at = 1; k < a->axes; k++) { /* of the array's axes, from the one that lies closest */
    const int axis = a->fortran ? k : a->axes - 1 - k;
    step[axis] = k == 0 ? 1 : step[at] * a->shape[at];
    at = axis;
  }
  const layout *l = &layouts[0];
  if (a->axes == 4) RH_TRY(choose_layout(name, a, options, &l));
  const int64_t c = a->axes == 4 ? a->shape[l->c] : 1, h = a->shape[l->h], w = a->shape[l->w];
  RH_TRY(rh_image_check_size(name, h, w, c));
  set->n = a->shape[0];
  set->h = h;
  set->w = w;
  set->c = c;
  set->at = a->values;
  set->step[0] = step[0];
  set->step[1] = step[l->h];
  set->step[2] = step[l->w];
  set->step[3] = a->axes == 4 ? step[l->c] : 1;
  return RH_OK;
}

static bool sniff(const unsigned char *data, int64_t size) {
  return rh_format_npy.sniff(data, size);
}

static rh_status read_npy(const rh_source *source, const rh_image_options *options, rh_image_set *set) {
  rh_npy_array array;
  RH_TRY(rh_npy_look(source->name, source->data, source->size, &array));
  return describe(source->name, &array, options, set);
}

const rh_image_format rh_image_npy = {.name = "NPY", .sniff = sniff, .read = read_npy};
