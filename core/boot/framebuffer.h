/* A linear framebuffer as a grid of character cells. */
#pragma once

#include "lib/base/types.h"

struct boot_framebuffer;

/* Maps it and says how many cells it has; false: a pixel format that this cannot draw. */
bool framebuffer_init(const struct boot_framebuffer *fb, u32 *columns, u32 *rows);
/* Draws one printable ASCII character. */
void framebuffer_draw(u32 column, u32 row, u8 character);
