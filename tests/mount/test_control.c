/*
 * The control socket of a volume whose handlers hang: it answers, and a forced unmount ends it all the same.
 *
 * Needs root and /dev/fuse, else it is skipped (77), which is a failure where TENON_REQUIRE says that they are there.
 */
#include <drive.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define GUID "{11111111-2222-3333-4444-555555555555}"

/* Handlers get no data of ours beside the drive's: one test at a time. */
static sem_t entered, leave;

static void hanging_write(tenon_volume *volume, tenon_write_file_event *event)
{
	sem_post(&entered);
	sem_wait(&leave);
	sem_post(&leave);
	memory_drive.events->write_file(volume, event);
}

struct fixture {
	char place[100];
	char socket[64];
	tenon_volume *volume;
	void *storage;
};

static int set_up(void **state)
{
	struct fixture *fix = calloc(1, sizeof *fix);
	tenon_events events = *memory_drive.events;
	struct stat what;
	char why[256];

	events.write_file = hanging_write;
	sem_init(&entered, 0, 0);
	sem_init(&leave, 0, 0);
	snprintf(fix->place, sizeof fix->place, "%s/tenon-control-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(fix->place) || memory_drive.open("", false, &fix->storage, why, sizeof why) ||
	    tenon_volume_new(&fix->volume, &events, sizeof events, fix->storage) ||
	    memory_drive.configure(fix->volume, fix->storage) || tenon_initialize(fix->volume, GUID) ||
	    tenon_set_control_socket(fix->volume, true) || tenon_create_storage(fix->volume) ||
	    tenon_add_mounting_point(fix->volume, fix->place, 0, 0) || tenon_mount_media(fix->volume, 0) ||
	    stat(fix->place, &what))
		return -1;
	snprintf(fix->socket, sizeof fix->socket, "/run/tenon/%u:%u.socket", major(what.st_dev), minor(what.st_dev));
	*state = fix;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fix = *state;
	char why[256];

	sem_post(&leave);
	tenon_volume_free(fix->volume);
	memory_drive.close(fix->storage, why, sizeof why);
	umount2(fix->place, MNT_DETACH);
	rmdir(fix->place);
	free(fix);
	return 0;
}

/* The answer to one request: within seconds, or the test fails. */
static void ask(const struct fixture *fix, const char *request, int seconds, char *answer, size_t room)
{
	const struct timeval limit = {.tv_sec = seconds};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t used = 0;
	ssize_t got;

	strcpy(address.sun_path, fix->socket);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	assert_return_code(connect(fd, (struct sockaddr *)&address, sizeof address), errno);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	while (used < room - 1 && (got = recv(fd, answer + used, room - 1 - used, 0)) > 0)
		used += (size_t)got;
	answer[used] = 0;
	close(fd);
	assert_true(used > 2 && answer[used - 1] == '\n');
}

/* Writes into a file, which reaches the handler at the latest when it is closed; the errno value of that. */
static void *write_and_close(void *arg)
{
	const struct fixture *fix = arg;
	char path[128];
	int error = 0;
	int fd;

	snprintf(path, sizeof path, "%s/file", fix->place);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, "data", 4) != 4)
		error = errno;
	if (fd >= 0 && close(fd))
		error = errno;
	return (void *)(intptr_t)error;
}

static void a_hung_handler_does_not_keep_it_from_answering(void **state)
{
	struct fixture *fix = *state;
	char answer[16384];
	pthread_t writer;
	void *error;

	pthread_create(&writer, NULL, write_and_close, fix);
	sem_wait(&entered);
	ask(fix, "info\n", 10, answer, sizeof answer);
	assert_non_null(strstr(answer, "\"state\":\"mounted\""));
	assert_non_null(strstr(answer, "\"open_handles\":1"));
	ask(fix, "umount\n", 10, answer, sizeof answer);
	assert_non_null(strstr(answer, "\"error\":\"EBUSY\""));
	sem_post(&leave);
	pthread_join(writer, &error);
	assert_null(error);
}

static void a_hung_handler_is_cut_off(void **state)
{
	struct fixture *fix = *state;
	char answer[16384];
	pthread_t writer;
	void *error;

	if (!getenv("TENON_THOROUGH")) {
		print_message("skipped: takes the ten seconds that handlers get: TENON_THOROUGH=1\n");
		skip();
	}
	pthread_create(&writer, NULL, write_and_close, fix);
	sem_wait(&entered);
	ask(fix, "umount force\n", 60, answer, sizeof answer);
	assert_string_equal(answer, "{\"protocol\":1,\"ok\":true,\"written\":false}\n");
	pthread_join(writer, &error);
	assert_non_null(error);
	sem_post(&leave);
	assert_int_equal(tenon_wait_unmounted(fix->volume, 60000), 0);
}

static void it_cannot_be_switched_while_mounted(void **state)
{
	struct fixture *fix = *state;

	assert_true(tenon_get_control_socket(fix->volume));
	assert_int_equal(tenon_set_control_socket(fix->volume, false), EBUSY);
	assert_int_equal(access(fix->socket, F_OK), 0);
	assert_int_equal(tenon_unmount_media(fix->volume, false), 0);
	assert_int_equal(tenon_set_control_socket(fix->volume, false), 0);
}

static int skip_without(bool there, const char *what)
{
	const char *required = getenv("TENON_REQUIRE");

	if (there)
		return 0;
	printf("skipped: no %s\n", what);
	return required && strstr(required, what) ? 1 : 77;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_hung_handler_does_not_keep_it_from_answering),
		TEST(a_hung_handler_is_cut_off),
		TEST(it_cannot_be_switched_while_mounted),
	};
	int skipped = skip_without(geteuid() == 0, "root");

	if (!skipped)
		skipped = skip_without(access("/dev/fuse", R_OK | W_OK) == 0, "mount");
	return skipped ? skipped : cmocka_run_group_tests(tests, NULL, NULL);
}
