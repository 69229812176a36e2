/*
 * Random writes, reads, cuts, clearings and reopenings of a few files against copies of them in memory. A failure
 * prints the seed; TENON_SEED repeats it and TENON_ROUNDS makes the run longer.
 */
#include "place.h"

#include <time.h>

enum { FILES = 3, LIMIT = 400 * 1024, UNITS = LIMIT / STORE_UNIT + 1, ROUNDS = 3000 };

struct model {
	char bytes[LIMIT];
	bool present[UNITS];
	int64_t size;
};

static uint64_t seed;

static int random_below(int limit)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (int)(seed % (uint64_t)limit);
}

static const char *path_of(int file)
{
	static const char *const paths[FILES] = {"/a", "/b", "/c"};

	return paths[file];
}

/* Where things begin and end in practice: at multiples of units, near them, and anywhere. */
static int random_position(void)
{
	switch (random_below(3)) {
	case 0:
		return random_below(UNITS - 1) * STORE_UNIT;
	case 1:
		return random_below(UNITS - 1) * STORE_UNIT + random_below(3);
	default:
		return random_below(LIMIT);
	}
}

static int random_length(int position)
{
	static const int most[] = {10, STORE_UNIT, 5 * STORE_UNIT, LIMIT};
	int length = random_below(2) ? 1 + random_below(most[random_below(4)]) : STORE_UNIT << random_below(7);

	return length < LIMIT - position ? length : LIMIT - position;
}

static void random_write(struct store *store, struct model *model, int file)
{
	int position = random_position();
	int length = random_length(position);

	for (int i = position; i < position + length; i++)
		model->bytes[i] = (char)(1 + random_below(255));
	for (int i = position / STORE_UNIT; i <= (position + length - 1) / STORE_UNIT; i++)
		model->present[i] = true;
	if (model->size < position + length)
		model->size = position + length;
	assert_int_equal(store_write(store, at(path_of(file)), position, model->bytes + position, (size_t)length, false), 0);
}

static void random_cut(struct store *store, struct model *model, int file)
{
	int size = random_position();

	assert_int_equal(store_set_size(store, at(path_of(file)), size), 0);
	model->size = size;
	memset(model->bytes + size, 0, (size_t)(LIMIT - size));
	for (int i = (size + STORE_UNIT - 1) / STORE_UNIT; i < UNITS; i++)
		model->present[i] = false;
}

static void random_clear(struct store *store, struct model *model, int file)
{
	int position = random_position();
	int length = random_length(position);
	/* With the file's end goes the rest of its last unit. */
	int end = position + length < model->size ? position + length : LIMIT + STORE_UNIT;

	assert_int_equal(store_clear(store, at(path_of(file)), position, length), 0);
	memset(model->bytes + position, 0, (size_t)length);
	for (int i = (position + STORE_UNIT - 1) / STORE_UNIT; (i + 1) * STORE_UNIT <= end && i < UNITS; i++)
		model->present[i] = false;
}

static void compare(struct store *store, const struct model *model, int file, int position, int length)
{
	static char buffer[LIMIT];
	int64_t left = model->size > position ? model->size - position : 0;
	int64_t wanted = length < left ? length : left;
	size_t done;

	assert_int_equal(store_read(store, at(path_of(file)), position, buffer, (size_t)length, &done), 0);
	assert_int_equal(done, wanted);
	assert_memory_equal(buffer, model->bytes + position, done);
}

static void compare_shape(struct store *store, const struct model *model, int file)
{
	struct store_node node = look(store, path_of(file));
	int64_t units = 0;

	for (int i = 0; i < UNITS; i++)
		units += model->present[i];
	assert_int_equal(node.size, model->size);
	assert_int_equal(node.allocated, units * STORE_UNIT);
}

static void step(struct place *place, struct model *model, int file)
{
	int position = random_position();
	int dice = random_below(200);

	if (dice < 80)
		random_write(place->store, model, file);
	else if (dice < 100)
		random_cut(place->store, model, file);
	else if (dice < 120)
		random_clear(place->store, model, file);
	else if (dice < 121)
		place_reopen(place);
	else if (dice < 123)
		assert_int_equal(store_flush(place->store, NULL), 0);
	else
		compare(place->store, model, file, position, random_length(position));
	compare_shape(place->store, model, file);
}

static void files_are_what_was_done_to_them(void **state)
{
	struct place *place = *state;
	struct model *models = calloc(FILES, sizeof *models);
	const char *rounds = getenv("TENON_ROUNDS");

	assert_non_null(models);
	for (int i = 0; i < FILES; i++)
		make_file(place->store, path_of(i), "");
	for (long i = rounds ? atol(rounds) : ROUNDS; i > 0; i--) {
		int file = random_below(FILES);

		step(place, &models[file], file);
	}
	for (int i = 0; i < FILES; i++)
		compare(place->store, &models[i], i, 0, LIMIT);
	free(models);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_are_what_was_done_to_them, place_set_up, place_tear_down),
	};
	const char *given = getenv("TENON_SEED");

	seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u;
	seed += !seed;
	print_message("TENON_SEED=%llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
