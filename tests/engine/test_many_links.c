/*
 * Files with 100,000 names on both drives: each step costs as much as with 10,000, and the names come without looking for them.
 *
 * Requests run on the test's own thread, whose processor time is what is compared: it does not depend on what else the machine does.
 */
#include <dirent.h>
#include <drive.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel.h"

#define ROOT 1
/* Under the thread sanitizer each step costs ten times as much. */
#ifdef __SANITIZE_THREAD__
#define FEW 2000u
#else
#define FEW 10000u
#endif
#define MANY (10 * FEW)
#define DIRECTORIES 50u
/* Ten times as many names cost ten times as much, and more as caches overflow; a list that is walked costs a hundred times. */
#define MOST_RATIO 45.0

/* Firings, by what they say of how the names were found. */
struct firings {
	unsigned names, ends, resolved, listed, others;
};

struct volume {
	const struct drive_kind *drive;
	char folder[PATH_MAX];
	char source[PATH_MAX + 16];
	void *storage;
	struct kernel kernel;
	uint64_t directories[DIRECTORIES];
	uint64_t node;
	struct firings firings;
};

static int count(void *arg, const char *name, void *event, bool after)
{
	struct firings *firings = arg;

	(void)event;
	if (after)
		return 0;
	if (strcmp(name, "enumerate_hard_links") == 0)
		firings->names++;
	else if (strcmp(name, "close_hard_links_enumeration") == 0)
		firings->ends++;
	else if (strcmp(name, "get_file_name_by_file_id") == 0)
		firings->resolved++;
	else if (strcmp(name, "enumerate_directory") == 0)
		firings->listed++;
	else
		firings->others++;
	return 0;
}

static void volume_start(struct volume *volume, const struct drive_kind *drive)
{
	const char *place = getenv("TMPDIR");
	char why[512];

	*volume = (struct volume){.drive = drive};
	snprintf(volume->folder, sizeof volume->folder, "%s/tenon-links-XXXXXX", place ? place : "/tmp");
	assert_non_null(mkdtemp(volume->folder));
	if (drive == &vault_drive)
		snprintf(volume->source, sizeof volume->source, "%s/x.vault", volume->folder);
	if (drive->open(volume->source, false, &volume->storage, why, sizeof why))
		fail_msg("%s", why);
	assert_int_equal(tenon_volume_new(&volume->kernel.volume, drive->events, sizeof *drive->events, volume->storage), 0);
	assert_int_equal(drive->configure(volume->kernel.volume, volume->storage), 0);
	tenon_testing_set_faults(volume->kernel.volume, count, &volume->firings);
	assert_int_equal(tenon_initialize(volume->kernel.volume, "{11111111-2222-3333-4444-555555555555}"), 0);
	assert_int_equal(tenon_testing_mount_in_line(volume->kernel.volume), 0);
}

static void volume_end(struct volume *volume)
{
	char why[512];
	DIR *folder;

	tenon_volume_free(volume->kernel.volume);
	volume->drive->close(volume->storage, why, sizeof why);
	folder = opendir(volume->folder);
	for (struct dirent *entry; (entry = readdir(folder));)
		unlinkat(dirfd(folder), entry->d_name, 0);
	closedir(folder);
	assert_int_equal(rmdir(volume->folder), 0);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void name_of(char name[16], unsigned number)
{
	snprintf(name, 16, "n%06u", number);
}

/* Names are dealt out to the directories; number 0 is the first one. */
static void make_names(struct volume *volume, unsigned names)
{
	struct wire_entry_out entry;
	char name[16];
	uint64_t fh;

	for (unsigned i = 0; i < DIRECTORIES; i++) {
		name_of(name, i);
		if (!volume->directories[i]) {
			assert_int_equal(kernel_mkdir(&volume->kernel, ROOT, name, 0755, &entry), 0);
			volume->directories[i] = entry.nodeid;
		}
	}
	name_of(name, 0);
	assert_int_equal(kernel_create(&volume->kernel, volume->directories[0], name, 0644, O_RDWR, &entry, &fh), 0);
	volume->node = entry.nodeid;
	assert_int_equal(kernel_release(&volume->kernel, volume->node, fh, false), 0);
	for (unsigned i = 1; i < names; i++) {
		name_of(name, i);
		assert_int_equal(kernel_link(&volume->kernel, volume->node, volume->directories[i % DIRECTORIES], name, &entry),
				 0);
		assert_int_equal(entry.nodeid, volume->node);
	}
	assert_int_equal(entry.attr.nlink, names);
}

static void remove_name(struct volume *volume, unsigned number)
{
	char name[16];

	name_of(name, number);
	assert_int_equal(kernel_unlink(&volume->kernel, volume->directories[number % DIRECTORIES], name), 0);
}

/* Each name that was given is one that is there, and none comes twice. */
static void check_names(struct volume *volume, unsigned names)
{
	char *seen = calloc(names, 1);
	char *text;
	size_t got;
	const char *at;

	volume->firings = (struct firings){0};
	assert_int_equal(tenon_get_links(volume->kernel.volume, "/n000000/n000000", &text, &got), 0);
	assert_int_equal(got, names);
	at = text;
	for (size_t i = 0; i < got; i++) {
		unsigned directory, number;

		assert_int_equal(sscanf(at, "/n%6u/n%6u", &directory, &number), 2);
		assert_true(number < names && directory == number % DIRECTORIES && !seen[number]);
		seen[number] = 1;
		at += strlen(at) + 1;
	}
	free(seen);
	free(text);
	assert_int_equal(volume->firings.names, names + 1);
	assert_int_equal(volume->firings.ends, 1);
	assert_int_equal(volume->firings.resolved, 0);
	assert_int_equal(volume->firings.listed, 0);
	/* get_file_info of the directory and the file; once more to see how many names there may be. */
	assert_true(volume->firings.others <= 3);
}

/* The pages of the attribute, one after the other. */
static unsigned count_pages(struct volume *volume)
{
	static char page[65536];
	unsigned names = 0;
	size_t length;

	do {
		char attribute[32];

		snprintf(attribute, sizeof attribute, "tenon.links.%u", names);
		assert_int_equal(kernel_getxattr(&volume->kernel, volume->node, attribute, page, sizeof page, &length), 0);
		for (size_t i = 0; i < length; i++)
			names += page[i] == '\n';
	} while (length);
	return names;
}

struct costs {
	double linking, naming, unlinking;
};

/* What a file with so many names costs; then it is gone. */
static struct costs measure(struct volume *volume, unsigned names)
{
	struct costs costs;
	double start = seconds();
	struct wire_attr attr;

	make_names(volume, names);
	costs.linking = seconds() - start;
	start = seconds();
	check_names(volume, names);
	costs.naming = seconds() - start;
	assert_int_equal(count_pages(volume), names);
	start = seconds();
	for (unsigned i = 0; i < names / 2; i++)
		remove_name(volume, i);
	for (unsigned i = names - 1; i > names / 2; i--)
		remove_name(volume, i);
	costs.unlinking = seconds() - start;
	assert_int_equal(kernel_getattr(&volume->kernel, volume->node, &attr), 0);
	assert_int_equal(attr.nlink, 1);
	assert_int_equal(count_pages(volume), 1);
	remove_name(volume, names / 2);
	assert_int_equal(kernel_forget(&volume->kernel, volume->node, names), 0);
	return costs;
}

static void compare(const char *what, double few, double many)
{
	print_message("%s: %u names %.3f s, %u names %.3f s\n", what, FEW, few, MANY, many);
	if (many > MOST_RATIO * few)
		fail_msg("%s of %u names takes %.0f times as long as of %u", what, MANY, many / few, FEW);
}

static void check_drive(const struct drive_kind *drive)
{
	struct volume volume;
	struct costs few, many;

	volume_start(&volume, drive);
	few = measure(&volume, FEW);
	many = measure(&volume, MANY);
	compare("linking", few.linking, many.linking);
	compare("naming", few.naming, many.naming);
	compare("unlinking", few.unlinking, many.unlinking);
	volume_end(&volume);
}

static void on_the_memory_drive(void **state)
{
	(void)state;
	check_drive(&memory_drive);
}

static void on_a_vault(void **state)
{
	(void)state;
	check_drive(&vault_drive);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_the_memory_drive),
		cmocka_unit_test(on_a_vault),
	};

	return cmocka_run_group_tests_name("many_links", tests, NULL, NULL);
}
