/*
 * A grid of characters over VGA text mode or a linear framebuffer. The grid remembers what each
 * cell shows: scrolling reads nothing from the device and draws only the cells that change.
 * IBM VGA, "Alphanumeric modes".
 */
#include "core/boot/screen.h"

#include "core/boot/boot_info.h"
#include "core/boot/framebuffer.h"
#include "core/cpu/insn.h"
#include "core/mem/core_map.h"
#include "core/mem/heap.h"

#define CELL_ATTRIBUTE	  0x0700U /* light grey on black */
#define CRTC_INDEX	  0x3d4
#define CRTC_DATA	  0x3d5
#define CRTC_CURSOR_START 0x0a
#define CURSOR_OFF	  0x20

static u8 *grid; /* NULL: no screen */
static u32 columns, rows;
static u32 column, row;
static void (*draw)(u32 column, u32 row, u8 character);
static volatile u16 *vga_cells;

static void vga_draw(u32 x, u32 y, u8 character)
{
	vga_cells[y * columns + x] = (u16)(CELL_ATTRIBUTE | character);
}

static void vga_init(const struct boot_framebuffer *fb)
{
	columns = fb->width;
	rows = fb->height;
	vga_cells = core_map_device(fb->address, (u64)columns * rows * sizeof(u16));
	out8(CRTC_INDEX, CRTC_CURSOR_START);
	out8(CRTC_DATA, CURSOR_OFF); /* it would stay where the firmware left it */
}

static void cell_set(u32 x, u32 y, u8 character)
{
	u8 *cell = &grid[y * columns + x];

	if (*cell == character)
		return;
	*cell = character;
	draw(x, y, character);
}

void screen_init(const struct boot_info *info)
{
	const struct boot_framebuffer *fb = &info->framebuffer;

	if (fb->address.raw == 0 || fb->width == 0 || fb->height == 0)
		return;
	draw = fb->text ? vga_draw : framebuffer_draw;
	if (fb->text)
		vga_init(fb);
	else if (!framebuffer_init(fb, &columns, &rows))
		return;
	if (columns == 0 || rows == 0)
		return;
	grid = heap_alloc((u64)columns * rows);
	for (u32 i = 0; i < columns * rows; i++)
		cell_set(i % columns, i / columns, ' ');
}

static void line_feed(void)
{
	column = 0;
	if (++row < rows)
		return;
	row = rows - 1;
	for (u32 i = 0; i < columns * row; i++)
		cell_set(i % columns, i / columns, grid[i + columns]);
	for (u32 x = 0; x < columns; x++)
		cell_set(x, row, ' ');
}

void screen_put(u8 byte)
{
	if (!grid)
		return;
	if (byte == '\r') {
		column = 0;
	} else if (byte == '\n') {
		line_feed();
	} else if (byte == '\b') {
		column -= column > 0;
	} else {
		if (column == columns)
			line_feed();
		cell_set(column++, row, byte >= ' ' && byte <= '~' ? byte : '?');
	}
}
