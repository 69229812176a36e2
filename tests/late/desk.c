/*
 * A drive whose events lie on a desk until the test answers them: its files are computed, and those called slow are put off.
 *
 * "/" is a directory, and so is what begins with "d"; all else is a file.
 */
#include "desk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void desk_init(struct desk *desk, const char *put_off)
{
	memset(desk, 0, sizeof *desk);
	pthread_mutex_init(&desk->lock, NULL);
	pthread_cond_init(&desk->changed, NULL);
	desk->put_off = put_off;
}

void desk_done(struct desk *desk)
{
	while (desk->first) {
		struct desk_job *job = desk->first;

		desk->first = job->next;
		tenon_pending_free(job->pending);
		free(job);
	}
	pthread_cond_destroy(&desk->changed);
	pthread_mutex_destroy(&desk->lock);
}

static void tell(struct desk *desk, const char *event, const char *name)
{
	size_t length;

	pthread_mutex_lock(&desk->lock);
	length = strlen(desk->told);
	snprintf(desk->told + length, sizeof desk->told - length, "%s %s;", event, name);
	pthread_cond_broadcast(&desk->changed);
	pthread_mutex_unlock(&desk->lock);
}

static const char *last_name(const char *path)
{
	return strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
}

/* False: the handler is to answer at once. */
static bool put_off(tenon_volume *volume, void *event, const char *kind, const char *name)
{
	struct desk *desk = tenon_get_app_data(volume);
	struct desk_job *job;

	tell(desk, kind, name);
	if (!strstr(desk->put_off, kind) || strncmp(last_name(name), "slow", 4) != 0)
		return false;
	job = calloc(1, sizeof *job);
	if (!job)
		return false;
	snprintf(job->event, sizeof job->event, "%s", kind);
	snprintf(job->name, sizeof job->name, "%s", name);
	job->pending = tenon_defer(event);
	if (!job->pending) {
		free(job);
		return false;
	}
	if (desk->meanwhile && strcmp(kind, "read_file") == 0 && desk->meanwhile(desk, event, job->pending)) {
		free(job);
		return true;
	}
	pthread_mutex_lock(&desk->lock);
	job->next = desk->first;
	desk->first = job;
	pthread_cond_broadcast(&desk->changed);
	pthread_mutex_unlock(&desk->lock);
	return true;
}

static struct desk_job *find(struct desk *desk, const char *event, const char *name)
{
	struct desk_job **at = &desk->first;
	struct desk_job *job;

	while (*at && (strcmp((*at)->event, event) != 0 || (name && strcmp((*at)->name, name) != 0)))
		at = &(*at)->next;
	job = *at;
	if (job)
		*at = job->next;
	return job;
}

tenon_pending *desk_take(struct desk *desk, const char *event, const char *name)
{
	struct desk_job *job;
	tenon_pending *pending;

	pthread_mutex_lock(&desk->lock);
	while (!(job = find(desk, event, name)))
		pthread_cond_wait(&desk->changed, &desk->lock);
	pthread_mutex_unlock(&desk->lock);
	pending = job->pending;
	free(job);
	return pending;
}

static void count_cancelled(void *arg)
{
	struct desk *desk = arg;

	pthread_mutex_lock(&desk->lock);
	desk->cancelled++;
	pthread_cond_broadcast(&desk->changed);
	pthread_mutex_unlock(&desk->lock);
}

tenon_pending *desk_look(struct desk *desk)
{
	tenon_pending *pending;

	pthread_mutex_lock(&desk->lock);
	while (!desk->first)
		pthread_cond_wait(&desk->changed, &desk->lock);
	pending = desk->first->pending;
	pthread_mutex_unlock(&desk->lock);
	return pending;
}

int desk_watch(struct desk *desk, tenon_pending *pending)
{
	return tenon_pending_on_cancel(pending, count_cancelled, desk);
}

void desk_wait_cancelled(struct desk *desk, unsigned count)
{
	pthread_mutex_lock(&desk->lock);
	while (desk->cancelled < count)
		pthread_cond_wait(&desk->changed, &desk->lock);
	pthread_mutex_unlock(&desk->lock);
}

unsigned desk_errors(struct desk *desk)
{
	unsigned errors;

	pthread_mutex_lock(&desk->lock);
	errors = desk->errors;
	pthread_mutex_unlock(&desk->lock);
	return errors;
}

unsigned desk_told(struct desk *desk, const char *text)
{
	unsigned count = 0;

	pthread_mutex_lock(&desk->lock);
	for (const char *at = desk->told; (at = strstr(at, text)); at++)
		count += at == desk->told || at[-1] == ';';
	pthread_mutex_unlock(&desk->lock);
	return count;
}

static void fill_read(tenon_read_file_event *event, char fill)
{
	event->bytes_read = event->bytes_to_read;
	memset(event->buffer, fill, event->bytes_read);
}

int desk_answer_read(tenon_pending *pending, char fill)
{
	int error;

	fill_read(tenon_pending_event(pending), fill);
	error = tenon_complete(pending);
	tenon_pending_free(pending);
	return error;
}

static void fill_info(tenon_get_file_info_event *event)
{
	const char *name = last_name(event->file_name);
	bool directory = !*name || *name == 'd';

	event->file_exists = strncmp(name, "absent", 6) != 0;
	event->attributes = directory ? TENON_FILE_ATTRIBUTE_DIRECTORY : TENON_FILE_ATTRIBUTE_NORMAL;
	event->size = directory ? 0 : DESK_FILE_SIZE;
}

int desk_answer_info(tenon_pending *pending)
{
	int error;

	fill_info(tenon_pending_event(pending));
	error = tenon_complete(pending);
	tenon_pending_free(pending);
	return error;
}

static void get_file_info(tenon_volume *volume, tenon_get_file_info_event *event)
{
	if (!put_off(volume, event, "get_file_info", event->file_name))
		fill_info(event);
}

static void read_file(tenon_volume *volume, tenon_read_file_event *event)
{
	if (!put_off(volume, event, "read_file", event->file_name))
		fill_read(event, 'q');
}

static void write_file(tenon_volume *volume, tenon_write_file_event *event)
{
	if (!put_off(volume, event, "write_file", event->file_name))
		event->bytes_written = event->bytes_to_write;
}

static void enumerate_directory(tenon_volume *volume, tenon_enumerate_directory_event *event)
{
	(void)volume;
	event->file_found = false;
}

static void create_hard_link(tenon_volume *volume, tenon_create_hard_link_event *event)
{
	put_off(volume, event, "create_hard_link", event->file_name);
}

static void rename_or_move_file(tenon_volume *volume, tenon_rename_or_move_file_event *event)
{
	put_off(volume, event, "rename_or_move_file", event->file_name);
}

static void get_file_name_by_file_id(tenon_volume *volume, tenon_get_file_name_by_file_id_event *event)
{
	(void)volume;
	event->result_code = ENOENT;
}

static void enumerate_hard_links(tenon_volume *volume, tenon_enumerate_hard_links_event *event)
{
	(void)volume;
	event->link_found = false;
}

static void close_hard_links_enumeration(tenon_volume *volume, tenon_close_hard_links_enumeration_event *event)
{
	(void)volume;
	(void)event;
}

static void count_contexts(tenon_volume *volume, int by)
{
	struct desk *desk = tenon_get_app_data(volume);

	pthread_mutex_lock(&desk->lock);
	desk->contexts += by;
	pthread_mutex_unlock(&desk->lock);
}

static void open_file(tenon_volume *volume, tenon_open_file_event *event)
{
	event->handle_context = tenon_get_app_data(volume);
	count_contexts(volume, 1);
}

static void close_file(tenon_volume *volume, tenon_close_file_event *event)
{
	count_contexts(volume, event->handle_context ? -1 : 0);
	put_off(volume, event, "close_file", event->file_name);
}

static void on_error(tenon_volume *volume, tenon_error_event *event)
{
	struct desk *desk = tenon_get_app_data(volume);

	pthread_mutex_lock(&desk->lock);
	desk->errors++;
	snprintf(desk->error, sizeof desk->error, "%s", event->description);
	pthread_cond_broadcast(&desk->changed);
	pthread_mutex_unlock(&desk->lock);
	put_off(volume, event, "error", "slow");
}

const tenon_events desk_events = {
	.get_file_info = get_file_info,
	.read_file = read_file,
	.write_file = write_file,
	.enumerate_directory = enumerate_directory,
	.create_hard_link = create_hard_link,
	.rename_or_move_file = rename_or_move_file,
	.get_file_name_by_file_id = get_file_name_by_file_id,
	.enumerate_hard_links = enumerate_hard_links,
	.close_hard_links_enumeration = close_hard_links_enumeration,
	.open_file = open_file,
	.close_file = close_file,
	.error = on_error,
};
