/* runtime_threads.c: how many threads this process may use: affinity, control groups, environment; and a core's cache.
 * Not here: the threads themselves (runtime.c). */
#define _GNU_SOURCE 1 /* sched_getaffinity */
#include "rk_runtime.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, FILE_BYTES = 16384 };

static int64_t affinity_count(void) {
  /* The kernel refuses a set smaller than its own: try larger ones. */
  for (int processors = 1024; processors <= 1 << 20; processors *= 4) {
    cpu_set_t *set = CPU_ALLOC((size_t)processors);
    if (set == NULL) break;
    size_t bytes = CPU_ALLOC_SIZE((size_t)processors);
    int failed = sched_getaffinity(0, bytes, set);
    int64_t count = failed ? 0 : CPU_COUNT_S(bytes, set);
    int too_small = failed && errno == EINVAL;
    CPU_FREE(set);
    if (count > 0) return count;
    if (!too_small) break;
  }
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? online : 1;
}

/* The file's beginning as a string, or "" where it cannot be read. */
static void read_text(const char *path, char *text, size_t bytes) {
  text[0] = 0;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  size_t length = 0;
  while (length + 1 < bytes) {
    ssize_t got = read(file, text + length, bytes - 1 - length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    length += (size_t)got;
  }
  close(file);
  text[length] = 0;
}

/* quota / period rounded up; no limit where the quota is not a positive number ("max", -1). */
static int64_t quota_count(const char *quota, const char *period) {
  long long q = strtoll(quota, NULL, 10), p = strtoll(period, NULL, 10);
  return q > 0 && p > 0 ? q / p + (q % p != 0) : INT64_MAX;
}

/* The limit set at one group's directory: version 2 has "quota period" in one file, version 1 two files. */
static int64_t group_count(const char *directory) {
  char path[PATH_BYTES + 32], text[64], period[64];
  snprintf(path, sizeof path, "%s/cpu.max", directory);
  read_text(path, text, sizeof text);
  const char *space = strchr(text, ' ');
  if (space != NULL) return quota_count(text, space + 1);
  snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", directory);
  read_text(path, text, sizeof text);
  snprintf(path, sizeof path, "%s/cpu.cfs_period_us", directory);
  read_text(path, period, sizeof period);
  return quota_count(text, period);
}

/* The smallest limit from the group up to the root of its hierarchy: a parent's quota binds its children, and inside a container the
 * path is often the host's, of which only the root is visible. */
static int64_t walk_count(const char *root, const char *group) {
  char directory[PATH_BYTES];
  if ((size_t)snprintf(directory, sizeof directory, "%s%s", root, group) >= sizeof directory) return INT64_MAX;
  int64_t least = INT64_MAX;
  for (size_t root_length = strlen(root); strlen(directory) >= root_length;) {
    int64_t count = group_count(directory);
    if (count < least) least = count;
    char *slash = strrchr(directory, '/');
    if (slash == NULL) break;
    *slash = 0;
  }
  return least;
}

/* True where `controllers` ("cpu,cpuacct") names cpu. */
static int names_cpu(const char *controllers) {
  for (const char *at = controllers; at != NULL; at = strchr(at, ',')) {
    if (*at == ',') at++;
    if (strncmp(at, "cpu", 3) == 0 && (at[3] == 0 || at[3] == ',')) return 1;
  }
  return 0;
}

int32_t rk_cgroup_threads(const char *membership, const char *root) {
  char text[FILE_BYTES], mount[PATH_BYTES];
  read_text(membership, text, sizeof text);
  int64_t least = INT64_MAX;
  for (char *rest = text, *line; (line = strtok_r(rest, "\n", &rest)) != NULL;) {
    /* id:controllers:path */
    char *controllers = strchr(line, ':'), *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (path == NULL || path[1] != '/') continue;
    *path++ = 0;
    controllers++;
    /* Version 2 has no controllers; it is mounted at the root, or below it beside version 1. Version 1 under its controllers' names. */
    const char *places[] = {*controllers == 0 ? "" : "cpu", *controllers == 0 ? "unified" : controllers};
    if (*controllers != 0 && !names_cpu(controllers)) continue;
    for (int i = 0; i < 2; i++) {
      snprintf(mount, sizeof mount, "%s%s%s", root, *places[i] == 0 ? "" : "/", places[i]);
      int64_t count = walk_count(mount, path);
      if (count < least) least = count;
    }
  }
  return least == INT64_MAX ? 0 : least > INT32_MAX ? INT32_MAX : (int32_t)least;
}

/* A positive number at the beginning of an environment variable ("4", "4,2"); no limit otherwise. */
static int64_t environment_count(const char *name) {
  const char *value = getenv(name);
  long long count = value == NULL ? 0 : strtoll(value, NULL, 10);
  return count > 0 ? count : INT64_MAX;
}

int32_t rk_processors(void) {
  int64_t count = affinity_count();
  return count > RK_MAX_THREADS ? RK_MAX_THREADS : (int32_t)count;
}

int32_t rk_default_threads(void) {
  int64_t quota = rk_cgroup_threads("/proc/self/cgroup", "/sys/fs/cgroup");
  const int64_t limits[] = {affinity_count(), quota > 0 ? quota : INT64_MAX, environment_count("OMP_NUM_THREADS"),
                            environment_count("RENGA_NUM_THREADS")};
  int64_t least = RK_MAX_THREADS;
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
    if (limits[i] < least) least = limits[i];
  return least < 1 ? 1 : (int32_t)least;
}

size_t rk_second_level_bytes(void) {
  long bytes = -1;
#ifdef _SC_LEVEL2_CACHE_SIZE
  bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
  if (bytes <= 0) return (size_t)1 << 20;
  return bytes < 1 << 18 ? (size_t)1 << 18 : bytes > 1 << 22 ? (size_t)1 << 22 : (size_t)bytes;
}
