/* Logging and assertions of ring-3 programs. */
#include "lib/ring3/ring3.h"

#include "lib/base/assert.h"
#include "lib/base/format.h"

void ring3_log(const char *text, ...)
{
	char line[LOG_TEXT_MAX];
	va_list args;
	size_t length;

	va_start(args, text);
	length = format_va(line, sizeof(line), text, args);
	va_end(args);
	syscall2(SYSCALL_log, (u64)line, length);
}

void assert_failed(const char *expression, const char *file, int line)
{
	ring3_log("assertion failed: %s (%s:%d)", expression, file, line);
	ring3_exit(1);
}
