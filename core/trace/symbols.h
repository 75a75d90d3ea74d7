/* Names for addresses of the core, from a table that the build appends to the image. */
#pragma once

#include "lib/base/types.h"

/* Writes "function+0x12", or nothing useful when the table is absent, into `out`. */
void symbol_describe(u64 address, char *out, size_t bytes);
