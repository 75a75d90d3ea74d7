/* The one error type: zero is success, and callers must look. */
#pragma once

#include "lib/base/types.h"

enum err {
	ERR_OK = 0,
	ERR_INVALID,	 /* an argument is malformed or out of range */
	ERR_NO_MEMORY,	 /* not enough memory, or a fixed table is full */
	ERR_NOT_FOUND,	 /* no such object, module, file or table */
	ERR_DENIED,	 /* the caller may not do this */
	ERR_EXISTS,	 /* already there */
	ERR_UNSUPPORTED, /* valid, but this machine or version cannot do it */
	ERR_BAD_FORMAT,	 /* untrusted bytes do not follow their format */
	ERR_FAULT,	 /* an address is not accessible */
	ERR_AGAIN,	 /* not finished or not now: call again */
	ERR_TIMEOUT,	 /* a deadline passed */
	ERR_COUNT
};

/* The name of an error for log lines, never NULL. */
const char *err_name(enum err err);
