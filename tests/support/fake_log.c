/* Log, panic and power-off of host tests. */
#include "tests/support/fake_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/boot/machine.h"
#include "core/trace/log.h"
#include "lib/base/format.h"

struct fake_log fake_log;
struct spinlock log_lock = SPINLOCK(LOCK_LOG);
bool log_unlocked, panicking;

void log_at(enum log_level level, const char *format, ...)
{
	va_list args;

	(void)level;
	va_start(args, format);
	format_va(fake_log.last, sizeof(fake_log.last), format, args);
	va_end(args);
	fake_log.lines++;
	if (fake_log.on_line)
		fake_log.on_line(fake_log.last);
}

u64 log_read(u64 *from, char *out, u64 bytes)
{
	u64 length = strlen(fake_log.last), at = min_u64(*from, length);
	u64 count = min_u64(bytes, length - at);

	memcpy(out, fake_log.last + at, count);
	*from = at + count;
	return count;
}

NORETURN void panic(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	format_va(fake_log.last, sizeof(fake_log.last), format, args);
	va_end(args);
	if (fake_log.on_panic)
		longjmp(*fake_log.on_panic, 1);
	fprintf(stderr, "panic: %s\n", fake_log.last);
	abort();
}

_Noreturn void machine_off(enum machine_end end)
{
	fake_log.off_reason = (int)end;
	if (fake_log.on_off)
		longjmp(*fake_log.on_off, 1);
	fprintf(stderr, "machine off: %x\n", (unsigned)end);
	abort();
}
