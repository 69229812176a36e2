/*
 * LOOKUP, GETATTR, STATX: get_file_info.
 *
 * "." and ".." arrive where files are looked up by id (NFS, open_by_handle_at).
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "request/request.h"

bool may_share(const struct tenon_volume *volume)
{
	return !volume->properties.serialize_access;
}

void need_lookup(struct request *request, struct needs *needs)
{
	needs->path[0] = request->wire.header.nodeid;
	needs->named_turn = (struct target){request->wire.header.nodeid, request->wire.name[0]};
	needs->shared = may_share(request->volume);
}

/* Remembered by the kernel as a name that is not there. */
static void answer_absent(struct request *request)
{
	struct wire_entry_out *out = reply_body(request, sizeof *out);

	lifetime_fill(request->volume, &out->entry_valid, &out->entry_valid_nsec);
}

static int look_up_child(struct request *request, const struct subject *parent)
{
	const struct properties *properties = &request->volume->properties;
	const char *name = request->wire.name[0];
	struct path path;
	struct wire_entry_out out;
	int error = subject_child(request, parent, name, &path);

	if (!error && tenon_is_hidden_name(name)) {
		error = ENOENT;
	} else if (!error) {
		error = entry_find(request, parent->node, name, path.text, &out, NULL);
		if (!error)
			memcpy(reply_body(request, sizeof out), &out, sizeof out);
	}
	path_done(&path);
	if (error != ENOENT || tenon_is_hidden_name(name))
		return error;
	if (!properties->non_existent_files_cache_enabled || !properties->metadata_cache_enabled)
		return ENOENT;
	answer_absent(request);
	return 0;
}

/* Fills the kernel's entry for the file at a path, which is to have this id (0: any). ENOENT where it has not, or not any more. */
static int look_up_path(struct request *request, const char *path, uint64_t nodeid)
{
	struct tenon_volume *volume = request->volume;
	struct wire_entry_out *out;
	struct node *node = NULL;
	struct file_attr attr;
	int error = path_learn(request, path, &node);

	if (error)
		return error;
	error = info_get(volume, path, NULL, &attr);
	volume_lock(volume);
	if (!error && nodeid && node->nodeid != nodeid)
		error = ENOENT;
	if (!error) {
		out = reply_body(request, sizeof *out);
		entry_fill(request, node, &attr, out);
	}
	tree_unpin(&volume->tree, node);
	volume_unlock(volume);
	return error;
}

/* One look at where the file is now. ENOENT: it has been renamed meanwhile. */
static int look_where_it_is(struct request *request, bool parent)
{
	uint64_t nodeid = request->wire.header.nodeid;
	struct subject subject;
	int error = subject_find(request, nodeid, &subject);

	if (error == ENOENT || (!error && subject.nameless))
		error = ESTALE;
	if (!error && parent) {
		char *slash = strrchr(subject.path.text, '/');

		slash[slash == subject.path.text] = 0;
	}
	if (!error)
		error = look_up_path(request, subject.path.text, parent ? 0 : nodeid);
	subject_done(&subject);
	return error;
}

static int look_up_by_id(struct request *request, bool parent)
{
	struct tenon_volume *volume = request->volume;
	uint64_t nodeid = request->wire.header.nodeid;
	struct node *node;
	int error = ENOENT;

	volume_lock(volume);
	node = tree_node(&volume->tree, nodeid);
	/* A node the kernel has forgotten is a node all the same, if its id is the drive's. */
	if (node)
		tree_pin(node);
	else if (!(nodeid & TREE_COUNTED))
		node = tree_learn(&volume->tree, nodeid, 0);
	volume_unlock(volume);
	if (!node)
		return nodeid & TREE_COUNTED ? ESTALE : ENOMEM;
	for (int tries = 0; tries < PATH_TRIES && error == ENOENT; tries++)
		error = look_where_it_is(request, parent);
	volume_lock(volume);
	tree_unpin(&volume->tree, node);
	volume_unlock(volume);
	return error == ENOENT ? ESTALE : error;
}

int run_lookup(struct request *request)
{
	const char *name = request->wire.name[0];
	struct subject parent;
	int error;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return look_up_by_id(request, name[1] == '.');
	error = subject_find(request, request->wire.header.nodeid, &parent);
	if (!error)
		error = look_up_child(request, &parent);
	subject_done(&parent);
	return error;
}

void need_getattr(struct request *request, struct needs *needs)
{
	needs->path[0] = request->wire.header.nodeid;
	needs->turn = request->wire.header.nodeid;
	needs->shared = may_share(request->volume);
}

void answer_attributes(struct request *request, const struct subject *subject, const struct file_attr *attr)
{
	struct wire_attr_out *out = reply_body(request, sizeof *out);

	volume_lock(request->volume);
	fresh_lifetime(request, subject->node, &out->attr_valid, &out->attr_valid_nsec);
	volume_unlock(request->volume);
	wire_attr_fill(request->volume, subject->node->nodeid, attr, &out->attr);
}

int run_getattr(struct request *request)
{
	struct subject subject;
	struct file_attr attr;
	int error = subject_find(request, request->wire.header.nodeid, &subject);

	if (!error)
		error = subject_info(request, &subject, &attr);
	if (!error)
		answer_attributes(request, &subject, &attr);
	subject_done(&subject);
	return error;
}

void need_statx(struct request *request, struct needs *needs)
{
	need_getattr(request, needs);
}

static struct wire_sx_time sx_time(uint64_t seconds, uint32_t nanoseconds)
{
	return (struct wire_sx_time){.sec = (int64_t)seconds, .nsec = nanoseconds};
}

int run_statx(struct request *request)
{
	struct subject subject;
	struct file_attr attr;
	int error = subject_find(request, request->wire.header.nodeid, &subject);

	if (!error)
		error = subject_info(request, &subject, &attr);
	if (!error) {
		struct wire_statx_out *out = reply_body(request, sizeof *out);
		struct wire_attr plain;
		bool has_birth = attr.birth.tv_nsec != UTIME_OMIT;

		volume_lock(request->volume);
		fresh_lifetime(request, subject.node, &out->attr_valid, &out->attr_valid_nsec);
		volume_unlock(request->volume);
		wire_attr_fill(request->volume, subject.node->nodeid, &attr, &plain);
		out->stat = (struct wire_statx){
			.mask = STATX_BASIC_STATS | (has_birth ? STATX_BTIME : 0),
			.blksize = plain.blksize,
			.nlink = plain.nlink,
			.uid = plain.uid,
			.gid = plain.gid,
			.mode = (uint16_t)plain.mode,
			.ino = plain.ino,
			.size = plain.size,
			.blocks = plain.blocks,
			.atime = sx_time(plain.atime, plain.atimensec),
			.ctime = sx_time(plain.ctime, plain.ctimensec),
			.mtime = sx_time(plain.mtime, plain.mtimensec),
			.rdev_major = gnu_dev_major(attr.device),
			.rdev_minor = gnu_dev_minor(attr.device),
		};
		if (has_birth)
			out->stat.btime = sx_time((uint64_t)attr.birth.tv_sec, (uint32_t)attr.birth.tv_nsec);
	}
	subject_done(&subject);
	return error;
}
