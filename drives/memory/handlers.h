/*
 * The handlers, in five files: what a file holds and is (files.c), space it has before it is written to
 * (space.c), what it is called (names.c, links.c), and reading directories (listing.c). memory.c puts them into the drive's table.
 */
#ifndef MEMORY_HANDLERS_H
#define MEMORY_HANDLERS_H

#include "tree.h"

static inline struct tree *tree_of(tenon_volume *volume)
{
	return tenon_get_app_data(volume);
}

void memory_open_file(tenon_volume *volume, tenon_open_file_event *event);
void memory_close_file(tenon_volume *volume, tenon_close_file_event *event);
void memory_read_file(tenon_volume *volume, tenon_read_file_event *event);
void memory_write_file(tenon_volume *volume, tenon_write_file_event *event);
void memory_set_file_size(tenon_volume *volume, tenon_set_file_size_event *event);
void memory_get_file_info(tenon_volume *volume, tenon_get_file_info_event *event);
void memory_set_file_attributes(tenon_volume *volume, tenon_set_file_attributes_event *event);
void memory_set_reparse_point(tenon_volume *volume, tenon_set_reparse_point_event *event);
void memory_get_reparse_point(tenon_volume *volume, tenon_get_reparse_point_event *event);

void memory_set_allocation_size(tenon_volume *volume, tenon_set_allocation_size_event *event);
void memory_zeroize_file_range(tenon_volume *volume, tenon_zeroize_file_range_event *event);

void memory_create_file(tenon_volume *volume, tenon_create_file_event *event);
void memory_create_hard_link(tenon_volume *volume, tenon_create_hard_link_event *event);
void memory_delete_file(tenon_volume *volume, tenon_delete_file_event *event);
void memory_rename_or_move_file(tenon_volume *volume, tenon_rename_or_move_file_event *event);
void memory_get_file_name_by_file_id(tenon_volume *volume, tenon_get_file_name_by_file_id_event *event);

void memory_enumerate_hard_links(tenon_volume *volume, tenon_enumerate_hard_links_event *event);
void memory_close_hard_links_enumeration(tenon_volume *volume, tenon_close_hard_links_enumeration_event *event);

void memory_enumerate_directory(tenon_volume *volume, tenon_enumerate_directory_event *event);
void memory_close_directory_enumeration(tenon_volume *volume, tenon_close_directory_enumeration_event *event);
void memory_is_directory_empty(tenon_volume *volume, tenon_is_directory_empty_event *event);

#endif
