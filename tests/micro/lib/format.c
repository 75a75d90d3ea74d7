/* Text formatting for the micro guests; output that does not fit is cut. */
#include "tests/micro/lib/format.h"

#include "lib/base/types.h"

struct sink {
	char *out;
	size_t size, used;
};

static void put(struct sink *sink, char c)
{
	if (sink->used + 1 < sink->size)
		sink->out[sink->used++] = c;
}

static void put_string(struct sink *sink, const char *text)
{
	while (*text)
		put(sink, *text++);
}

static void put_number(struct sink *sink, u64 value, unsigned base, unsigned width, char pad)
{
	char digits[20];
	unsigned count = 0;

	do {
		digits[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	for (unsigned i = count; i < width; i++)
		put(sink, pad);
	while (count)
		put(sink, digits[--count]);
}

static void put_signed(struct sink *sink, s64 value, unsigned width, char pad)
{
	if (value < 0)
		put(sink, '-');
	put_number(sink, value < 0 ? 0 - (u64)value : (u64)value, 10, width, pad);
}

/* Handles the conversion after '%'; returns the first character behind it. */
static const char *convert(struct sink *sink, const char *at, va_list *args)
{
	char pad = *at == '0' ? '0' : ' ';
	unsigned width = 0;
	bool is_long = false;

	for (; *at >= '0' && *at <= '9'; at++)
		width = width * 10 + (unsigned)(*at - '0');
	for (; *at == 'l'; at++)
		is_long = true;
	if (*at == 's')
		put_string(sink, va_arg(*args, const char *));
	else if (*at == 'c')
		put(sink, (char)va_arg(*args, int));
	else if (*at == 'd')
		put_signed(sink, is_long ? va_arg(*args, long) : va_arg(*args, int), width, pad);
	else if (*at == 'u' || *at == 'x')
		put_number(sink, is_long ? va_arg(*args, u64) : va_arg(*args, unsigned),
			   *at == 'x' ? 16 : 10, width, pad);
	else
		put(sink, *at);
	return at + 1;
}

size_t format_va(char *out, size_t size, const char *format, va_list args)
{
	struct sink sink = { out, size, 0 };
	va_list copy;

	va_copy(copy, args);
	while (*format) {
		if (*format == '%' && format[1])
			format = convert(&sink, format + 1, &copy);
		else
			put(&sink, *format++);
	}
	va_end(copy);
	out[sink.used] = 0;
	return sink.used;
}
