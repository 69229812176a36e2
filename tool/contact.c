/*
 * The client of the control socket. Who is at the other end is asked of the kernel, never of the answer.
 */
#include "contact.h"

#include "clock.h"
#include "json.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

/* No honest answer is longer. */
enum { LONGEST = 1 << 20 };

static int connect_in(const char *folder, dev_t device)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	/* Through a descriptor: the path may be longer than an address has room for. */
	int place = open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int fd = place < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = fd < 0 ? errno : 0;

	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%u:%u.socket", place, major(device), minor(device));
	if (!error && connect(fd, (struct sockaddr *)&address, sizeof address))
		error = errno;
	if (place >= 0)
		close(place);
	if (error && fd >= 0)
		close(fd);
	errno = error;
	return error ? -1 : fd;
}

static enum contact_state state_of(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return CONTACT_DEAD;
	case EAGAIN:
		return CONTACT_SILENT;
	case EACCES:
	case EPERM:
		return CONTACT_REFUSED;
	default:
		return CONTACT_NONE;
	}
}

/* A link could lead to another drive's socket: the one at the other end must be who has mounted this. */
static bool identify(int fd, uid_t user, struct contact *contact)
{
	struct ucred who;
	socklen_t size = sizeof who;
	struct pollfd end = {.fd = fd};

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) || who.uid != user)
		return false;
	if (who.pid > 0)
		contact->process = pidfd_open(who.pid, 0);
	/* It lives still, so the descriptor is of that very process. */
	if (contact->process >= 0 && poll(&end, 1, 0) == 0)
		contact->pid = who.pid;
	else if (contact->process >= 0)
		contact_free(contact);
	return true;
}

/* Each folder may hold a leftover of another drive that had this number, so all are looked into. */
static int open_contact(const struct mount *mount, struct contact *contact)
{
	uid_t user = mount_user(mount);
	char folder[PATH_MAX];

	*contact = (struct contact){.state = CONTACT_NONE, .process = -1};
	for (int i = 0; state_folder(i, user, folder); i++) {
		int fd = connect_in(folder, mount->device);

		if (fd >= 0 && identify(fd, user, contact))
			return fd;
		if (fd >= 0)
			close(fd);
		else if (contact->state == CONTACT_NONE)
			contact->state = state_of(errno);
	}
	return -1;
}

/* Adds what has come: 1, 0 at the end, -1 where nothing is to be made of it. */
static int take_more(int fd, char **text, size_t *used)
{
	char *larger = *used < LONGEST ? realloc(*text, *used + 65536) : NULL;
	ssize_t got;

	if (!larger)
		return -1;
	*text = larger;
	got = recv(fd, larger + *used, 65535, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	if (got < 0)
		got = 0;
	*used += (size_t)got;
	larger[*used] = '\0';
	return got > 0;
}

/* Once the answer has begun, the rest of it has the same time: a drop now and then is no answer. */
static char *receive(int fd, int patience, bool (*waiting)(void *, const struct contact *), void *arg,
		     const struct contact *contact)
{
	struct pollfd more = {.fd = fd, .events = POLLIN};
	int64_t end = clock_now() + patience;
	char *text = NULL;
	size_t used = 0;
	int state = 1;

	while (state > 0) {
		int count = poll(&more, 1, clock_left(end));

		if (count > 0) {
			end = used ? end : clock_now() + patience;
			state = take_more(fd, &text, &used);
		} else if (count == 0 && !used && waiting && waiting(arg, contact)) {
			end = clock_now() + patience;
		} else if (count == 0) {
			state = -1;
		}
	}
	if (state == 0 && text && strlen(text) == used && json_check(text))
		return text;
	free(text);
	return NULL;
}

struct contact contact_ask(const struct mount *mount, const char *request, int patience,
			   bool (*waiting)(void *arg, const struct contact *contact), void *arg)
{
	struct contact contact;
	int fd = open_contact(mount, &contact);

	if (fd < 0)
		return contact;
	contact.state = CONTACT_SILENT;
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request))
		contact.answer = receive(fd, patience, waiting, arg, &contact);
	if (contact.answer)
		contact.state = CONTACT_ANSWERED;
	close(fd);
	return contact;
}

void contact_free(struct contact *contact)
{
	if (contact->process >= 0)
		close(contact->process);
	free(contact->answer);
	contact->process = -1;
	contact->answer = NULL;
}

int contact_watch(const struct mount *mount, pid_t *pid)
{
	struct contact contact;
	struct state state;
	int fd = open_contact(mount, &contact);

	if (fd >= 0)
		close(fd);
	if (contact.process < 0 && !state_read(mount->device, mount_user(mount), &state)) {
		contact.process = state_watch(&state);
		contact.pid = state.pid;
	}
	if (pid)
		*pid = contact.process < 0 ? 0 : contact.pid;
	return contact.process;
}
