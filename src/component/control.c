/*
 * The thread that serves the control socket: a few clients at once, one request and one answer each.
 *
 * Every client has a time limit and a size limit; when all places are taken, a newcomer gets that of the one who has kept silent longest.
 */
#include "component/control.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "channel/forked.h"
#include "component/thread.h"

#define CLIENTS 16
/* Milliseconds: for a client to say what it wants, and to take the answer; until the next attempt where descriptors are short. */
#define PATIENCE 2000
#define PAUSE 500
/* Milliseconds for handlers to write what is cached before a forced unmount cuts the connection. */
#define WRITING_TIME 10000

#define NEVER INT64_MAX

struct client {
	/* -1: the place is free. */
	int fd;
	int64_t deadline;
	size_t got;
	char request[CONTROL_REQUEST_MAX];
	/* NULL until the answer is known; then what has been sent of it. */
	char *answer;
	size_t sent;
};

/* The one request that may take long, on a thread of its own. */
struct errand {
	bool running;
	pthread_t thread;
	struct control_request request;
	/* Who waits for it, NULL: has gone. */
	struct client *client;
	/* By force: everything is written. */
	atomic_bool written;
	/* When the connection is cut, whatever is still to be written. */
	int64_t deadline;
	bool cut_short;
	/* What the thread leaves. */
	int error;
	char why[4352];
};

struct control {
	struct session *session;
	struct control_place place;
	pthread_t thread;
	int listener;
	/* Event descriptors: the volume ends; the errand is done. */
	int stop, done;
	bool stopping;
	/* No new clients until then: descriptors are short. */
	int64_t pause;
	struct errand errand;
	struct client clients[CLIENTS];
};

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void client_close(struct control *control, struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	free(client->answer);
	*client = (struct client){.fd = -1};
	if (control->errand.client == client)
		control->errand.client = NULL;
}

static void send_more(struct control *control, struct client *client)
{
	size_t left = strlen(client->answer) - client->sent;
	ssize_t sent = send(client->fd, client->answer + client->sent, left, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (sent < 0 || (size_t)sent == left)
		client_close(control, client);
	else
		client->sent += (size_t)sent;
}

/* Takes the answer over; NULL: there was no memory for one. */
static void answer(struct control *control, struct client *client, char *text)
{
	client->answer = text;
	client->deadline = now() + PATIENCE;
	if (text)
		send_more(control, client);
	else
		client_close(control, client);
}

static void *errand_main(void *arg)
{
	struct control *control = arg;
	struct errand *errand = &control->errand;

	if (errand->request.force)
		cut_off(control->session, &errand->written);
	else
		errand->error = control_unmount(control->session, &errand->request, errand->why, sizeof errand->why);
	eventfd_write(control->done, 1);
	return NULL;
}

static void start_errand(struct control *control, struct client *client, const struct control_request *request)
{
	struct errand *errand = &control->errand;
	int error;

	if (errand->running) {
		answer(control, client, control_answer_error(EBUSY, "it is being unmounted already"));
		return;
	}
	*errand = (struct errand){.request = *request, .deadline = request->force ? now() + WRITING_TIME : NEVER};
	error = thread_start(&errand->thread, errand_main, control);
	if (error) {
		answer(control, client, control_answer_error(error, "no thread could be started"));
		return;
	}
	errand->running = true;
	errand->client = client;
	client->deadline = NEVER;
}

static void answer_errand(struct control *control)
{
	struct errand *errand = &control->errand;
	struct client *client = errand->client;

	errand->client = NULL;
	if (client && errand->error)
		answer(control, client, control_answer_error(errand->error, errand->why));
	else if (client)
		answer(control, client, control_answer_done(!errand->request.force || (errand->written && !errand->cut_short)));
}

static void finish_errand(struct control *control)
{
	eventfd_t count;

	eventfd_read(control->done, &count);
	pthread_join(control->errand.thread, NULL);
	control->errand.running = false;
	answer_errand(control);
}

static void handle(struct control *control, struct client *client)
{
	char why[CONTROL_REQUEST_MAX + 128];
	const struct control_request request = control_parse(client->request, why, sizeof why);

	if (request.kind == REQUEST_INFO)
		answer(control, client, control_answer_info(control->session->volume));
	else if (request.kind == REQUEST_UMOUNT)
		start_errand(control, client, &request);
	else
		answer(control, client, control_answer_error(EINVAL, why));
}

static void receive(struct control *control, struct client *client)
{
	size_t room = sizeof client->request - client->got;
	ssize_t got = recv(client->fd, client->request + client->got, room, MSG_DONTWAIT);
	char *newline;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		client_close(control, client);
		return;
	}
	newline = memchr(client->request + client->got, '\n', (size_t)got);
	client->got += (size_t)got;
	if (newline && !memchr(client->request, 0, (size_t)(newline - client->request))) {
		*newline = 0;
		handle(control, client);
	} else if (newline || client->got == sizeof client->request) {
		answer(control, client, control_answer_error(EINVAL, "this is no request: send one short line, such as info"));
	}
}

/* Root and who mounted it; the socket's mode says the same, but a descriptor can be handed on. */
static bool may_ask(const struct control *control, int fd)
{
	struct ucred who;
	socklen_t size = sizeof who;

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) &&
	       (who.uid == 0 || who.uid == control->session->volume->owner_uid);
}

/* A free place, else that of the one who has been silent longest; whose request is being carried out keeps it. */
static struct client *make_place(struct control *control)
{
	struct client *oldest = NULL;

	for (struct client *client = control->clients; client < control->clients + CLIENTS; client++) {
		if (client->fd < 0)
			return client;
		if (client != control->errand.client && (!oldest || client->deadline < oldest->deadline))
			oldest = client;
	}
	if (oldest)
		client_close(control, oldest);
	return oldest;
}

static void welcome(struct control *control)
{
	int fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client;

	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			control->pause = now() + PAUSE;
		return;
	}
	client = make_place(control);
	if (!client) {
		close(fd);
		return;
	}
	client->fd = fd;
	client->deadline = now() + PATIENCE;
	if (may_ask(control, fd))
		receive(control, client);
	else
		answer(control, client, control_answer_error(EPERM, "only root and who mounted this may ask"));
}

static void serve_client(struct control *control, struct client *client, short events, int64_t time)
{
	bool late = !events && client->deadline <= time;
	/* Who waits for an errand is only looked at for going away. */
	bool gone = events && control->errand.client == client;

	if (client->fd < 0)
		return;
	if (gone || (late && client->answer))
		client_close(control, client);
	else if (late)
		answer(control, client, control_answer_error(ETIMEDOUT, "no request has come: send one line, such as info"));
	else if (events && client->answer)
		send_more(control, client);
	else if (events)
		receive(control, client);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* What is said after a request does not matter: only the going away of who waits for the answer. */
static short events_for(const struct control *control, const struct client *client)
{
	if (control->errand.client == client)
		return 0;
	return client->answer ? POLLOUT : POLLIN;
}

/* The next moment at which something is to be done though nothing happens. */
static int timeout_of(const struct control *control)
{
	int64_t next = control->errand.running ? control->errand.deadline : NEVER;

	if (control->pause)
		next = earlier(next, control->pause);
	for (int i = 0; i < CLIENTS; i++) {
		if (control->clients[i].fd >= 0)
			next = earlier(next, control->clients[i].deadline);
	}
	if (next == NEVER)
		return -1;
	next -= now();
	return next < 0 ? 0 : (int)next;
}

static void cut_short(struct control *control)
{
	int error = cut_off_now(control->session);

	control->errand.cut_short = true;
	control->errand.deadline = NEVER;
	if (error)
		event_log(&control->session->volume->events, "the connection cannot be cut: %s", strerror(error));
}

static void turn(struct control *control)
{
	struct pollfd fds[3 + CLIENTS] = {
		{.fd = control->stopping ? -1 : control->stop, .events = POLLIN},
		{.fd = control->done, .events = POLLIN},
		{.fd = control->pause || control->stopping ? -1 : control->listener, .events = POLLIN},
	};
	nfds_t places[CLIENTS] = {0}, count = 3;
	int64_t time;

	/* Only those that are there: poll(2) takes no more entries than the process may have descriptors. */
	for (int i = 0; i < CLIENTS; i++) {
		const struct client *client = &control->clients[i];

		if (client->fd < 0)
			continue;
		places[i] = count;
		fds[count++] = (struct pollfd){.fd = client->fd, .events = events_for(control, client)};
	}
	if (poll(fds, count, timeout_of(control)) < 0)
		return;
	time = now();
	if (fds[0].revents)
		control->stopping = true;
	if (fds[1].revents)
		finish_errand(control);
	else if (control->errand.running && control->errand.deadline <= time)
		cut_short(control);
	for (int i = 0; i < CLIENTS; i++)
		serve_client(control, &control->clients[i], places[i] ? fds[places[i]].revents : 0, time);
	if (control->pause && control->pause <= time)
		control->pause = 0;
	if (fds[2].revents)
		welcome(control);
}

/* The connection is over, and with it what a forced unmount was to do: its thread only waits for the channel to be freed. */
static bool must_wait(const struct control *control)
{
	return control->errand.running && !control->errand.request.force;
}

static void *control_main(void *arg)
{
	struct control *control = arg;

	while (!control->stopping || must_wait(control))
		turn(control);
	if (control->errand.running)
		answer_errand(control);
	for (int i = 0; i < CLIENTS; i++)
		client_close(control, &control->clients[i]);
	return NULL;
}

static void close_all(struct control *control)
{
	if (control->listener >= 0) {
		control_place_remove(&control->place);
		forked_close(control->listener);
	}
	if (control->stop >= 0)
		close(control->stop);
	if (control->done >= 0)
		close(control->done);
	free(control);
}

static struct control *control_new(struct session *session)
{
	struct control *control = calloc(1, sizeof *control);

	if (!control)
		return NULL;
	control->session = session;
	control->listener = -1;
	control->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	control->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (int i = 0; i < CLIENTS; i++)
		control->clients[i].fd = -1;
	if (control->stop >= 0 && control->done >= 0)
		return control;
	close_all(control);
	return NULL;
}

void control_start(struct session *session)
{
	struct control *control;
	char *why = session->control_why;
	size_t room = sizeof session->control_why;
	int error;

	if (session->in_process || !session->volume->properties.control_socket)
		return;
	snprintf(why, room, "no memory or no descriptors");
	control = control_new(session);
	if (!control)
		return;
	control->listener = control_place_listen(&control->place, session->mount.connection, why, room);
	if (control->listener < 0) {
		close_all(control);
		return;
	}
	error = thread_start(&control->thread, control_main, control);
	if (error) {
		snprintf(why, room, "no thread could be started: %s", strerror(error));
		close_all(control);
		return;
	}
	why[0] = 0;
	session->control = control;
}

void control_report(struct session *session)
{
	char why[sizeof session->control_why];

	pthread_mutex_lock(&session->lock);
	strcpy(why, session->control_why);
	session->control_why[0] = 0;
	pthread_mutex_unlock(&session->lock);
	if (why[0])
		event_log(&session->volume->events, "there is no control socket, commands cannot reach this volume: %s", why);
}

void control_stop(struct session *session)
{
	if (!session->control)
		return;
	eventfd_write(session->control->stop, 1);
	pthread_join(session->control->thread, NULL);
}

void control_free(struct session *session)
{
	struct control *control = session->control;

	if (!control)
		return;
	session->control = NULL;
	if (control->errand.running)
		pthread_join(control->errand.thread, NULL);
	close_all(control);
}
