/*
 * The calls that can be broken on purpose. Without a fault they are the system calls and nothing else.
 *
 * A fault makes a file system wrong in a way that drives have been wrong in; the tests demand that the checker notices.
 */
#ifndef CHECKER_BROKEN_H
#define CHECKER_BROKEN_H

#include <sys/stat.h>
#include <sys/types.h>

#include "calls.h"

/* The fault of this name, or FAULTS. */
enum fault broken_fault(const char *name);

int broken_rename(struct world *world, const struct call *call, const char *from, const char *to);
int broken_link(struct world *world, const char *from, const char *to);
int broken_unlink(struct world *world, const struct call *call, const char *path);
int broken_stat(struct world *world, int directory, const char *path, struct stat *stat);
int broken_fstat(struct world *world, int fd, struct stat *stat);
ssize_t broken_read(struct world *world, struct slot *slot, void *bytes, size_t size, off_t offset);
ssize_t broken_append(struct world *world, struct slot *slot, const void *bytes, size_t size);
int broken_truncate(struct world *world, struct slot *slot, const struct call *call, off_t size);
int broken_mapping(const struct world *world); /* flags for mmap(2) */

#endif
