/*
 * Properties and configuration settings: one table, one way to read and set each.
 *
 * What a property means is nowhere here; only what values it takes, and when.
 */
#include "component/property.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "component/component.h"

static void *place(struct properties *properties, enum property_id id)
{
	return (char *)properties + property_table[id].offset;
}

static int64_t load(const struct properties *properties, enum property_id id)
{
	const char *at = (const char *)properties + property_table[id].offset;

	switch (property_table[id].type) {
	case TYPE_BOOL:
		return *(const bool *)at;
	case TYPE_INT32:
		return *(const int32_t *)at;
	case TYPE_UINT32:
		return *(const uint32_t *)at;
	default:
		return *(const int64_t *)at;
	}
}

static void store(struct properties *properties, enum property_id id, int64_t value)
{
	void *at = place(properties, id);

	switch (property_table[id].type) {
	case TYPE_BOOL:
		*(bool *)at = value;
		break;
	case TYPE_INT32:
		*(int32_t *)at = (int32_t)value;
		break;
	case TYPE_UINT32:
		*(uint32_t *)at = (uint32_t)value;
		break;
	default:
		*(int64_t *)at = value;
	}
}

void properties_init(struct properties *properties)
{
	for (int i = 0; i < PROPERTY_COUNT; i++) {
		if (property_table[i].type == TYPE_TEXT)
			strcpy(place(properties, (enum property_id)i), property_table[i].default_text);
		else
			store(properties, (enum property_id)i, property_table[i].default_number);
	}
}

int64_t property_number(tenon_volume *volume, enum property_id id)
{
	return load(&volume->properties, id);
}

const char *property_text(tenon_volume *volume, enum property_id id)
{
	return place(&volume->properties, id);
}

/* The numbers that each property takes. */
static bool in_range(enum property_id id, int64_t value)
{
	switch (id) {
	case PROPERTY_CLUSTER_SIZE:
		return value == 0 || (value >= 512 && value <= 1 << 30 && value % 512 == 0);
	case PROPERTY_FILE_CACHE:
		return value >= TENON_FILE_CACHE_NONE && value <= TENON_FILE_CACHE_INTERNAL_USER_MODE;
	case PROPERTY_MAX_FILE_NAME_LENGTH:
		return value >= 1 && value <= 255;
	case PROPERTY_MAX_FILE_PATH_LENGTH:
		return value >= 255;
	case PROPERTY_MAX_FILE_SIZE:
		return value >= 1;
	case PROPERTY_MAX_READ_BLOCK_SIZE:
	case PROPERTY_MAX_WRITE_BLOCK_SIZE:
		return value >= 512;
	case PROPERTY_MAX_WORKER_THREAD_COUNT:
	case PROPERTY_MIN_WORKER_THREAD_COUNT:
		return value >= 0 && value <= 1024;
	case PROPERTY_SECTOR_SIZE:
		return value >= 512 && value <= 65536 && (value & (value - 1)) == 0;
	case PROPERTY_UMASK:
		return value >= 0 && value <= 0777;
	default:
		switch (property_table[id].type) {
		case TYPE_BOOL:
			return value == 0 || value == 1;
		case TYPE_INT32:
			return value >= INT32_MIN && value <= INT32_MAX;
		case TYPE_UINT32:
			return value >= 0 && value <= UINT32_MAX;
		default:
			return true;
		}
	}
}

static int check_when(tenon_volume *volume, enum property_id id)
{
	const struct property_row *row = &property_table[id];
	const char *why = NULL;

	if ((row->when & NOT_WHILE_ACTIVE) && component_is_mounted(volume))
		why = "while the media is mounted";
	else if ((row->when & NOT_WITH_STORAGE) && volume->session)
		why = "once the storage exists";
	else if ((row->when & NOT_IN_HANDLERS) && event_is_inside(&volume->events))
		why = "inside a handler";
	return why ? component_fail(volume, EBUSY, "%s cannot be set %s", row->name, why) : 0;
}

int property_set_number(tenon_volume *volume, enum property_id id, int64_t value)
{
	const char *name = property_table[id].name;
	int error = check_when(volume, id);

	if (error)
		return error;
	if (!in_range(id, value))
		return component_fail(volume, EINVAL, "%s does not take the value %" PRId64, name, value);
	if (id == PROPERTY_USE_CASE_SENSITIVE_FILE_NAMES && !value)
		return component_fail(volume, EOPNOTSUPP, "%s cannot be false: the kernel's interface cannot fold case", name);
	store(&volume->properties, id, value);
	return 0;
}

int property_set_text(tenon_volume *volume, enum property_id id, const char *value)
{
	const char *name = property_table[id].name;
	const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	int error = check_when(volume, id);

	if (error)
		return error;
	if (strlen(value) >= PROPERTY_TEXT_MAX)
		return component_fail(volume, EINVAL, "%s takes at most %d bytes", name, PROPERTY_TEXT_MAX - 1);
	if (id == PROPERTY_FILE_SYSTEM_NAME && (!*value || strlen(value) > 31 || value[strspn(value, letters)]))
		return component_fail(volume, EINVAL, "%s takes 1 to 31 letters, digits, '-' and '_', not \"%s\"", name, value);
	strcpy(place(&volume->properties, id), value);
	return 0;
}

static bool parse_number(enum property_id id, const char *text, int64_t *value)
{
	char *end;

	if (id == PROPERTY_UMASK) {
		*value = strtoll(text, &end, 8);
		return *text && !*end;
	}
	errno = 0;
	*value = strtoll(text, &end, 0);
	return *text && !*end && !errno;
}

static bool parse(enum property_id id, const char *text, int64_t *value)
{
	const struct property_row *row = &property_table[id];

	if (row->type == TYPE_BOOL) {
		*value = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
		return *value || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
	}
	for (const struct property_value_name *at = row->values; at && at->name; at++) {
		if (strcmp(at->name, text) == 0) {
			*value = at->value;
			return true;
		}
	}
	return parse_number(id, text, value);
}

static const char *what_it_takes(const struct property_row *row)
{
	if (row->type == TYPE_BOOL)
		return "true, false, 1 or 0";
	return row->values ? "a value's name or number" : "a number";
}

static int set_from_text(tenon_volume *volume, enum property_id id, const char *text)
{
	const struct property_row *row = &property_table[id];
	int64_t value;

	if (row->type == TYPE_TEXT)
		return property_set_text(volume, id, text);
	if (!parse(id, text, &value))
		return component_fail(volume, EINVAL, "%s takes %s, not \"%s\"", row->name, what_it_takes(row), text);
	return property_set_number(volume, id, value);
}

/* PROPERTY_COUNT: nothing is called so. */
static enum property_id find(const char *name, size_t length, bool settings_only)
{
	for (int i = 0; i < PROPERTY_COUNT; i++) {
		if (strlen(property_table[i].name) == length && strncmp(property_table[i].name, name, length) == 0 &&
		    (property_table[i].is_setting || !settings_only))
			return (enum property_id)i;
	}
	return PROPERTY_COUNT;
}

int tenon_set_property(tenon_volume *volume, const char *name, const char *value)
{
	enum property_id id = find(name, strlen(name), false);

	if (id == PROPERTY_COUNT)
		return component_fail(volume, ENOENT, "there is no property or setting called \"%s\"", name);
	return set_from_text(volume, id, value);
}

static int show(tenon_volume *volume, enum property_id id, char *value, size_t size)
{
	const struct property_row *row = &property_table[id];
	int64_t number = row->type == TYPE_TEXT ? 0 : load(&volume->properties, id);
	int length;

	if (row->type == TYPE_TEXT)
		length = snprintf(value, size, "%s", property_text(volume, id));
	else if (row->type == TYPE_BOOL)
		length = snprintf(value, size, "%s", number ? "true" : "false");
	else
		length = snprintf(value, size, id == PROPERTY_UMASK ? "%03" PRIo64 : "%" PRId64, number);
	if ((size_t)length >= size)
		return component_fail(volume, ERANGE, "%s needs %d bytes of room", row->name, length + 1);
	return 0;
}

int tenon_config(tenon_volume *volume, const char *setting, char *value, size_t value_size)
{
	const char *equals = strchr(setting, '=');
	size_t length = equals ? (size_t)(equals - setting) : strlen(setting);
	enum property_id id = find(setting, length, true);
	int error = 0;

	if (id == PROPERTY_COUNT)
		return component_fail(volume, EINVAL, "there is no setting called \"%.*s\"", (int)length, setting);
	if (equals)
		error = set_from_text(volume, id, equals + 1);
	if (!error && value)
		error = show(volume, id, value, value_size);
	return error;
}
