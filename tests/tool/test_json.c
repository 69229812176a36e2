/*
 * The command's reader of JSON, which gets what a process of another user has sent.
 *
 * TENON_SEED repeats a run, TENON_ROUNDS makes it longer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "json.h"

static const char sample[] =
	"{\"protocol\": 1, \"source\":\"a\\\"\\\\\\u00e9\\ud83d\\ude00\", \"list\" : [ {\"id\":7}, \"two\", [], {} , null ],\n"
	" \"limits\":{\"max\":1048576, \"min\":-1.5e3}, \"on\":true,\"off\":false, \"control\":\"\\u001b[2J\\n\\udc80\"}\n";

static const char *show(const char *value)
{
	static char text[64];

	return json_show(value, text, sizeof text);
}

static void members_are_found(void **state)
{
	const char *list;
	char name[16];

	(void)state;
	assert_true(json_check(sample));
	assert_int_equal(json_number(json_member(sample, "protocol")), 1);
	assert_int_equal(json_number(json_member(json_member(sample, "limits"), "max")), 1048576);
	assert_true(json_is_true(json_member(sample, "on")));
	assert_false(json_is_true(json_member(sample, "off")));
	assert_false(json_is_true(json_member(sample, "none")));
	assert_null(json_member(NULL, "a"));
	assert_null(json_member(json_member(sample, "on"), "a"));
	list = json_member(sample, "list");
	assert_int_equal(json_number(json_member(json_value(json_first(list)), "id")), 7);
	assert_string_equal(show(json_value(json_next(json_first(list)))), "two");
	assert_string_equal(json_name(json_next(json_first(list)), name, sizeof name), "");
	assert_null(json_first(json_value(json_next(json_next(json_first(list))))));
	assert_string_equal(json_name(json_first(sample), name, sizeof name), "protocol");
}

static void texts_can_be_shown(void **state)
{
	char little[8];

	(void)state;
	assert_string_equal(show(json_member(sample, "source")), "a\"\\\xc3\xa9\xf0\x9f\x98\x80");
	assert_string_equal(show(json_member(sample, "control")), "?[2J??");
	assert_string_equal(show(json_member(json_member(sample, "limits"), "min")), "-1.5e3");
	assert_string_equal(show(NULL), "");
	assert_string_equal(show(sample), "");
	json_show(json_member(sample, "source"), little, sizeof little);
	assert_true(strlen(little) < sizeof little);
}

static void what_is_no_json_is_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"{",
		"}",
		"{}}",
		"{} {}",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\":1,}",
		"{a:1}",
		"[1,]",
		"[1 2]",
		"\"",
		"\"\\",
		"\"\\u12\"",
		"\"\\x\"",
		"\"\n\"",
		"\"\xc3\xa9\"",
		"tru",
		"+1",
		"{\"a\":1]",
		"[}",
		"nul",
		"[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		if (json_check(wrong[i]))
			fail_msg("taken for JSON: %s", wrong[i]);
	}
}

static void walk(const char *value)
{
	char text[32];

	json_show(value, text, sizeof text);
	json_number(value);
	for (const char *item = json_first(value); item; item = json_next(item)) {
		json_name(item, text, sizeof text);
		walk(json_value(item));
	}
}

/* What has passed the check can be walked through, whatever it is. */
static void random_changes_do_no_harm(void **state)
{
	const char *rounds = getenv("TENON_ROUNDS"), *given = getenv("TENON_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);
	static const char letters[] = "{}[]\",:\\u0d8cf1e-.tn ";
	long count = rounds ? 100 * strtol(rounds, NULL, 10) : 100000;
	long passed = 0;

	(void)state;
	print_message("TENON_SEED=%u\n", seed);
	for (long i = 0; i < count; i++) {
		size_t length = sizeof sample - 1;
		/* Of its very size, so that a sanitizer sees the first byte too much. */
		char *text = malloc(length + 1);

		memcpy(text, sample, length + 1);
		for (int changes = 1 + rand_r(&seed) % 4; changes; changes--)
			text[(size_t)rand_r(&seed) % length] = letters[(size_t)rand_r(&seed) % (sizeof letters - 1)];
		if (rand_r(&seed) % 4 == 0)
			text[(size_t)rand_r(&seed) % length] = 0;
		if (json_check(text)) {
			passed++;
			walk(text);
		}
		free(text);
	}
	assert_true(passed > count / 1000 && passed < count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_found),
		cmocka_unit_test(texts_can_be_shown),
		cmocka_unit_test(what_is_no_json_is_refused),
		cmocka_unit_test(random_changes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
