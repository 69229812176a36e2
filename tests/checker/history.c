/*
 * Trees by tag, and calls, contents and trees in words.
 *
 * What is printed is what somebody needs who asks why the model could not explain it.
 */
#include "history.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const struct file *tree_get(const struct tree *tree, uint32_t tag)
{
	for (size_t i = 0; tag && i < tree->count; i++) {
		if (tree->file[i].tag == tag)
			return &tree->file[i];
	}
	return NULL;
}

struct file *tree_find(struct tree *tree, uint32_t tag)
{
	for (size_t i = 0; tag && i < tree->count; i++) {
		if (tree->file[i].tag == tag)
			return &tree->file[i];
	}
	return NULL;
}

struct file *tree_add(struct tree *tree, uint32_t tag)
{
	struct file *file = &tree->file[tree->count];

	if (tree->count == FILES) {
		fprintf(stderr, "checker: too many files\n");
		abort();
	}
	tree->count++;
	memset(file, 0, sizeof *file);
	file->tag = tag;
	return file;
}

void name_text(uint8_t name, char *text)
{
	text[0] = name >= FIRST_M ? 'm' : name >= FIRST_U ? 'u' : 't';
	text[1] = (char)('0' + (name >= FIRST_M ? name - FIRST_M : name >= FIRST_U ? name - FIRST_U : name));
	text[2] = 0;
}

void place_text(const struct place *place, bool directory, char *text)
{
	char via[4] = "", name[4] = "";

	if (place->via != NO_NAME)
		name_text(place->via, via);
	if (!directory)
		name_text(place->name, name);
	snprintf(text, PLACE_TEXT, "%c%s%s%s%s", 'a' + place->base, *via ? "/" : "", via, *name ? "/" : "", name);
}

static const char *const kinds[CALL_KINDS] = {
	"nothing", "create", "mknod",	 "mkdir",   "symlink",	"tmpfile",  "make_mapped", "open",  "link",
	"linkfd",  "unlink", "rmdir",	 "rename",  "stat",	"readlink", "list",	   "fstat", "read",
	"write",   "append", "truncate", "mapread", "mapwrite", "fsync",    "close",
};

void print_call(FILE *out, const struct call *call)
{
	char from[PLACE_TEXT], to[PLACE_TEXT];

	place_text(&call->from, call->kind == CALL_LIST, from);
	place_text(&call->to, false, to);
	fprintf(out, "%7" PRIu64 " -%7" PRIu64 " thread %u: %s", call->begin, call->end, call->thread, kinds[call->kind]);
	if (call->kind == CALL_LINK_OPEN || call->kind == CALL_FSTAT)
		fprintf(out, " #%u", call->open);
	else if (call->kind != CALL_MAKE_MAPPED)
		fprintf(out, " %s", from);
	if (call->kind == CALL_LINK || call->kind == CALL_RENAME || call->kind == CALL_LINK_OPEN ||
	    call->kind == CALL_MAKE_MAPPED)
		fprintf(out, " -> %s", to);
	if (call->kind == CALL_RENAME && call->flags)
		fprintf(out, " %s", call->flags & RENAME_EXCHANGE ? "exchange" : "noreplace");
	if (call->kind == CALL_OPEN)
		fprintf(out, "%s%s%s", call->flags & O_CREAT ? " creat" : "", call->flags & O_TRUNC ? " trunc" : "",
			call->flags & O_NOFOLLOW ? " nofollow" : "");
	fprintf(out, " (#%u) = %s", call->tag, call->error ? strerrorname_np(call->error) : "ok");
	if (call->seen)
		fprintf(out, " #%u ino %" PRIx64 " nlink %u", call->seen, call->ino, call->nlink);
	if (call->kind == CALL_LIST)
		fprintf(out, " present %x twice %x touched %x", call->listing.present, call->listing.twice,
			call->listing.touched);
	fprintf(out, "\n");
}

void print_touch(FILE *out, const struct touch *touch)
{
	static const char *const names[] = {"write", "append", "truncate", "read", "size"};

	fprintf(out, "%7" PRIu64 " -%7" PRIu64 " thread %u: %s", touch->begin, touch->end, touch->thread, names[touch->kind]);
	if (touch->kind == TOUCH_WRITE || touch->kind == TOUCH_APPEND)
		fprintf(out, " at %u, %u cells of %" PRIx64, touch->cell, touch->cells, touch->value);
	else if (touch->kind == TOUCH_READ)
		fprintf(out, " at %u, %u cells, got %" PRId64 " bytes", touch->cell, touch->cells, touch->size);
	else
		fprintf(out, " %" PRId64, touch->size);
	for (unsigned i = 0; touch->kind == TOUCH_READ && i < touch->cells; i++) {
		for (unsigned j = 0; j < touch->value_count[i]; j++)
			fprintf(out, " %u:%" PRIx64, touch->cell + i, touch->values[i][j]);
	}
	fprintf(out, "\n");
}

void print_tree(FILE *out, const struct tree *tree)
{
	static const char *const types[] = {"?", "file", "directory", "symlink"};

	for (size_t i = 0; i < tree->count; i++) {
		const struct file *file = &tree->file[i];
		char name[4];

		fprintf(out, "    #%u %s ino %" PRIx64 " nlink %u", file->tag, types[file->type], file->ino, file->nlink);
		if (file->type == TYPE_SYMLINK) {
			name_text(file->target, name);
			fprintf(out, " -> %s", name);
		}
		for (unsigned at = 0; file->type == TYPE_DIRECTORY && at < NAMES; at++) {
			name_text((uint8_t)at, name);
			if (file->names[at])
				fprintf(out, " %s=#%u", name, file->names[at]);
		}
		fprintf(out, "%s\n", file->linkable ? " (made by O_TMPFILE, not linked yet)" : "");
	}
}
