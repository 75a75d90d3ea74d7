/* The core's log and its ends in host tests: panic() and machine_off() come back to the test. */
#pragma once

#include <setjmp.h>

#include "lib/base/types.h"

struct fake_log {
	char last[256]; /* the last line */
	u64 lines;
	void (*on_line)(const char *line); /* NULL: nobody listens */
	jmp_buf *on_panic;		   /* NULL: a panic fails the test */
	jmp_buf *on_off;		   /* NULL: so does switching the machine off */
	int off_reason;			   /* enum machine_end */
};

extern struct fake_log fake_log;
