#include "data/png_guard.h"

#include <stdio.h>

#include "base/memory.h"

png_voidp rh_png_take_memory(png_structp png, png_alloc_size_t bytes) {
  rh_png_guard *g = png_get_mem_ptr(png);
  void *block = rh_alloc(bytes);
  g->starved = g->starved || !block;
  return block;
}

void rh_png_give_memory(png_structp png, png_voidp block) {
  (void)png;
  rh_free(block);
}

void PNGCBAPI rh_png_on_error(png_structp png, png_const_charp message) {
  rh_png_guard *g = png_get_error_ptr(png);
  snprintf(g->message, sizeof g->message, "%s", message);
  longjmp(g->jump, 1);
}

void PNGCBAPI rh_png_on_warning(png_structp png, png_const_charp message) {
  (void)png;
  (void)message;
}
