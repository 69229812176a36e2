/*
 * Plays the kernel's part for tests: requests through the in-process channel, as system calls would make them.
 *
 * Errors are positive errno values, 0 is success. Every function fails the test when the volume is not there.
 */
#ifndef TESTS_KERNEL_H
#define TESTS_KERNEL_H

#include <tenon-testing.h>

#include "wire/proto.h"

/* A request and its answer: what a test keeps books from. out is NULL where the caller did not want the answer's body. */
struct exchange {
	uint32_t opcode;
	uint64_t node;
	const void *in;
	int error;
	const void *out;
	/* The body's whole length, and how much of it there is at out. */
	size_t length;
	size_t room;
};

struct kernel {
	tenon_volume *volume;
	tenon_testing_caller caller;
	/* Sees each exchange that the functions below make; NULL: nobody does. */
	void (*watch)(void *watcher, const struct exchange *exchange);
	void *watcher;
};

/* Any request: as tenon_testing_request. */
int kernel_request(struct kernel *kernel, uint32_t opcode, uint64_t node, const void *in, size_t in_size, void *out,
		   size_t out_size, size_t *length);

int kernel_lookup(struct kernel *kernel, uint64_t parent, const char *name, struct wire_entry_out *out);
int kernel_getattr(struct kernel *kernel, uint64_t node, struct wire_attr *out);
int kernel_setattr(struct kernel *kernel, uint64_t node, const struct wire_setattr_in *in);
int kernel_mkdir(struct kernel *kernel, uint64_t parent, const char *name, uint32_t mode, struct wire_entry_out *out);
int kernel_symlink(struct kernel *kernel, uint64_t parent, const char *name, const char *target, struct wire_entry_out *out);
int kernel_create(struct kernel *kernel, uint64_t parent, const char *name, uint32_t mode, int flags,
		  struct wire_entry_out *entry, uint64_t *fh);
int kernel_tmpfile(struct kernel *kernel, uint64_t parent, uint32_t mode, struct wire_entry_out *entry, uint64_t *fh);
int kernel_open(struct kernel *kernel, uint64_t node, int flags, uint64_t *fh);
int kernel_opendir(struct kernel *kernel, uint64_t node, uint64_t *fh);
int kernel_write(struct kernel *kernel, uint64_t node, uint64_t fh, uint64_t offset, const void *data, uint32_t size);
/* *got bytes are stored. */
int kernel_read(struct kernel *kernel, uint64_t node, uint64_t fh, uint64_t offset, void *data, uint32_t size, uint32_t *got);
int kernel_flush(struct kernel *kernel, uint64_t node, uint64_t fh);
int kernel_release(struct kernel *kernel, uint64_t node, uint64_t fh, bool directory);
/* mode as for fallocate(2). */
int kernel_fallocate(struct kernel *kernel, uint64_t node, uint64_t fh, uint32_t mode, uint64_t offset, uint64_t length);
/* FS_IOC_GETFSLABEL and FS_IOC_SETFSLABEL, with the 256 bytes that they take. */
int kernel_get_label(struct kernel *kernel, uint64_t node, uint64_t fh, char label[256]);
int kernel_set_label(struct kernel *kernel, uint64_t node, uint64_t fh, const char label[256]);
int kernel_unlink(struct kernel *kernel, uint64_t parent, const char *name);
int kernel_rmdir(struct kernel *kernel, uint64_t parent, const char *name);
int kernel_rename(struct kernel *kernel, uint64_t from, const char *name, uint64_t to, const char *new_name, uint32_t flags);
int kernel_link(struct kernel *kernel, uint64_t node, uint64_t parent, const char *name, struct wire_entry_out *out);
int kernel_forget(struct kernel *kernel, uint64_t node, uint64_t lookups);
/* Up to room bytes, *length of them; room 0: how long it is. */
int kernel_getxattr(struct kernel *kernel, uint64_t node, const char *name, char *value, uint32_t room, size_t *length);
/* Reads from offset; names, each followed by a newline, go to text. *next is the offset to go on from, 0 at the end. */
int kernel_readdir(struct kernel *kernel, uint64_t node, uint64_t fh, uint64_t offset, uint32_t size, char *text, uint64_t *next);

#endif
