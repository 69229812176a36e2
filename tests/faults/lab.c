/*
 * A volume to break: any handlers on the in-process channel, with faults between them and the engine, and books on both sides.
 *
 * The hook that puts the faults in also sees every event, and so keeps the books.
 */
#include "lab.h"

#include <drive.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is(const char *name, const char *other)
{
	return strcmp(name, other) == 0;
}

/* Before the fault is asked: what ends. */
static void keep_before(struct lab *lab, const char *name, void *event)
{
	const tenon_error_event *error = event;

	if (is(name, "close_file"))
		lab->opens--;
	else if (is(name, "close_directory_enumeration"))
		lab->enumerations--;
	else if (is(name, "close_hard_links_enumeration"))
		lab->enumerations--;
	else if (is(name, "enumerate_hard_links"))
		/* Handlers here give each enumeration a context at once. */
		lab->enumerations += !((tenon_enumerate_hard_links_event *)event)->enumeration_context;
	else if (is(name, "enumerate_directory"))
		lab->enumerations += ((tenon_enumerate_directory_event *)event)->restart;
	else if (is(name, "error") && !lab->errors++)
		snprintf(lab->error, sizeof lab->error, "%s", error->description);
	else if (is(name, "unmount"))
		lab->ended = true;
}

static bool has_opened(const char *name, const void *event)
{
	return (is(name, "open_file") && !((const tenon_open_file_event *)event)->result_code) ||
	       (is(name, "create_file") && !((const tenon_create_file_event *)event)->result_code);
}

static int hook(void *arg, const char *name, void *event, bool after)
{
	struct lab *lab = arg;
	int code;

	if (!after)
		keep_before(lab, name, event);
	code = lab->fault ? lab->fault(lab, name, event, after) : 0;
	if (after && !code && has_opened(name, event))
		lab->opens++;
	return code;
}

void lab_undo_open(struct lab *lab, const char *name, void *event)
{
	const tenon_open_file_event *opened = event;
	const tenon_create_file_event *created = event;
	bool is_open = is(name, "open_file");

	if (has_opened(name, event)) {
		tenon_close_file_event close = {
			.file_name = is_open ? opened->file_name : created->file_name,
			.file_context = is_open ? opened->file_context : created->file_context,
			.handle_context = is_open ? opened->handle_context : created->handle_context,
		};

		lab->drive->events->close_file(lab->volume, &close);
	}
}

static void on_error(tenon_volume *volume, tenon_error_event *event)
{
	(void)volume;
	(void)event;
}

static void on_unmount(tenon_volume *volume, tenon_unmount_event *event)
{
	(void)volume;
	(void)event;
}

/* 0, or an errno value after saying on standard error what did not work. */
static int start(struct lab *lab, const struct lab_options *options)
{
	tenon_events events = options->events ? *options->events : *lab->drive->events;
	int error;

	/* The hook needs a handler to be called around. */
	events.error = on_error;
	events.unmount = on_unmount;
	error = tenon_volume_new(&lab->volume, &events, sizeof events, options->events ? options->user : lab->storage);
	if (!error && !options->events)
		error = lab->drive->configure(lab->volume, lab->storage);
	if (!error && options->in_order)
		error = tenon_set_serialize_events(lab->volume, true);
	if (!error && options->configure)
		options->configure(lab->volume);
	if (!error)
		error = tenon_testing_set_faults(lab->volume, hook, lab);
	if (!error)
		error = tenon_initialize(lab->volume, "{11111111-2222-3333-4444-555555555555}");
	if (!error)
		error = options->in_line ? tenon_testing_mount_in_line(lab->volume) : tenon_testing_mount(lab->volume);
	if (error)
		fprintf(stderr, "lab: %s: %s\n", strerror(error), tenon_get_last_error(lab->volume));
	return error;
}

struct lab *lab_new(const struct lab_options *options)
{
	struct lab *lab = calloc(1, sizeof *lab);
	char why[256] = "";
	struct wire_attr attr;

	if (!lab)
		return NULL;
	lab->fault = options->fault;
	lab->user = options->user;
	lab->drive = options->drive ? options->drive : &memory_drive;
	if (!options->events &&
	    lab->drive->open(options->drive ? options->source : "16M", false, &lab->storage, why, sizeof why)) {
		fprintf(stderr, "lab: %s\n", why);
		free(lab);
		return NULL;
	}
	if (start(lab, options)) {
		tenon_volume_free(lab->volume);
		if (lab->storage)
			lab->drive->close(lab->storage, why, sizeof why);
		free(lab);
		return NULL;
	}
	lab->kernel.volume = lab->volume;
	lab->ledger = ledger_new(&lab->kernel, options->in_order);
	/* As the kernel does before anything else. */
	kernel_getattr(&lab->kernel, WIRE_ROOT, &attr);
	return lab;
}

#define PROBLEM(lab, ...)                                                                                                        \
	do {                                                                                                                     \
		if (!*(lab)->problem)                                                                                            \
			snprintf((lab)->problem, sizeof(lab)->problem, __VA_ARGS__);                                             \
	} while (0)

/* The last FORGETs are still on their way: an answer says that all before it, on the one worker, are done. */
static void unmount(struct lab *lab)
{
	struct wire_attr attr;
	int error;

	lab->kernel.watch = NULL;
	kernel_getattr(&lab->kernel, WIRE_ROOT, &attr);
	if (tenon_get_serialize_events(lab->volume)) {
		error = tenon_unmount_media(lab->volume, false);
		if (error)
			PROBLEM(lab, "cannot unmount: %s", tenon_get_last_error(lab->volume));
	}
	if (tenon_get_active(lab->volume))
		tenon_unmount_media(lab->volume, true);
}

char *lab_end(struct lab *lab)
{
	tenon_testing_balance left;
	char why[256];
	char *problem;

	lab->fault = NULL;
	ledger_settle(lab->ledger);
	unmount(lab);
	tenon_testing_get_balance(lab->volume, &left);
	if (*ledger_fault(lab->ledger))
		PROBLEM(lab, "%s", ledger_fault(lab->ledger));
	if (!lab->ended)
		PROBLEM(lab, "unmount did not fire");
	if (left.nodes || left.names || left.handles || left.uses)
		PROBLEM(lab, "left over: %llu nodes, %llu names, %llu handles, %llu uses of the root",
			(unsigned long long)left.nodes, (unsigned long long)left.names, (unsigned long long)left.handles,
			(unsigned long long)left.uses);
	if (lab->opens || lab->enumerations)
		PROBLEM(lab, "left open: %d files, %d enumerations", lab->opens, lab->enumerations);
	tenon_volume_free(lab->volume);
	if (lab->storage)
		lab->drive->close(lab->storage, why, sizeof why);
	ledger_free(lab->ledger);
	problem = strdup(lab->problem);
	free(lab);
	return problem;
}
