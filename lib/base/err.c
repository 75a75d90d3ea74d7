/* Names of errors for people. */
#include "lib/base/err.h"

const char *err_name(enum err err)
{
	static const char *const names[ERR_COUNT] = {
		[ERR_OK] = "ok",
		[ERR_INVALID] = "invalid argument",
		[ERR_NO_MEMORY] = "out of memory",
		[ERR_NOT_FOUND] = "not found",
		[ERR_DENIED] = "not permitted",
		[ERR_EXISTS] = "already exists",
		[ERR_UNSUPPORTED] = "not supported",
		[ERR_BAD_FORMAT] = "bad format",
		[ERR_FAULT] = "bad address",
		[ERR_AGAIN] = "not finished",
		[ERR_TIMEOUT] = "timed out",
	};

	return (unsigned)err < ERR_COUNT ? names[err] : "unknown error";
}
