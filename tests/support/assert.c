/* assert() of product code in host tests: the failing line on stderr, then abort. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/assert.h"

void assert_failed(const char *expression, const char *file, int line)
{
	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
	abort();
}
