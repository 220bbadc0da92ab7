/* Image data that must be refused: each with one line that says which file, what is wrong and what to do; and damage anywhere in a file. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "image_files.h"

/* In texts @ is the folder. */
typedef struct refusal {
  const char *file;
  rh_image_options options;
  rh_status status;
  const char *error;
} refusal;

#define FORMAT      RH_E_FORMAT
#define DATA        RH_E_DATA
#define SHAPE       RH_E_SHAPE
#define UNSUPPORTED RH_E_UNSUPPORTED
#define ARGUMENT    RH_E_ARGUMENT
#define AGAIN       "; fetch or write it again"

static const refusal arrays[] = {
    {"short-axes.idx", {0}, FORMAT, "@short-axes.idx: the file is cut short in its header" AGAIN},
    {"short.idx", {0}, FORMAT, "@short.idx: the file is cut short: 59 bytes of values, its axes need 60" AGAIN},
    {"long.idx", {0}, FORMAT, "@long.idx: 2 bytes follow the 60 that its axes need; the file is damaged: fetch or write it again"},
    {"cut.idx.gz", {0}, FORMAT, "@cut.idx.gz: the compressed data is cut short; fetch or write the file again"},
    {"floats.idx", {0}, UNSUPPORTED, "@floats.idx: IDX data of type 0x0D (floats) is not read; write unsigned bytes (type 0x08)"},
    {"flat.idx", {0}, SHAPE, "@flat.idx: two axes, no images: images have 3 axes (n, h, w) or 4 (n, h, w, c)"},
    {"labels.idx",
     {0},
     SHAPE,
     "@labels.idx: one axis, no images: images have 3 axes (n, h, w) or 4 (n, h, w, c); labels go beside them (labels)"},
    {"huge.idx", {0}, FORMAT, "@huge.idx: its axes are larger than any memory; the file is damaged"},
    {"none.idx", {0}, DATA, "@none.idx: axis 1 has length 0: the file holds nothing; write it again"},
    {"channels.idx", {0}, SHAPE, "@channels.idx: images of 2 channels; 1 (grey) or 3 (red, green, blue) are read"},
    {"empty.idx", {0}, DATA, "@empty.idx: the file is empty; images are wanted"},
    {"text.txt",
     {0},
     FORMAT,
     "@text.txt: is no image data: IDX, NPY, NPZ, PNG, PGM, PPM, or records of CIFAR (3073 or 3074 bytes each) are read"},
    {"hwc.npy",
     {.layout = "chw"},
     SHAPE,
     "@hwc.npy: shape (3, 5, 4, 3) read as chw has 5 channels; images have 1 or 3: give another layout or slice the array"},
    {"hwc.npy", {.layout = "hcw"}, ARGUMENT, "layout \"hcw\" is not known; hwc (channels last) and chw (channels first) are"},
    {"wide.npy", {0}, UNSUPPORTED, "@wide.npy: dtype i4 is not read as images; save whole numbers from 0 to 255 with .astype('uint8')"},
    {"channels.npy",
     {0},
     SHAPE,
     "@channels.npy: shape (2, 4, 4, 2) has no axis of 1 or 3 channels, last or second; save (n, h, w, c) or (n, c, h, w)"},
    {"table.npy", {0}, SHAPE, "@table.npy: shape (3, 5) is none of images; save (n, h, w), (n, h, w, c) or (n, c, h, w)"},
    {"axes5.npy", {0}, SHAPE, "@axes5.npy: shape (1, 1, 1, 1, 1) is none of images; save (n, h, w), (n, h, w, c) or (n, c, h, w)"},
    {"none.npy", {0}, DATA, "@none.npy: shape (0, 3, 3) holds no values; a table needs at least one row"},
    {"two.npz", {0}, DATA, "@two.npz: several arrays could be the images; it holds a, b: name one as FILE.npz:NAME"},
    {"tables.npz", {0}, DATA, "@tables.npz: no array has 3 or 4 axes; it holds a: name one as FILE.npz:NAME"},
    {"stored.npz:q", {0}, DATA, "@stored.npz: no array is named \"q\"; it holds X, y: name one as FILE.npz:NAME"},
    {"stored.npz:y", {0}, SHAPE, "@stored.npz: shape (3) is none of images; save (n, h, w), (n, h, w, c) or (n, c, h, w)"},
    {"cifar-mixed",
     {0},
     DATA,
     "@cifar-mixed/data_batch_2.bin: is of CIFAR-100, but the file before it of CIFAR-10; give files of one of them"},
    {"cifar-cut",
     {0},
     FORMAT,
     "@cifar-cut/data_batch_2.bin: the file is cut short or no batch of CIFAR: 3072 bytes are no multiple of 3073 or 3074; fetch it again"},
    {"label10.bin", {0}, DATA, "@label10.bin: image 2: its label is none of CIFAR-10's 10 classes; the file is damaged or of another kind"},
    {"nowhere", {0}, RH_E_IO, "@nowhere: cannot be opened: No such file or directory"},
    {"grey.idx", {.bits = 9}, ARGUMENT, "images of 9 bits are not read; 1 to 8 are"},
    {"hwc.npy",
     {.bits = 4},
     DATA,
     "@hwc.npy: image 1, row 1, column 1, channel 2: 53 is beyond 4 bits (15 at most); declare the depth of the data (bits)"},
};

/* The labels that go with them, in the folder, or words. */
static const struct labels {
  const char *file, *labels;
  rh_status status;
  const char *error;
} labels[] = {
    {"grey.idx", "labels4.idx", DATA, "@grey.idx: 3 images but 4 labels; give one label an image"},
    {"cifar", "y4.npy", DATA, "@cifar: 3 images but 4 labels; give one label an image"},
    {"grey.idx", "", ARGUMENT, "@grey.idx: these data have no labels of their own; name the file that has them (labels)"},
    {"one.png", "", ARGUMENT, "@one.png: these data have no labels of their own; name the file that has them (labels)"},
    {"grey.idx", "folders", ARGUMENT, "@grey.idx: there are no folders that could be labels; name the file that has them (labels)"},
    {"grey-png", "folders", DATA, "@grey-png: holds no folders that could be labels; put the images of a class into a folder of its own"},
    {"grey.idx", "text.txt", FORMAT, "@text.txt: is no file of labels; an IDX, NPY or NPZ file with one label an image is read"},
    {"grey.idx", "no.idx", RH_E_IO, "@no.idx: cannot be opened: No such file or directory"},
    {"grey.idx", "grey.idx", SHAPE, "@grey.idx: an IDX file of 3 axes; labels have 1"},
    {"grey.idx", "table.npy", SHAPE, "@table.npy: labels of 5 columns; give one label an image, an array of shape (n,)"},
    {"grey.idx", "y-256.npy", DATA, "@y-256.npy: label 2 is 256; labels are whole numbers from 0 to 255"},
    {"grey.idx", "y-minus.npy", DATA, "@y-minus.npy: label 3 is -1; labels are whole numbers from 0 to 255"},
    {"grey.idx", "y-half.npy", DATA, "@y-half.npy: label 2 is 0.5; labels are whole numbers from 0 to 255"},
    {"grey.idx", "y-nan.npy", DATA, "@y-nan.npy: label 2 is nan; labels are whole numbers from 0 to 255"},
    {"bare.npz", "", DATA, "@bare.npz: no array for labels is named \"y\"; it holds X: name one as FILE.npz:NAME"},
    {"bare.npz", "w", DATA, "@bare.npz: no array for labels is named \"w\"; it holds X: name one as FILE.npz:NAME"},
    {"grey.idx", "bare.npz", DATA, "@bare.npz: no array is named \"y\"; it holds X: name one as FILE.npz:NAME"},
};

static const refusal pictures[] = {
    {"sizes", {0}, SHAPE, "@sizes/1.png: 4 x 4 x 1 (height, width, channels), but @sizes/0.png is 5 x 4 x 1; give images of one size"},
    {"kinds", {0}, SHAPE, "@kinds/1.png: 5 x 4 x 3 (height, width, channels), but @kinds/0.png is 5 x 4 x 1; give images of one size"},
    {"depths", {0}, DATA, "@depths/1.pgm: values from 0 to 15, but those of @depths/0.pgm are from 0 to 255; give images of one depth"},
    {"stranger", {0}, FORMAT, "@stranger/1.txt: is no PNG, PGM or PPM image; take it out of the folder"},
    {"beside", {0}, DATA, "@beside: holds folders and files; give images alone, or folders of images alone"},
    {"deeper", {0}, DATA, "@deeper/a: holds folders again; a folder of folders of images is read, no deeper"},
    {"hollow", {0}, DATA, "@hollow/b: the folder is empty; put images into it or take it away"},
    {"nothing", {0}, DATA, "@nothing: the folder is empty; put images into it or take it away"},
    {"grey-png",
     {.bits = 4},
     DATA,
     "@grey-png/0.png: row 1, column 4, channel 1: 21 is beyond 4 bits (15 at most); declare the depth of the data (bits)"},
    {"palette.png", {0}, UNSUPPORTED, "@palette.png: the PNG has a palette, which is not read; write grey or RGB values"},
    {"alpha.png", {0}, UNSUPPORTED, "@alpha.png: the PNG has an alpha channel, which is not read; write it without (grey or RGB)"},
    {"grey-alpha.png",
     {0},
     UNSUPPORTED,
     "@grey-alpha.png: the PNG has an alpha channel, which is not read; write it without (grey or RGB)"},
    {"deep.png", {0}, UNSUPPORTED, "@deep.png: the PNG has 16 bits a channel, which are not read; write 8"},
    {"transparent.png", {0}, UNSUPPORTED, "@transparent.png: the PNG has a transparent colour, which is not read; write it without"},
    {"cut.png", {0}, FORMAT, "@cut.png: the PNG is cut short" AGAIN},
    {"long.png", {0}, FORMAT, "@long.png: 3 bytes follow the PNG's end; fetch or write the file again"},
    {"checksum.png", {0}, FORMAT, "@checksum.png: the PNG is damaged (IDAU: CRC error)" AGAIN},
    {"rows.png", {0}, FORMAT, "@rows.png: the PNG is damaged (Not enough image data)" AGAIN},
    {"bomb.png", {0}, FORMAT, "@bomb.png: the file is cut short: 16 bytes are no image of 8000 x 8000" AGAIN},
    {"giant.png",
     {0},
     SHAPE,
     "@giant.png: images of 16777216 x 16777216 x 1 are larger than the 67108864 values that are read; cut or scale them"},
    {"p4.pbm", {0}, UNSUPPORTED, "@p4.pbm: Netpbm's P4 is not read; write it as PGM (P2, P5) or PPM (P3, P6)"},
    {"deep.pgm",
     {0},
     UNSUPPORTED,
     "@deep.pgm: values to 65535 are more than 8 bits, which are not read; write it with 255 at most (pnmdepth 255)"},
    {"cut.pgm", {0}, FORMAT, "@cut.pgm: the file is cut short: 19 bytes for 20 values" AGAIN},
    {"long.pgm", {0}, FORMAT, "@long.pgm: 2 bytes follow the image; give one image a file"},
    {"cut.pgm2", {0}, FORMAT, "@cut.pgm2: the file is cut short: 5 bytes for 4 values" AGAIN},
    {"cut-late.pgm2",
     {0},
     FORMAT,
     "@cut-late.pgm2: byte 22: value 4 is missing or no whole number of at most 8 digits; fetch or write the file again"},
    {"word.pgm2",
     {0},
     FORMAT,
     "@word.pgm2: byte 14: value 2 is missing or no whole number of at most 8 digits; fetch or write the file again"},
    {"long.pgm2", {0}, FORMAT, "@long.pgm2: byte 14: something follows the image; fetch or write the file again"},
    {"above.pgm", {0}, DATA, "@above.pgm: value 4 is 21, but the file says 16 at most; write it again"},
    {"above.pgm2", {0}, DATA, "@above.pgm2: value 2 is 17, but the file says 16 at most; write it again"},
    {"header.pgm",
     {0},
     FORMAT,
     "@header.pgm: byte 5: the height is missing or no whole number of at most 8 digits; fetch or write the file again"},
    {"zero.pgm", {0}, DATA, "@zero.pgm: images of 3 x 0 hold no values; write them again"},
    {"zero-most.pgm", {0}, FORMAT, "@zero-most.pgm: byte 9: the greatest value is 0; fetch or write the file again"},
    {"giant.pgm",
     {0},
     SHAPE,
     "@giant.pgm: images of 99999999 x 99999999 x 1 are larger than the 67108864 values that are read; cut or scale them"},
};

/* The last error with the folder as @. */
static void shortened(char *out, size_t room) {
  char folder[80];
  const int length = snprintf(folder, sizeof folder, "%s/", scratch_folder);
  size_t n = 0;
  for (const char *p = rh_last_error(); *p && n + 1 < room;) {
    const bool here = strncmp(p, folder, (size_t)length) == 0;
    out[n++] = here ? '@' : *p;
    p += here ? length : 1;
  }
  out[n] = 0;
}

static void assert_refused(const char *file, const rh_image_options *options, rh_status status, const char *error) {
  char got[600];
  rh_table *table = NULL;
  const rh_status found = rh_images_read(scratch_path(file), options, &table);
  shortened(got, sizeof got);
  if (found != status || strcmp(got, error) != 0) fail_msg("%d \"%s\" is not %d \"%s\"", (int)found, got, (int)status, error);
  assert_null(table);
}

static void files_of_arrays(void **state) {
  (void)state;
  for (size_t i = 0; i < RH_COUNT_OF(arrays); i++) assert_refused(arrays[i].file, &arrays[i].options, arrays[i].status, arrays[i].error);
}

static void labels_that_do_not_fit(void **state) {
  (void)state;
  for (size_t i = 0; i < RH_COUNT_OF(labels); i++) {
    const bool file = strchr(labels[i].labels, '.') != NULL;
    const rh_image_options options = {.labels = file ? scratch_path(labels[i].labels) : labels[i].labels};
    assert_refused(labels[i].file, &options, labels[i].status, labels[i].error);
  }
}

static void pictures_and_folders(void **state) {
  (void)state;
  for (size_t i = 0; i < RH_COUNT_OF(pictures); i++)
    assert_refused(pictures[i].file, &pictures[i].options, pictures[i].status, pictures[i].error);
}

/* The first value beyond the declared bits is the one that is named. */
static void the_first_value_beyond_the_bits(void **state) {
  (void)state;
  for (int bits = 1; bits < 5; bits++) {
    int64_t i = 0, y = 0, x = 0, place = 0;
    for (; value_of(i, y, x, 0, 16) < 1 << bits; place++) {
      i = (place + 1) / 20;
      y = (place + 1) / 4 % 5;
      x = (place + 1) % 4;
    }
    char want[160];
    snprintf(want, sizeof want,
             "@deep.idx: image %d, row %d, column %d, channel 1: %d is beyond %d bits (%d at most); declare the depth of the data (bits)",
             (int)i + 1, (int)y + 1, (int)x + 1, value_of(i, y, x, 0, 16), bits, (1 << bits) - 1);
    assert_refused("deep.idx", &(rh_image_options){.bits = bits}, RH_E_DATA, want);
  }
}

/* Any file cut anywhere is refused; with any bit turned it is refused or read, never more. */
static void damage_anywhere(void **state) {
  (void)state;
  static const char *const files[] = {"grey.idx", "grey.idx.gz", "colour.idx", "grey.npy",         "packed.npz",     "one.png",
                                      "one.ppm",  "depth2.png",  "one.pgm.gz", "colour-png/1.png", "grey-pnm/1.pgm", "grey-pnm/0.pgm"};
  for (size_t f = 0; f < RH_COUNT_OF(files); f++) {
    rh_bytes whole = {0};
    assert_int_equal(rh_bytes_open(scratch_path(files[f]), &whole), RH_OK);
    int refused = 0;
    for (size_t n = 0; n + 1 < whole.size; n++) { /* the last byte of a plain PGM is a newline that may go */
      rh_table *table = NULL;
      unsigned char *exact = malloc(n ? n : 1); /* of its own size: a sanitizer sees what is read beyond */
      memcpy(exact, whole.data, n);
      const rh_status status = rh_images_read_bytes("t", exact, n, NULL, &table);
      const bool plain = whole.data[0] == 'P' && (whole.data[1] == '2' || whole.data[1] == '3');
      if (status == RH_OK && !plain) fail_msg("%s, %d bytes of %d: is read", files[f], (int)n, (int)whole.size);
      assert_true(status == RH_OK || (rh_last_error()[0] && !strchr(rh_last_error(), '\n')));
      refused += status != RH_OK;
      rh_table_free(table);
      free(exact);
    }
    assert_true(refused > (int)whole.size / 2);
    for (size_t i = 0; i < whole.size * 8; i++) {
      rh_table *table = NULL;
      unsigned char *exact = malloc(whole.size);
      memcpy(exact, whole.data, whole.size);
      exact[i / 8] ^= (unsigned char)(1 << i % 8);
      const rh_status status = rh_images_read_bytes("t", exact, whole.size, NULL, &table);
      assert_true((status == RH_OK) == (table != NULL));
      assert_true(status == RH_OK || (rh_last_error()[0] && !strchr(rh_last_error(), '\n')));
      rh_table_free(table);
      free(exact);
    }
    rh_bytes_close(&whole);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(files_of_arrays),      cmocka_unit_test(labels_that_do_not_fit),
      cmocka_unit_test(pictures_and_folders), cmocka_unit_test(the_first_value_beyond_the_bits),
      cmocka_unit_test(damage_anywhere),
  };
  return cmocka_run_group_tests(tests, image_files_make, scratch_remove);
}
