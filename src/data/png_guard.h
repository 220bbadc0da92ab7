/* libpng with the library's memory and without its exits: what it reports comes back by longjmp to where `jump` was set, and all that must
 * outlive that lies in the struct that begins with this one. Private to the files of PNG. */
#ifndef RH_DATA_PNG_GUARD_H
#define RH_DATA_PNG_GUARD_H
#include <png.h>
#include <setjmp.h>
#include <stdbool.h>

enum { RH_PNG_MESSAGE = 128 };

typedef struct rh_png_guard {
  png_structp png;
  png_infop info;
  bool starved; /* an allocation failed */
  char message[RH_PNG_MESSAGE];
  jmp_buf jump;
} rh_png_guard;

/* For png_create_..._struct_2, with the guard as what they point at. */
png_voidp rh_png_take_memory(png_structp png, png_alloc_size_t bytes);
void rh_png_give_memory(png_structp png, png_voidp block);
void PNGCBAPI rh_png_on_error(png_structp png, png_const_charp message);
void PNGCBAPI rh_png_on_warning(png_structp png, png_const_charp message);
#endif
