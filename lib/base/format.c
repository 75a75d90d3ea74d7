/* A small printf for programs without a C library. */
#include "lib/base/format.h"

struct sink {
	char *out;
	size_t size;
	size_t at;
};

struct spec {
	unsigned width;
	unsigned precision; /* of %s */
	bool left, zero, wide;
};

static void sink_put(struct sink *s, char c)
{
	if (s->at + 1 < s->size)
		s->out[s->at++] = c;
}

static void sink_padded(struct sink *s, const char *text, size_t length, const struct spec *spec,
			bool zeroes)
{
	size_t pad = spec->width > length ? spec->width - length : 0;

	if (!spec->left) {
		if (zeroes && length > 0 && text[0] == '-') {
			sink_put(s, '-');
			text++;
			length--;
		}
		for (; pad > 0; pad--)
			sink_put(s, zeroes ? '0' : ' ');
	}
	for (size_t i = 0; i < length; i++)
		sink_put(s, text[i]);
	for (; pad > 0; pad--)
		sink_put(s, ' ');
}

static void put_number(struct sink *s, u64 value, unsigned base, bool negative,
		       const struct spec *spec)
{
	char digits[24];
	size_t at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	if (negative)
		digits[--at] = '-';
	sink_padded(s, digits + at, sizeof(digits) - at, spec, spec->zero && !spec->left);
}

static void put_signed(struct sink *s, s64 value, const struct spec *spec)
{
	put_number(s, value < 0 ? 0 - (u64)value : (u64)value, 10, value < 0, spec);
}

static void put_string(struct sink *s, const char *text, const struct spec *spec)
{
	size_t length = 0;

	if (!text)
		text = "(null)";
	while (length < spec->precision && text[length] != '\0')
		length++;
	sink_padded(s, text, length, spec, false);
}

static unsigned parse_number(const char **at)
{
	unsigned value = 0;

	while (**at >= '0' && **at <= '9' && value < 10000)
		value = value * 10 + (unsigned)(*(*at)++ - '0');
	return value;
}

static struct spec parse_spec(const char **at, va_list *args)
{
	struct spec spec = { .precision = ~0U };

	for (;; (*at)++) {
		if (**at == '-')
			spec.left = true;
		else if (**at == '0')
			spec.zero = true;
		else
			break;
	}
	spec.width = parse_number(at);
	if (**at == '.') {
		(*at)++;
		if (**at == '*') {
			(*at)++;
			spec.precision = (unsigned)va_arg(*args, int);
		} else {
			spec.precision = parse_number(at);
		}
	}
	for (; **at == 'l' || **at == 'z'; (*at)++)
		spec.wide = true;
	return spec;
}

static void put_conversion(struct sink *s, char conversion, const struct spec *spec, va_list *args)
{
	char c;

	switch (conversion) {
	case 'd':
	case 'i':
		put_signed(s, spec->wide ? va_arg(*args, long) : va_arg(*args, int), spec);
		break;
	case 'u':
	case 'x':
		put_number(s, spec->wide ? va_arg(*args, unsigned long) : va_arg(*args, unsigned),
			   conversion == 'x' ? 16 : 10, false, spec);
		break;
	case 'p':
		put_number(s, (u64)va_arg(*args, void *), 16, false, spec);
		break;
	case 's':
		put_string(s, va_arg(*args, const char *), spec);
		break;
	case 'c':
		c = (char)va_arg(*args, int);
		sink_padded(s, &c, 1, spec, false);
		break;
	default:
		sink_put(s, conversion);
		break;
	}
}

size_t format_va(char *out, size_t size, const char *format, va_list args)
{
	struct sink s = { .out = out, .size = size };
	va_list copy;

	if (size == 0)
		return 0;
	va_copy(copy, args);
	while (*format != '\0') {
		if (*format != '%') {
			sink_put(&s, *format++);
			continue;
		}
		format++;
		struct spec spec = parse_spec(&format, &copy);

		if (*format == '\0')
			break;
		put_conversion(&s, *format++, &spec, &copy);
	}
	va_end(copy);
	s.out[s.at] = '\0';
	return s.at;
}

size_t format(char *out, size_t size, const char *format, ...)
{
	va_list args;
	size_t length;

	va_start(args, format);
	length = format_va(out, size, format, args);
	va_end(args);
	return length;
}
