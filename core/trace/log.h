/* The core's log: one line a message, to the serial port, the screen and a ring in memory. */
#pragma once

#include <stdarg.h>

#include "core/cpu/lock.h"
#include "lib/base/types.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_INFO };

void log_at(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);
/* Levels above `level` are dropped; starts at LOG_INFO. */
void log_set_level(enum log_level level);

/*
 * Copies what was logged from byte `*from` on (counted since boot) and moves `*from` behind it;
 * what the ring has overwritten since is left out. Returns the bytes copied.
 */
u64 log_read(u64 *from, char *out, u64 bytes);

#define log_error(...)	 log_at(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)	 log_at(LOG_NOTICE, __VA_ARGS__) /* shown by a quiet core too */
#define log_info(...)	 log_at(LOG_INFO, __VA_ARGS__)

/* Our own bug: registers, backtrace, last exits, then power-off or halt. Never returns. */
NORETURN void panic(const char *format, ...) PRINTF_LIKE(1, 2);

struct frame;
/* The same for an exception in the core, with the interrupted registers. */
NORETURN void panic_at(const struct frame *frame, const char *format, ...) PRINTF_LIKE(2, 3);

/* Guards the log's ring, the screen and the serial port. A panic does without. */
extern struct spinlock log_lock;
extern bool log_unlocked;
/* The machine stops: an NMI means "halt". */
extern bool panicking;
