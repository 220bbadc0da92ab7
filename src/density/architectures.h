/* The architectures there are: each is its file's one symbol. Private to this floor. */
#ifndef RH_DENSITY_ARCHITECTURES_H
#define RH_DENSITY_ARCHITECTURES_H
#include "density/flow.h"

extern const rh_arch rh_arch_realnvp, rh_arch_nice, rh_arch_maf, rh_arch_iaf, rh_arch_nsf, rh_arch_nsf_coupling, rh_arch_glow,
    rh_arch_realnvp_image, rh_arch_nsf_image, rh_arch_cnf, rh_arch_ffjord, rh_arch_rnode, rh_arch_ffjord_image;

enum {
  RH_ARCH_WIDE = 128,   /* columns from which matrices between the couplings cost more than the couplings */
  RH_ARCH_MANY = 20000, /* rows from which epochs are what is short in a fit of a minute or two */
  RH_ARCH_TABLE = 4,    /* columns from which rows are a table's, not points of a plane or of space */
  RH_ARCH_FEW = 1000    /* rows below which nets are small */
};

/* Option "levels" of architectures of images: squeezes, as many as the sides can be halved. */
int64_t rh_arch_levels(rh_options *o, const rh_image_shape *image);
/* The whole flow of images: the shape, then the levels, which are taken. A new reference, or NULL if something failed on the way. */
json_t *rh_arch_image_spec(const rh_image_shape *image, json_t *levels, const int *failed);
#endif
