/* assert() for our own bugs, on in every build. Each program says what happens then. */
#pragma once

#include "lib/base/types.h"

NORETURN void assert_failed(const char *expression, const char *file, int line);

#ifndef assert
#define assert(expression) ((expression) ? (void)0 : assert_failed(#expression, __FILE__, __LINE__))
#endif
