/* Lines are formatted once into a buffer and handed to each sink. */
#include "core/trace/log.h"

#include "core/boot/screen.h"
#include "core/cpu/serial.h"
#include "lib/base/format.h"

#define LOG_LINE_BYTES 256
#define LOG_RING_BYTES (16 * KIB)

struct spinlock log_lock = SPINLOCK(LOCK_LOG); /* guards the ring, the screen and the serial port */
bool log_unlocked;			       /* while panicking: its holder may never come back */

static enum log_level log_limit = LOG_INFO;
static char ring[LOG_RING_BYTES];
static u64 ring_end; /* bytes written since boot */

void log_set_level(enum log_level level)
{
	log_limit = level;
}

static void put(char byte)
{
	if (byte == '\n')
		serial_put('\r');
	serial_put((u8)byte);
	screen_put((u8)byte);
	ring[ring_end++ % LOG_RING_BYTES] = byte;
}

static void log_line(enum log_level level, const char *text, size_t length)
{
	static const char *const prefix[] = {
		[LOG_ERROR] = "ringfence: error: ",
		[LOG_WARNING] = "ringfence: warning: ",
		[LOG_NOTICE] = "ringfence: ",
		[LOG_INFO] = "ringfence: ",
	};

	for (const char *p = prefix[level]; *p; p++)
		put(*p);
	for (size_t i = 0; i < length; i++)
		put(text[i]);
	put('\n');
}

void log_at(enum log_level level, const char *format, ...)
{
	char text[LOG_LINE_BYTES];
	va_list args;
	size_t length;

	if (level > log_limit)
		return;
	va_start(args, format);
	length = format_va(text, sizeof(text), format, args);
	va_end(args);
	if (!log_unlocked)
		spin_lock(&log_lock);
	log_line(level, text, length);
	if (!log_unlocked)
		spin_unlock(&log_lock);
}

u64 log_read(u64 *from, char *out, u64 bytes)
{
	u64 oldest = ring_end > LOG_RING_BYTES ? ring_end - LOG_RING_BYTES : 0;
	u64 at = max_u64(*from, oldest);
	u64 count = 0;

	while (count < bytes && at < ring_end)
		out[count++] = ring[at++ % LOG_RING_BYTES];
	*from = at;
	return count;
}
