/* A fixed window: at its end the count starts over. */
#include "core/trace/log_limit.h"

#include "core/cpu/apic.h"
#include "core/cpu/insn.h"
#include "core/trace/log.h"

bool log_limit_take(struct log_limit *limit, const char *source)
{
	u64 now = rdtsc();

	if (now - limit->since >= tsc_from_us(LOG_LIMIT_WINDOW_US)) {
		if (limit->lines > LOG_LIMIT_LINES)
			log_warning("%s: %u lines dropped", source, limit->lines - LOG_LIMIT_LINES);
		*limit = (struct log_limit){ .since = now };
	}
	return limit->lines++ < LOG_LIMIT_LINES;
}
