/*
 * Fuzzes the engine with requests, the memory drive answering: every answer is one that a kernel takes, and nothing is left over.
 */
#include "requests.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Set by each input before its volume is made; the fuzzer runs one at a time. */
static uint8_t properties;

static void configure(tenon_volume *volume)
{
	choose_properties(volume, properties);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct lab_options options = {.configure = configure, .in_order = true, .in_line = true};
	struct bytes bytes = {.at = data, .left = size};
	struct lab *lab;

	properties = take(&bytes);
	lab = lab_new(&options);
	if (!lab)
		return 0;
	send_requests(lab, &bytes);
	end_or_abort(lab);
	return 0;
}
