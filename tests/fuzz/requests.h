/*
 * Requests made of the fuzzer's bytes: of a form that a kernel could send, mostly about files and handles that are there.
 */
#ifndef TESTS_REQUESTS_H
#define TESTS_REQUESTS_H

#include "bytes.h"
#include "lab.h"

/* Sends requests until the bytes are used up. */
void send_requests(struct lab *lab, struct bytes *bytes);

/* Properties that handlers see the engine differently by. */
void choose_properties(tenon_volume *volume, uint8_t choice);

/* Ends the lab, and the fuzzer's run with a message if anything was wrong. */
void end_or_abort(struct lab *lab);

#endif
