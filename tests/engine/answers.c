/*
 * What the originator and handle creator methods answer, all four at once, to be looked at after the event.
 *
 * Members begin with values that no answer has, so that a method that leaves its answer alone is found out.
 */
#include "answers.h"

#include <string.h>

static void keep_token(struct answers *answers, tenon_token *token)
{
	if (!token)
		return;
	answers->uid = token->uid;
	answers->gid = token->gid;
	answers->group_count = token->group_count;
	for (uint32_t i = 0; i < token->group_count && i < 64; i++)
		answers->groups[i] = token->groups[i];
	tenon_token_free(token);
}

struct answers ask_originator(tenon_volume *volume)
{
	struct answers answers = {.name = "untouched", .process = 77, .thread = 77};
	tenon_token *token;

	answers.process_error = tenon_get_originator_process_id(volume, &answers.process);
	answers.name_error = tenon_get_originator_process_name(volume, answers.name, sizeof answers.name);
	answers.thread_error = tenon_get_originator_thread_id(volume, &answers.thread);
	answers.token_error = tenon_get_originator_token(volume, &token);
	keep_token(&answers, token);
	return answers;
}

struct answers ask_creator(tenon_volume *volume, uint64_t handle_info)
{
	struct answers answers = {.name = "untouched", .process = 77, .thread = 77};
	tenon_token *token;

	answers.process_error = tenon_get_handle_creator_process_id(volume, handle_info, &answers.process);
	answers.name_error = tenon_get_handle_creator_process_name(volume, handle_info, answers.name, sizeof answers.name);
	answers.thread_error = tenon_get_handle_creator_thread_id(volume, handle_info, &answers.thread);
	answers.token_error = tenon_get_handle_creator_token(volume, handle_info, &token);
	keep_token(&answers, token);
	return answers;
}

uint64_t info_of(const char *name, const void *event)
{
#define INFO(event_name)                                                                                                         \
	if (strcmp(name, #event_name) == 0)                                                                                      \
	return ((const tenon_##event_name##_event *)event)->handle_info
	INFO(create_file);
	INFO(open_file);
	INFO(cleanup_file);
	INFO(close_file);
	INFO(read_file);
	INFO(write_file);
	INFO(enumerate_directory);
	INFO(set_file_size);
	INFO(set_file_attributes);
	INFO(create_hard_link);
	INFO(enumerate_hard_links);
	INFO(close_hard_links_enumeration);
	INFO(can_file_be_deleted);
	INFO(set_reparse_point);
	INFO(get_reparse_point);
	INFO(set_allocation_size);
	INFO(zeroize_file_range);
#undef INFO
	return 0;
}
