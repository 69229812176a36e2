/*
 * A volume to break: any handlers on the in-process channel, with faults between them and the engine, and books on both sides.
 *
 * At the end everything is closed and forgotten, and whatever is left over then is a fault of the engine.
 */
#ifndef TESTS_LAB_H
#define TESTS_LAB_H

#include <stdatomic.h>
#include <stdbool.h>

#include "ledger.h"

struct drive_kind;
struct lab;

/* As tenon_testing_fault, after the lab has kept its books. */
typedef int lab_fault(struct lab *lab, const char *name, void *event, bool after);

struct lab_options {
	/* Whose handlers, and on what; NULL: the memory drive. */
	const struct drive_kind *drive;
	const char *source;
	/* Handlers of the test's own instead. */
	const tenon_events *events;
	/* Sets properties before the mount; may be NULL. */
	void (*configure)(tenon_volume *volume);
	/* May be NULL. */
	lab_fault *fault;
	/* What the test's own handlers find by tenon_get_app_data, and faults in lab->user. */
	void *user;
	/* Keep to one worker, so that events come in one order; or to the thread that plays the kernel. */
	bool in_order, in_line;
};

struct lab {
	struct kernel kernel;
	struct ledger *ledger;
	tenon_volume *volume;
	const struct drive_kind *drive;
	void *storage;
	lab_fault *fault;
	void *user;
	/* Opens that no close_file has ended, and enumerations that no close has. */
	atomic_int opens, enumerations;
	/* How often the error event has fired, and what it said last. */
	atomic_uint errors;
	char error[768];
	/* unmount has fired. */
	bool ended;
	char problem[512];
};

/* NULL, and why on standard error, when there is no memory for it or the mount fails. */
struct lab *lab_new(const struct lab_options *options);

/* Closes, forgets, unmounts, frees. "" or what was left over or wrong, to be freed. */
char *lab_end(struct lab *lab);

/* Opens less closes, of the drive's own doing: where a fault says that a handler failed which has done its work. */
void lab_undo_open(struct lab *lab, const char *name, void *event);

#endif
