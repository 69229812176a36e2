/*
 * The pages of a file: what was written is read, the rest is zeros, holes take nothing, and everything that was taken
 * is given back.
 */
#include "unit.h"

#include "pages.h"

enum { MODEL = 300000 };

static struct pool *start(int64_t limit)
{
	struct pool *pool = malloc(sizeof *pool);

	assert_non_null(pool);
	pool_init(pool, limit);
	return pool;
}

static void end(struct pool *pool)
{
	assert_int_equal(pool->used, 0);
	pool_free(pool);
	free(pool);
}

static void holes_read_as_zeros_and_take_nothing(void **state)
{
	struct pool *pool = start(1000);
	struct pages pages = {0};
	char buffer[3] = "xyz";

	(void)state;
	pages_read(&pages, INT64_C(1) << 40, buffer, sizeof buffer);
	assert_memory_equal(buffer, "\0\0\0", 3);
	assert_int_equal(pages_write(&pages, pool, (INT64_C(1) << 50) + 17, "end", 3), 0);
	assert_int_equal(pages.count, 1);
	pages_read(&pages, (INT64_C(1) << 50) + 17, buffer, 3);
	assert_memory_equal(buffer, "end", 3);
	pages_cut(&pages, pool, 0);
	end(pool);
}

static void the_last_byte_there_can_be_is_kept(void **state)
{
	struct pool *pool = start(1000);
	struct pages pages = {0};
	char buffer = 0;

	(void)state;
	assert_int_equal(pages_write(&pages, pool, INT64_MAX - 1, "a", 1), 0);
	assert_int_equal(pages_write(&pages, pool, 0, "b", 1), 0);
	pages_read(&pages, INT64_MAX - 1, &buffer, 1);
	assert_int_equal(buffer, 'a');
	pages_read(&pages, 0, &buffer, 1);
	assert_int_equal(buffer, 'b');
	assert_int_equal(pages.count, 2);
	pages_cut(&pages, pool, 1);
	assert_int_equal(pages.count, 1);
	pages_cut(&pages, pool, 0);
	end(pool);
}

static void a_full_budget_is_enospc(void **state)
{
	struct pool *pool = start(4);
	struct pages pages = {0};
	char page[PAGE_BYTES] = {1};
	int error = 0;

	(void)state;
	for (int i = 0; !error && i < 10; i++)
		error = pages_write(&pages, pool, (int64_t)i * PAGE_BYTES, page, sizeof page);
	assert_int_equal(error, ENOSPC);
	/* Three pages and the table above them. */
	assert_int_equal(pages.count, 3);
	pages_cut(&pages, pool, 0);
	end(pool);
}

static int64_t pages_in(const unsigned char *present, int64_t size)
{
	int64_t count = 0;

	for (int64_t i = 0; i * PAGE_BYTES < size; i++)
		count += present[i];
	return count;
}

/* Random writes and cuts, beside the same on a plain array. */
static void it_does_what_an_array_does(void **state)
{
	static unsigned char model[MODEL], read[MODEL], noise[MODEL], present[MODEL / PAGE_BYTES + 1];
	struct pool *pool = start(1 << 20);
	struct pages pages = {0};

	(void)state;
	srandom(1);
	for (int i = 0; i < MODEL; i++)
		noise[i] = (unsigned char)random();
	for (int step = 0; step < 3000; step++) {
		int64_t position = random() % MODEL;
		size_t size = 1 + (size_t)random() % (size_t)(random() % 8 ? 5000 : MODEL);

		if (size > (size_t)(MODEL - position))
			size = (size_t)(MODEL - position);
		if (random() % 10) {
			memcpy(model + position, noise, size);
			memset(present + position / PAGE_BYTES, 1,
			       (size_t)((position + (int64_t)size - 1) / PAGE_BYTES - position / PAGE_BYTES + 1));
			assert_int_equal(pages_write(&pages, pool, position, noise, size), 0);
		} else {
			memset(model + position, 0, (size_t)(MODEL - position));
			memset(present + (position + PAGE_BYTES - 1) / PAGE_BYTES, 0,
			       sizeof present - (size_t)((position + PAGE_BYTES - 1) / PAGE_BYTES));
			pages_cut(&pages, pool, position);
		}
		assert_int_equal(pages.count, pages_in(present, MODEL));
		pages_read(&pages, 0, read, MODEL);
		assert_memory_equal(read, model, MODEL);
	}
	pages_cut(&pages, pool, 0);
	end(pool);
}

enum { MANY = 5000 };

/* More pages than a few slabs have, given back in another order, twice. */
static void pages_come_again(void **state)
{
	static unsigned char *pages[MANY];
	struct pool *pool = start(MANY);

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < MANY; i++) {
			pages[i] = pool_take(pool);
			assert_non_null(pages[i]);
			memset(pages[i], i % 251, PAGE_BYTES);
		}
		assert_null(pool_take(pool));
		assert_int_equal(pool_left(pool), 0);
		for (int i = 0; i < MANY; i++) {
			unsigned char *page = pages[i * 7 % MANY];

			assert_int_equal(page[0], i * 7 % MANY % 251);
			assert_int_equal(page[PAGE_BYTES - 1], i * 7 % MANY % 251);
			pool_give(pool, page);
		}
		assert_int_equal(pool_left(pool), MANY);
	}
	end(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holes_read_as_zeros_and_take_nothing),
		cmocka_unit_test(the_last_byte_there_can_be_is_kept),
		cmocka_unit_test(a_full_budget_is_enospc),
		cmocka_unit_test(it_does_what_an_array_does),
		cmocka_unit_test(pages_come_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
