/* A tiny vsnprintf: %s %c %d %u %x and the l forms, with width and zero padding. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

/* Writes at most `size` bytes including the NUL; returns the length without it. */
size_t format_va(char *out, size_t size, const char *format, va_list args);
