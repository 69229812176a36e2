/*
 * tenon list --verbose: the answer to "info", put in order for people. What later versions add to the facts is shown
 * without being known here.
 */
#include "verbose.h"

#include "json.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

enum { TEXT = 4096 };

const char *verbose_why_silent(const struct contact *contact)
{
	switch (contact->state) {
	case CONTACT_NONE:
		return "it has no control socket";
	case CONTACT_REFUSED:
		return "only root and who mounted it may ask it";
	case CONTACT_DEAD:
		return "its process is gone";
	case CONTACT_SILENT:
		return "it does not answer";
	default:
		return NULL;
	}
}

static void print_row(const char *name, const char *text)
{
	printf("  %-12s %s\n", name, text);
}

/* In the order of the mount table. */
static void print_places(const struct mounts *mounts, const struct mount *first)
{
	for (size_t i = 0; i < mounts->count; i++) {
		if (&mounts->list[i] != first && mounts->list[i].device == first->device)
			print_row("also at", mounts->list[i].point);
	}
}

static void print_process(const struct contact *contact)
{
	const char *silent = verbose_why_silent(contact);
	char version[TEXT], state[TEXT], pid[32] = "?";

	if (contact->pid)
		snprintf(pid, sizeof pid, "%d", (int)contact->pid);
	if (silent)
		printf("  %-12s %s: %s\n", "process", pid, silent);
	else
		printf("  %-12s %s, tenon %s, %s\n", "process", pid,
		       json_show(json_member(contact->answer, "version"), version, sizeof version),
		       json_show(json_member(contact->answer, "state"), state, sizeof state));
}

static void print_kernel(const char *answer)
{
	char release[TEXT], transport[TEXT], by[TEXT];

	printf("  %-12s %s, protocol 7.%llu, of which 7.%llu is used\n", "kernel",
	       json_show(json_member(answer, "kernel"), release, sizeof release),
	       json_number(json_member(answer, "kernel_minor")), json_number(json_member(answer, "spoken_minor")));
	printf("  %-12s through %s, requests come through %s\n", "mounted",
	       json_show(json_member(answer, "mounted_by"), by, sizeof by),
	       json_show(json_member(answer, "transport"), transport, sizeof transport));
}

/* An object of numbers: "max_write 1048576, max_pages 256". */
static void print_numbers(const char *title, const char *object)
{
	const char *comma = "";

	if (!json_first(object))
		return;
	printf("  %-12s ", title);
	for (const char *item = json_first(object); item; item = json_next(item)) {
		char name[TEXT], value[TEXT];

		printf("%s%s %s", comma, json_name(item, name, sizeof name), json_show(json_value(item), value, sizeof value));
		comma = ", ";
	}
	putchar('\n');
}

static void print_facts(const char *facts)
{
	char before[TEXT] = "";

	for (const char *item = json_first(facts); item; item = json_next(item)) {
		const char *fact = json_value(item);
		char group[TEXT], name[TEXT], why[TEXT];
		bool on = json_is_true(json_member(fact, "on"));

		json_show(json_member(fact, "group"), group, sizeof group);
		json_show(json_member(fact, "name"), name, sizeof name);
		json_show(json_member(fact, "why"), why, sizeof why);
		printf("  %-12s %-24s %s%s%s\n", strcmp(group, before) ? group : "", name, on ? "yes" : "no", *why ? ": " : "",
		       why);
		strcpy(before, group);
	}
}

void verbose_print(const struct mounts *mounts, const struct mount *first, const struct contact *contact, const char *size,
		   const char *used)
{
	printf("%s\n", first->point);
	print_row("source", first->source);
	print_places(mounts, first);
	printf("  %-12s %u:%u, %s, options %s\n", "device", major(first->device), minor(first->device), first->type,
	       first->options);
	printf("  %-12s %s, used %s\n", "size", size, used);
	print_process(contact);
	if (!contact->answer)
		return;
	print_kernel(contact->answer);
	print_numbers("limits", json_member(contact->answer, "limits"));
	print_numbers("now", json_member(contact->answer, "now"));
	print_facts(json_member(contact->answer, "facts"));
}
