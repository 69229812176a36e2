/*
 * The kernel's FUSE protocol, version 7: message layouts and constants.
 *
 * Declared here because Debian 12's linux/fuse.h stops at 7.38. All in host byte order, padded to 8 bytes.
 */
#ifndef WIRE_PROTO_H
#define WIRE_PROTO_H

#include <stdint.h>

#define WIRE_MAJOR 7
#define WIRE_MINOR 45
#define WIRE_ROOT 1u
/* The kernel's smallest acceptable request buffer. */
#define WIRE_MIN_BUFFER 8192

enum wire_opcode {
	WIRE_LOOKUP = 1,
	WIRE_FORGET = 2,
	WIRE_GETATTR = 3,
	WIRE_SETATTR = 4,
	WIRE_READLINK = 5,
	WIRE_SYMLINK = 6,
	WIRE_MKNOD = 8,
	WIRE_MKDIR = 9,
	WIRE_UNLINK = 10,
	WIRE_RMDIR = 11,
	WIRE_RENAME = 12,
	WIRE_LINK = 13,
	WIRE_OPEN = 14,
	WIRE_READ = 15,
	WIRE_WRITE = 16,
	WIRE_STATFS = 17,
	WIRE_RELEASE = 18,
	WIRE_FSYNC = 20,
	WIRE_SETXATTR = 21,
	WIRE_GETXATTR = 22,
	WIRE_LISTXATTR = 23,
	WIRE_REMOVEXATTR = 24,
	WIRE_FLUSH = 25,
	WIRE_INIT = 26,
	WIRE_OPENDIR = 27,
	WIRE_READDIR = 28,
	WIRE_RELEASEDIR = 29,
	WIRE_FSYNCDIR = 30,
	WIRE_GETLK = 31,
	WIRE_SETLK = 32,
	WIRE_SETLKW = 33,
	WIRE_ACCESS = 34,
	WIRE_CREATE = 35,
	WIRE_INTERRUPT = 36,
	WIRE_BMAP = 37,
	WIRE_DESTROY = 38,
	WIRE_IOCTL = 39,
	WIRE_POLL = 40,
	WIRE_NOTIFY_REPLY = 41,
	WIRE_BATCH_FORGET = 42,
	WIRE_FALLOCATE = 43,
	WIRE_READDIRPLUS = 44,
	WIRE_RENAME2 = 45,
	WIRE_LSEEK = 46,
	WIRE_COPY_FILE_RANGE = 47,
	WIRE_SYNCFS = 50,
	WIRE_TMPFILE = 51,
	WIRE_STATX = 52,
	WIRE_COPY_FILE_RANGE_64 = 53,
	WIRE_OPCODE_COUNT = 54,
};

/* INIT flags; those from bit 32 on travel in flags2. */
#define WIRE_ASYNC_READ (1ull << 0)
#define WIRE_EXPORT_SUPPORT (1ull << 4)
#define WIRE_BIG_WRITES (1ull << 5)
#define WIRE_HAS_IOCTL_DIR (1ull << 11)
#define WIRE_AUTO_INVAL_DATA (1ull << 12)
#define WIRE_DO_READDIRPLUS (1ull << 13)
#define WIRE_READDIRPLUS_AUTO (1ull << 14)
#define WIRE_ASYNC_DIO (1ull << 15)
#define WIRE_WRITEBACK_CACHE (1ull << 16)
#define WIRE_PARALLEL_DIROPS (1ull << 18)
#define WIRE_ABORT_ERROR (1ull << 21)
#define WIRE_MAX_PAGES (1ull << 22)
#define WIRE_CACHE_SYMLINKS (1ull << 23)
#define WIRE_EXPLICIT_INVAL_DATA (1ull << 25)
#define WIRE_HANDLE_KILLPRIV_V2 (1ull << 28)
#define WIRE_INIT_EXT (1ull << 30)
#define WIRE_DIRECT_IO_ALLOW_MMAP (1ull << 36)
#define WIRE_PASSTHROUGH (1ull << 37)
#define WIRE_OVER_IO_URING (1ull << 41)

/* SETATTR: what is to change. */
#define WIRE_SET_MODE (1u << 0)
#define WIRE_SET_UID (1u << 1)
#define WIRE_SET_GID (1u << 2)
#define WIRE_SET_SIZE (1u << 3)
#define WIRE_SET_ATIME (1u << 4)
#define WIRE_SET_MTIME (1u << 5)
#define WIRE_SET_FH (1u << 6)
#define WIRE_SET_ATIME_NOW (1u << 7)
#define WIRE_SET_MTIME_NOW (1u << 8)
#define WIRE_SET_CTIME (1u << 10)
#define WIRE_SET_KILL_SUIDGID (1u << 11)

#define WIRE_GETATTR_FH (1u << 0)
#define WIRE_OPEN_KILL_SUIDGID (1u << 0)
/* WRITE: a page of the kernel's cache; the handle is a guess and nobody is the caller. */
#define WIRE_WRITE_CACHE (1u << 0)
#define WIRE_WRITE_KILL_SUIDGID (1u << 2)

/* How an opened file behaves. */
#define WIRE_FOPEN_DIRECT_IO (1u << 0)
#define WIRE_FOPEN_KEEP_CACHE (1u << 1)
#define WIRE_FOPEN_PARALLEL_DIRECT_WRITES (1u << 6)

#define WIRE_NOTIFY_INVAL_INODE 2
#define WIRE_NOTIFY_PRUNE 9

struct wire_in_header {
	uint32_t len;
	uint32_t opcode;
	uint64_t unique;
	uint64_t nodeid;
	uint32_t uid;
	uint32_t gid;
	uint32_t pid;
	uint16_t total_extlen;
	uint16_t padding;
};

struct wire_out_header {
	uint32_t len;
	int32_t error;
	uint64_t unique;
};

struct wire_attr {
	uint64_t ino;
	uint64_t size;
	uint64_t blocks;
	uint64_t atime;
	uint64_t mtime;
	uint64_t ctime;
	uint32_t atimensec;
	uint32_t mtimensec;
	uint32_t ctimensec;
	uint32_t mode;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint32_t rdev;
	uint32_t blksize;
	uint32_t flags;
};

struct wire_entry_out {
	uint64_t nodeid;
	uint64_t generation;
	uint64_t entry_valid;
	uint64_t attr_valid;
	uint32_t entry_valid_nsec;
	uint32_t attr_valid_nsec;
	struct wire_attr attr;
};

struct wire_attr_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec;
	uint32_t dummy;
	struct wire_attr attr;
};

struct wire_sx_time {
	int64_t sec;
	uint32_t nsec;
	int32_t reserved;
};

struct wire_statx {
	uint32_t mask;
	uint32_t blksize;
	uint64_t attributes;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint16_t mode;
	uint16_t spare0;
	uint64_t ino;
	uint64_t size;
	uint64_t blocks;
	uint64_t attributes_mask;
	struct wire_sx_time atime;
	struct wire_sx_time btime;
	struct wire_sx_time ctime;
	struct wire_sx_time mtime;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint64_t spare2[14];
};

struct wire_statx_in {
	uint32_t getattr_flags;
	uint32_t reserved;
	uint64_t fh;
	uint32_t sx_flags;
	uint32_t sx_mask;
};

struct wire_statx_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec;
	uint32_t flags;
	uint64_t spare[2];
	struct wire_statx stat;
};

/* The header's own number is the request's with this bit. */
#define WIRE_INTERRUPT_BIT 1u

struct wire_interrupt_in {
	/* The request whose caller has got a signal. */
	uint64_t unique;
};

struct wire_forget_in {
	uint64_t nlookup;
};

struct wire_forget_one {
	uint64_t nodeid;
	uint64_t nlookup;
};

struct wire_batch_forget_in {
	uint32_t count;
	uint32_t dummy;
};

struct wire_getattr_in {
	uint32_t flags;
	uint32_t dummy;
	uint64_t fh;
};

struct wire_setattr_in {
	uint32_t valid;
	uint32_t padding;
	uint64_t fh;
	uint64_t size;
	uint64_t lock_owner;
	uint64_t atime;
	uint64_t mtime;
	uint64_t ctime;
	uint32_t atimensec;
	uint32_t mtimensec;
	uint32_t ctimensec;
	uint32_t mode;
	uint32_t unused4;
	uint32_t uid;
	uint32_t gid;
	uint32_t unused5;
};

struct wire_mknod_in {
	uint32_t mode;
	uint32_t rdev;
	uint32_t umask;
	uint32_t padding;
};

struct wire_mkdir_in {
	uint32_t mode;
	uint32_t umask;
};

struct wire_rename_in {
	uint64_t newdir;
};

struct wire_rename2_in {
	uint64_t newdir;
	uint32_t flags;
	uint32_t padding;
};

struct wire_link_in {
	uint64_t oldnodeid;
};

struct wire_open_in {
	uint32_t flags;
	uint32_t open_flags;
};

struct wire_create_in {
	uint32_t flags;
	uint32_t mode;
	uint32_t umask;
	uint32_t open_flags;
};

struct wire_open_out {
	uint64_t fh;
	uint32_t open_flags;
	int32_t backing_id;
};

struct wire_release_in {
	uint64_t fh;
	uint32_t flags;
	uint32_t release_flags;
	uint64_t lock_owner;
};

struct wire_flush_in {
	uint64_t fh;
	uint32_t unused;
	uint32_t padding;
	uint64_t lock_owner;
};

struct wire_read_in {
	uint64_t fh;
	uint64_t offset;
	uint32_t size;
	uint32_t read_flags;
	uint64_t lock_owner;
	uint32_t flags;
	uint32_t padding;
};

struct wire_write_in {
	uint64_t fh;
	uint64_t offset;
	uint32_t size;
	uint32_t write_flags;
	uint64_t lock_owner;
	uint32_t flags;
	uint32_t padding;
};

struct wire_write_out {
	uint32_t size;
	uint32_t padding;
};

struct wire_kstatfs {
	uint64_t blocks;
	uint64_t bfree;
	uint64_t bavail;
	uint64_t files;
	uint64_t ffree;
	uint32_t bsize;
	uint32_t namelen;
	uint32_t frsize;
	uint32_t padding;
	uint32_t spare[6];
};

struct wire_fsync_in {
	uint64_t fh;
	uint32_t fsync_flags;
	uint32_t padding;
};

struct wire_getxattr_in {
	uint32_t size;
	uint32_t padding;
};

struct wire_getxattr_out {
	uint32_t size;
	uint32_t padding;
};

struct wire_fallocate_in {
	uint64_t fh;
	uint64_t offset;
	uint64_t length;
	uint32_t mode;
	uint32_t padding;
};

struct wire_ioctl_in {
	uint64_t fh;
	uint32_t flags;
	uint32_t cmd;
	uint64_t arg;
	uint32_t in_size;
	uint32_t out_size;
};

struct wire_ioctl_out {
	int32_t result;
	uint32_t flags;
	uint32_t in_iovs;
	uint32_t out_iovs;
};

struct wire_init_in {
	uint32_t major;
	uint32_t minor;
	uint32_t max_readahead;
	uint32_t flags;
	uint32_t flags2;
	uint32_t unused[11];
};

struct wire_init_out {
	uint32_t major;
	uint32_t minor;
	uint32_t max_readahead;
	uint32_t flags;
	uint16_t max_background;
	uint16_t congestion_threshold;
	uint32_t max_write;
	uint32_t time_gran;
	uint16_t max_pages;
	uint16_t map_alignment;
	uint32_t flags2;
	uint32_t max_stack_depth;
	uint16_t request_timeout;
	uint16_t unused[11];
};

struct wire_dirent {
	uint64_t ino;
	uint64_t off;
	uint32_t namelen;
	uint32_t type;
};

struct wire_notify_inval_inode_out {
	uint64_t ino;
	int64_t off;
	int64_t len;
};

/* Followed by as many node ids. */
struct wire_notify_prune_out {
	uint32_t count;
	uint32_t padding;
	uint64_t spare;
};

#endif
