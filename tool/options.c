/*
 * Taking -o apart and applying it. Only the options that mount(8) knows are listed here; anything else is the
 * library's to accept, so a new property needs no change.
 */
#include "options.h"

#include "option_names.h"
#include "suggest.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mount_flag {
	const char *option;
	uint32_t set;
	uint32_t clear;
};

static const struct mount_flag mount_flags[] = {
	{"ro", TENON_MOUNT_READ_ONLY, 0},      {"rw", 0, TENON_MOUNT_READ_ONLY},     {"noexec", TENON_MOUNT_NO_EXEC, 0},
	{"exec", 0, TENON_MOUNT_NO_EXEC},      {"noatime", TENON_MOUNT_NO_ATIME, 0}, {"atime", 0, TENON_MOUNT_NO_ATIME},
	{"relatime", 0, TENON_MOUNT_NO_ATIME}, {"dev", TENON_MOUNT_DEVICES, 0},	     {"nodev", 0, TENON_MOUNT_DEVICES},
	{"suid", TENON_MOUNT_SET_ID, 0},       {"nosuid", 0, TENON_MOUNT_SET_ID},    {"defaults", 0, 0},
};

/* Other names for properties and settings; value NULL: the user gives it. */
static const struct setting aliases[] = {
	{"noallow_other", "allow_other", "false"},
	{"nodefault_permissions", "default_permissions", "false"},
	{"uid", "Uid", NULL},
	{"gid", "Gid", NULL},
	{"umask", "Umask", NULL},
	{"fsname", "MountSource", NULL},
};

/*
 * What fstab(5) entries carry for others to read, what mount(8) says of its own accord, and what means nothing here: access
 * times, for one, are the drive's.
 */
static const char *const ignored[] = {
	"auto",		 "noauto",    "user",	  "user=*",	"nouser",     "users",	     "nousers",	 "group",
	"nogroup",	 "owner",     "noowner",  "nofail",	"_netdev",    "x-*",	     "X-*",	 "comment=*",
	"helper=*",	 "uhelper=*", "diratime", "nodiratime", "norelatime", "strictatime", "lazytime", "nolazytime",
	"nostrictatime", "mand",      "nomand",	  "iversion",	"noiversion", "silent",	     "loud",
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static bool take_flag(struct options *options, const char *item)
{
	for (size_t i = 0; i < COUNT(mount_flags); i++) {
		if (!strcmp(item, mount_flags[i].option)) {
			options->flags = (options->flags & ~mount_flags[i].clear) | mount_flags[i].set;
			return true;
		}
	}
	return false;
}

static bool take_switch(struct options *options, const char *item)
{
	if (!strcmp(item, "sync"))
		options->sync = true;
	else if (!strcmp(item, "async"))
		options->sync = false;
	else if (!strcmp(item, "remount"))
		options->remount = true;
	else
		return false;
	return true;
}

static bool is_ignored(const char *item)
{
	for (size_t i = 0; i < COUNT(ignored); i++) {
		if (!fnmatch(ignored[i], item, 0))
			return true;
	}
	return false;
}

static int add_setting(struct options *options, const char *option, const char *value, struct why *why)
{
	struct setting setting = {option, option, value ? value : "true"};
	struct setting *settings = reallocarray(options->settings, options->count + 1, sizeof *settings);

	if (!settings)
		return why_failed(why, ENOMEM, "there is no memory for the options");
	options->settings = settings;
	for (size_t i = 0; i < COUNT(aliases); i++) {
		if (strcmp(option, aliases[i].option) != 0)
			continue;
		if (aliases[i].value && value)
			return why_usage(why, "-o %s takes no value: write -o %s", option, option);
		if (!aliases[i].value && !value)
			return why_usage(why, "-o %s needs a value: write -o %s=VALUE", option, option);
		setting.name = aliases[i].name;
		setting.value = value ? value : aliases[i].value;
	}
	options->settings[options->count++] = setting;
	return 0;
}

static int add_item(struct options *options, char *item, struct why *why)
{
	char *value;

	if (!*item || take_flag(options, item) || take_switch(options, item) || is_ignored(item))
		return 0;
	value = strchr(item, '=');
	if (value)
		*value++ = '\0';
	if (strcmp(item, "log") != 0)
		return add_setting(options, item, value, why);
	if (!value || !*value)
		return why_usage(why, "-o log needs the name of a file: write -o log=FILE");
	options->log = value;
	return 0;
}

/* Ends the item at the next comma and removes the backslashes that keep commas. The next item, NULL: none. */
static char *end_item(char *item)
{
	char *to = item;

	while (*item && *item != ',') {
		if (item[0] == '\\' && (item[1] == ',' || item[1] == '\\'))
			item++;
		*to++ = *item++;
	}
	item = *item ? item + 1 : NULL;
	*to = '\0';
	return item;
}

int options_add(struct options *options, const char *text, struct why *why)
{
	char **texts = reallocarray(options->texts, options->text_count + 1, sizeof *texts);
	char *copy = strdup(text);
	int error = 0;

	if (texts)
		options->texts = texts;
	if (!texts || !copy) {
		free(copy);
		return why_failed(why, ENOMEM, "there is no memory for the options");
	}
	options->texts[options->text_count++] = copy;
	while (!error && copy) {
		char *next = end_item(copy);

		error = add_item(options, copy, why);
		copy = next;
	}
	return error;
}

void options_free(struct options *options)
{
	for (size_t i = 0; i < options->text_count; i++)
		free(options->texts[i]);
	free(options->texts);
	free(options->settings);
}

static const char *nearest_name(const char *typed)
{
	const char *names[COUNT(option_names) + COUNT(mount_flags) + COUNT(aliases) + 1];
	size_t count = 0;

	for (size_t i = 0; i < COUNT(mount_flags); i++)
		names[count++] = mount_flags[i].option;
	for (size_t i = 0; i < COUNT(aliases); i++)
		names[count++] = aliases[i].option;
	names[count++] = "log";
	for (size_t i = 0; i < COUNT(option_names); i++)
		names[count++] = option_names[i].name;
	return suggest(typed, names, count);
}

static int refuse(const struct setting *setting, int error, const char *last_error, struct why *why)
{
	char option[SHORT_NAME], value[SHORT_NAME];
	const char *shown = short_name(setting->option, option);
	const char *near = error == ENOENT ? nearest_name(setting->option) : NULL;

	if (near)
		return why_usage(why, "there is no option '%s': did you mean '%s'?", shown, near);
	if (error == ENOENT)
		return why_usage(why, "there is no option '%s': tenon mount --help lists them", shown);
	return why_usage(why, "-o %s=%s: %s", shown, short_name(setting->value, value), last_error);
}

int options_apply(const struct options *options, tenon_volume *volume, struct why *why)
{
	for (size_t i = 0; i < options->count; i++) {
		const struct setting *setting = &options->settings[i];
		int error = tenon_set_property(volume, setting->name, setting->value);

		if (error == ENOENT && options->sloppy)
			continue;
		if (error)
			return refuse(setting, error, tenon_get_last_error(volume), why);
	}
	return 0;
}

static const struct option_name *known_name(const char *name)
{
	for (size_t i = 0; i < COUNT(option_names); i++) {
		if (!strcmp(option_names[i].name, name))
			return &option_names[i];
	}
	return NULL;
}

static void offer_names(const char *before, const char *list, int length)
{
	for (size_t i = 0; i < COUNT(mount_flags); i++)
		printf("%s%.*s%s\tmount option\n", before, length, list, mount_flags[i].option);
	printf("%s%.*ssync\twrites are durable when they return\n", before, length, list);
	printf("%s%.*slog=\tthe file where messages go\n", before, length, list);
	for (size_t i = 0; i < COUNT(aliases); i++) {
		const struct option_name *name = known_name(aliases[i].name);
		const char *no = aliases[i].value ? "not: " : "";

		printf("%s%.*s%s%s\t%s%s\n", before, length, list, aliases[i].option, aliases[i].value ? "" : "=", no,
		       name ? name->summary : "");
	}
	for (size_t i = 0; i < COUNT(option_names); i++)
		printf("%s%.*s%s=\t%s\n", before, length, list, option_names[i].name, option_names[i].summary);
}

static void offer_values(const char *before, const char *list, int length, const char *values)
{
	while (*values) {
		int value = (int)strcspn(values, ",");

		printf("%s%.*s%.*s\t\n", before, length, list, value, values);
		values += value + (values[value] == ',');
	}
}

void options_offer(const char *before, const char *list)
{
	const char *item = strrchr(list, ',') ? strrchr(list, ',') + 1 : list;
	const char *value = strchr(item, '=');
	const struct option_name *name;
	char buffer[64];

	if (!value) {
		offer_names(before, list, (int)(item - list));
		return;
	}
	snprintf(buffer, sizeof buffer, "%.*s", (int)(value - item), item);
	name = known_name(buffer);
	if (name)
		offer_values(before, list, (int)(value + 1 - list), name->values);
}
