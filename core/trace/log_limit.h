/*
 * Lines for the log that a ring-3 program or a guest causes: each keeps the processor until the
 * serial port has taken it, so one source may have only a few a second.
 */
#pragma once

#include "lib/base/types.h"

#define LOG_LIMIT_LINES	    10
#define LOG_LIMIT_WINDOW_US 1000000

struct log_limit {
	u64 since; /* TSC when this window began */
	u32 lines; /* asked for in it */
};

/* Whether one more line may be logged now; says how many were dropped when it may again. */
MUST_USE bool log_limit_take(struct log_limit *limit, const char *source);
