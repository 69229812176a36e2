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

/* All or nothing, whatever else there is; and what can never be is known at once. */
static void reserving_too_much_takes_nothing(void **state)
{
	struct pool *pool = start(1000);
	struct pages pages = {0};
	char byte = 'x';

	(void)state;
	assert_int_equal(pages_reserve(&pages, pool, 0, INT64_C(1) << 60), ENOSPC);
	assert_int_equal(pool->used, 0);
	assert_int_equal(pages_write(&pages, pool, 10 * PAGE_BYTES, &byte, 1), 0);
	/* 1000 pages might be, but not with the tables that they need. */
	assert_int_equal(pages_reserve(&pages, pool, 0, 1000 * PAGE_BYTES), ENOSPC);
	assert_int_equal(pages.count, 1);
	assert_int_equal(pages_reserve(&pages, pool, 5, 900 * PAGE_BYTES), 0);
	assert_int_equal(pages.count, 901);
	pages_read(&pages, 10 * PAGE_BYTES, &byte, 1);
	assert_int_equal(byte, 'x');
	pages_read(&pages, 900 * PAGE_BYTES, &byte, 1);
	assert_int_equal(byte, 0);
	/* Everything in the middle, and with it the tables; then the far end of what can be. */
	pages_punch(&pages, pool, 0, INT64_MAX);
	assert_int_equal(pages.count, 0);
	assert_int_equal(pool->used, 0);
	assert_int_equal(pages_reserve(&pages, pool, INT64_MAX - 10, 5), 0);
	pages_punch(&pages, pool, INT64_MAX - 10, 5);
	assert_int_equal(pages.count, 1);
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

static unsigned char model[MODEL], noise[MODEL], present[MODEL / PAGE_BYTES + 2];

static void write_some(struct pages *pages, struct pool *pool, int64_t position, int64_t size)
{
	memcpy(model + position, noise, (size_t)size);
	memset(present + position / PAGE_BYTES, 1, (size_t)((position + size - 1) / PAGE_BYTES - position / PAGE_BYTES + 1));
	assert_int_equal(pages_write(pages, pool, position, noise, (size_t)size), 0);
}

static void cut_some(struct pages *pages, struct pool *pool, int64_t position)
{
	memset(model + position, 0, (size_t)(MODEL - position));
	memset(present + (position + PAGE_BYTES - 1) / PAGE_BYTES, 0,
	       sizeof present - (size_t)((position + PAGE_BYTES - 1) / PAGE_BYTES));
	pages_cut(pages, pool, position);
}

static void reserve_some(struct pages *pages, struct pool *pool, int64_t position, int64_t size)
{
	memset(present + position / PAGE_BYTES, 1, (size_t)((position + size - 1) / PAGE_BYTES - position / PAGE_BYTES + 1));
	assert_int_equal(pages_reserve(pages, pool, position, size), 0);
}

static void clear_some(struct pages *pages, struct pool *pool, int64_t position, int64_t size, bool punch)
{
	memset(model + position, 0, (size_t)size);
	for (int64_t i = (position + PAGE_BYTES - 1) / PAGE_BYTES; punch && (i + 1) * PAGE_BYTES <= position + size; i++)
		present[i] = 0;
	if (punch)
		pages_punch(pages, pool, position, size);
	else
		pages_zero(pages, position, size);
}

/* Random writes, cuts, reservations and holes, beside the same on a plain array. */
static void it_does_what_an_array_does(void **state)
{
	static unsigned char read[MODEL];
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
		switch (random() % 12) {
		case 0:
			cut_some(&pages, pool, position);
			break;
		case 1:
			reserve_some(&pages, pool, position, (int64_t)size);
			break;
		case 2:
		case 3:
			clear_some(&pages, pool, position, (int64_t)size, true);
			break;
		case 4:
			clear_some(&pages, pool, position, (int64_t)size, false);
			break;
		default:
			write_some(&pages, pool, position, (int64_t)size);
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
		cmocka_unit_test(reserving_too_much_takes_nothing),
		cmocka_unit_test(it_does_what_an_array_does),
		cmocka_unit_test(pages_come_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
