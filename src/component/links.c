/*
 * tenon_get_links: all names of a file, asked for by a thread of the program's and not through the mount, so that neither that
 * thread's permissions nor its mounts matter.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "component/component.h"
#include "request/dispatch.h"
#include "request/keep.h"
#include "request/own.h"

/* Names, each with its NUL. */
struct names {
	char *text;
	size_t length;
	size_t room;
	size_t count;
};

static int take_name(void *arg, const struct path *path, bool *enough)
{
	struct names *names = arg;

	(void)enough;
	if (names->length + path->length + 1 > names->room) {
		size_t room = (names->room + path->length + 1) * 2;
		char *text = realloc(names->text, room);

		if (!text)
			return ENOMEM;
		names->text = text;
		names->room = room;
	}
	memcpy(names->text + names->length, path->text, path->length + 1);
	names->length += path->length + 1;
	names->count++;
	return 0;
}

/* There are no workers: the calling thread is one. Whoever has the lock has the gate to himself, and nothing waits there. */
static void run_in_line(struct session *session, struct own_request *own)
{
	struct reply reply = {0};
	struct waiter *ready;

	reply_use(&reply, session->in_line_reply);
	pthread_mutex_lock(&session->in_line_lock);
	ready = own_request_send(own);
	while (ready) {
		struct waiter *next = ready->next;

		dispatch_ready(ready, &reply);
		ready = next;
	}
	pthread_mutex_unlock(&session->in_line_lock);
}

/* 0, what the request gave, or ENODEV: the volume is ending. */
static int run(struct session *session, struct own_request *own)
{
	bool mounted;

	pthread_mutex_lock(&session->lock);
	mounted = session_is_connected(session);
	pthread_mutex_unlock(&session->lock);
	if (!mounted)
		own_request_answer(own, ENODEV);
	else if (session->in_line)
		run_in_line(session, own);
	else
		workers_run(&session->workers, own_request_send(own));
	return own_request_wait(own);
}

static void unpin(struct tenon_volume *volume, struct node *node)
{
	volume_lock(volume);
	tree_unpin(&volume->tree, node);
	volume_unlock(volume);
}

/* From *node, pinned, to the file called name in it, pinned instead. */
static int step(struct tenon_volume *volume, struct node **node, const char *name)
{
	struct own_request own;
	int error;

	own_request_step(&own, volume, *node, name);
	error = run(volume->session, &own);
	if (error)
		return error;
	unpin(volume, *node);
	*node = own.found;
	return 0;
}

/* Follows path from *node on, step by step. */
static int walk(struct tenon_volume *volume, const char *path, struct node **node)
{
	char name[256];
	int error = 0;

	while (!error && *(path += strspn(path, "/"))) {
		size_t length = strcspn(path, "/");

		if (length >= sizeof name)
			return ENAMETOOLONG;
		memcpy(name, path, length);
		name[length] = 0;
		path += length;
		error = step(volume, node, name);
	}
	return error;
}

static int get_names(struct tenon_volume *volume, const char *path, struct names *names)
{
	const struct link_sink sink = {.take = take_name, .arg = names};
	struct node *node = volume->tree.root;
	struct own_request own;
	int error;

	volume_lock(volume);
	tree_pin(node);
	volume_unlock(volume);
	error = walk(volume, path, &node);
	if (!error) {
		own_request_names(&own, volume, node, &sink);
		error = run(volume->session, &own);
	}
	unpin(volume, node);
	/* It was there a moment ago. */
	return error == ESTALE ? ENOENT : error;
}

/* Absolute, and without "." and "..", which are no names in a volume. */
static bool is_path(const char *path)
{
	if (!path || *path != '/')
		return false;
	while (*(path += strspn(path, "/"))) {
		size_t length = strcspn(path, "/");

		if (length <= 2 && strncmp(path, "..", length) == 0)
			return false;
		path += length;
	}
	return true;
}

/* As a guest of the workers. */
static int visit(struct session *session, const char *path, struct names *names)
{
	int error;

	if (session->in_line)
		return get_names(session->volume, path, names);
	error = workers_meet(&session->workers);
	if (error)
		return error;
	error = get_names(session->volume, path, names);
	workers_part(&session->workers);
	return error;
}

static int check_call(struct tenon_volume *volume, const char *file_name)
{
	int error = component_check_process(volume);

	if (error)
		return error;
	if (event_is_inside(&volume->events))
		return component_fail(volume, EDEADLK, "the names of a file cannot be asked for inside a handler");
	if (!is_path(file_name))
		return component_fail(volume, EINVAL, "\"%s\" is no absolute path without \".\" and \"..\"",
				      file_name ? file_name : "");
	if (!component_is_mounted(volume))
		return component_fail(volume, EINVAL, "no media is mounted");
	if (!volume->properties.use_hard_links)
		return component_fail(volume, EOPNOTSUPP, "use_hard_links is off: no file has names to be told");
	return 0;
}

int tenon_get_links(tenon_volume *volume, const char *file_name, char **names, size_t *count)
{
	struct names found = {0};
	struct session *session;
	int error = check_call(volume, file_name);

	*names = NULL;
	*count = 0;
	if (error)
		return error;
	session = session_enter(volume);
	if (!session)
		return component_fail(volume, EINVAL, "no media is mounted");
	error = visit(session, file_name, &found);
	session_leave(session);
	if (error) {
		free(found.text);
		return component_fail(volume, error, "the names of \"%s\" cannot be told: %s", file_name, strerror(error));
	}
	*names = found.text;
	*count = found.count;
	return 0;
}
