/*
 * The control socket's language: which lines are requests, and what answers look like.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "component/control.h"
#include "component/json.h"

static struct control_request parse(const char *line)
{
	char why[512] = "";
	const struct control_request request = control_parse(line, why, sizeof why);

	if (request.kind == REQUEST_WRONG)
		assert_true(strlen(why) > 20);
	return request;
}

static void requests_are_understood(void **state)
{
	(void)state;
	assert_int_equal(parse("info").kind, REQUEST_INFO);
	assert_int_equal(parse("umount").kind, REQUEST_UMOUNT);
	assert_true(parse("umount lazy").lazy);
	assert_true(parse("umount force").force);
	assert_int_equal(parse("umount 18446744073709551615").mount_id, UINT64_MAX);
	assert_int_equal(parse("umount 7 lazy").mount_id, 7);
	assert_true(parse("umount 7 lazy").lazy);
}

static void everything_else_is_wrong(void **state)
{
	static const char *const lines[] = {
		"",
		" ",
		"info ",
		" info",
		"info\t",
		"infos",
		"inf",
		"INFO",
		"info info",
		"umount ",
		"umount  lazy",
		"umount lazy lazy",
		"umount lazy force",
		"umount force 1",
		"umount 1 force",
		"umount 1 2",
		"umount +1",
		"umount 0x1",
		"umount 0",
		"umount -0",
		"umount 18446744073709551616",
		"umount 1 lazy lazy lazy",
		"\x7f",
		"\xc3\xa9",
		"info\x01",
	};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		if (parse(lines[i]).kind != REQUEST_WRONG)
			fail_msg("\"%s\" is taken for a request", lines[i]);
	}
}

static void assert_text_becomes(const char *value, const char *wanted)
{
	char text[256];
	struct json json;

	json_start(&json, text, sizeof text);
	json_text(&json, NULL, value);
	assert_string_equal(text, wanted);
	assert_int_equal(json.length, strlen(wanted));
}

static void texts_are_ascii(void **state)
{
	(void)state;
	assert_text_becomes("a b", "\"a b\"");
	assert_text_becomes("\"\\\n\x7f", "\"\\\"\\\\\\u000a\\u007f\"");
	assert_text_becomes("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\\u00e9\\u20ac\\ud83d\\ude00\"");
	/* Alone, too long, a surrogate, past the end, cut off. */
	assert_text_becomes("\x80\xff", "\"\\udc80\\udcff\"");
	assert_text_becomes("\xc0\xaf", "\"\\udcc0\\udcaf\"");
	assert_text_becomes("\xed\xa0\x80", "\"\\udced\\udca0\\udc80\"");
	assert_text_becomes("\xf4\x90\x80\x80", "\"\\udcf4\\udc90\\udc80\\udc80\"");
	assert_text_becomes("\xe2\x82", "\"\\udce2\\udc82\"");
}

static void what_does_not_fit_is_counted(void **state)
{
	char whole[128], part[128];
	struct json json;

	(void)state;
	for (size_t room = 0; room < 60; room++) {
		memset(part, 'x', sizeof part);
		json_start(&json, room ? part : NULL, room);
		json_open(&json, NULL, '{');
		json_number(&json, "a", 12);
		json_open(&json, "b", '[');
		json_flag(&json, NULL, true);
		json_close(&json, ']');
		json_text(&json, "c", "d");
		json_close(&json, '}');
		assert_int_equal(json.length, strlen("{\"a\":12,\"b\":[true],\"c\":\"d\"}"));
		assert_int_equal(part[room], 'x');
		if (room)
			assert_true(strlen(part) < room);
	}
	snprintf(whole, sizeof whole, "{\"a\":12,\"b\":[true],\"c\":\"d\"}");
	assert_string_equal(part, whole);
}

static void answers_are_one_line(void **state)
{
	char *error = control_answer_error(EBUSY, "\"\xff\n");
	char *done = control_answer_done(true);

	(void)state;
	assert_string_equal(error, "{\"protocol\":1,\"error\":\"EBUSY\",\"message\":\"\\\"\\udcff\\u000a\"}\n");
	assert_string_equal(done, "{\"protocol\":1,\"ok\":true,\"written\":true}\n");
	free(error);
	free(done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_understood), cmocka_unit_test(everything_else_is_wrong),
		cmocka_unit_test(texts_are_ascii),	   cmocka_unit_test(what_does_not_fit_is_counted),
		cmocka_unit_test(answers_are_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
