/*
 * The attribute tenon.links: which events it becomes, in which order and with which contexts, what it says and when it refuses.
 *
 * On the in-process channel and the memory drive, whose names come newest first.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "traced.h"

#define ROOT 1
#define LARGEST 65536u

static char value[LARGEST + 1];

static void with_brackets(tenon_volume *volume)
{
	tenon_set_implicit_open(volume, true);
}

static void with_hiding(tenon_volume *volume)
{
	tenon_set_support_posix_unlink_rename(volume, false);
}

/* On one worker what was sent is done in order, forgets included, which have no answer. */
static void with_one_worker(tenon_volume *volume)
{
	tenon_set_serialize_events(volume, true);
}

static int plain(void **state)
{
	*state = traced_new(NULL);
	return 0;
}

static int bracketed(void **state)
{
	*state = traced_new(with_brackets);
	return 0;
}

static int hiding(void **state)
{
	*state = traced_new(with_hiding);
	return 0;
}

static int serialized(void **state)
{
	*state = traced_new(with_one_worker);
	return 0;
}

static int tear_down(void **state)
{
	struct traced *traced = *state;

	assert_int_equal(traced->opens, 0);
	traced_free(traced);
	return 0;
}

/* A closed file. */
static uint64_t make(struct traced *traced, uint64_t parent, const char *name)
{
	struct wire_entry_out entry;
	uint64_t fh;

	assert_int_equal(kernel_create(&traced->kernel, parent, name, 0644, O_RDWR, &entry, &fh), 0);
	assert_int_equal(kernel_release(&traced->kernel, entry.nodeid, fh, false), 0);
	return entry.nodeid;
}

static uint64_t make_directory(struct traced *traced, uint64_t parent, const char *name)
{
	struct wire_entry_out entry;

	assert_int_equal(kernel_mkdir(&traced->kernel, parent, name, 0755, &entry), 0);
	return entry.nodeid;
}

static void add_link(struct traced *traced, uint64_t node, uint64_t parent, const char *name)
{
	struct wire_entry_out entry;

	assert_int_equal(kernel_link(&traced->kernel, node, parent, name, &entry), 0);
	assert_int_equal(entry.nodeid, node);
}

/* The attribute, which must be there. */
static const char *get(struct traced *traced, uint64_t node, const char *name)
{
	size_t length;

	assert_int_equal(kernel_getxattr(&traced->kernel, node, name, value, LARGEST, &length), 0);
	value[length] = 0;
	return value;
}

static int refusal(struct traced *traced, uint64_t node, const char *name, uint32_t room)
{
	size_t length;

	return kernel_getxattr(&traced->kernel, node, name, value, room, &length);
}

static void a_closed_file_is_opened_around_it(void **state)
{
	struct traced *traced = *state;
	uint64_t node = make(traced, ROOT, "a");
	uint64_t fh;

	add_link(traced, node, ROOT, "b");
	traced_take(traced);
	assert_string_equal(get(traced, node, "tenon.links"), "/b\n/a\n");
	assert_string_equal(traced_take(traced),
			    "open_file /b; enumerate_hard_links /b; enumerate_hard_links /b; enumerate_hard_links /b; "
			    "close_hard_links_enumeration /b; cleanup_file /b; close_file /b");
	/* An open file needs no more. */
	assert_int_equal(kernel_open(&traced->kernel, node, O_RDONLY, &fh), 0);
	traced_take(traced);
	get(traced, node, "tenon.links");
	assert_string_equal(traced_take(traced), "enumerate_hard_links /b; enumerate_hard_links /b; enumerate_hard_links /b; "
						 "close_hard_links_enumeration /b");
	assert_int_equal(kernel_release(&traced->kernel, node, fh, false), 0);
}

static void no_bracket_where_none_is_wanted(void **state)
{
	struct traced *traced = *state;
	uint64_t node = make(traced, ROOT, "a");

	traced_take(traced);
	assert_string_equal(get(traced, node, "tenon.links"), "/a\n");
	assert_string_equal(traced_take(traced),
			    "enumerate_hard_links /a; enumerate_hard_links /a; close_hard_links_enumeration /a");
}

static void an_open_that_fails_fires_nothing_else(void **state)
{
	struct traced *traced = *state;
	uint64_t node = make(traced, ROOT, "a");

	traced_take(traced);
	traced->fail_event = "open_file";
	traced->fail_code = EACCES;
	assert_int_equal(refusal(traced, node, "tenon.links", LARGEST), EACCES);
	assert_string_equal(traced_take(traced), "open_file /a");
}

static void a_failed_enumeration_is_closed_once(void **state)
{
	struct traced *traced = *state;
	uint64_t node = make(traced, ROOT, "a");

	for (int skip = 0; skip < 2; skip++) {
		traced_take(traced);
		traced->fail_event = "enumerate_hard_links";
		traced->fail_code = EACCES;
		traced->fail_skip = skip;
		assert_int_equal(refusal(traced, node, "tenon.links", LARGEST), EACCES);
		assert_string_equal(
			traced_take(traced),
			skip ? "open_file /a; enumerate_hard_links /a; enumerate_hard_links /a; close_hard_links_enumeration /a; "
			       "cleanup_file /a; close_file /a"
			     : "open_file /a; enumerate_hard_links /a; close_hard_links_enumeration /a; cleanup_file /a; close_file /a");
	}
	assert_string_equal(get(traced, node, "tenon.links"), "/a\n");
}

/* Contexts as they go in and come out of handlers that do nothing else: they are numbers here. */
struct contexts {
	void *file, *handle, *enumeration;
	uint64_t info;
	int firings, closes, wrong;
	/* Firings about another handle than the one that was opened. */
	int strangers;
};

static void check(struct contexts *contexts, bool right)
{
	contexts->wrong += !right;
}

static void idle_open_file(tenon_volume *volume, tenon_open_file_event *event)
{
	struct contexts *contexts = tenon_get_app_data(volume);

	check(contexts, !event->file_context && !event->handle_context);
	event->file_context = contexts->file = (void *)1;
	event->handle_context = contexts->handle = (void *)1;
	contexts->info = event->handle_info;
}

static void idle_enumerate_hard_links(tenon_volume *volume, tenon_enumerate_hard_links_event *event)
{
	struct contexts *contexts = tenon_get_app_data(volume);

	check(contexts, event->file_context == contexts->file && event->handle_context == contexts->handle &&
				event->enumeration_context == contexts->enumeration && !event->link_found && !*event->link_name &&
				event->link_name_size == 256);
	contexts->strangers += event->handle_info != contexts->info;
	/* Each firing changes all three. */
	event->file_context = contexts->file = (char *)contexts->file + 16;
	event->handle_context = contexts->handle = (char *)contexts->handle + 32;
	event->enumeration_context = contexts->enumeration = (char *)contexts->enumeration + 64;
	event->link_found = ++contexts->firings <= 3;
	event->parent_id = TENON_ROOT_ID;
	snprintf(event->link_name, event->link_name_size, "name%d", contexts->firings);
}

static void idle_close_hard_links_enumeration(tenon_volume *volume, tenon_close_hard_links_enumeration_event *event)
{
	struct contexts *contexts = tenon_get_app_data(volume);

	check(contexts, event->file_context == contexts->file && event->handle_context == contexts->handle &&
				event->enumeration_context == contexts->enumeration);
	contexts->strangers += event->handle_info != contexts->info;
	event->file_context = contexts->file = (char *)contexts->file + 4096;
	event->handle_context = contexts->handle = (char *)contexts->handle + 4096;
	contexts->closes++;
}

static void idle_cleanup_file(tenon_volume *volume, tenon_cleanup_file_event *event)
{
	struct contexts *contexts = tenon_get_app_data(volume);

	check(contexts, event->file_context == contexts->file && event->handle_context == contexts->handle);
}

static void idle_close_file(tenon_volume *volume, tenon_close_file_event *event)
{
	struct contexts *contexts = tenon_get_app_data(volume);

	check(contexts, event->file_context == contexts->file && event->handle_context == contexts->handle &&
				event->handle_info == contexts->info);
}

static void one_file(tenon_volume *volume, tenon_get_file_info_event *event)
{
	bool root = strcmp(event->file_name, "/") == 0;

	(void)volume;
	event->file_exists = root || strcmp(event->file_name, "/a") == 0;
	event->file_id = root ? TENON_ROOT_ID : 7;
	event->attributes = root ? TENON_FILE_ATTRIBUTE_DIRECTORY : TENON_FILE_ATTRIBUTE_NORMAL;
}

static void nothing_read(tenon_volume *volume, tenon_read_file_event *event)
{
	(void)volume;
	(void)event;
}

static void nothing_listed(tenon_volume *volume, tenon_enumerate_directory_event *event)
{
	(void)volume;
	(void)event;
}

static void nothing_linked(tenon_volume *volume, tenon_create_hard_link_event *event)
{
	(void)volume;
	(void)event;
}

static void nothing_found(tenon_volume *volume, tenon_get_file_name_by_file_id_event *event)
{
	(void)volume;
	event->result_code = ENOENT;
}

static const tenon_events idle_events = {
	.get_file_info = one_file,
	.enumerate_directory = nothing_listed,
	.read_file = nothing_read,
	.create_hard_link = nothing_linked,
	.get_file_name_by_file_id = nothing_found,
	.open_file = idle_open_file,
	.cleanup_file = idle_cleanup_file,
	.close_file = idle_close_file,
	.enumerate_hard_links = idle_enumerate_hard_links,
	.close_hard_links_enumeration = idle_close_hard_links_enumeration,
};

static struct contexts contexts;

static uint64_t start_idle(struct kernel *kernel, bool all)
{
	struct wire_entry_out entry;

	contexts = (struct contexts){0};
	assert_int_equal(tenon_volume_new(&kernel->volume, &idle_events, sizeof idle_events, &contexts), 0);
	tenon_set_use_hard_links(kernel->volume, true);
	tenon_set_fire_all_open_close_events(kernel->volume, all);
	assert_int_equal(tenon_initialize(kernel->volume, "{11111111-2222-3333-4444-555555555555}"), 0);
	assert_int_equal(tenon_testing_mount(kernel->volume), 0);
	assert_int_equal(kernel_lookup(kernel, ROOT, "a", &entry), 0);
	return entry.nodeid;
}

static void read_idle(struct kernel *kernel, uint64_t node)
{
	size_t length;

	assert_int_equal(kernel_getxattr(kernel, node, "tenon.links", value, LARGEST, &length), 0);
	value[length] = 0;
	assert_string_equal(value, "/name1\n/name2\n/name3\n");
	assert_int_equal(contexts.firings, 4);
	assert_int_equal(contexts.closes, 1);
	assert_int_equal(contexts.wrong, 0);
}

static void contexts_come_as_they_went(void **state)
{
	struct kernel kernel = {0};

	(void)state;
	for (int all = 0; all < 2; all++) {
		read_idle(&kernel, start_idle(&kernel, all));
		assert_int_equal(contexts.strangers, 0);
		tenon_volume_free(kernel.volume);
	}
}

/* Of a file that is open, what the enumeration leaves in the contexts is the open file's. */
static void contexts_of_an_open_file_are_kept(void **state)
{
	struct kernel kernel = {0};
	uint64_t node = start_idle(&kernel, false);
	uint64_t fh;

	(void)state;
	assert_int_equal(kernel_open(&kernel, node, O_RDONLY, &fh), 0);
	read_idle(&kernel, node);
	/* The request has a handle of its own, that of whoever asks. */
	assert_int_equal(contexts.strangers, 5);
	assert_int_equal(kernel_release(&kernel, node, fh, false), 0);
	assert_int_equal(contexts.wrong, 0);
	tenon_volume_free(kernel.volume);
}

static void what_it_says(void **state)
{
	struct traced *traced = *state;
	uint64_t directory = make_directory(traced, ROOT, "dir");
	uint64_t inner = make_directory(traced, directory, "in\\ner");
	uint64_t node = make(traced, ROOT, "a");

	add_link(traced, node, directory, "new\nline");
	add_link(traced, node, inner, "\xff\xfe tab\t");
	assert_string_equal(get(traced, node, "tenon.links"), "/dir/in\\134ner/\xff\xfe tab\t\n/dir/new\\012line\n/a\n");
	/* Directories that are renamed, a name that goes. */
	assert_int_equal(kernel_rename(&traced->kernel, ROOT, "dir", ROOT, "other", 0), 0);
	assert_int_equal(kernel_unlink(&traced->kernel, ROOT, "a"), 0);
	assert_string_equal(get(traced, node, "tenon.links"), "/other/in\\134ner/\xff\xfe tab\t\n/other/new\\012line\n");
	/* Of a directory its one path, and no event. */
	traced_take(traced);
	assert_string_equal(get(traced, inner, "tenon.links"), "/other/in\\134ner\n");
	assert_string_equal(get(traced, ROOT, "tenon.links"), "/\n");
	assert_string_equal(get(traced, ROOT, "tenon.links.1"), "");
	assert_string_equal(traced_take(traced), "");
}

static void special_files_have_names_too(void **state)
{
	struct traced *traced = *state;
	const struct wire_mknod_in in = {.mode = S_IFIFO | 0600};
	struct wire_entry_out entry;
	char body[sizeof in + 2];

	assert_int_equal(kernel_symlink(&traced->kernel, ROOT, "s", "target", &entry), 0);
	add_link(traced, entry.nodeid, ROOT, "t");
	assert_string_equal(get(traced, entry.nodeid, "tenon.links"), "/t\n/s\n");
	memcpy(body, &in, sizeof in);
	memcpy(body + sizeof in, "f", 2);
	assert_int_equal(kernel_request(&traced->kernel, WIRE_MKNOD, ROOT, body, sizeof body, &entry, sizeof entry, NULL), 0);
	assert_string_equal(get(traced, entry.nodeid, "tenon.links"), "/f\n");
}

static void what_is_refused(void **state)
{
	struct traced *traced = *state;
	static const char *const others[] = {"user.x",
					     "security.capability",
					     "tenon.link",
					     "tenon.linksx",
					     "tenon.links.",
					     "tenon.links.x",
					     "tenon.links.-1",
					     "tenon.links.1.",
					     "tenon",
					     "tenon.links. 1",
					     "Tenon.links",
					     "system.posix_acl_access",
					     "tenon.links.18446744073709551616"};
	uint64_t node = make(traced, ROOT, "abcdef");
	size_t length;

	add_link(traced, node, ROOT, "g");
	traced_take(traced);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_int_equal(refusal(traced, node, others[i], LARGEST), EOPNOTSUPP);
	assert_string_equal(traced_take(traced), "");
	assert_int_equal(refusal(traced, 12345, "tenon.links", LARGEST), ESTALE);
	/* How long it is, and too little room for that. */
	assert_int_equal(kernel_getxattr(&traced->kernel, node, "tenon.links", NULL, 0, &length), 0);
	assert_int_equal(length, strlen("/g\n/abcdef\n"));
	assert_int_equal(refusal(traced, node, "tenon.links", (uint32_t)length), 0);
	assert_int_equal(refusal(traced, node, "tenon.links", (uint32_t)length - 1), ERANGE);
	/* A page is what it is, however little room there is for it. */
	assert_int_equal(kernel_getxattr(&traced->kernel, node, "tenon.links.0", NULL, 0, &length), 0);
	assert_int_equal(length, strlen("/g\n/abcdef\n"));
	assert_int_equal(refusal(traced, node, "tenon.links.0", (uint32_t)length), 0);
	assert_int_equal(refusal(traced, node, "tenon.links.0", (uint32_t)length - 1), ERANGE);
	assert_int_equal(refusal(traced, node, "tenon.links.1", 7), ERANGE);
	assert_string_equal(get(traced, node, "tenon.links.1"), "/abcdef\n");
	assert_string_equal(get(traced, node, "tenon.links.2"), "");
	assert_string_equal(get(traced, node, "tenon.links.18446744073709551615"), "");
	assert_int_equal(kernel_getxattr(&traced->kernel, node, "tenon.links.2", NULL, 0, &length), 0);
	assert_int_equal(length, 0);
}

static void without_hard_links_there_is_none(void **state)
{
	struct traced *traced = traced_new(NULL);
	uint64_t node;

	(void)state;
	assert_int_equal(tenon_unmount_media(traced->volume, false), 0);
	assert_int_equal(tenon_delete_storage(traced->volume, false), 0);
	tenon_set_use_hard_links(traced->volume, false);
	assert_int_equal(tenon_testing_mount(traced->volume), 0);
	node = make(traced, ROOT, "a");
	/* Then the kernel asks for no attribute any more. */
	assert_int_equal(refusal(traced, node, "tenon.links", LARGEST), ENOSYS);
	assert_int_equal(refusal(traced, node, "user.x", LARGEST), ENOSYS);
	traced_free(traced);
}

/* Names that are longer together than an attribute may be: pages, put together again, are all names. */
static void many_names_come_in_pages(void **state)
{
	struct traced *traced = *state;
	enum { NAMES = 600 };
	uint64_t node = make(traced, ROOT, "n0");
	char name[256];
	unsigned seen = 0, pages = 0;
	static char page[LARGEST];
	size_t length;

	memset(name, 'x', 250);
	for (int i = 1; i < NAMES; i++) {
		snprintf(name + 240, 16, "%d", i);
		add_link(traced, node, ROOT, name);
	}
	assert_int_equal(refusal(traced, node, "tenon.links", LARGEST), E2BIG);
	assert_int_equal(refusal(traced, node, "tenon.links", 0), E2BIG);
	traced_take(traced);
	do {
		char attribute[32];
		unsigned lines = 0;

		snprintf(attribute, sizeof attribute, "tenon.links.%u", seen);
		assert_int_equal(kernel_getxattr(&traced->kernel, node, attribute, page, LARGEST, &length), 0);
		for (char *line = page; line < page + length; line = strchr(line, '\n') + 1) {
			unsigned number = NAMES - 1 - seen - lines++;

			assert_int_equal(strtoul(number ? line + 241 : line + 2, NULL, 10), number);
		}
		/* The next name had no room. */
		assert_true(!length || seen + lines == NAMES || length > LARGEST - 256);
		seen += lines;
		pages++;
	} while (length);
	assert_int_equal(seen, NAMES);
	assert_true(pages >= 4);
}

/* A directory that the kernel has forgotten is asked for, once for all names in it; one that is only passed over is not. */
static void forgotten_directories_are_asked_for(void **state)
{
	struct traced *traced = *state;
	uint64_t directory = make_directory(traced, ROOT, "dir");
	uint64_t node = make(traced, ROOT, "a");
	char expected[256];

	add_link(traced, node, directory, "b");
	add_link(traced, node, directory, "c");
	/* The names that the kernel knew are what keeps the directory known. */
	assert_int_equal(kernel_forget(&traced->kernel, node, 3), 0);
	assert_int_equal(kernel_forget(&traced->kernel, directory, 1), 0);
	assert_int_equal(kernel_lookup(&traced->kernel, ROOT, "a", &(struct wire_entry_out){0}), 0);
	traced_take(traced);
	assert_string_equal(get(traced, node, "tenon.links"), "/dir/c\n/dir/b\n/a\n");
	snprintf(expected, sizeof expected,
		 "enumerate_hard_links /a; get_file_name_by_file_id %llu; enumerate_hard_links /a; enumerate_hard_links /a; "
		 "enumerate_hard_links /a; close_hard_links_enumeration /a",
		 (unsigned long long)directory);
	assert_string_equal(traced_take(traced), expected);
	assert_string_equal(get(traced, node, "tenon.links.2"), "/a\n");
	assert_string_equal(traced_take(traced), "enumerate_hard_links /a; enumerate_hard_links /a; enumerate_hard_links /a; "
						 "enumerate_hard_links /a; close_hard_links_enumeration /a");
}

static void an_open_file_without_names_has_none(void **state)
{
	struct traced *traced = *state;
	struct wire_entry_out entry;
	uint64_t fh;

	assert_int_equal(kernel_create(&traced->kernel, ROOT, "a", 0644, O_RDWR, &entry, &fh), 0);
	assert_int_equal(kernel_unlink(&traced->kernel, ROOT, "a"), 0);
	assert_string_equal(get(traced, entry.nodeid, "tenon.links"), "");
	assert_int_equal(kernel_release(&traced->kernel, entry.nodeid, fh, false), 0);
}

/* A name that only the engine has given is nobody's. */
static void hidden_names_are_left_out(void **state)
{
	struct traced *traced = *state;
	struct wire_entry_out entry;
	uint64_t fh;

	assert_int_equal(kernel_tmpfile(&traced->kernel, ROOT, 0600, &entry, &fh), 0);
	assert_string_equal(get(traced, entry.nodeid, "tenon.links"), "");
	add_link(traced, entry.nodeid, ROOT, "shown");
	assert_string_equal(get(traced, entry.nodeid, "tenon.links"), "/shown\n");
	assert_int_equal(kernel_release(&traced->kernel, entry.nodeid, fh, false), 0);
}

static void attributes_are_refused_once(void **state)
{
	static const uint32_t opcodes[] = {WIRE_SETXATTR, WIRE_LISTXATTR, WIRE_REMOVEXATTR};
	struct traced *traced = *state;
	/* A name, or numbers with a name after them. */
	const char in[] = "user.name.of.one";

	for (size_t i = 0; i < sizeof opcodes / sizeof *opcodes; i++)
		assert_int_equal(tenon_testing_request(traced->volume, NULL, opcodes[i], ROOT, in, sizeof in, NULL, 0, NULL),
				 ENOSYS);
}

#define TEST(name, set_up) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_closed_file_is_opened_around_it, bracketed),
		TEST(no_bracket_where_none_is_wanted, plain),
		TEST(an_open_that_fails_fires_nothing_else, bracketed),
		TEST(a_failed_enumeration_is_closed_once, bracketed),
		cmocka_unit_test(contexts_come_as_they_went),
		cmocka_unit_test(contexts_of_an_open_file_are_kept),
		TEST(what_it_says, plain),
		TEST(special_files_have_names_too, plain),
		TEST(what_is_refused, plain),
		cmocka_unit_test(without_hard_links_there_is_none),
		TEST(many_names_come_in_pages, plain),
		TEST(forgotten_directories_are_asked_for, serialized),
		TEST(an_open_file_without_names_has_none, plain),
		TEST(an_open_file_without_names_has_none, hiding),
		TEST(hidden_names_are_left_out, plain),
		TEST(hidden_names_are_left_out, hiding),
		TEST(attributes_are_refused_once, plain),
	};

	return cmocka_run_group_tests_name("links", tests, NULL, NULL);
}
