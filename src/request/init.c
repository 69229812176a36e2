/*
 * INIT: what this volume and this kernel agree on.
 *
 * Derived from the properties and from which handlers there are; never more than the kernel offers.
 */
#include <errno.h>

#include "request/request.h"

#define MAX_WRITE (1u << 20)
#define MAX_PAGES 256

bool uses_write_back(const struct tenon_volume *volume)
{
	return volume->properties.file_cache != TENON_FILE_CACHE_NONE && !volume->properties.file_cache_policy_write_through;
}

static uint64_t wanted(const struct tenon_volume *volume)
{
	const struct properties *properties = &volume->properties;
	uint64_t flags = WIRE_ASYNC_READ | WIRE_BIG_WRITES | WIRE_ASYNC_DIO | WIRE_PARALLEL_DIROPS | WIRE_ABORT_ERROR |
			 WIRE_MAX_PAGES | WIRE_HANDLE_KILLPRIV_V2 | WIRE_INIT_EXT | WIRE_DIRECT_IO_ALLOW_MMAP |
			 WIRE_DO_READDIRPLUS | WIRE_READDIRPLUS_AUTO | WIRE_HAS_IOCTL_DIR;
	bool lasting = properties->metadata_cache_enabled && !properties->metadata_lifetime;

	/* Where attributes are asked for again, a new size or mtime drops the pages; else only changes through the volume count.
	 */
	flags |= lasting ? WIRE_EXPLICIT_INVAL_DATA : WIRE_AUTO_INVAL_DATA;
	if (uses_write_back(volume))
		flags |= WIRE_WRITEBACK_CACHE;
	if (properties->use_reparse_points && lasting)
		flags |= WIRE_CACHE_SYMLINKS;
	if (volume->events.table.get_file_name_by_file_id)
		flags |= WIRE_EXPORT_SUPPORT;
	return flags;
}

int request_init(struct tenon_volume *volume, const struct wire_request *wire, struct wire_init_out *out)
{
	/* Old kernels send less than the whole struct; bytes behind it are not looked at. */
	const struct wire_init_in *in = wire->arg;
	bool extended = wire->data_size >= 4 && (in->flags & WIRE_INIT_EXT);
	uint64_t offered = in->flags | (extended ? (uint64_t)in->flags2 << 32 : 0);
	uint64_t flags = wanted(volume) & offered;

	if (in->major != WIRE_MAJOR || in->minor < 36) {
		event_report(&volume->events, EPROTO, "the kernel speaks FUSE %u.%u; 7.36 (Linux 5.17) or later is needed",
			     in->major, in->minor);
		return EPROTO;
	}
	*out = (struct wire_init_out){
		.major = WIRE_MAJOR,
		.minor = in->minor < WIRE_MINOR ? in->minor : WIRE_MINOR,
		/* The kernel takes the smaller of this and what the mount has; the mount's may be raised later than this answer. */
		.max_readahead = MAX_WRITE,
		.flags = (uint32_t)flags,
		.flags2 = (uint32_t)(flags >> 32),
		.max_background = 64,
		.congestion_threshold = 48,
		.max_write = MAX_WRITE,
		.time_gran = 1,
		.max_pages = MAX_PAGES,
	};
	return 0;
}
