/*
 * The few string functions that root-mode programs need, with their standard meaning. The
 * definitions (string.c) are linked into root-mode programs only; host builds use the C library.
 */
#pragma once

#include "lib/base/types.h"

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t limit);
