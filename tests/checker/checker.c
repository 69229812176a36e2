/*
 * Eight threads against a model: random calls on a small tree, and the question whether anything was seen that cannot be.
 *
 * The threads work in windows of a few calls each. After each window nobody is at work: the whole tree is read, and the model must
 * find an order of the window's calls that leads from the tree before to the tree after and explains every result on the way.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "broken.h"
#include "calls.h"
#include "plan.h"
#include "scan.h"

enum { THREADS_MAX = 8 };

struct options {
	uint64_t seed, steps;
	unsigned threads, calls; /* calls of each thread in a window */
	bool map;
	enum fault fault;
	const char *report, *directory;
	bool verify;
};

/* The inode number that each file was seen with. */
struct identities {
	uint64_t *ino; /* by tag */
	size_t room;
};

struct run {
	const struct options *options;
	struct world world;
	struct worker workers[THREADS_MAX];
	pthread_barrier_t start, stop;
	uint64_t step; /* the first of the window; between windows the coordinator changes it */
	bool over;
	struct tree before, after;
	struct window window;
	struct identities identities;
};

struct thread_start {
	struct run *run;
	unsigned thread;
};

static void *work(void *argument)
{
	struct thread_start *start = argument;
	struct run *run = start->run;
	struct worker *worker = &run->workers[start->thread];
	const struct options *options = run->options;

	for (;;) {
		pthread_barrier_wait(&run->start);
		if (run->over)
			return NULL;
		worker->calls = worker->touches = 0;
		for (unsigned i = 0; i < options->calls; i++)
			perform(worker, plan_call(options->seed, worker->thread, options->threads, run->step + i));
		pthread_barrier_wait(&run->stop);
	}
}

/* --------------------------------------------------------------------------------------- one window */

static void gather(struct run *run)
{
	run->window.calls = run->window.touches = 0;
	for (unsigned i = 0; i < run->options->threads; i++) {
		const struct worker *worker = &run->workers[i];

		memcpy(run->window.call + run->window.calls, worker->call, worker->calls * sizeof *worker->call);
		run->window.calls += worker->calls;
		memcpy(run->window.touch + run->window.touches, worker->touch, worker->touches * sizeof *worker->touch);
		run->window.touches += worker->touches;
	}
}

static uint16_t changed_names(const struct call *call)
{
	unsigned from = 1u << (call->from.name % 16), to = 1u << (call->to.name % 16);

	if (call->error)
		return 0;
	switch (call->kind) {
	case CALL_CREATE:
	case CALL_MKNOD:
	case CALL_MKDIR:
	case CALL_SYMLINK:
	case CALL_UNLINK:
	case CALL_RMDIR:
		return (uint16_t)from;
	case CALL_OPEN:
		/* Through a symlink it may have made any u name. */
		return call->seen == call->tag ? (uint16_t)(from | ((1u << U_NAMES) - 1) << FIRST_U) : 0;
	case CALL_LINK:
	case CALL_LINK_OPEN:
	case CALL_MAKE_MAPPED:
		return (uint16_t)to;
	case CALL_RENAME:
		return (uint16_t)(from | to);
	default:
		return 0;
	}
}

static void mark_touched(struct window *window)
{
	for (size_t i = 0; i < window->calls; i++) {
		struct call *list = &window->call[i];

		for (size_t j = 0; list->kind == CALL_LIST && j < window->calls; j++) {
			const struct call *other = &window->call[j];

			if (other->begin < list->end && other->end > list->begin)
				list->listing.touched |= changed_names(other);
		}
	}
}

static void check_identity(struct run *run, uint32_t tag, uint64_t ino)
{
	struct identities *known = &run->identities;

	if (tag >= known->room) {
		size_t room = tag + 4096;

		known->ino = realloc(known->ino, room * sizeof *known->ino);
		if (!known->ino)
			abort();
		memset(known->ino + known->room, 0, (room - known->room) * sizeof *known->ino);
		known->room = room;
	}
	if (known->ino[tag] && known->ino[tag] != ino)
		trouble(&run->world, "file #%u has had the inode numbers %" PRIx64 " and %" PRIx64, tag, known->ino[tag], ino);
	known->ino[tag] = ino;
}

static void check_identities(struct run *run)
{
	const struct tree *tree = &run->after;

	for (size_t i = 0; i < run->window.calls; i++) {
		if (run->window.call[i].seen && run->window.call[i].ino)
			check_identity(run, run->window.call[i].seen, run->window.call[i].ino);
	}
	for (size_t i = 0; i < tree->count; i++) {
		check_identity(run, tree->file[i].tag, tree->file[i].ino);
		for (size_t j = 0; j < i; j++) {
			if (tree->file[i].ino == tree->file[j].ino)
				trouble(&run->world, "files #%u and #%u have one inode number", tree->file[i].tag,
					tree->file[j].tag);
		}
	}
}

/* What O_TMPFILE has made can get a name until it had one. */
static void mark_linkable(struct run *run)
{
	for (size_t i = 0; i < run->after.count; i++) {
		struct file *file = &run->after.file[i];
		const struct file *earlier = tree_get(&run->before, file->tag);

		file->linkable = earlier && earlier->linkable;
		for (size_t j = 0; j < run->window.calls; j++) {
			if (run->window.call[j].kind == CALL_TMPFILE && run->window.call[j].tag == file->tag)
				file->linkable = true;
		}
		for (size_t j = 0; j < run->window.calls; j++) {
			const struct call *call = &run->window.call[j];

			if (call->kind == CALL_LINK_OPEN && call->open == file->tag && !call->error)
				file->linkable = false;
		}
	}
}

static bool check_window(struct run *run)
{
	struct world *world = &run->world;

	gather(run);
	mark_touched(&run->window);
	if (!scan_tree(world, run->workers, run->options->threads, &run->after))
		return false;
	check_identities(run);
	mark_linkable(run);
	if (!names_explain(&run->before, &run->window, &run->after, stderr) ||
	    !contents_explain(&run->before, &run->window, &run->after, stderr))
		return false;
	if (scan_prune(world, &run->after)) {
		run->before = run->after;
		if (!scan_tree(world, run->workers, run->options->threads, &run->after))
			return false;
		run->window.calls = 0;
		mark_linkable(run);
	}
	run->before = run->after;
	return !atomic_load(&world->in_trouble);
}

/* ------------------------------------------------------------------------------------------- all of it */

static bool make_bases(struct run *run)
{
	static const char *const bases[BASES] = {"a", "b"};

	for (unsigned i = 0; i < BASES; i++) {
		if (mkdirat(run->world.root, bases[i], 0777) || fchownat(run->world.root, bases[i], (uid_t)-1, i + 1, 0)) {
			fprintf(stderr, "checker: %s: %s; give an empty directory\n", bases[i], strerror(errno));
			return false;
		}
	}
	return true;
}

static bool write_report(struct run *run)
{
	FILE *out = fopen(run->options->report, "w");

	if (!out) {
		fprintf(stderr, "checker: %s: %s\n", run->options->report, strerror(errno));
		return false;
	}
	scan_write(&run->after, out);
	return fclose(out) == 0;
}

static bool run_windows(struct run *run)
{
	const struct options *options = run->options;
	uint64_t window = (uint64_t)options->threads * options->calls;
	bool sound = true;

	for (uint64_t done = 0; sound && done < options->steps; done += window) {
		pthread_barrier_wait(&run->start);
		pthread_barrier_wait(&run->stop);
		sound = check_window(run);
		run->step += options->calls;
	}
	return sound;
}

static bool run_threads(struct run *run)
{
	const struct options *options = run->options;
	struct thread_start starts[THREADS_MAX];
	pthread_t threads[THREADS_MAX];
	bool sound;

	pthread_barrier_init(&run->start, NULL, options->threads + 1);
	pthread_barrier_init(&run->stop, NULL, options->threads + 1);
	for (unsigned i = 0; i < options->threads; i++) {
		run->workers[i].world = &run->world;
		run->workers[i].thread = i;
		for (unsigned j = 0; j < SLOTS; j++)
			run->workers[i].slot[j].fd = -1;
		starts[i] = (struct thread_start){run, i};
		if (pthread_create(&threads[i], NULL, work, &starts[i]))
			abort();
	}
	sound = run_windows(run);
	run->over = true;
	pthread_barrier_wait(&run->start);
	for (unsigned i = 0; i < options->threads; i++) {
		pthread_join(threads[i], NULL);
		for (unsigned j = 0; j < SLOTS; j++)
			forget_slot(&run->workers[i].slot[j]);
	}
	pthread_barrier_destroy(&run->start);
	pthread_barrier_destroy(&run->stop);
	return sound;
}

/* Runs the case, or only looks at what an earlier run has left. */
static bool run_all(struct run *run)
{
	bool sound;

	if (run->options->verify)
		sound = scan_tree(&run->world, NULL, 0, &run->after);
	else
		sound = make_bases(run) && scan_tree(&run->world, NULL, 0, &run->before) && run_threads(run) &&
			scan_tree(&run->world, NULL, 0, &run->after);
	return sound && (!run->options->report || write_report(run));
}

static int usage(void)
{
	fprintf(stderr,
		"usage: checker [--seed N] [--steps N] [--threads 1..8] [--calls 1..24] [--no-map] [--fault NAME]\n"
		"               [--report FILE] [--verify] DIRECTORY\n"
		"Makes random calls in an empty directory, as root, and says whether a model of the tree can explain what was seen.\n"
		"--verify only reads what an earlier run has left, and writes the report.\n");
	return 2;
}

static bool parse(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{"seed", required_argument, NULL, 's'},
		{"steps", required_argument, NULL, 'n'},
		{"threads", required_argument, NULL, 't'},
		{"calls", required_argument, NULL, 'c'},
		{"no-map", no_argument, NULL, 'm'},
		{"fault", required_argument, NULL, 'f'},
		{"report", required_argument, NULL, 'r'},
		{"verify", no_argument, NULL, 'v'},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 's':
			options->seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			options->steps = strtoull(optarg, NULL, 0);
			break;
		case 't':
			options->threads = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'c':
			options->calls = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'm':
			options->map = false;
			break;
		case 'f':
			options->fault = broken_fault(optarg);
			break;
		case 'r':
			options->report = optarg;
			break;
		case 'v':
			options->verify = true;
			break;
		default:
			return false;
		}
	}
	options->directory = argv[optind];
	return optind == argc - 1 && options->threads >= 1 && options->threads <= THREADS_MAX && options->calls >= 1 &&
	       options->calls <= CALLS_MAX && options->fault != FAULTS;
}

int main(int argc, char **argv)
{
	struct options options = {.seed = (uint64_t)time(NULL), .steps = 10000, .threads = 8, .calls = 8, .map = true};
	struct run *run = calloc(1, sizeof *run);
	bool sound;

	if (!run || !parse(argc, argv, &options)) {
		free(run);
		return usage();
	}
	run->options = &options;
	run->world.map = options.map;
	run->world.fault = options.fault;
	run->world.root = open(options.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (run->world.root < 0) {
		fprintf(stderr, "checker: %s: %s\n", options.directory, strerror(errno));
		free(run);
		return 2;
	}
	umask(0);
	if (!options.verify)
		printf("checker: --seed %" PRIu64 " --steps %" PRIu64
		       " --threads %u --calls %u makes the same calls again; how they meet\n"
		       "is up to the machine\n",
		       options.seed, options.steps, options.threads, options.calls);
	fflush(stdout);
	sound = run_all(run);
	printf("checker: %s\n", sound ? "all is explained" : "FAILED");
	close(run->world.root);
	free(run->identities.ino);
	free(run);
	return !sound;
}
