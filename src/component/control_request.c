/*
 * What clients of the control socket ask for: "info", "umount [lazy|force] [MOUNT-ID]"; and how that is answered.
 *
 * Unmounting is noticed by the service thread as anybody's umount(8) is: nothing is counted or ended here.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "component/control.h"
#include "component/json.h"

#define ANSWER_ROOM 8192
/* One more than any request has. */
#define WORDS_MAX 4

static bool parse_number(const char *word, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(word, &end, 10);
	return isdigit((unsigned char)*word) && !*end && !errno && *value;
}

static bool parse_umount(struct control_request *request, char *const *words)
{
	bool right = true;

	for (; *words && right; words++) {
		if (strcmp(*words, "lazy") == 0 && !request->lazy)
			request->lazy = true;
		else if (strcmp(*words, "force") == 0 && !request->force)
			request->force = true;
		else
			right = !request->mount_id && parse_number(*words, &request->mount_id);
	}
	/* The connection is cut for all places at once. */
	return right && !(request->force && (request->lazy || request->mount_id));
}

static bool is_printable(const char *line)
{
	while (*line && isprint((unsigned char)*line))
		line++;
	return !*line;
}

struct control_request control_parse(const char *line, char *why, size_t room)
{
	struct control_request request = {.kind = REQUEST_WRONG};
	char *words[WORDS_MAX + 1] = {NULL};
	char copy[CONTROL_REQUEST_MAX];
	char *rest = copy;
	int count = 0;

	snprintf(why, room, "this is no request: send one line, such as info");
	if (!is_printable(line) || strlen(line) >= sizeof copy)
		return request;
	strcpy(copy, line);
	while (count < WORDS_MAX && (words[count] = strsep(&rest, " ")))
		count++;
	if (strcmp(words[0], "info") == 0 && count == 1)
		request.kind = REQUEST_INFO;
	else if (strcmp(words[0], "umount") == 0 && parse_umount(&request, words + 1))
		request.kind = REQUEST_UMOUNT;
	else if (*line)
		snprintf(why, room, "there is no request \"%s\": there are info and umount [lazy|force] [MOUNT-ID]", line);
	return request;
}

static char *end_line(char *text, size_t length)
{
	memcpy(text + length, "\n", 2);
	return text;
}

char *control_answer_info(struct tenon_volume *volume)
{
	size_t room = ANSWER_ROOM;
	size_t length = 0;
	char *text = NULL;

	for (;;) {
		char *larger = realloc(text, room);

		if (!larger)
			break;
		text = larger;
		length = facts_write(volume, text, room);
		/* The newline wants its place, too. */
		if (length + 2 <= room)
			return end_line(text, length);
		room = length + 1024;
	}
	free(text);
	return NULL;
}

static char *finish(struct json *json)
{
	json_close(json, '}');
	return end_line(json->text, json->length);
}

static char *begin(struct json *json, size_t room)
{
	char *text = malloc(room);

	if (!text)
		return NULL;
	json_start(json, text, room);
	json_open(json, NULL, '{');
	json_number(json, "protocol", CONTROL_PROTOCOL);
	return text;
}

char *control_answer_done(bool written)
{
	struct json json;

	if (!begin(&json, 256))
		return NULL;
	json_flag(&json, "ok", true);
	json_flag(&json, "written", written);
	return finish(&json);
}

char *control_answer_error(int error, const char *message)
{
	struct json json;

	/* A byte of the message becomes six at most. */
	if (!begin(&json, 256 + 6 * strlen(message)))
		return NULL;
	json_text(&json, "error", strerrorname_np(error) ? strerrorname_np(error) : "EIO");
	json_text(&json, "message", message);
	return finish(&json);
}

/* A place where the volume is attached, by itself: unmounting may wait for handlers, and the session's lock must not. */
struct place {
	struct place *next;
	uint64_t mount_id;
	char path[];
};

static void free_places(struct place *place)
{
	while (place) {
		struct place *next = place->next;

		free(place);
		place = next;
	}
}

static struct place *copy_place(const struct point *point)
{
	size_t size = strlen(point->real) + 1;
	struct place *place = malloc(sizeof *place + size);

	if (!place)
		return NULL;
	place->next = NULL;
	place->mount_id = point->mount_id;
	memcpy(place->path, point->real, size);
	return place;
}

static int find_places(struct session *session, uint64_t mount_id, struct place **places)
{
	struct place **last = places;
	int error = 0;

	*places = NULL;
	pthread_mutex_lock(&session->lock);
	for (const struct point *point = session->points; point && !error; point = point->next) {
		if (session->state != SESSION_MOUNTED || !point->attached || (mount_id && point->mount_id != mount_id))
			continue;
		*last = copy_place(point);
		if (*last)
			last = &(*last)->next;
		else
			error = ENOMEM;
	}
	pthread_mutex_unlock(&session->lock);
	if (!error && !*places)
		error = ENOENT;
	return error;
}

static int detach_places(const struct place *places, bool lazily, char *why, size_t room)
{
	struct mount_error reason;
	int error = 0;

	for (const struct place *place = places; place && !error; place = place->next) {
		error = mount_detach(place->path, place->mount_id, lazily, &reason);
		if (error == EBUSY)
			snprintf(why, room, "%s is in use", place->path);
		else if (error == EINVAL)
			snprintf(why, room, "%s has another file system mounted over it", place->path);
		else if (error)
			snprintf(why, room, "%s: cannot unmount: %s", place->path, reason.text);
	}
	return error;
}

int control_unmount(struct session *session, const struct control_request *request, char *why, size_t room)
{
	struct place *places = NULL;
	int error = find_places(session, request->mount_id, &places);

	if (error == ENOMEM)
		snprintf(why, room, "no memory");
	else if (error)
		snprintf(why, room, "this volume has no such mounting point");
	else
		error = detach_places(places, request->lazy, why, room);
	free_places(places);
	return error;
}
