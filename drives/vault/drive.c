/*
 * The vault as a drive of the tenon command: opening and closing its file, and the properties it needs.
 */
#include "../drive.h"

#include "events.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* A vault that another process is closing is worth waiting for. */
	WAIT_MS = 10000,
};

static void tell(void *arg, const char *sentence)
{
	struct vault *vault = arg;
	tenon_log_function *log = vault->log;

	if (log)
		log(NULL, sentence);
}

static void vault_set_log(void *storage, tenon_log_function *log)
{
	((struct vault *)storage)->log = log;
}

static int vault_open(const char *source, bool read_only, void **storage, char *why, size_t why_size)
{
	struct vault *vault = calloc(1, sizeof *vault);
	const struct store_options options = {
		.read_only = read_only,
		.wait_ms = WAIT_MS,
		.is_hidden = tenon_is_hidden_name,
		.hidden_prefix = ".tenon-nameless-",
		.tell = tell,
		.tell_arg = vault,
	};
	int error;

	if (!vault) {
		snprintf(why, why_size, "%s cannot be opened: %s", source, strerror(ENOMEM));
		return ENOMEM;
	}
	error = store_open(source, &options, &vault->store, why, why_size);
	if (error)
		free(vault);
	else
		*storage = vault;
	return error;
}

static int vault_configure(tenon_volume *volume, void *storage)
{
	const struct vault *vault = storage;
	int error = tenon_set_use_hard_links(volume, true);

	if (!error)
		error = tenon_set_use_reparse_points(volume, true);
	if (!error)
		error = tenon_set_non_existent_files_cache_enabled(volume, true);
	if (!error)
		error = tenon_set_support_posix_unlink_rename(volume, true);
	if (!error)
		error = tenon_set_serialize_access(volume, false);
	if (!error)
		error = tenon_set_implicit_open(volume, false);
	/* Blocks come when they are written to, and holes are kept. */
	if (!error)
		error = tenon_config(volume, "CorrectAllocationSizes=false", NULL, 0);
	return error ? error : tenon_set_max_file_size(volume, store_max_file_size(vault->store));
}

static int vault_close(void *storage, char *why, size_t why_size)
{
	struct vault *vault = storage;
	int error = store_close(vault->store, why, why_size);

	free(vault);
	return error;
}

const struct drive_kind vault_drive = {
	.name = "vault",
	.events = &vault_events,
	.open = vault_open,
	.configure = vault_configure,
	.set_log = vault_set_log,
	.close = vault_close,
};
