/* rheo plot is run by rheo-plot, the same command with the drawing in it: cairo and the libraries that it brings double the time that a
 * program needs to start, and no other command draws. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

int plot_run(const cli_args *args) {
  static const char ending[] = "-plot";
  char path[4096];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof ending);
  strcpy(n > 0 ? path + n : path, n > 0 ? ending : "rheo-plot");
  if (n > 0)
    execv(path, args->line);
  else
    execvp(path, args->line); /* no /proc: by the search path */
  return complain(EXIT_FAILED, "plot: cannot start %s: %s; it is built and installed beside rheo where cairo is found (RHEO_PLOT)", path,
                  strerror(errno));
}
