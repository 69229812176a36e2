/*
 * INIT: what this volume and this kernel agree on.
 *
 * Derived from the properties and from which handlers there are; never more than the kernel offers.
 */
#include <errno.h>
#include <unistd.h>

#include "request/request.h"

#define MAX_WRITE (1u << 20)
/* What the kernel takes where WIRE_MAX_PAGES is not agreed on. */
#define PAGES_WITHOUT_FLAG 32

bool uses_write_back(const struct tenon_volume *volume)
{
	return volume->negotiated.taken & WIRE_WRITEBACK_CACHE;
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
	if (properties->file_cache != TENON_FILE_CACHE_NONE && !properties->file_cache_policy_write_through)
		flags |= WIRE_WRITEBACK_CACHE;
	if (properties->use_reparse_points && lasting)
		flags |= WIRE_CACHE_SYMLINKS;
	if (volume->events.table.get_file_name_by_file_id)
		flags |= WIRE_EXPORT_SUPPORT;
	return flags;
}

/* What the kernel sent; less where a test wants an older kernel. */
static struct negotiated read_offer(const struct tenon_volume *volume, const struct wire_request *wire)
{
	const struct properties *properties = &volume->properties;
	const struct wire_init_in *in = wire->arg;
	/* Old kernels send less than the whole struct; bytes behind it are not looked at. */
	bool extended = wire->data_size >= 4 && (in->flags & WIRE_INIT_EXT);
	uint64_t offered = in->flags | (extended ? (uint64_t)in->flags2 << 32 : 0);

	offered &= (uint64_t)properties->test_flags;
	if (!(offered & WIRE_INIT_EXT))
		offered = (uint32_t)offered;
	return (struct negotiated){
		.offered = offered,
		.kernel_minor = in->minor < properties->test_minor ? in->minor : properties->test_minor,
		.max_readahead = MAX_WRITE,
	};
}

static void agree(const struct tenon_volume *volume, struct negotiated *negotiated)
{
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);
	uint32_t room = page;

	negotiated->taken = wanted(volume) & negotiated->offered;
	negotiated->minor = negotiated->kernel_minor < WIRE_MINOR ? negotiated->kernel_minor : WIRE_MINOR;
	negotiated->max_background = 64;
	negotiated->congestion_threshold = 48;
	negotiated->max_pages = negotiated->taken & WIRE_MAX_PAGES ? MAX_WRITE / page : PAGES_WITHOUT_FLAG;
	if (negotiated->taken & WIRE_BIG_WRITES)
		room = negotiated->max_pages * page;
	negotiated->max_write = room < MAX_WRITE ? room : MAX_WRITE;
}

int request_init(struct tenon_volume *volume, const struct wire_request *wire, struct wire_init_out *out)
{
	const struct wire_init_in *in = wire->arg;
	struct negotiated *negotiated = &volume->negotiated;

	*negotiated = read_offer(volume, wire);
	atomic_store(&volume->told_of_links, false);
	if (in->major != WIRE_MAJOR || negotiated->kernel_minor < 36) {
		event_report(&volume->events, EPROTO, "the kernel speaks FUSE %u.%u; 7.36 (Linux 5.17) or later is needed",
			     in->major, negotiated->kernel_minor);
		return EPROTO;
	}
	agree(volume, negotiated);
	*out = (struct wire_init_out){
		.major = WIRE_MAJOR,
		.minor = negotiated->minor,
		/* The kernel takes the smaller of this and what the mount has; the mount's may be raised later than this answer. */
		.max_readahead = negotiated->max_readahead,
		.flags = (uint32_t)negotiated->taken,
		.flags2 = (uint32_t)(negotiated->taken >> 32),
		.max_background = (uint16_t)negotiated->max_background,
		.congestion_threshold = (uint16_t)negotiated->congestion_threshold,
		.max_write = negotiated->max_write,
		.time_gran = 1,
		.max_pages = (uint16_t)negotiated->max_pages,
	};
	return 0;
}
