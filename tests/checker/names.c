/*
 * The model of names: what may be seen of a tree while calls change it.
 *
 * It is as loose as Linux is on its own file systems. A path is walked name by name, each look-up at a moment of its own. A link
 * count, or that a directory is dead, may be seen before or after the name goes or comes. All else of a call is one moment.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "history.h"
#include "search.h"

enum { ROWS = 64, OBJECTS = 256, LIMIT = 3000000 };

struct object {
	uint32_t tag;
	enum type type;
	uint8_t row; /* of a directory */
	uint8_t target;
	uint64_t ino;
};

enum { DEAD = 1, LINKABLE = 2 };
enum phase { WALK_FROM, SOURCE, WALK_TO, ACT, FOLLOW, REST, SAMPLE };
enum { REST_COUNT = 1, REST_NAME };

struct progress {
	uint8_t phase, rest;
	uint8_t link;		/* the symlink that is being followed */
	uint8_t from, to;	/* rows */
	uint8_t source, target; /* objects */
};

/* Zeros wherever nothing is said, since it is compared and hashed as bytes. Objects are numbered from 1. */
struct state {
	uint8_t slot[ROWS][NAMES];
	uint8_t links[OBJECTS];
	uint8_t flags[OBJECTS];
	struct progress progress[WINDOW_CALLS];
};

struct problem {
	const struct call *call[WINDOW_CALLS];
	size_t count;
	struct object object[OBJECTS];
	unsigned objects, rows;
	uint8_t made[WINDOW_CALLS]; /* the object that a call makes */
	uint8_t row_owner[ROWS];
	struct state last;
	bool in_last[OBJECTS];
	FILE *out;
};

static uint8_t object_of(const struct problem *problem, uint32_t tag)
{
	for (unsigned i = 1; i <= problem->objects; i++) {
		if (problem->object[i].tag == tag)
			return (uint8_t)i;
	}
	return 0;
}

static uint8_t new_object(struct problem *problem, uint32_t tag, enum type type, uint8_t target)
{
	struct object *object;

	if (problem->objects + 1 >= OBJECTS || (type == TYPE_DIRECTORY && problem->rows >= ROWS)) {
		fprintf(stderr, "checker: the tree has outgrown the model\n");
		abort();
	}
	object = &problem->object[++problem->objects];
	*object = (struct object){.tag = tag, .type = type, .target = target};
	if (type == TYPE_DIRECTORY) {
		object->row = (uint8_t)problem->rows++;
		problem->row_owner[object->row] = (uint8_t)problem->objects;
	}
	return (uint8_t)problem->objects;
}

/* ------------------------------------------------------------------------------------------- one call */

/* A call and where it is being looked at. */
struct turn {
	const struct problem *problem;
	const struct call *call;
	struct state *state;
	struct progress *progress;
	uint8_t made;
	unsigned choice;
};

static const struct object *look(const struct turn *turn, uint8_t object)
{
	return &turn->problem->object[object];
}

static enum outcome report(const struct turn *turn, int error)
{
	return turn->call->error == error ? FINISHED : REFUSED;
}

static bool is_dead(const struct turn *turn, uint8_t row)
{
	return turn->state->flags[turn->problem->row_owner[row]] & DEAD;
}

static bool is_empty(const struct turn *turn, uint8_t directory)
{
	static const uint8_t nothing[NAMES];

	return memcmp(turn->state->slot[look(turn, directory)->row], nothing, NAMES) == 0;
}

/* Is the row that of a directory, or of one below it? */
static bool lies_in(const struct turn *turn, uint8_t row, uint8_t directory)
{
	const struct problem *problem = turn->problem;
	uint8_t child = problem->row_owner[row];

	for (unsigned depth = 0; child && depth < ROWS; depth++) {
		const uint8_t *found;

		if (child == directory)
			return true;
		found = memchr(turn->state->slot, child, sizeof turn->state->slot);
		child = found ? problem->row_owner[(size_t)(found - turn->state->slot[0]) / NAMES] : 0;
	}
	return false;
}

enum walked { ARRIVED, WALKING, LOST };

static enum walked walk(const struct turn *turn, const struct place *place, uint8_t *row, int *error)
{
	struct progress *progress = turn->progress;
	uint8_t found;

	*row = place->base;
	if (place->via == NO_NAME)
		return ARRIVED;
	found = turn->state->slot[place->base][progress->link ? look(turn, progress->link)->target : place->via];
	*error = found ? ENOTDIR : ENOENT;
	if (found && look(turn, found)->type == TYPE_SYMLINK && !progress->link) {
		progress->link = found;
		return WALKING;
	}
	progress->link = 0;
	if (!found || look(turn, found)->type != TYPE_DIRECTORY)
		return LOST;
	*row = look(turn, found)->row;
	return ARRIVED;
}

/* After a step that has nothing more to decide. Only the first choice of such a step counts. */
static enum outcome go_on(const struct turn *turn, enum phase phase)
{
	if (turn->choice)
		return REFUSED;
	turn->progress->phase = (uint8_t)phase;
	return STEPPED;
}

static uint8_t *from_slot(const struct turn *turn)
{
	return &turn->state->slot[turn->progress->from][turn->call->from.name];
}

static uint8_t *to_slot(const struct turn *turn)
{
	return &turn->state->slot[turn->progress->to][turn->call->to.name];
}

/* The change of a count and of names, in both orders: the first of them is taken, the other is left for later. */
static enum outcome split(const struct turn *turn, void (*names)(const struct turn *), void (*counts)(const struct turn *))
{
	if (turn->call->error)
		return REFUSED;
	turn->progress->phase = REST;
	if (turn->choice) {
		counts(turn);
		turn->progress->rest = REST_NAME;
	} else {
		names(turn);
		turn->progress->rest = REST_COUNT;
	}
	return STEPPED;
}

static enum outcome make(const struct turn *turn)
{
	uint8_t *slot = from_slot(turn);

	if (is_dead(turn, turn->progress->from))
		return report(turn, ENOENT);
	if (*slot)
		return report(turn, EEXIST);
	if (turn->call->error)
		return REFUSED;
	*slot = turn->made;
	turn->state->links[turn->made] = 1;
	return FINISHED;
}

static enum outcome open_any(const struct turn *turn, uint8_t *slot)
{
	const struct call *call = turn->call;

	if (!*slot && !(call->flags & O_CREAT))
		return report(turn, ENOENT);
	if (!*slot) {
		if (is_dead(turn, turn->progress->from))
			return report(turn, ENOENT);
		if (call->error || call->seen != call->tag)
			return REFUSED;
		*slot = turn->made;
		turn->state->links[turn->made] = 1;
		return FINISHED;
	}
	switch (look(turn, *slot)->type) {
	case TYPE_DIRECTORY:
		return report(turn, EISDIR);
	case TYPE_SYMLINK:
		if (call->flags & O_NOFOLLOW)
			return report(turn, ELOOP);
		turn->progress->link = *slot;
		return go_on(turn, FOLLOW);
	default:
		return !call->error && call->seen == look(turn, *slot)->tag ? FINISHED : REFUSED;
	}
}

static void unlink_name(const struct turn *turn)
{
	*from_slot(turn) = 0;
}

static void drop_source(const struct turn *turn)
{
	turn->state->links[turn->progress->source]--;
}

static void kill_source(const struct turn *turn)
{
	turn->state->flags[turn->progress->source] |= DEAD;
}

static enum outcome unlink_any(const struct turn *turn)
{
	uint8_t found = *from_slot(turn);

	if (!found)
		return report(turn, ENOENT);
	if (look(turn, found)->type == TYPE_DIRECTORY)
		return report(turn, EISDIR);
	turn->progress->source = found;
	return split(turn, unlink_name, drop_source);
}

static enum outcome rmdir_any(const struct turn *turn)
{
	uint8_t found = *from_slot(turn);

	if (!found)
		return report(turn, ENOENT);
	if (look(turn, found)->type != TYPE_DIRECTORY)
		return report(turn, ENOTDIR);
	if (!is_empty(turn, found))
		return report(turn, ENOTEMPTY);
	turn->progress->source = found;
	return split(turn, unlink_name, kill_source);
}

static void link_name(const struct turn *turn)
{
	*to_slot(turn) = turn->progress->source;
}

static void count_link(const struct turn *turn)
{
	turn->state->links[turn->progress->source]++;
	turn->state->flags[turn->progress->source] &= (uint8_t)~LINKABLE;
}

static enum outcome link_source(const struct turn *turn)
{
	uint8_t found = *from_slot(turn);

	if (!found)
		return report(turn, ENOENT);
	turn->progress->source = found;
	return go_on(turn, WALK_TO);
}

static enum outcome link_any(const struct turn *turn)
{
	uint8_t source = turn->progress->source;

	if (is_dead(turn, turn->progress->to))
		return report(turn, ENOENT);
	if (*to_slot(turn))
		return report(turn, EEXIST);
	if (look(turn, source)->type == TYPE_DIRECTORY)
		return report(turn, EPERM);
	if (!turn->state->links[source] && !(turn->state->flags[source] & LINKABLE))
		return report(turn, ENOENT);
	return split(turn, link_name, count_link);
}

static void move_name(const struct turn *turn)
{
	*from_slot(turn) = 0;
	*to_slot(turn) = turn->progress->source;
}

static void drop_target(const struct turn *turn)
{
	uint8_t target = turn->progress->target;

	if (look(turn, target)->type == TYPE_DIRECTORY)
		turn->state->flags[target] |= DEAD;
	else
		turn->state->links[target]--;
}

static enum outcome exchange(const struct turn *turn, uint8_t source, uint8_t target)
{
	if (turn->call->error)
		return REFUSED;
	*from_slot(turn) = target;
	*to_slot(turn) = source;
	return FINISHED;
}

/* What a rename answers before it looks at the kinds of files. */
static int refuse_rename(const struct turn *turn, uint8_t source, uint8_t target)
{
	int flags = turn->call->flags;

	if (!source)
		return ENOENT;
	if (target && (flags & RENAME_NOREPLACE))
		return EEXIST;
	if (!target && ((flags & RENAME_EXCHANGE) || is_dead(turn, turn->progress->to)))
		return ENOENT;
	if (look(turn, source)->type == TYPE_DIRECTORY && lies_in(turn, turn->progress->to, source))
		return EINVAL;
	if (target && look(turn, target)->type == TYPE_DIRECTORY && lies_in(turn, turn->progress->from, target))
		return flags & RENAME_EXCHANGE ? EINVAL : ENOTEMPTY;
	return 0;
}

static enum outcome rename_any(const struct turn *turn)
{
	uint8_t source = *from_slot(turn);
	uint8_t target = *to_slot(turn);
	int error = refuse_rename(turn, source, target);

	if (error)
		return report(turn, error);
	if (source == target)
		return report(turn, 0);
	if (turn->call->flags & RENAME_EXCHANGE)
		return exchange(turn, source, target);
	turn->progress->source = source;
	turn->progress->target = target;
	if (target) {
		bool directory = look(turn, source)->type == TYPE_DIRECTORY;

		if (directory != (look(turn, target)->type == TYPE_DIRECTORY))
			return report(turn, directory ? ENOTDIR : EISDIR);
		if (directory && !is_empty(turn, target))
			return report(turn, ENOTEMPTY);
		return split(turn, move_name, drop_target);
	}
	if (turn->call->error)
		return REFUSED;
	move_name(turn);
	return FINISHED;
}

static enum outcome stat_any(const struct turn *turn)
{
	const struct call *call = turn->call;
	uint8_t found = *from_slot(turn);
	static const uint32_t modes[] = {[TYPE_FILE] = S_IFREG, [TYPE_DIRECTORY] = S_IFDIR, [TYPE_SYMLINK] = S_IFLNK};

	if (!found)
		return report(turn, ENOENT);
	if (call->error || call->seen != look(turn, found)->tag || (call->mode & S_IFMT) != modes[look(turn, found)->type])
		return REFUSED;
	if (look(turn, found)->type == TYPE_DIRECTORY)
		return FINISHED;
	turn->progress->source = found;
	return go_on(turn, SAMPLE);
}

static enum outcome readlink_any(const struct turn *turn)
{
	uint8_t found = *from_slot(turn);

	if (!found)
		return report(turn, ENOENT);
	if (look(turn, found)->type != TYPE_SYMLINK)
		return report(turn, EINVAL);
	return !turn->call->error && turn->call->target == look(turn, found)->target ? FINISHED : REFUSED;
}

/*
 * A name that nobody touched meanwhile is given once if it is there and never if it is not. Of others nothing is demanded, as in
 * POSIX.
 */
static enum outcome list(const struct turn *turn)
{
	static const uint8_t types[] = {[TYPE_FILE] = DT_REG, [TYPE_DIRECTORY] = DT_DIR, [TYPE_SYMLINK] = DT_LNK};
	const struct listing *listing = &turn->call->listing;
	const uint8_t *slots = turn->state->slot[turn->progress->from];
	uint8_t owner = turn->problem->row_owner[turn->progress->from];

	if (turn->call->seen && turn->call->seen != look(turn, owner)->tag)
		return REFUSED;
	if (turn->call->error)
		return turn->call->error == ENOENT && (turn->state->flags[owner] & DEAD) ? FINISHED : REFUSED;
	for (unsigned name = 0; name < NAMES; name++) {
		bool given = listing->present >> name & 1;
		uint64_t ino;

		if (listing->touched >> name & 1)
			continue;
		if (given != (slots[name] != 0) || (listing->twice >> name & 1))
			return REFUSED;
		ino = look(turn, slots[name])->ino;
		if (given && ((ino && ino != listing->ino[name]) || listing->type[name] != types[look(turn, slots[name])->type]))
			return REFUSED;
	}
	return FINISHED;
}

static enum outcome act(const struct turn *turn)
{
	switch (turn->call->kind) {
	case CALL_CREATE:
	case CALL_MKNOD:
	case CALL_MKDIR:
	case CALL_SYMLINK:
		return make(turn);
	case CALL_OPEN:
		return open_any(turn, from_slot(turn));
	case CALL_LINK:
	case CALL_LINK_OPEN:
	case CALL_MAKE_MAPPED:
		return link_any(turn);
	case CALL_UNLINK:
		return unlink_any(turn);
	case CALL_RMDIR:
		return rmdir_any(turn);
	case CALL_RENAME:
		return rename_any(turn);
	case CALL_STAT:
		return stat_any(turn);
	case CALL_READLINK:
		return readlink_any(turn);
	case CALL_LIST:
		return list(turn);
	default:
		abort();
	}
}

static enum outcome rest(const struct turn *turn)
{
	const struct progress *progress = turn->progress;
	enum kind kind = turn->call->kind;
	bool names = progress->rest == REST_NAME;

	switch (kind) {
	case CALL_UNLINK:
	case CALL_RMDIR:
		if (names && *from_slot(turn) != progress->source)
			return REFUSED;
		(names ? unlink_name : kind == CALL_RMDIR ? kill_source : drop_source)(turn);
		return FINISHED;
	case CALL_RENAME:
		if (names && (*from_slot(turn) != progress->source || *to_slot(turn) != progress->target))
			return REFUSED;
		(names ? move_name : drop_target)(turn);
		return FINISHED;
	default:
		if (names && *to_slot(turn))
			return REFUSED;
		(names ? link_name : count_link)(turn);
		return FINISHED;
	}
}

static enum outcome follow(const struct turn *turn)
{
	uint8_t *slot = &turn->state->slot[turn->progress->from][look(turn, turn->progress->link)->target];

	return open_any(turn, slot);
}

static enum outcome walk_step(const struct turn *turn, const struct place *place, uint8_t *row, enum phase next)
{
	int error = 0;

	switch (walk(turn, place, row, &error)) {
	case ARRIVED:
		return go_on(turn, next);
	case WALKING:
		return go_on(turn, (enum phase)turn->progress->phase);
	default:
		return report(turn, error);
	}
}

static enum phase after_from(enum kind kind)
{
	return kind == CALL_LINK ? SOURCE : kind == CALL_RENAME ? WALK_TO : ACT;
}

static enum outcome one_step(struct turn *turn)
{
	struct progress *progress = turn->progress;
	const struct call *call = turn->call;

	switch ((enum phase)progress->phase) {
	case WALK_FROM:
		return walk_step(turn, &call->from, &progress->from, after_from(call->kind));
	case SOURCE:
		return link_source(turn);
	case WALK_TO:
		return walk_step(turn, &call->to, &progress->to, ACT);
	case ACT:
		return act(turn);
	case FOLLOW:
		return follow(turn);
	case REST:
		return rest(turn);
	default:
		return turn->state->links[progress->source] == call->nlink ? FINISHED : REFUSED;
	}
}

/* Places without a directory in between need no walk. */
static bool is_free(const struct turn *turn)
{
	const struct call *call = turn->call;

	return (turn->progress->phase == WALK_FROM && call->from.via == NO_NAME) ||
	       (turn->progress->phase == WALK_TO && call->to.via == NO_NAME);
}

static bool may_choose(const struct turn *turn)
{
	static const bool splits[CALL_KINDS] = {
		[CALL_UNLINK] = true, [CALL_RMDIR] = true,     [CALL_RENAME] = true,
		[CALL_LINK] = true,   [CALL_LINK_OPEN] = true, [CALL_MAKE_MAPPED] = true,
	};

	return turn->progress->phase == ACT && splits[turn->call->kind];
}

static enum outcome step(const void *of, void *at, size_t number, unsigned choice)
{
	const struct problem *problem = of;
	struct state *state = at;
	struct turn turn = {
		.problem = problem,
		.call = problem->call[number],
		.state = state,
		.progress = &state->progress[number],
		.made = problem->made[number],
	};
	enum outcome outcome;

	while (is_free(&turn))
		one_step(&turn);
	if (choice && !may_choose(&turn))
		return REFUSED;
	turn.choice = choice;
	outcome = one_step(&turn);
	if (outcome == FINISHED) {
		if (choice)
			return REFUSED;
		memset(turn.progress, 0, sizeof *turn.progress);
	}
	return outcome;
}

static bool accept(const void *of, const void *at)
{
	const struct problem *problem = of;
	const struct state *state = at;

	if (memcmp(state->slot, problem->last.slot, sizeof state->slot) != 0)
		return false;
	for (unsigned i = 1; i <= problem->objects; i++) {
		if (problem->in_last[i] && problem->object[i].type != TYPE_DIRECTORY && state->links[i] != problem->last.links[i])
			return false;
	}
	return true;
}

/* ---------------------------------------------------------------------------------------- the problem */

static bool fill_slots(const struct problem *problem, const struct tree *tree, struct state *state)
{
	for (size_t i = 0; i < tree->count; i++) {
		const struct file *file = &tree->file[i];
		uint8_t object = object_of(problem, file->tag);

		if (!object || problem->object[object].type != file->type) {
			fprintf(problem->out, "checker: there is a file #%u that nobody has made, or not so\n", file->tag);
			return false;
		}
		state->links[object] = (uint8_t)file->nlink;
		if (file->linkable)
			state->flags[object] = LINKABLE;
		for (unsigned name = 0; file->type == TYPE_DIRECTORY && name < NAMES; name++)
			state->slot[problem->object[object].row][name] = object_of(problem, file->names[name]);
	}
	return true;
}

static enum type made_by(enum kind kind)
{
	return kind == CALL_MKDIR ? TYPE_DIRECTORY : kind == CALL_SYMLINK ? TYPE_SYMLINK : TYPE_FILE;
}

static bool makes(const struct call *call)
{
	bool always = call->kind == CALL_CREATE || call->kind == CALL_MKNOD || call->kind == CALL_MKDIR ||
		      call->kind == CALL_SYMLINK || call->kind == CALL_TMPFILE || call->kind == CALL_MAKE_MAPPED;

	return !call->error && (always || (call->kind == CALL_OPEN && call->seen == call->tag));
}

static uint64_t ino_of(const struct tree *before, const struct tree *after, uint32_t tag)
{
	const struct file *file = tree_get(after, tag);

	if (!file)
		file = tree_get(before, tag);
	return file ? file->ino : 0;
}

static void add_calls(struct problem *problem, struct search *search, const struct window *window, struct state *first)
{
	for (size_t i = 0; i < window->calls; i++) {
		const struct call *call = &window->call[i];
		bool has_search = (call->kind > CALL_NOTHING && call->kind <= CALL_FSTAT && call->kind != CALL_TMPFILE);
		bool made_file = makes(call);
		uint8_t made = 0;

		if (made_file || call->kind == CALL_MAKE_MAPPED)
			made = new_object(problem, call->tag, made_by(call->kind), call->target);
		if (made && (call->kind == CALL_TMPFILE || call->kind == CALL_MAKE_MAPPED))
			first->flags[made] = LINKABLE;
		if (!has_search)
			continue;
		problem->call[problem->count] = call;
		problem->made[problem->count] = made;
		search->begin[problem->count] = call->begin;
		search->end[problem->count] = call->end;
		problem->count++;
	}
}

/* Where calls begin that do not begin with a path. After all objects are known. */
static void set_beginnings(const struct problem *problem, struct state *first)
{
	for (size_t i = 0; i < problem->count; i++) {
		const struct call *call = problem->call[i];
		struct progress *progress = &first->progress[i];

		if (call->kind == CALL_LINK_OPEN || call->kind == CALL_MAKE_MAPPED) {
			progress->phase = WALK_TO;
			progress->source = call->kind == CALL_MAKE_MAPPED ? problem->made[i] : object_of(problem, call->open);
		} else if (call->kind == CALL_FSTAT) {
			progress->phase = SAMPLE;
			progress->source = object_of(problem, call->open);
		}
	}
}

static void print_problem(const struct problem *problem, const struct search *search, enum verdict verdict,
			  const struct tree *before, const struct tree *after)
{
	fprintf(problem->out, "checker: %s (%llu configurations). Before:\n",
		verdict == GIVEN_UP ? "found no order of these calls, and gave up"
				    : "no order of these calls explains what was seen",
		(unsigned long long)search->visited);
	print_tree(problem->out, before);
	fprintf(problem->out, "calls (* where the longest order found no place):\n");
	for (size_t i = 0; i < problem->count; i++) {
		fputs(search->placed[i] ? "  " : "* ", problem->out);
		print_call(problem->out, problem->call[i]);
	}
	fprintf(problem->out, "after:\n");
	print_tree(problem->out, after);
}

bool names_explain(const struct tree *before, const struct window *window, const struct tree *after, FILE *out)
{
	struct problem *problem = calloc(1, sizeof *problem);
	struct search *search = calloc(1, sizeof *search);
	struct state *state = calloc(1, sizeof *state);
	enum verdict verdict = UNEXPLAINED;
	bool possible;

	if (!problem || !search || !state)
		abort();
	problem->out = out;
	for (size_t i = 0; i < before->count; i++)
		new_object(problem, before->file[i].tag, before->file[i].type, before->file[i].target);
	add_calls(problem, search, window, state);
	for (unsigned i = 1; i <= problem->objects; i++)
		problem->object[i].ino = ino_of(before, after, problem->object[i].tag);
	possible = fill_slots(problem, before, state) && fill_slots(problem, after, &problem->last);
	for (size_t i = 0; i < after->count; i++)
		problem->in_last[object_of(problem, after->file[i].tag)] = true;
	set_beginnings(problem, state);
	search->count = problem->count;
	search->state_size = offsetof(struct state, progress) + problem->count * sizeof(struct progress);
	search->step = step;
	search->accept = accept;
	search->problem = problem;
	search->limit = LIMIT;
	if (possible)
		verdict = search_run(search, state);
	if (verdict != EXPLAINED)
		print_problem(problem, search, verdict, before, after);
	free(problem);
	free(search);
	free(state);
	return verdict == EXPLAINED;
}
