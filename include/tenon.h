/*
 * Tenon: a program answers a few dozen events and the operating system shows a real drive.
 *
 * Objects are opaque; functions that return int return 0 or a positive errno value, and
 * tenon_get_last_error() then says why in words. Unless a function says otherwise it may be called from
 * any thread, but not from two at once for one volume, and not from inside a handler.
 *
 * The life of a volume:
 *
 *   tenon_volume_new, set properties, tenon_initialize, tenon_create_storage, tenon_add_mounting_point,
 *   tenon_mount_media ... events ... tenon_unmount_media, tenon_delete_storage, tenon_volume_free
 */
#ifndef TENON_H
#define TENON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <tenon/constants.h>
#include <tenon/events.h>
#include <tenon/methods.h>
#include <tenon/properties.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Value of the members mode, uid and gid that a handler leaves alone. */
#define TENON_NOT_GIVEN 0xFFFFFFFFu

/* The id of the root directory in events; programs see it as inode 1. */
#define TENON_ROOT_ID INT64_C(0x7FFFFFFFFFFFFFFF)

/*
 * For whom something is done, as tenon_get_originator_token and tenon_get_handle_creator_token give it: numbers of the
 * drive's own user namespace. groups has group_count members, the supplementary groups; all in one piece of memory.
 */
struct tenon_token {
	uint32_t uid;
	uint32_t gid;
	uint32_t group_count;
	const uint32_t *groups;
};

/* From any thread, inside handlers and after them. NULL is allowed. */
void tenon_token_free(tenon_token *token);

/*
 * Makes a volume that answers with these handlers. events is copied; events_size is sizeof(tenon_events) as
 * the program was compiled. app_data is yours, see tenon_get_app_data.
 *
 * 0, ENOMEM, or EINVAL (events_size is larger than this library knows).
 */
int tenon_volume_new(tenon_volume **volume, const tenon_events *events, size_t events_size, void *app_data);

/*
 * Gives the volume other handlers in place of those that tenon_volume_new was given, all of them; events and events_size as there. For
 * bindings, which learn of handlers one by one once there is a volume. Any time the media is not mounted; who checks that mandatory
 * handlers are there is tenon_mount_media.
 *
 * 0, EINVAL (events is NULL, or events_size is larger than this library knows), EBUSY (the media is mounted), EDEADLK (inside a
 * handler). When it fails the handlers are what they were.
 */
int tenon_set_events(tenon_volume *volume, const tenon_events *events, size_t events_size);

/* Ends the volume in whatever state it is (as tenon_delete_storage(volume, true) does) and frees it. NULL is allowed. */
void tenon_volume_free(tenon_volume *volume);

/* What was given to tenon_volume_new. From any thread, handlers included. */
void *tenon_get_app_data(tenon_volume *volume);

/* Why the last failed method or property of this volume failed: one sentence, valid until the next failure. Never NULL; volume may be. */
const char *tenon_get_last_error(tenon_volume *volume);

/*
 * Reads ("Name") or sets ("Name=Value") a configuration setting; value, of value_size bytes, gets the setting as
 * text and may be NULL. 0, EINVAL (no such setting, or it does not take the value), EBUSY (not now), ERANGE (value is
 * too small).
 */
int tenon_config(tenon_volume *volume, const char *setting, char *value, size_t value_size);

/*
 * Sets the property or configuration setting called name from text: true, false, 1, 0, a number (decimal, 0x, or
 * for Umask octal) or a value's name. 0, ENOENT (nothing is called so), EINVAL, EBUSY.
 */
int tenon_set_property(tenon_volume *volume, const char *name, const char *value);

/* The directory of mounting point index, counted from 0; NULL when there is none. Valid until it is removed. */
const char *tenon_get_mounting_point_name(tenon_volume *volume, int32_t index);

/* The flags that mounting point index was added with; 0 when there is none. */
uint32_t tenon_get_mounting_point_flags(tenon_volume *volume, int32_t index);

/*
 * Waits until the media is no longer mounted: by tenon_unmount_media from another thread, or because the user's
 * last umount(8) ended it. timeout in milliseconds, -1: forever. 0, ETIMEDOUT, or EDEADLK inside a handler.
 */
int tenon_wait_unmounted(tenon_volume *volume, int timeout);

/*
 * The whole life in one call: whatever has not been done yet of tenon_initialize, tenon_create_storage,
 * tenon_add_mounting_point and tenon_mount_media, then tenon_wait_unmounted, then tenon_delete_storage. 0 when the volume was shown at
 * mounting_point and has been unmounted by somebody; else what the step that failed gave.
 */
int tenon_serve(tenon_volume *volume, const char *mounting_point, uint32_t flags);

/*
 * What this kernel offers, what was agreed on with it, what is not on and why, and how busy the volume is: a JSON object in ASCII, with a
 * NUL, into room bytes at buffer (NULL where room is 0). *length (may be NULL) gets its length without the NUL, also when it did not fit; 8 KiB is
 * enough for a few mounting points. docs/control-socket.md lists the members; later versions may add some. While the media is mounted; 0, EINVAL (it is not),
 * ERANGE (room is too small), EDEADLK (inside a handler).
 */
int tenon_get_facts(tenon_volume *volume, char *buffer, size_t room, size_t *length);

/*
 * All names of a file: file_name is one of them, an absolute path in the volume; symlinks in it are not followed. *names gets *count
 * absolute paths, each with its NUL, one behind the other, in one piece for free(3); NULL where there are none. Of a directory that is
 * its one path. The file is not opened through the mount: what the calling thread may see there does not matter. get_file_info and
 * enumerate_hard_links fire on worker threads, as for any caller; a file that is being worked on is waited for. May be called from any
 * number of threads at once, and while another method runs.
 *
 * 0; EINVAL (not mounted, or no absolute path without "." and ".."); EOPNOTSUPP (use_hard_links is off); ENOENT, ENOTDIR, ENAMETOOLONG;
 * EDEADLK (inside a handler); EIO (a handler gave what cannot be, which error is told); ENODEV (the media was unmounted meanwhile);
 * ENOMEM; what a handler answered.
 */
int tenon_get_links(tenon_volume *volume, const char *file_name, char **names, size_t *count);

/*
 * True for the names that the engine gives to open files without a name: ".tenon-nameless-" and 16 hexadecimal
 * digits. A drive that keeps its files deletes such leftovers when it opens: they are what a crash left behind.
 */
bool tenon_is_hidden_name(const char *name);

/*
 * Called with one line of text, no newline, when the engine has something to log; never called otherwise does it
 * print. From any thread, several at once. Set it before tenon_create_storage.
 */
typedef void tenon_log_function(void *app_data, const char *line);
void tenon_set_log(tenon_volume *volume, tenon_log_function *log);

/*
 * Ends of contexts (docs/contexts.md): has ended called with app_data and each context that is over, so that one function
 * frees them all and no handler need know which event is the last. NULL, as at first: nobody is told. 0, EBUSY (the media is
 * mounted), EDEADLK (inside a handler).
 *
 * Every value but NULL that a handler leaves in a member called file_context, directory_context, handle_context or
 * enumeration_context is given to ended once for each place where it was kept: a file, a handle, an enumeration. That comes
 * after the last event that carries it has returned: for a file's after the last close_file, or after the delete_file that
 * follows it; for a handle's after its close_file; for an enumeration's after the event that closes it; whether there are
 * handlers for those events or not, and however the volume ends. A value that another one takes the place of ends when the
 * handler that has left the other one there returns. One that is not kept ends when the event returns, or the last of those
 * that one request fires: what open_file or create_file set before they failed, what is set where nothing is open, what
 * delete_file sets after the last close.
 *
 * Called on the thread of the event, without locks of the engine's, after the handler and before the request is answered;
 * several at once, but never while an event runs that carries the value. There is one exception: with serialize_access off,
 * read_file, get_file_info and get_reparse_point of one file run side by side, and where one of them replaces a context others
 * may still have the old one. Inside ended counts as inside a handler of the volume: methods that wait give EDEADLK; about the
 * originator there is nothing to ask (EINVAL). Of an event that is answered late, what its copy has counts at tenon_complete,
 * and at tenon_pending_free where that comes without; after ECANCELED what was set in the copy alone is the program's own.
 */
typedef void tenon_context_function(void *app_data, void *context);
int tenon_set_context_end(tenon_volume *volume, tenon_context_function *ended);

/*
 * Late answers (docs/late-answers.md): a handler calls tenon_defer, hands what it gets to whoever will know the answer, and returns. The
 * caller goes on waiting; other requests are served meanwhile. Every event can be answered so.
 */
typedef struct tenon_pending tenon_pending;

/*
 * Inside the handler of event, on its thread, once: the answer comes later, from what is returned here and no more from the handler; its
 * event must not be touched once the handler has returned. What is returned belongs to the program, which ends it with
 * tenon_pending_free. NULL where the handler has to answer at once: errno is EINVAL (not inside the handler of this
 * event on this thread), EALREADY (a second time), or ENOMEM (no memory, or no thread to serve others meanwhile).
 */
tenon_pending *tenon_defer(const void *event);

/*
 * A copy of the event as it was when tenon_defer was called, with memory of its own for its names and buffers: a tenon_NAME_event *,
 * which is to be filled in as in the handler. Valid until tenon_pending_free. After tenon_complete what is written there has no effect.
 */
void *tenon_pending_event(const tenon_pending *pending);

/*
 * The answer is in the event: its caller goes on. From any thread, and once. 0; EALREADY (a second time: counted, and told to the error
 * event); ECANCELED (the volume was cut off and waits no longer: the caller has got EIO); EINVAL (NULL). Never blocks.
 */
int tenon_complete(tenon_pending *pending);

/*
 * True once the caller was interrupted by a signal or its volume is being cut off. What that means is the program's decision: nothing is
 * answered until tenon_complete, with result_code EINTR for one that gives up, with the result for one that finishes. From any thread.
 */
bool tenon_pending_is_cancelled(const tenon_pending *pending);

/*
 * Has callback called with arg when that happens: once, on a thread of the volume's or on this one where it has happened already. It
 * should be short; it may complete and free the pending, and call what handlers may call. 0; EALREADY (there is a callback,
 * or an answer); EINVAL (NULL).
 */
int tenon_pending_on_cancel(tenon_pending *pending, void (*callback)(void *arg), void *arg);

/*
 * The last call for a pending, from any thread; NULL is allowed. Without an answer the caller gets EIO, and the error event is told. Waits
 * for a callback that runs on another thread: no lock may be held that the callback takes. Also after the volume has been freed.
 */
void tenon_pending_free(tenon_pending *pending);

/* The same as tenon_pending_is_cancelled, inside the handler of event on its thread; false anywhere else. */
bool tenon_is_cancelled(const void *event);

/*
 * Inside the handler of event, on its thread: keeps the memory that the event's member buffer or reparse_buffer points to, as
 * it is, for those who have a use for the bytes after the handler has returned. It stays valid, and nobody else writes there
 * once the answer has been sent, until tenon_kept_free is given what is returned here. The engine goes on with other memory;
 * the answer is what it would have been. An event's buffer may be kept any number of times, and each is to be freed. A kept
 * buffer holds about 1 MiB of address space, however few bytes are used.
 *
 * NULL where it is not kept: errno is EINVAL (not inside the handler of this event on this thread, or an event without such a
 * member; also for the copy of tenon_pending_event, which lives until tenon_pending_free), or ENOMEM.
 */
void *tenon_keep_buffers(const void *event);

/* From any thread, inside handlers or not, also after the volume has been freed. NULL is allowed. */
void tenon_kept_free(void *kept);

/* The library's version, "0.1.0". */
const char *tenon_version(void);

#ifdef __cplusplus
}
#endif

#endif
