/* printf-style formatting into a buffer: %s %c %d %i %u %x %p %%, with l/ll/z, width, '-', '0'. */
#pragma once

#include <stdarg.h>

#include "lib/base/types.h"

/* Writes at most `size` bytes, NUL included; returns the length that was written without NUL. */
size_t format_va(char *out, size_t size, const char *format, va_list args);
size_t format(char *out, size_t size, const char *format, ...) PRINTF_LIKE(3, 4);
