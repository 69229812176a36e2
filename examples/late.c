/* Shows a drive with one file in it, which a pool of threads reads from: late DIRECTORY, as root. umount(8) ends it. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tenon.h>

#define THREADS 4

static const char text[] = "Better late than never.\n";

/* Reads that wait for a thread. */
struct job {
	struct job *next;
	tenon_pending *pending;
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t added = PTHREAD_COND_INITIALIZER;
static struct job *jobs;

static struct job *take(void)
{
	struct job *job;

	pthread_mutex_lock(&lock);
	while (!jobs)
		pthread_cond_wait(&added, &lock);
	job = jobs;
	jobs = job->next;
	pthread_mutex_unlock(&lock);
	return job;
}

/* What takes long would be here. */
static void answer(tenon_read_file_event *event)
{
	for (int64_t at = event->position; at < (int64_t)strlen(text) && event->bytes_read < event->bytes_to_read; at++)
		((char *)event->buffer)[event->bytes_read++] = text[at];
}

static void *serve(void *unused)
{
	for (;;) {
		struct job *job = take();
		tenon_read_file_event *event = tenon_pending_event(job->pending);

		/* Who was interrupted does not want the bytes any more. */
		if (tenon_pending_is_cancelled(job->pending))
			event->result_code = EINTR;
		else
			answer(event);
		tenon_complete(job->pending);
		tenon_pending_free(job->pending);
		free(job);
	}
	return NULL;
}

static void read_file(tenon_volume *volume, tenon_read_file_event *event)
{
	struct job *job = malloc(sizeof *job);

	if (!job || !(job->pending = tenon_defer(event))) {
		free(job);
		event->result_code = ENOMEM;
		return;
	}
	/* From here on the event is not ours any more: the answer goes into the pending's copy. */
	pthread_mutex_lock(&lock);
	job->next = jobs;
	jobs = job;
	pthread_cond_signal(&added);
	pthread_mutex_unlock(&lock);
}

static void get_file_info(tenon_volume *volume, tenon_get_file_info_event *event)
{
	bool root = strcmp(event->file_name, "/") == 0;

	event->file_exists = root || strcmp(event->file_name, "/late.txt") == 0;
	event->attributes = root ? TENON_FILE_ATTRIBUTE_DIRECTORY : TENON_FILE_ATTRIBUTE_READONLY;
	event->size = root ? 0 : strlen(text);
}

static void enumerate_directory(tenon_volume *volume, tenon_enumerate_directory_event *event)
{
	event->file_found = event->restart;
	tenon_enumerate_directory_set_file_name(event, "late.txt");
}

int main(int argc, char **argv)
{
	tenon_events events = {
		.get_file_info = get_file_info, .enumerate_directory = enumerate_directory, .read_file = read_file};
	tenon_volume *volume;
	pthread_t thread;
	int error = 0;

	for (int i = 0; i < THREADS && !error; i++)
		error = pthread_create(&thread, NULL, serve, NULL);
	if (error || tenon_volume_new(&volume, &events, sizeof events, NULL)) {
		fprintf(stderr, "late: no memory\n");
		return 1;
	}
	error = tenon_serve(volume, argv[argc - 1], 0);
	if (error)
		fprintf(stderr, "late: %s\n", tenon_get_last_error(volume));
	tenon_volume_free(volume);
	return error;
}
