/*
 * Buffers that a program keeps: the memory of a message or of its reply becomes the program's, and the engine goes on with
 * other memory.
 *
 * For those who own such memory. A request is in one piece of a thread's work, so there are no locks.
 */
#ifndef REQUEST_KEEP_H
#define REQUEST_KEEP_H

#include "request/request.h"

/* Memory for reply_use: from malloc(3). NULL: there is none. */
char *reply_area_new(void);
void reply_use(struct reply *reply, char *area);

void reply_renew(struct reply *reply);
void message_renew(struct request *request);

/* The reply has been sent, and what is in it belongs to those who have kept it. reply->area may be another one afterwards. */
static inline void reply_sent(struct reply *reply)
{
	if (__builtin_expect(reply->kept != NULL, 0))
		reply_renew(reply);
}

/* The request has run. Where its message is may be another one afterwards. */
static inline void message_done(struct request *request)
{
	if (__builtin_expect(request->kept != NULL, 0))
		message_renew(request);
}

#endif
