/* Names for addresses of the core, from a table that the build appends to the image. */
#pragma once

#include "lib/base/types.h"

/*
 * Writes "function+0x12" into `out`, or nothing for what is not code of the core. A return address
 * belongs to the call before it, which may end its function.
 */
void symbol_describe(u64 address, bool is_return, char *out, size_t bytes);
