/*
 * One kernel request on its way to events and back: what every family of requests shares.
 *
 * A family gives two functions for each opcode: what the request needs before it may run (under the tree's lock, perhaps several
 * times), and what it does. Running is done on one worker, from first event to reply.
 */
#ifndef REQUEST_REQUEST_H
#define REQUEST_REQUEST_H

#include <sys/stat.h>

#include "request/context.h"
#include "volume/volume.h"
#include "wire/decode.h"

/* Memory that a program keeps (keep.c). */
struct kept;

/* The answer's body; the header's room lies directly before data, in area. */
struct reply {
	char *area;
	char *data;
	size_t room;
	size_t length;
	/* A handler has kept area; spare takes its place. */
	struct kept *kept;
	char *spare;
};

struct family;

struct request {
	/* First: the gate's queue leads back to the request. */
	struct waiter waiter;
	const struct family *family;
	/* Part of a struct own_request: the answer goes to the thread that has made it. */
	bool is_own;
	struct tenon_volume *volume;
	struct wire_request wire;
	struct event_origin origin;
	struct reply *reply;
	/* The volume's count of changes of names when the request began to run. */
	uint64_t names_changed;
	/* Files whose attributes are in the reply and must not be kept (fresh.c). */
	uint64_t fleeting[4];
	unsigned fleeting_count;
	/* The message, when the request had to wait and owns it: a buffer of the volume's, or a copy. */
	void *message;
	bool is_buffer;
	/* Where whoever owns the message has it; a handler has kept that, and spare takes its place. */
	void **home;
	struct kept *kept;
	void *spare;
};

/* All origins that there are belong to requests. */
static inline struct request *request_of_origin(const struct event_origin *origin)
{
	return (struct request *)((const char *)origin - offsetof(struct request, origin));
}

struct family {
	void (*need)(struct request *request, struct needs *needs);
	int (*run)(struct request *request);
	/* Gives or takes names. */
	bool names;
};

/* Under the lock, once for each: from now on until it has run interrupts find it, and events say whose it is. */
void request_enlist(struct request *request);

/* Room for the answer's body, zeroed; NULL never: fixed parts always fit. */
void *reply_body(struct request *request, size_t size);

/* A file as get_file_info and enumerate_directory tell of it. */
struct file_attr {
	uint64_t nodeid;
	uint32_t mode;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint64_t device;
	int64_t size;
	int64_t allocation;
	struct timespec birth, atime, mtime, ctime;
	/* Has just been made: a file of the same id that has no names left is another one. */
	bool created;
};

/* What a handler said, before it is believed. */
struct told {
	int64_t file_id;
	uint32_t attributes, mode, uid, gid, reparse_tag, links;
	uint64_t device;
	int64_t size, allocation;
	struct timespec birth, atime, mtime, ctime;
};

/* 0, or EIO where what path is said to be cannot be (on_error is told). */
int attr_from_told(struct tenon_volume *volume, const char *path, const struct told *told, struct file_attr *attr);

/* Fires get_file_info: 0, ENOENT, or what the handler answered. context is that of a file without a name, else NULL. */
int info_get(struct tenon_volume *volume, const char *path, void *context, struct file_attr *attr);

void wire_attr_fill(struct tenon_volume *volume, uint64_t nodeid, const struct file_attr *attr, struct wire_attr *out);
/* How long the kernel may believe attributes and names. */
void lifetime_fill(const struct tenon_volume *volume, uint64_t *seconds, uint32_t *nanoseconds);

/* The same for a node's attributes. Under the lock. */
void fresh_lifetime(struct request *request, struct node *node, uint64_t *seconds, uint32_t *nanoseconds);
/* Told before and after a file gets or loses a name; node may be NULL. Not under the lock. */
void fresh_count_changes(struct request *request, const struct node *node);
/* The request has changed names: what the kernel is being told of their directories is old. Not under the lock. */
void fresh_names_changed(struct request *request);
/* What is in the reply of this request and must not be kept is not going to be. Not under the lock. */
void fresh_before_reply(struct request *request);

/* The file that a request is about. The node is pinned by the request's claim. */
struct subject {
	struct node *node;
	/* NULL while the file is closed. */
	struct open_file *file;
	struct path path;
	/* It has lost its last name; path is "". */
	bool nameless;
	/* That was done through us, and did not happen behind the drive. */
	bool removed;
	/* The node's members of these names, as they were when it was found. */
	bool hidden, untold;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
};

/* How often a path may turn out to have been renamed between the answer and the look at it. */
#define PATH_TRIES 8

/* 0; ESTALE for a node that is not known; what get_file_name_by_file_id answered; ENOMEM. Always to be ended by subject_done. */
int subject_find(struct request *request, uint64_t nodeid, struct subject *subject);
void subject_done(struct subject *subject);
/* The attributes of a subject, also of one without a name. */
int subject_info(struct request *request, struct subject *subject, struct file_attr *attr);
/* The reply of GETATTR and SETATTR. */
void answer_attributes(struct request *request, const struct subject *subject, const struct file_attr *attr);
/* The subject's path with "/name" behind it: 0, ENOENT where it has none, ENAMETOOLONG, EPERM for hidden names, ENOMEM. */
int subject_child(struct request *request, const struct subject *subject, const char *name, struct path *path);

/* What tree_move is given: memory that is sure to be there when the drive has moved something. The tree's lock is taken. */
struct name *new_name(struct tenon_volume *volume, const char *text);
void free_name(struct tenon_volume *volume, struct name *name);

/* 0, or EIO (on_error is told) where path is of another type than event has made it. The kernel would forget to forget it. */
int entry_refuse_type(struct tenon_volume *volume, const char *event, const char *path, uint32_t wanted, uint32_t mode);
/*
 * Before name in parent is believed to be attr's file: where another name that is known cannot be that file as well, both are asked
 * for again. 0, with attr as it is now; EIO (on_error is told) where both names have that id; ENOENT and what the handler answers.
 */
int entry_settle_doubt(struct request *request, struct node *parent, const char *name, struct file_attr *attr);
/*
 * Fires get_file_info for path, which is name in parent, binds the node and, with out, counts a lookup and fills the kernel's
 * entry. node, if not NULL, gets the node, pinned.
 */
int entry_find(struct request *request, struct node *parent, const char *name, const char *path, struct wire_entry_out *out,
	       struct node **node);
/* The same when the attributes are known already. */
int entry_bind(struct request *request, struct node *parent, const char *name, struct file_attr *attr, struct wire_entry_out *out,
	       struct node **node);
/* The kernel's entry for a node, and the lookup that it counts. Under the lock. */
void entry_fill(struct request *request, struct node *node, const struct file_attr *attr, struct wire_entry_out *out);
/* Makes the nodes of all of path known: the last one, pinned. 0 or an errno value. */
int path_learn(struct request *request, const char *path, struct node **node);
/* What get_file_name_by_file_id says: 0; ENOENT, also for files without ids; what the handler answered; EIO (on_error is told); ENOMEM. */
int path_by_id(struct request *request, uint64_t nodeid, struct path *path);

/* Contexts for an event about a file, and the open and close around it where the file is not open. */
struct bracket {
	/* Where they are kept: with the open file and its handle, else in the bracket. */
	context_slot *file_context;
	context_slot *handle_context;
	/* These end with the bracket. */
	context_slot own_file_context;
	context_slot own_handle_context;
	uint64_t info;
	/* open_file has been fired for this bracket alone. */
	bool own;
};

int bracket_open(struct request *request, const struct subject *subject, uint32_t access, struct bracket *bracket);
void bracket_close(struct request *request, const char *path, struct bracket *bracket);
/* The same for a file that is closed otherwise, with delete_file behind it: what that answers. */
int bracket_delete(struct request *request, const char *path, struct bracket *bracket);

/* The contexts of an open handle, for an event about it. Need not be closed. */
void bracket_of_handle(const struct request *request, struct handle *handle, struct bracket *bracket);

/* Keeps what an event in the bracket has left. Not for events that run side by side. */
void bracket_keep(struct request *request, struct bracket *bracket, void *file_context, void *handle_context);

/* cleanup_file and close_file, for an open that has no handle of the kernel's. The handle's context ends, the file's is the caller's. */
void fire_end(struct request *request, const char *path, uint64_t info, void *file_context, void *handle_context, bool deleting);

/* Events shared by families. */
bool directory_is_empty(struct request *request, const struct subject *directory, struct bracket *bracket, int *error);
/* Gives an open file that is losing its last name a hidden one in the same directory. */
int hide_file(struct request *request, struct subject *subject, struct node *parent, const char *name);
/* Moves hidden files out of a directory that is going away. */
int move_hidden_out(struct request *request, struct node *directory);
/* Makes the kernel ask for a file's attributes again. */
void invalidate_attributes(struct tenon_volume *volume, uint64_t nodeid);
/* The kernel's write-back cache is in use: it owns sizes and times of files until it has written. */
bool uses_write_back(const struct tenon_volume *volume);
int set_size(struct request *request, const struct subject *subject, struct bracket *bracket, uint64_t size);
/* Before the file is size bytes long, and after it has become so: set_allocation_size where CorrectAllocationSizes asks for it. */
int allocation_grow(struct request *request, struct subject *subject, struct bracket *bracket, uint64_t size);
int allocation_shrink(struct request *request, struct subject *subject, struct bracket *bracket, uint64_t size);
bool corrects_allocation(const struct tenon_volume *volume);
int kill_privileges(struct request *request, struct subject *subject, struct bracket *bracket);
/* The links that a file has without its hidden names, where use_hard_links is on; else 1. */
int count_links(struct request *request, const struct subject *subject, uint32_t *links);

/* Fires cleanup_file and close_file as due, delete_file for a hidden file, and frees the handle. */
void handle_close(struct tenon_volume *volume, struct handle *handle, const char *path);

/* Where the names of a file go. */
struct link_sink {
	/* So many are left out first. */
	uint64_t skip;
	/* Takes an absolute path; *enough is set when no more are wanted. 0 or an errno value. */
	int (*take)(void *arg, const struct path *path, bool *enough);
	void *arg;
};
/* All names of a file that anybody may see; of a directory its one path. The request needs what need_links says. */
int links_each(struct request *request, const struct subject *file, const struct link_sink *sink);
void need_links(struct needs *needs, uint64_t nodeid);

/* Directory listings (directory.c). */
void listing_close(struct tenon_volume *volume, struct handle *handle, const char *path);

/* What a directory cannot have as a name, whatever a handler says. */
bool name_is_bad(const struct tenon_volume *volume, const char *name);

struct access {
	uint32_t desired;
	uint32_t nt_desired;
};
struct access access_of_flags(int flags);
uint32_t tag_of_mode(uint32_t mode);
uint32_t attributes_of_mode(uint32_t mode);

/*
 * Keeps what an open has given. False: the file has been opened meanwhile, by a name that was not known when the turn was taken, and
 * the contexts are to be handed back.
 */
bool open_file_keep(struct tenon_volume *volume, struct handle *handle, void *file_context, void *handle_context);
/* The request's caller, as of now. */
struct opener opener_of(const struct request *request);
/* A new handle of an open file, its events fired: fills the kernel's answer. */
int handle_open(struct request *request, struct subject *subject, int flags, bool directory, struct wire_open_out *out);
uint32_t fopen_flags(const struct tenon_volume *volume, bool directory);

/* What may share a turn, as serialize_access says. */
bool may_share(const struct tenon_volume *volume);
/* The needs of a request that works through a handle: its path only where no context stands for it. */
void need_handle(struct request *request, struct needs *needs, uint64_t fh, bool shared);
struct handle *request_handle(struct request *request, uint64_t fh);

extern const struct family families[WIRE_OPCODE_COUNT];

/* The families' functions, by opcode. */
#define FAMILY(name)                                                                                                             \
	void need_##name(struct request *request, struct needs *needs);                                                          \
	int run_##name(struct request *request);
FAMILY(lookup)
FAMILY(getattr)
FAMILY(statx)
FAMILY(setattr)
FAMILY(readlink)
FAMILY(symlink)
FAMILY(mknod)
FAMILY(mkdir)
FAMILY(unlink)
FAMILY(rmdir)
FAMILY(rename)
FAMILY(rename2)
FAMILY(link)
FAMILY(open)
FAMILY(opendir)
FAMILY(create)
FAMILY(tmpfile)
FAMILY(read)
FAMILY(write)
FAMILY(statfs)
FAMILY(release)
FAMILY(releasedir)
FAMILY(flush)
FAMILY(fsync)
FAMILY(fsyncdir)
FAMILY(readdir)
FAMILY(readdirplus)
FAMILY(fallocate)
FAMILY(ioctl)
FAMILY(getxattr)
#undef FAMILY

/* Negotiates: fills the kernel's answer. 0 or an errno value. */
int request_init(struct tenon_volume *volume, const struct wire_request *wire, struct wire_init_out *out);

#endif
