/* CRC-32 (IEEE 802.3, reflected, as in zlib). */
#pragma once

#include "lib/base/types.h"

/* Continues a CRC over `bytes` at `data`; start with crc 0. */
u32 crc32_update(u32 crc, const void *data, size_t bytes);
