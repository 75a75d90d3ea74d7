/*
 * Pixels are only ever written: reading from a framebuffer is slow. The grey of the text has the
 * same value in each colour's byte, so that the order of the colours does not matter.
 * Multiboot2 Specification, "Framebuffer info".
 */
#include "core/boot/framebuffer.h"

#include "core/boot/boot_info.h"
#include "core/mem/core_map.h"

#define GLYPH_WIDTH	8U
#define GLYPH_HEIGHT	16U
#define GLYPH_LEFT	0x80U /* the leftmost pixel's bit */
#define GLYPH_FIRST	' '
#define TEXT_COLOUR	0xaaaaaaU
#define WIDTH_SCALED_UP 2560U /* from here on a pixel of a glyph is four of the screen */

static const u8 glyphs[][GLYPH_HEIGHT] = {
#include "core/boot/font.inc"
};

static volatile u8 *pixels;
static u32 pitch, pixel_bytes, scale;

bool framebuffer_init(const struct boot_framebuffer *fb, u32 *columns, u32 *rows)
{
	pixel_bytes = fb->bits_per_pixel / 8;
	pitch = fb->pitch;
	scale = fb->width >= WIDTH_SCALED_UP ? 2 : 1;
	if ((pixel_bytes != 3 && pixel_bytes != 4) || (u64)fb->width * pixel_bytes > pitch)
		return false;
	*columns = fb->width / (GLYPH_WIDTH * scale);
	*rows = fb->height / (GLYPH_HEIGHT * scale);
	pixels = core_map_device(fb->address, (u64)pitch * fb->height);
	return true;
}

static void pixel_put(volatile u8 *at, u32 colour)
{
	if (pixel_bytes == 4) {
		*(volatile u32 *)at = colour;
		return;
	}
	for (u32 i = 0; i < pixel_bytes; i++)
		at[i] = (u8)(colour >> 8 * i);
}

void framebuffer_draw(u32 column, u32 row, u8 character)
{
	const u8 *glyph = glyphs[character - GLYPH_FIRST];
	volatile u8 *line = pixels + (u64)row * GLYPH_HEIGHT * scale * pitch +
			    (u64)column * GLYPH_WIDTH * scale * pixel_bytes;

	for (u32 y = 0; y < GLYPH_HEIGHT * scale; y++, line += pitch) {
		for (u32 x = 0; x < GLYPH_WIDTH * scale; x++) {
			bool on = (glyph[y / scale] & GLYPH_LEFT >> x / scale) != 0;

			pixel_put(line + x * pixel_bytes, on ? TEXT_COLOUR : 0);
		}
	}
}
