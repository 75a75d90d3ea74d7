/* VGA text mode: IBM VGA, "Alphanumeric modes". */
#include "core/boot/screen.h"

#include "core/boot/boot_info.h"
#include "core/mem/core_map.h"

#define CELL_ATTRIBUTE 0x0700U /* light grey on black */

static volatile u16 *cells; /* NULL: no screen */
static u32 columns, rows;
static u32 column, row;

void screen_init(const struct boot_info *info)
{
	const struct boot_framebuffer *fb = &info->framebuffer;

	if (fb->address.raw == 0 || !fb->text)
		return;
	columns = fb->width;
	rows = fb->height;
	cells = core_map_device(fb->address, (u64)columns * rows * 2);
	for (u32 i = 0; i < columns * rows; i++)
		cells[i] = CELL_ATTRIBUTE | ' ';
}

static void line_feed(void)
{
	column = 0;
	if (++row < rows)
		return;
	row = rows - 1;
	for (u32 i = 0; i < columns * row; i++)
		cells[i] = cells[i + columns];
	for (u32 i = 0; i < columns; i++)
		cells[columns * row + i] = CELL_ATTRIBUTE | ' ';
}

void screen_put(u8 byte)
{
	if (!cells)
		return;
	if (byte == '\r') {
		column = 0;
	} else if (byte == '\n') {
		line_feed();
	} else {
		if (column == columns)
			line_feed();
		cells[row * columns + column++] = (u16)(CELL_ATTRIBUTE | byte);
	}
}
