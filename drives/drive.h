/*
 * What the tenon command needs to know of a drive. Each drive fills in one drive_kind; like every program
 * outside the library it uses the public API alone.
 */
#ifndef TENON_DRIVE_H
#define TENON_DRIVE_H

#include <tenon.h>

struct drive_kind {
	const char *name;
	/* The handlers; they find the storage by tenon_get_app_data(). */
	const tenon_events *events;
	/*
	 * Opens the storage called source, making it when it is absent and read_only is false. 0 and *storage, or an errno value and
	 * one sentence in why that names source and the way out. Called in the process that will serve the volume, before
	 * any thread is started.
	 */
	int (*open)(const char *source, bool read_only, void **storage, char *why, size_t why_size);
	/* Sets the properties the drive needs, after tenon_volume_new and before the user's own options. */
	int (*configure)(tenon_volume *volume, void *storage);
	/*
	 * Says where the drive may log, with NULL for app_data; called once, after open and before the volume is mounted. The lines may
	 * come from any thread until close returns. NULL where the drive has nothing to say.
	 */
	void (*set_log)(void *storage, tenon_log_function *log);
	/* Closes what open gave, after tenon_delete_storage; nothing is lost. 0, or an errno value and a sentence. Frees storage always. */
	int (*close)(void *storage, char *why, size_t why_size);
};

extern const struct drive_kind memory_drive;
extern const struct drive_kind vault_drive;

#endif
