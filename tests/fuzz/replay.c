/* Runs a fuzzer without libFuzzer: every file of a folder, each also cut short and with bytes changed, always the same ones. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VARIANTS = 200, PATH = 4096 };
static uint64_t state = 1;

static uint64_t next(void) { /* splitmix64 */
  uint64_t z = (state += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/* A copy of its own size, so that a sanitizer sees any read past its end. */
static void try_one(const uint8_t *data, size_t size, int variant) {
  size_t n = size;
  if (variant % 3 == 1 && size > 0) n = next() % size;
  uint8_t *copy = malloc(n ? n : 1);
  if (!copy) exit(1);
  memcpy(copy, data, n);
  for (int i = 0; variant > 0 && i <= variant % 5 && n > 0; i++) copy[next() % n] = (uint8_t)next();
  LLVMFuzzerTestOneInput(copy, n);
  free(copy);
}

static int try_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) return perror(path), 1;
  fseek(file, 0, SEEK_END);
  const long size = ftell(file);
  rewind(file);
  uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
  if (!data || size < 0 || fread(data, 1, (size_t)size, file) != (size_t)size) return fprintf(stderr, "%s: cannot be read\n", path), 1;
  fclose(file);
  for (int variant = 0; variant < VARIANTS; variant++) try_one(data, (size_t)size, variant);
  free(data);
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 2) return fprintf(stderr, "usage: %s FOLDER_OF_SEEDS\n", argv[0]), 2;
  DIR *folder = opendir(argv[1]);
  if (!folder) return perror(argv[1]), 1;
  int files = 0, failed = 0;
  for (struct dirent *entry; (entry = readdir(folder));) {
    char path[PATH];
    if (entry->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
    failed |= try_file(path);
    files++;
  }
  closedir(folder);
  if (!files) return fprintf(stderr, "%s: no seeds\n", argv[1]), 1;
  printf("%d seeds, %d variants of each\n", files, VARIANTS);
  return failed;
}
