/*
 * Lies: what a handler says besides the truth, told between the memory drive and the engine.
 *
 * Each lie is told once, or as often as is said; about files called "b" get_file_info tells the truth.
 */
#include "lie.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "plays.h"

/* About files called "b" get_file_info tells the truth. */
static bool is_spared(const char *name, const void *event)
{
	return strcmp(name, "get_file_info") == 0 && strcmp(((const tenon_get_file_info_event *)event)->file_name, "/b") == 0;
}

static int tell(struct lab *lab, const char *name, void *event, bool after)
{
	struct lie *lie = lab->user;

	if (!lie->event || is_spared(name, event) || !after || strcmp(name, lie->event) != 0 || (lie->skip && lie->skip--))
		return 0;
	if (lie->told++ >= (lie->times ? lie->times : 1))
		return 0;
	return lie->tell(event);
}

struct lab *lie_start(struct lie *lie)
{
	const struct lab_options options = {.fault = tell, .user = lie, .in_order = true, .in_line = true};

	*lie = (struct lie){0};
	lie->lab = lab_new(&options);
	assert_non_null(lie->lab);
	return lie->lab;
}

void lie_arm(struct lie *lie, const char *event, lie_function *function)
{
	lie->event = event;
	lie->tell = function;
	lie->told = lie->skip = lie->times = 0;
	lie->lab->errors = 0;
}

void lie_assert_said(struct lie *lie, const char *says)
{
	const struct lab *lab = lie->lab;

	if (says ? lab->errors != 1 || !strstr(lab->error, says) : lab->errors)
		fail_msg("the error event fired %u times: %s", lab->errors, lab->error);
}

/* The volume works after all, and everything has come back. */
void lie_end(struct lie *lie, const char *what)
{
	char *problem;
	int error;

	lie->event = NULL;
	error = play_wipe(&lie->lab->kernel);
	problem = lab_end(lie->lab);
	if (error || *problem)
		fail_msg("%s: wiping afterwards: %s; %s", what, error ? strerrorname_np(error) : "fine", problem);
	free(problem);
}

uint64_t lie_make(struct kernel *kernel, uint64_t parent, const char *name)
{
	struct wire_entry_out entry = {0};
	uint64_t fh;

	assert_int_equal(kernel_create(kernel, parent, name, 0644, O_RDWR, &entry, &fh), 0);
	assert_int_equal(kernel_write(kernel, entry.nodeid, fh, 0, "hello", 5), 0);
	assert_int_equal(kernel_release(kernel, entry.nodeid, fh, false), 0);
	return entry.nodeid;
}
