/*
 * The rules that nodes and names keep, each as a query for the rows that break it: a query gives finished
 * sentences.
 */
#include "check.h"

/* Types of st_mode, in decimal because SQL knows no octal. */
#define TYPE "(mode & 61440)"
#define DIRECTORY "16384"
#define REGULAR "32768"
#define SYMLINK "40960"
/* A name as a message can show it: in hexadecimal where it is not plain text. */
#define SHOWN_NAME                                                                                                               \
	"CASE WHEN CAST(name AS TEXT) GLOB '*[^ -~]*' OR instr(name, x'00') THEN 'x''' || hex(name) || ''''"                     \
	" ELSE '\"' || CAST(name AS TEXT) || '\"' END"

struct rule {
	const char *what;
	const char *sql;
};

static const struct rule rules[] = {
	{"the rows of files", "SELECT printf('file %d has a value of a wrong type', id) FROM node WHERE typeof(mode) <> 'integer'"
			      " OR typeof(uid) <> 'integer' OR typeof(gid) <> 'integer' OR typeof(device) <> 'integer'"
			      " OR typeof(size) <> 'integer' OR typeof(allocated) <> 'integer' OR typeof(links) <> 'integer'"
			      " OR typeof(atime) <> 'integer' OR typeof(mtime) <> 'integer' OR typeof(ctime) <> 'integer'"
			      " OR typeof(btime) <> 'integer'"},
	{"the ids of files", "SELECT printf('file %d has an id out of range', id) FROM node WHERE id < 1 OR id > 4294967295"},
	{"the next id",
	 "SELECT 'the number of the next file is not known' FROM (SELECT count(*) AS rows, coalesce(sum(typeof(seq) = 'integer' AND seq"
	 " BETWEEN 1 AND 4294967295), 0) AS good FROM sqlite_sequence WHERE name = 'node') WHERE rows <> 1 OR good <> 1"},
	{"the types of files",
	 "SELECT printf('file %d has the impossible mode %o', id, mode) FROM node WHERE mode NOT BETWEEN 0 AND 65535 OR " TYPE
	 " NOT IN (4096, 8192, 16384, 24576, 32768, 40960, 49152)"},
	{"the owners of files",
	 "SELECT printf('file %d has an owner out of range', id) FROM node WHERE uid NOT BETWEEN 0 AND 4294967295"
	 " OR gid NOT BETWEEN 0 AND 4294967295"},
	{"the times of files", "SELECT printf('file %d has a time that is none', id) FROM node"
			       " WHERE atime_ns NOT BETWEEN 0 AND 999999999 OR mtime_ns NOT BETWEEN 0 AND 999999999"
			       " OR ctime_ns NOT BETWEEN 0 AND 999999999 OR btime_ns NOT BETWEEN 0 AND 999999999"},
	{"the sizes of files", "SELECT printf('file %d has the impossible size %d', id, size) FROM node WHERE size < 0"
			       " OR size > (SELECT value << 31 FROM meta WHERE key = 'block_size')"},
	{"the sizes of special files",
	 "SELECT printf('file %d is no regular file and has a size or storage', id) FROM node"
	 " WHERE " TYPE " <> " REGULAR " AND (allocated <> 0 OR (size <> 0 AND " TYPE " <> " SYMLINK "))"},
	/* A symlink without any target is one that a crash caught half made; it goes when the vault is opened. */
	{"the targets of symlinks",
	 "SELECT printf('symlink %d has no target that fits its size', id) FROM node WHERE " TYPE " = " SYMLINK
	 " AND target IS NOT NULL AND (typeof(target) <> 'blob' OR length(target) = 0 OR length(target) <> size)"},
	{"targets", "SELECT printf('file %d is no symlink and has a target', id) FROM node WHERE " TYPE " <> " SYMLINK
		    " AND target IS NOT NULL"},
	{"the root",
	 "SELECT 'there is no root directory' WHERE NOT EXISTS (SELECT 1 FROM node WHERE id = 1 AND " TYPE " = " DIRECTORY ")"
	 " UNION ALL SELECT 'the root directory has a name' WHERE EXISTS (SELECT 1 FROM name WHERE node = 1)"},
	{"names", "SELECT printf('the name %s in directory %d is impossible', " SHOWN_NAME ", parent) FROM name"
		  " WHERE typeof(name) <> 'blob' OR length(name) NOT BETWEEN 1 AND 255 OR name IN (x'2e', x'2e2e')"
		  " OR instr(name, x'2f') OR instr(name, x'00')"},
	{"what names lead to", "SELECT printf('the name %s in directory %d leads to file %d, which does not exist', " SHOWN_NAME
			       ", parent, node) FROM name WHERE node NOT IN (SELECT id FROM node)"},
	{"what names are in", "SELECT printf('the name %s is in directory %d, which does not exist', " SHOWN_NAME
			      ", parent) FROM name WHERE parent NOT IN (SELECT id FROM node WHERE " TYPE " = " DIRECTORY ")"},
	{"names in deleted directories",
	 "SELECT printf('the name %s is in directory %d, which is deleted', " SHOWN_NAME
	 ", parent) FROM name WHERE parent IN (SELECT id FROM node WHERE links = 0 AND " TYPE " = " DIRECTORY ")"},
	{"the names of directories",
	 "SELECT printf('directory %d has %d names', id, (SELECT count(*) FROM name WHERE name.node = id)) FROM node WHERE " TYPE
	 " = " DIRECTORY " AND id <> 1 AND (SELECT count(*) FROM name WHERE name.node = id) <> (links > 0)"},
	{"the link counts of directories",
	 "SELECT printf('directory %d has the link count %d and %d directories in it', id, links, subs) FROM (SELECT id, links,"
	 " (SELECT count(*) FROM name JOIN node AS sub ON sub.id = name.node WHERE name.parent = node.id AND (sub.mode & 61440) = " DIRECTORY
	 ") AS subs FROM node WHERE " TYPE " = " DIRECTORY " AND (links <> 0 OR id = 1)) WHERE links <> subs + 2"},
	{"link counts", "SELECT printf('file %d has the link count %d and %d names', id, links, names) FROM (SELECT id, links,"
			" (SELECT count(*) FROM name WHERE name.node = node.id) AS names FROM node WHERE " TYPE " <> " DIRECTORY
			") WHERE links <> names"},
	{"the tree",
	 "WITH RECURSIVE reached(id) AS (SELECT 1 UNION SELECT node.id FROM reached JOIN name ON name.parent = reached.id"
	 " JOIN node ON node.id = name.node WHERE " TYPE " = " DIRECTORY ") SELECT printf("
	 "'directory %d cannot be reached from the root', id) FROM node WHERE " TYPE " = " DIRECTORY
	 " AND links > 0 AND id NOT IN (SELECT id FROM reached)"},
	{"allocations", "SELECT printf('file %d has the impossible allocation %d', id, allocated) FROM node"
			" WHERE allocated < 0 OR allocated % 4096 <> 0"},
	{"files without blocks",
	 "SELECT printf('file %d has no blocks but %d bytes of storage', id, allocated) FROM node WHERE " TYPE " = " REGULAR
	 " AND allocated <> 0 AND NOT EXISTS (SELECT 1 FROM block"
	 " WHERE key BETWEEN (node.id << 31) AND (node.id << 31) + 2147483647)"},
};

int check_rules(struct check *check, double first, double last)
{
	const size_t count = sizeof rules / sizeof *rules;
	int error = 0;

	for (size_t i = 0; !error && i < count; i++) {
		if (check->progress)
			check->progress(check->arg, first + (last - first) * (double)i / (double)count, rules[i].what);
		error = check_sentences(check, rules[i].sql);
	}
	return error;
}
