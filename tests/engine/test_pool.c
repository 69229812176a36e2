/*
 * Pools of small pieces and the table over them: nothing overlaps, nothing is lost while it grows and shrinks, and memory goes back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "volume/index.h"
#include "volume/pool.h"

#define COUNT 60000

struct piece {
	pool_ref next;
	uint32_t key;
	/* As long as the key says. */
	unsigned char rest[];
};

struct fixture {
	struct pool pool;
	struct index index;
	pool_ref refs[COUNT];
};

static size_t size_of(uint32_t key)
{
	return sizeof(struct piece) + key * 2654435761u % 270;
}

static uint32_t hash_key(uint32_t key)
{
	return key * 2654435761u >> 3;
}

static uint32_t hash_of_piece(const struct pool *pool, pool_ref ref)
{
	return hash_key(((const struct piece *)pool_at(pool, ref))->key);
}

static int set_up(void **state)
{
	struct fixture *fix = calloc(1, sizeof *fix);

	pool_init(&fix->pool);
	*state = fix;
	return index_init(&fix->index, &fix->pool, hash_of_piece);
}

static int tear_down(void **state)
{
	struct fixture *fix = *state;

	index_done(&fix->index);
	pool_done(&fix->pool);
	free(fix);
	return 0;
}

static void make(struct fixture *fix, uint32_t key)
{
	pool_ref ref = pool_new(&fix->pool, size_of(key));
	struct piece *piece = pool_at(&fix->pool, ref);

	assert_non_null(piece);
	assert_int_equal((uintptr_t)piece % 8, 0);
	assert_int_equal(pool_ref_of(piece), ref);
	for (size_t i = 0; i < size_of(key) - sizeof *piece; i++)
		assert_int_equal(piece->rest[i], 0);
	memset(piece->rest, (int)(key & 0xff), size_of(key) - sizeof *piece);
	piece->key = key;
	fix->refs[key] = ref;
}

static void assert_whole(struct fixture *fix, uint32_t key)
{
	const struct piece *piece = pool_at(&fix->pool, fix->refs[key]);

	assert_int_equal(piece->key, key);
	for (size_t i = 0; i < size_of(key) - sizeof *piece; i++)
		assert_int_equal(piece->rest[i], key & 0xff);
}

static void drop(struct fixture *fix, uint32_t key)
{
	assert_whole(fix, key);
	pool_free(&fix->pool, fix->refs[key]);
	fix->refs[key] = 0;
}

static void pieces_do_not_overlap(void **state)
{
	struct fixture *fix = *state;

	assert_null(pool_at(&fix->pool, 0));
	for (uint32_t key = 0; key < COUNT; key++)
		make(fix, key);
	/* Two thirds go, in no order, and others come in their place. */
	for (uint32_t i = 0; i < COUNT; i++) {
		uint32_t key = (uint32_t)((uint64_t)i * 7919 % COUNT);

		if (key % 3)
			drop(fix, key);
	}
	for (uint32_t key = 0; key < COUNT; key++) {
		if (key % 3 == 1)
			make(fix, key);
	}
	for (uint32_t key = 0; key < COUNT; key++) {
		if (fix->refs[key])
			assert_whole(fix, key);
	}
}

/* Pages of the pool that take memory. */
static size_t resident(const struct pool *pool)
{
	static unsigned char pages[POOL_REGION_SIZE / 4096];
	size_t count = 0;

	for (uint32_t region = 0; region < pool->region_count; region++) {
		assert_int_equal(mincore(pool->regions[region], POOL_REGION_SIZE, pages), 0);
		for (size_t i = 0; i < POOL_REGION_SIZE / (size_t)sysconf(_SC_PAGESIZE); i++)
			count += pages[i] & 1;
	}
	return count * (size_t)sysconf(_SC_PAGESIZE);
}

static void memory_goes_back(void **state)
{
	struct fixture *fix = *state;
	size_t full;

	for (int round = 0; round < 2; round++) {
		for (uint32_t key = 0; key < COUNT; key++)
			make(fix, key);
		full = resident(&fix->pool);
		assert_true(full > COUNT * 100);
		for (uint32_t i = 0; i < COUNT; i++)
			drop(fix, (uint32_t)((uint64_t)i * 7919 % COUNT));
		/* Some slabs of each size may stay, for the next ones. */
		assert_true(resident(&fix->pool) < full / 8);
	}
	/* The second round needed no other address space than the first. */
	assert_int_equal(fix->pool.region_count, 1 + (full >> POOL_REGION_BITS));
}

static bool is_there(struct fixture *fix, uint32_t key)
{
	pool_ref ref = index_first(&fix->index, hash_key(key));

	while (ref && ((const struct piece *)pool_at(&fix->pool, ref))->key != key)
		ref = index_next(&fix->pool, ref);
	return ref;
}

/* Every piece is found, and the chains together have no more than there are. */
static void assert_complete(struct fixture *fix)
{
	uint32_t count = 0;

	for (uint32_t key = 0; key < COUNT; key++)
		assert_int_equal(is_there(fix, key), fix->refs[key] != 0);
	for (uint32_t bucket = 0; bucket < fix->index.buckets; bucket++) {
		for (pool_ref ref = *index_bucket(&fix->index, bucket); ref; ref = index_next(&fix->pool, ref))
			count++;
	}
	assert_int_equal(count, fix->index.count);
}

static void the_table_follows_its_pieces(void **state)
{
	struct fixture *fix = *state;
	uint32_t most;

	for (int round = 0; round < 2; round++) {
		for (uint32_t key = 0; key < COUNT; key++) {
			make(fix, key);
			index_add(&fix->index, fix->refs[key]);
			if (key % 9973 == 0)
				assert_complete(fix);
		}
		assert_complete(fix);
		most = fix->index.buckets;
		/* Neither crowded nor half empty. */
		assert_in_range(most, COUNT, COUNT + 100);
		for (uint32_t i = 0; i < COUNT; i++) {
			uint32_t key = (uint32_t)((uint64_t)i * 7919 % COUNT);

			index_remove(&fix->index, fix->refs[key]);
			drop(fix, key);
			if (i % 9973 == 0)
				assert_complete(fix);
		}
		assert_int_equal(fix->index.count, 0);
		assert_true(fix->index.buckets < most / 16);
		assert_int_equal(fix->index.segment_count, 1);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pieces_do_not_overlap),
		TEST(memory_goes_back),
		TEST(the_table_follows_its_pieces),
	};

	return cmocka_run_group_tests_name("pool and index", tests, NULL, NULL);
}
