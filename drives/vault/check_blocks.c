/*
 * Looks at every block: it belongs to a regular file, its row is whole, it lies within the file, and
 * together the blocks of a file are as large as the file says.
 */
#include "check.h"

#include <sys/stat.h>

/* The file whose blocks are being counted. */
struct file {
	bool any;
	int64_t id;
	bool regular;
	int64_t size;
	int64_t allocated;
	int64_t units;
	int64_t end;
};

static int find_file(sqlite3_stmt *query, int64_t id, struct file *file)
{
	int rc;

	*file = (struct file){.any = true, .id = id};
	sqlite3_bind_int64(query, 1, id);
	rc = sqlite3_step(query);
	if (rc == SQLITE_ROW) {
		file->regular = S_ISREG((uint32_t)sqlite3_column_int64(query, 0));
		file->size = sqlite3_column_int64(query, 1);
		file->allocated = sqlite3_column_int64(query, 2);
	}
	sqlite3_reset(query);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static void finish_file(struct check *check, const struct file *file)
{
	int64_t stored = file->units * STORE_UNIT;

	if (!file->any)
		return;
	if (!file->regular) {
		check_report(check, "there are blocks of file %lld, which does not exist or is no regular file",
			     (long long)file->id);
		return;
	}
	if (stored != file->allocated)
		check_report(check, "file %lld says that it has %lld bytes of storage, but it has %lld", (long long)file->id,
			     (long long)file->allocated, (long long)stored);
	if (file->end > file->size)
		check_report(check, "file %lld is %lld bytes long, but has data up to %lld", (long long)file->id,
			     (long long)file->size, (long long)file->end);
}

static void add_block(struct check *check, struct file *file, sqlite3_stmt *row)
{
	int64_t number = sqlite3_column_int64(row, 0) & ((INT64_C(1) << VAULT_BLOCK_BITS) - 1);
	uint64_t mask = (uint64_t)sqlite3_column_int64(row, 1);
	int64_t length = sqlite3_column_int64(row, 2);
	int64_t full = (int64_t)__builtin_popcountll(mask) * STORE_UNIT;
	int units = check->block_size / STORE_UNIT;

	file->units += full / STORE_UNIT;
	if (!mask || (units < 64 && mask >> units) || !sqlite3_column_int(row, 3) || length <= full - STORE_UNIT ||
	    length > full) {
		check_report(check, "block %lld of file %lld does not hold what its mask says", (long long)number,
			     (long long)file->id);
		return;
	}
	file->end = number * check->block_size + (64 - __builtin_clzll(mask)) * (int64_t)STORE_UNIT - (full - length);
}

static int walk(struct check *check, sqlite3_stmt *blocks, sqlite3_stmt *files)
{
	struct file file = {0};
	int rc;

	while ((rc = sqlite3_step(blocks)) == SQLITE_ROW) {
		int64_t id = sqlite3_column_int64(blocks, 0) >> VAULT_BLOCK_BITS;

		if (!file.any || id != file.id) {
			finish_file(check, &file);
			rc = find_file(files, id, &file);
			if (rc != SQLITE_OK)
				return rc;
		}
		add_block(check, &file, blocks);
	}
	finish_file(check, &file);
	return rc;
}

int check_blocks(struct check *check)
{
	sqlite3_stmt *blocks = NULL, *files = NULL;
	int rc =
		sqlite3_prepare_v2(check->db,
				   "SELECT key, mask, length(data), typeof(mask) = 'integer' AND typeof(data) = 'blob' FROM block"
				   " ORDER BY key",
				   -1, &blocks, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(check->db, "SELECT mode, size, allocated FROM node WHERE id = ?1", -1, &files, NULL);
	if (rc == SQLITE_OK)
		rc = walk(check, blocks, files);
	sqlite3_finalize(blocks);
	sqlite3_finalize(files);
	return rc == SQLITE_DONE ? 0 : check_failed(check, rc);
}
