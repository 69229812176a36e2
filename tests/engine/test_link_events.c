/*
 * link(2) as events, in order, with every context as it comes and goes: asserted from a trace, on the in-process channel.
 *
 * A line is "event paths I F H", and "> F H" where the handler has set others: handle_info, file_context and handle_context, each numbered
 * as it appears, 0 for none.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "traced.h"

#define ROOT 1

struct numbers {
	uint64_t seen[64];
	unsigned count;
};

static struct recorder {
	pthread_mutex_t lock;
	char text[4096];
	struct numbers infos, files, handles;
	/* The last handle context that the recorder has set, in place of the drive, which sets none. */
	uintptr_t last;
	/* What create_hard_link or open_file answers instead of doing it. */
	const char *failing;
	int code;
} recorder = {.lock = PTHREAD_MUTEX_INITIALIZER};

static unsigned number_of(struct numbers *numbers, uint64_t value)
{
	unsigned i = 0;

	if (!value)
		return 0;
	while (i < numbers->count && numbers->seen[i] != value)
		i++;
	if (i == numbers->count)
		numbers->seen[numbers->count++] = value;
	return i + 1;
}

static void write_down(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void write_down(const char *format, ...)
{
	size_t length = strlen(recorder.text);
	va_list args;

	va_start(args, format);
	vsnprintf(recorder.text + length, sizeof recorder.text - length, format, args);
	va_end(args);
}

static void begin_line(const char *name, const char *path, const char *other)
{
	write_down("%s%s %s%s%s", *recorder.text ? "; " : "", name, path, other ? " " : "", other ? other : "");
}

static void write_contexts(uint64_t info, const void *file, const void *handle)
{
	write_down(" %u %u %u", number_of(&recorder.infos, info), number_of(&recorder.files, (uintptr_t)file),
		   number_of(&recorder.handles, (uintptr_t)handle));
}

/* The handler has returned: where it may set contexts it has set another one for the handle. */
static void set_contexts(const void *file, void **handle)
{
	*handle = (void *)(recorder.last += 16);
	write_down(" > %u %u", number_of(&recorder.files, (uintptr_t)file), number_of(&recorder.handles, (uintptr_t)*handle));
}

#define SEE(type, other, sets)                                                                                                   \
	if (strcmp(name, #type) == 0) {                                                                                          \
		tenon_##type##_event *seen = event;                                                                              \
                                                                                                                                 \
		if (!after) {                                                                                                    \
			begin_line(name, seen->file_name, other);                                                                \
			write_contexts((uint64_t)seen->handle_info, seen->file_context, seen->handle_context);                   \
		} else if (sets && !seen->result_code) {                                                                         \
			set_contexts(seen->file_context, (void **)(uintptr_t)&seen->handle_context);                             \
		}                                                                                                                \
	}

static int record(void *arg, const char *name, void *event, bool after)
{
	int code = 0;

	(void)arg;
	pthread_mutex_lock(&recorder.lock);
	SEE(create_file, NULL, true)
	SEE(open_file, NULL, true)
	SEE(create_hard_link, seen->link_name, true)
	SEE(read_file, NULL, false)
	SEE(cleanup_file, NULL, false)
	SEE(close_file, NULL, false)
	if (!after && strcmp(name, "get_file_info") == 0)
		begin_line(name, ((const tenon_get_file_info_event *)event)->file_name, NULL);
	if (!after && strcmp(name, "delete_file") == 0)
		begin_line(name, ((const tenon_delete_file_event *)event)->file_name, NULL);
	if (!after && strcmp(name, "rename_or_move_file") == 0)
		begin_line(name, ((const tenon_rename_or_move_file_event *)event)->file_name,
			   ((const tenon_rename_or_move_file_event *)event)->new_file_name);
	if (!after && recorder.failing && strcmp(name, recorder.failing) == 0)
		code = recorder.code;
	pthread_mutex_unlock(&recorder.lock);
	return code;
}

/* What was written down since the last time; numbers begin anew. */
static void assert_trace(const char *expected)
{
	char text[sizeof recorder.text];

	pthread_mutex_lock(&recorder.lock);
	strcpy(text, recorder.text);
	recorder.text[0] = 0;
	recorder.infos.count = recorder.files.count = recorder.handles.count = 0;
	pthread_mutex_unlock(&recorder.lock);
	if (expected)
		assert_string_equal(text, expected);
}

enum { BRACKETS = 1, ALL_OPENS = 2 };
static int wanted;

static void configure(tenon_volume *volume)
{
	tenon_set_implicit_open(volume, wanted & BRACKETS);
	tenon_set_fire_all_open_close_events(volume, wanted & ALL_OPENS);
	tenon_testing_set_faults(volume, record, NULL);
}

struct stage {
	struct traced *traced;
	struct kernel *kernel;
	uint64_t node;
};

/* A volume with a closed file /a. */
static void begin(struct stage *stage, int how)
{
	struct wire_entry_out entry;
	uint64_t fh;

	wanted = how;
	recorder.failing = NULL;
	stage->traced = traced_new(configure);
	stage->kernel = &stage->traced->kernel;
	assert_int_equal(kernel_create(stage->kernel, ROOT, "a", 0644, O_RDWR, &entry, &fh), 0);
	assert_int_equal(kernel_write(stage->kernel, entry.nodeid, fh, 0, "hello", 5), 0);
	assert_int_equal(kernel_release(stage->kernel, entry.nodeid, fh, false), 0);
	stage->node = entry.nodeid;
	assert_trace(NULL);
}

static void end(struct stage *stage)
{
	tenon_unmount_media(stage->traced->volume, true);
	assert_int_equal(stage->traced->opens, 0);
	traced_free(stage->traced);
}

static int link_to(struct stage *stage, const char *name)
{
	struct wire_entry_out entry;
	int error = kernel_link(stage->kernel, stage->node, ROOT, name, &entry);

	if (!error)
		assert_int_equal(entry.nodeid, stage->node);
	return error;
}

static void a_closed_file_is_opened_for_it(void **state)
{
	struct stage stage;

	(void)state;
	begin(&stage, BRACKETS);
	assert_int_equal(link_to(&stage, "b"), 0);
	/* What create_hard_link has set is what is handed back. */
	assert_trace("open_file /a 1 0 0 > 1 1; create_hard_link /a /b 1 1 1 > 1 2; cleanup_file /a 1 1 2; close_file /a 1 1 2; "
		     "get_file_info /b");
	/* By whichever of its names. */
	assert_int_equal(link_to(&stage, "c"), 0);
	assert_trace("open_file /b 1 0 0 > 1 1; create_hard_link /b /c 1 1 1 > 1 2; cleanup_file /b 1 1 2; close_file /b 1 1 2; "
		     "get_file_info /c");
	end(&stage);
}

static void nothing_is_opened_without_implicit_open(void **state)
{
	struct stage stage;

	(void)state;
	begin(&stage, 0);
	assert_int_equal(link_to(&stage, "b"), 0);
	/* The contexts that it sets belong to nothing that is open, and come back nowhere. */
	assert_trace("create_hard_link /a /b 1 0 0 > 0 1; get_file_info /b");
	end(&stage);
}

static void an_open_file_lends_its_contexts(void **state)
{
	struct stage stage;
	char data[8];
	uint32_t got;
	uint64_t fh;

	(void)state;
	for (int how = 0; how <= BRACKETS; how++) {
		begin(&stage, how);
		assert_int_equal(kernel_open(stage.kernel, stage.node, O_RDWR, &fh), 0);
		assert_int_equal(link_to(&stage, "b"), 0);
		assert_int_equal(kernel_read(stage.kernel, stage.node, fh, 0, data, sizeof data, &got), 0);
		assert_int_equal(kernel_unlink(stage.kernel, ROOT, "a"), 0);
		assert_int_equal(kernel_release(stage.kernel, stage.node, fh, false), 0);
		/* link(2) has a handle of its own, and the contexts of what is open; later events see what it has set. */
		assert_trace(
			"open_file /a 1 0 0 > 1 1; create_hard_link /a /b 2 1 1 > 1 2; get_file_info /b; read_file /b 1 1 2; "
			"get_file_info /a; delete_file /a; cleanup_file /b 1 1 2; close_file /b 1 1 2");
		end(&stage);
	}
}

static void every_open_counts_when_asked(void **state)
{
	struct stage stage;
	uint64_t fh;

	(void)state;
	begin(&stage, BRACKETS | ALL_OPENS);
	assert_int_equal(kernel_open(stage.kernel, stage.node, O_RDWR, &fh), 0);
	assert_int_equal(link_to(&stage, "b"), 0);
	assert_int_equal(kernel_release(stage.kernel, stage.node, fh, false), 0);
	/* The open around it is one more of the same file, with a handle context of its own. */
	assert_trace(
		"open_file /a 1 0 0 > 1 1; open_file /a 2 1 0 > 1 2; create_hard_link /a /b 2 1 2 > 1 3; cleanup_file /a 2 1 3; "
		"close_file /a 2 1 3; get_file_info /b; cleanup_file /b 1 1 1; close_file /b 1 1 1");
	end(&stage);
}

/* A limit is the handler's: EMLINK reaches the caller, and nothing has changed. */
static void a_link_that_fails(void **state)
{
	struct stage stage;
	struct wire_entry_out entry = {0};
	struct wire_attr attr;

	(void)state;
	begin(&stage, BRACKETS);
	recorder.failing = "create_hard_link";
	recorder.code = EMLINK;
	assert_int_equal(link_to(&stage, "b"), EMLINK);
	assert_trace("open_file /a 1 0 0 > 1 1; create_hard_link /a /b 1 1 1; cleanup_file /a 1 1 1; close_file /a 1 1 1");
	recorder.failing = "open_file";
	recorder.code = EACCES;
	assert_int_equal(link_to(&stage, "b"), EACCES);
	assert_trace("open_file /a 1 0 0");
	recorder.failing = NULL;
	kernel_lookup(stage.kernel, ROOT, "b", &entry);
	assert_int_equal(entry.nodeid, 0);
	assert_int_equal(kernel_getattr(stage.kernel, stage.node, &attr), 0);
	assert_int_equal(attr.nlink, 1);
	assert_string_equal(stage.traced->error, "");
	end(&stage);
}

/* POSIX: two names of one file stay both. Only whoever wants no other name replaced has to know whether there is one. */
static void renames_onto_a_name_of_the_same_file_fire_nothing(void **state)
{
	struct stage stage;

	(void)state;
	begin(&stage, BRACKETS);
	assert_int_equal(link_to(&stage, "b"), 0);
	assert_trace(NULL);
	assert_int_equal(kernel_rename(stage.kernel, ROOT, "a", ROOT, "b", 0), 0);
	assert_int_equal(kernel_rename(stage.kernel, ROOT, "b", ROOT, "a", RENAME_EXCHANGE), 0);
	assert_trace("");
	assert_int_equal(kernel_rename(stage.kernel, ROOT, "a", ROOT, "b", RENAME_NOREPLACE), EEXIST);
	assert_trace("get_file_info /b");
	end(&stage);
}

/* The first name of a temporary file is given by a rename of its hidden one, the others are links. */
static void a_temporary_file_gets_names(void **state)
{
	struct stage stage;
	struct wire_entry_out entry;
	uint64_t fh;

	(void)state;
	begin(&stage, 0);
	assert_int_equal(kernel_tmpfile(stage.kernel, ROOT, 0600, &entry, &fh), 0);
	assert_trace(NULL);
	stage.node = entry.nodeid;
	assert_int_equal(link_to(&stage, "one"), 0);
	pthread_mutex_lock(&recorder.lock);
	assert_non_null(strstr(recorder.text, "get_file_info /one; rename_or_move_file /.tenon-nameless-"));
	assert_non_null(strstr(recorder.text, " /one; get_file_info /one"));
	pthread_mutex_unlock(&recorder.lock);
	assert_trace(NULL);
	assert_int_equal(link_to(&stage, "two"), 0);
	assert_int_equal(kernel_unlink(stage.kernel, ROOT, "one"), 0);
	assert_int_equal(kernel_release(stage.kernel, entry.nodeid, fh, false), 0);
	assert_trace("create_hard_link /one /two 1 1 1 > 1 2; get_file_info /two; get_file_info /one; delete_file /one; "
		     "cleanup_file /two 2 1 2; close_file /two 2 1 2");
	end(&stage);
}

static void without_hard_links(tenon_volume *volume)
{
	configure(volume);
	tenon_set_use_hard_links(volume, false);
}

static void nothing_fires_without_use_hard_links(void **state)
{
	struct stage stage;
	struct wire_entry_out entry;
	uint64_t fh;

	(void)state;
	wanted = BRACKETS;
	stage.traced = traced_new(without_hard_links);
	stage.kernel = &stage.traced->kernel;
	assert_int_equal(kernel_create(stage.kernel, ROOT, "a", 0644, O_RDWR, &entry, &fh), 0);
	stage.node = entry.nodeid;
	assert_trace(NULL);
	assert_int_equal(link_to(&stage, "b"), EPERM);
	assert_int_equal(kernel_release(stage.kernel, entry.nodeid, fh, false), 0);
	assert_trace("cleanup_file /a 1 1 1; close_file /a 1 1 1");
	end(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_closed_file_is_opened_for_it),
		cmocka_unit_test(nothing_is_opened_without_implicit_open),
		cmocka_unit_test(an_open_file_lends_its_contexts),
		cmocka_unit_test(every_open_counts_when_asked),
		cmocka_unit_test(a_link_that_fails),
		cmocka_unit_test(renames_onto_a_name_of_the_same_file_fire_nothing),
		cmocka_unit_test(a_temporary_file_gets_names),
		cmocka_unit_test(nothing_fires_without_use_hard_links),
	};

	return cmocka_run_group_tests_name("link events", tests, NULL, NULL);
}
