/*
 * The bytes of files, in blocks: one row each, found by the file's id and the block's number. A row holds
 * the units that were written, in order, and a mask of which they are; the last unit may be cut short.
 */
#include "inside.h"

#include <errno.h>
#include <string.h>

/* What a row says of itself before its bytes are looked at. */
struct block {
	int64_t key;
	uint64_t mask;
	int length;
};

/* Incremental access to the bytes of one row after another. */
struct bytes {
	struct store *store;
	sqlite3_blob *blob;
	int64_t key;
	bool writing;
};

static int64_t key_of(const struct store *store, int64_t id, int64_t position)
{
	return id << VAULT_BLOCK_BITS | position / store->block_size;
}

static int64_t first_key(int64_t id)
{
	return id << VAULT_BLOCK_BITS;
}

static int64_t last_key(int64_t id)
{
	return first_key(id) | ((INT64_C(1) << VAULT_BLOCK_BITS) - 1);
}

static int64_t position_of(const struct store *store, int64_t key)
{
	return (key & ((INT64_C(1) << VAULT_BLOCK_BITS) - 1)) * store->block_size;
}

static int count_units(uint64_t mask)
{
	return __builtin_popcountll(mask);
}

/* The units that count bytes from byte `from` of a block on lie in. */
static uint64_t units_of(int from, int count)
{
	int first = from / STORE_UNIT;
	int last = (from + count - 1) / STORE_UNIT;

	return (UINT64_MAX >> (63 - (last - first))) << first;
}

/* Where in a row the unit is, or would be. */
static int offset_of(uint64_t mask, int unit)
{
	return count_units(mask & ((UINT64_C(1) << unit) - 1)) * STORE_UNIT;
}

static int last_unit(uint64_t mask)
{
	return 63 - __builtin_clzll(mask);
}

/* Where in the block the bytes of a row end. */
static int end_of(const struct block *block)
{
	int unit = last_unit(block->mask);

	return unit * STORE_UNIT + block->length - offset_of(block->mask, unit);
}

static int read_block(const struct store *store, sqlite3_stmt *row, struct block *block)
{
	int full;

	block->key = sqlite3_column_int64(row, 0);
	block->mask = (uint64_t)sqlite3_column_int64(row, 1);
	block->length = sqlite3_column_int(row, 2);
	full = count_units(block->mask) * STORE_UNIT;
	if (!block->mask || last_unit(block->mask) >= store->block_size / STORE_UNIT)
		return EUCLEAN;
	return block->length > full - STORE_UNIT && block->length <= full ? 0 : EUCLEAN;
}

/* ENOENT where the block is a hole. */
static int find_block(struct store *store, int64_t key, struct block *block)
{
	sqlite3_stmt *query = sql_use(store, ST_BLOCK_SCAN);
	int error;

	sqlite3_bind_int64(query, 1, key);
	sqlite3_bind_int64(query, 2, key);
	error = sql_row(store, query);
	if (error)
		return error;
	error = read_block(store, query, block);
	sql_end(query);
	return error;
}

static int put_block(struct store *store, int64_t key, uint64_t mask, const void *data, int length)
{
	sqlite3_stmt *statement = sql_use(store, ST_BLOCK_PUT);

	sqlite3_bind_int64(statement, 1, key);
	sqlite3_bind_int64(statement, 2, (int64_t)mask);
	sqlite3_bind_blob(statement, 3, data, length, SQLITE_STATIC);
	return sql_run(store, statement);
}

static int remove_blocks(struct store *store, int64_t first, int64_t last)
{
	sqlite3_stmt *statement = sql_use(store, ST_BLOCK_REMOVE);

	sqlite3_bind_int64(statement, 1, first);
	sqlite3_bind_int64(statement, 2, last);
	return sql_run(store, statement);
}

static int bytes_at(struct bytes *bytes, int64_t key)
{
	int rc = SQLITE_OK;

	if (!bytes->blob)
		rc = sqlite3_blob_open(bytes->store->db, "main", "block", "data", key, bytes->writing, &bytes->blob);
	else if (bytes->key != key)
		rc = sqlite3_blob_reopen(bytes->blob, key);
	bytes->key = key;
	return sql_error(bytes->store->db, rc);
}

static void bytes_close(struct bytes *bytes)
{
	sqlite3_blob_close(bytes->blob);
	bytes->blob = NULL;
}

static int bytes_read(struct bytes *bytes, int64_t key, int offset, void *buffer, int count)
{
	int error = bytes_at(bytes, key);

	return error ? error : sql_error(bytes->store->db, sqlite3_blob_read(bytes->blob, buffer, count, offset));
}

/* How many units from this one on are like it: there, or not. */
static int run_length(uint64_t mask, int unit)
{
	uint64_t rest = mask >> unit;

	if (rest & 1)
		rest = ~rest;
	return rest ? __builtin_ctzll(rest) : 64 - unit;
}

/* Reads part of a block; what no unit holds is zeros. */
static int read_part(struct bytes *bytes, const struct block *block, int from, unsigned char *buffer, int count)
{
	/* A block has as many units as its mask has bits at most. */
	int end = from + count < 64 * STORE_UNIT ? from + count : 64 * STORE_UNIT;

	while (from < end) {
		int unit = from / STORE_UNIT;
		int run_end = (unit + run_length(block->mask, unit)) * STORE_UNIT;
		int stop = run_end < end ? run_end : end;
		int have = 0;

		if (block->mask >> unit & 1) {
			int offset = offset_of(block->mask, unit) + from % STORE_UNIT;
			int left = block->length > offset ? block->length - offset : 0;

			have = left < stop - from ? left : stop - from;
			int error = have ? bytes_read(bytes, block->key, offset, buffer, have) : 0;
			if (error)
				return error;
		}
		memset(buffer + have, 0, (size_t)(stop - from - have));
		buffer += stop - from;
		from = stop;
	}
	return 0;
}

/* Reads the rows that a query gives into the buffer for [position, end), and zeros where there are none. */
static int read_rows(struct bytes *bytes, sqlite3_stmt *query, int64_t position, int64_t end, unsigned char *buffer)
{
	struct store *store = bytes->store;
	struct block block;
	int error;

	while (!(error = sql_row(store, query)) && !(error = read_block(store, query, &block))) {
		int64_t start = position_of(store, block.key);
		int64_t stop = start + store->block_size < end ? start + store->block_size : end;

		if (start > position) {
			memset(buffer, 0, (size_t)(start - position));
			buffer += start - position;
			position = start;
		}
		error = read_part(bytes, &block, (int)(position - start), buffer, (int)(stop - position));
		if (error)
			break;
		buffer += stop - position;
		position = stop;
	}
	if (error != ENOENT) {
		sql_end(query);
		return error;
	}
	memset(buffer, 0, (size_t)(end - position));
	return 0;
}

int blocks_read(struct store *store, const struct store_node *node, int64_t position, void *buffer, size_t length)
{
	struct bytes bytes = {.store = store};
	int64_t end = position + (int64_t)length;
	sqlite3_stmt *query = sql_use(store, ST_BLOCK_SCAN);
	int error;

	sqlite3_bind_int64(query, 1, key_of(store, node->id, position));
	sqlite3_bind_int64(query, 2, key_of(store, node->id, end - 1));
	error = read_rows(&bytes, query, position, end, buffer);
	bytes_close(&bytes);
	return error;
}

/* Writes over bytes that a row has already. */
static int write_in_place(struct bytes *bytes, const struct block *block, int from, const void *data, int count)
{
	int offset = offset_of(block->mask, from / STORE_UNIT) + from % STORE_UNIT;
	int error = bytes_at(bytes, block->key);

	return error ? error : sql_error(bytes->store->db, sqlite3_blob_write(bytes->blob, data, count, offset));
}

/* Writes a row that holds nothing else than the data. */
static int write_fresh(struct store *store, int64_t key, int from, const void *data, int count)
{
	int lead = from % STORE_UNIT;

	if (lead == 0)
		return put_block(store, key, units_of(from, count), data, count);
	memset(store->scratch, 0, (size_t)lead);
	memcpy(store->scratch + lead, data, (size_t)count);
	return put_block(store, key, units_of(from, count), store->scratch, lead + count);
}

/* Moves the units of a whole block together. */
static void pack(unsigned char *block, uint64_t mask)
{
	int to = 0;

	for (int unit = 0; unit <= last_unit(mask); unit++) {
		if (!(mask >> unit & 1))
			continue;
		if (to != unit)
			memcpy(block + to * STORE_UNIT, block + unit * STORE_UNIT, STORE_UNIT);
		to++;
	}
}

static int write_merged(struct bytes *bytes, const struct block *old, int from, const void *data, int count)
{
	struct store *store = bytes->store;
	uint64_t mask = old->mask | units_of(from, count);
	int end = end_of(old) > from + count ? end_of(old) : from + count;
	int error = read_part(bytes, old, 0, store->scratch, store->block_size);

	/* The row is about to change under it. */
	bytes_close(bytes);
	if (error)
		return error;
	memcpy(store->scratch + from, data, (size_t)count);
	pack(store->scratch, mask);
	return put_block(store, old->key, mask, store->scratch,
			 offset_of(mask, last_unit(mask)) + end - last_unit(mask) * STORE_UNIT);
}

/* Writes part of a block and adds to *units how many were not there before. */
static int write_part(struct bytes *bytes, int64_t key, bool may_exist, int from, const void *data, int count, int64_t *units)
{
	uint64_t touched = units_of(from, count);
	struct block old = {0};
	int error = may_exist ? find_block(bytes->store, key, &old) : ENOENT;

	if (error && error != ENOENT)
		return error;
	*units += count_units(touched & ~old.mask);
	if (error == ENOENT)
		return write_fresh(bytes->store, key, from, data, count);
	if (!(touched & ~old.mask) && from + count <= end_of(&old))
		return write_in_place(bytes, &old, from, data, count);
	return write_merged(bytes, &old, from, data, count);
}

static int write_parts(struct bytes *bytes, const struct store_node *node, int64_t position, const unsigned char *data,
		       size_t length, int64_t *units)
{
	int block_size = bytes->store->block_size;
	int error = 0;

	while (!error && length > 0) {
		int from = (int)(position % block_size);
		int count = (size_t)(block_size - from) < length ? block_size - from : (int)length;

		error = write_part(bytes, key_of(bytes->store, node->id, position), position - from < node->size, from, data,
				   count, units);
		position += count;
		data += count;
		length -= (size_t)count;
	}
	return error;
}

int blocks_write(struct store *store, struct store_node *node, int64_t position, const void *buffer, size_t length)
{
	struct bytes bytes = {.store = store, .writing = true};
	int64_t units = 0;
	int error = write_parts(&bytes, node, position, buffer, length, &units);

	/* SQLite ends no savepoint while a row is open for writing. */
	bytes_close(&bytes);
	node->allocated += units * STORE_UNIT;
	if (position + (int64_t)length > node->size)
		node->size = position + (int64_t)length;
	return error;
}

/* How many units the blocks from first to last hold. */
static int count_stored(struct store *store, int64_t first, int64_t last, int64_t *units)
{
	sqlite3_stmt *query = sql_use(store, ST_BLOCK_SCAN);
	int error;

	sqlite3_bind_int64(query, 1, first);
	sqlite3_bind_int64(query, 2, last);
	while (!(error = sql_row(store, query)))
		*units += count_units((uint64_t)sqlite3_column_int64(query, 1));
	return error == ENOENT ? 0 : error;
}

/* Keeps the first bytes of a block, which in its row are the first ones too. */
static int cut_block(struct store *store, int64_t key, int keep, int64_t *units)
{
	struct bytes bytes = {.store = store};
	struct block block;
	int error = find_block(store, key, &block);
	uint64_t mask;
	int length;

	if (error)
		return error == ENOENT ? 0 : error;
	if (end_of(&block) <= keep)
		return 0;
	mask = block.mask & units_of(0, keep);
	*units += count_units(block.mask & ~mask);
	if (!mask)
		return remove_blocks(store, key, key);
	length = offset_of(mask, last_unit(mask)) + STORE_UNIT;
	if (last_unit(mask) == keep / STORE_UNIT)
		length -= STORE_UNIT - keep % STORE_UNIT;
	if (length > block.length)
		length = block.length;
	error = bytes_read(&bytes, key, 0, store->scratch, length);
	bytes_close(&bytes);
	return error ? error : put_block(store, key, mask, store->scratch, length);
}

int blocks_truncate(struct store *store, struct store_node *node, int64_t size)
{
	int keep = (int)(size % store->block_size);
	int64_t first = key_of(store, node->id, size) + (keep ? 1 : 0);
	int64_t units = 0;
	int error = 0;

	if (size < node->size) {
		error = count_stored(store, first, last_key(node->id), &units);
		if (!error)
			error = remove_blocks(store, first, last_key(node->id));
		if (!error && keep)
			error = cut_block(store, first - 1, keep, &units);
	}
	node->allocated -= units * STORE_UNIT;
	node->size = size;
	return error;
}

/* The units that lie between from and to as a whole. */
static uint64_t whole_units(int from, int to)
{
	int first = (from + STORE_UNIT - 1) / STORE_UNIT;
	int last = to / STORE_UNIT;

	return first < last ? units_of(first * STORE_UNIT, (last - first) * STORE_UNIT) : 0;
}

/* Makes the bytes between from and to of a block zeros and adds to *units how many are not needed for that any more. */
static int clear_part(struct store *store, int64_t key, int from, int to, int64_t *units)
{
	struct bytes bytes = {.store = store};
	struct block block;
	int error = find_block(store, key, &block);
	uint64_t mask;
	int missing;

	if (error || !(block.mask & units_of(from, to - from)))
		return error == ENOENT ? 0 : error;
	mask = block.mask & ~whole_units(from, to);
	*units += count_units(block.mask & ~mask);
	if (!mask)
		return remove_blocks(store, key, key);
	/* Only the last unit of a row may be cut short. */
	missing = last_unit(mask) == last_unit(block.mask) ? count_units(block.mask) * STORE_UNIT - block.length : 0;
	error = read_part(&bytes, &block, 0, store->scratch, store->block_size);
	bytes_close(&bytes);
	if (error)
		return error;
	memset(store->scratch + from, 0, (size_t)(to - from));
	pack(store->scratch, mask);
	return put_block(store, key, mask, store->scratch, count_units(mask) * STORE_UNIT - missing);
}

int blocks_clear(struct store *store, struct store_node *node, int64_t position, int64_t size)
{
	int64_t end = size < node->size - position ? position + size : node->size;
	int64_t first = key_of(store, node->id, position);
	int64_t last = key_of(store, node->id, end - 1);
	int from = (int)(position % store->block_size);
	int to = (int)((end - 1) % store->block_size) + 1;
	int64_t units = 0;
	int error;

	if (position >= node->size)
		return 0;
	/* With the end of the file goes its last unit, which may be cut short. */
	if (end == node->size)
		to = store->block_size;
	error = clear_part(store, first, from, first == last ? to : store->block_size, &units);
	if (!error && last > first + 1) {
		error = count_stored(store, first + 1, last - 1, &units);
		if (!error)
			error = remove_blocks(store, first + 1, last - 1);
	}
	if (!error && last > first)
		error = clear_part(store, last, 0, to, &units);
	node->allocated -= units * STORE_UNIT;
	return error;
}

int blocks_missing(struct store *store, const struct store_node *node, int64_t position, int64_t size, int64_t *bytes)
{
	int64_t units = 0;
	int error = count_stored(store, key_of(store, node->id, position), key_of(store, node->id, position + size - 1), &units);

	*bytes = units * STORE_UNIT < size ? size - units * STORE_UNIT : 0;
	return error;
}

/* Takes away the blocks from key on, whatever the size says: what goes need not be sound. */
static int remove_from(struct store *store, struct store_node *node, int64_t key)
{
	int64_t units = 0;
	int error = count_stored(store, key, last_key(node->id), &units);

	if (!error)
		error = remove_blocks(store, key, last_key(node->id));
	if (!error && units > 0 && sqlite3_changes(store->db) == 0)
		error = EUCLEAN;
	node->allocated -= units * STORE_UNIT;
	if (node->size > position_of(store, key))
		node->size = position_of(store, key);
	return error;
}

int blocks_shorten(struct store *store, struct store_node *node, int blocks)
{
	sqlite3_stmt *query = sql_use(store, ST_BLOCK_FROM_END);
	int64_t key = first_key(node->id);
	int error;

	sqlite3_bind_int64(query, 1, first_key(node->id));
	sqlite3_bind_int64(query, 2, last_key(node->id));
	sqlite3_bind_int(query, 3, blocks - 1);
	error = sql_row(store, query);
	if (!error) {
		key = sqlite3_column_int64(query, 0);
		sql_end(query);
	}
	return error && error != ENOENT ? error : remove_from(store, node, key);
}
