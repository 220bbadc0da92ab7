/* What stands in a folder. */
#ifndef RH_BASE_FOLDER_H
#define RH_BASE_FOLDER_H
#include <stdbool.h>

#include "base/memory.h"

typedef struct rh_folder {
  char **name; /* [n], in the order of their bytes; hidden ones (".name") are left out */
  int64_t n, room;
  rh_arena arena;
} rh_folder; /* {0} is empty */

typedef enum rh_path_kind { RH_PATH_NONE, RH_PATH_FILE, RH_PATH_FOLDER, RH_PATH_OTHER } rh_path_kind;
rh_path_kind rh_path_is(const char *path); /* NONE: there is nothing, or it cannot be looked at; OTHER: a pipe, a device */
rh_status rh_folder_list(const char *path, rh_folder *folder) RH_WARN_UNUSED;
void rh_folder_free(rh_folder *folder);
/* path/name in the arena; NULL: no memory. */
char *rh_path_join(rh_arena *arena, const char *path, const char *name);
#endif
