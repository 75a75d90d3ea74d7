/* Lines are formatted once into a buffer and handed to each sink. */
#include "core/trace/log.h"

#include "core/boot/screen.h"
#include "core/cpu/serial.h"
#include "lib/base/format.h"

#define LOG_LINE_BYTES 256

static enum log_level log_limit = LOG_INFO;

void log_set_level(enum log_level level)
{
	log_limit = level;
}

static void log_line(enum log_level level, const char *text, size_t length)
{
	static const char *const prefix[] = {
		[LOG_ERROR] = "ringfence: error: ",
		[LOG_WARNING] = "ringfence: warning: ",
		[LOG_INFO] = "ringfence: ",
		[LOG_DEBUG] = "ringfence: debug: ",
	};

	for (const char *p = prefix[level]; *p; p++) {
		serial_put((u8)*p);
		screen_put((u8)*p);
	}
	for (size_t i = 0; i < length; i++) {
		serial_put((u8)text[i]);
		screen_put((u8)text[i]);
	}
	serial_put('\r');
	serial_put('\n');
	screen_put('\n');
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
	log_line(level, text, length);
}
