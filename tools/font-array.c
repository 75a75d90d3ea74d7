/*
 * Writes the printable ASCII glyphs of a GRUB font as rows of a C array: 16 bytes a glyph, one bit
 * a pixel, the leftmost highest. GRUB Manual for Developers, "PFF2 Font File Format".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GLYPH_WIDTH  8
#define GLYPH_HEIGHT 16
#define GLYPH_FIRST  0x20
#define GLYPH_LAST   0x7e

#define SECTION_HEAD 8	/* name, length */
#define INDEX_ENTRY  9	/* code point, flags, offset */
#define GLYPH_HEAD   10 /* width, height, x and y offset, advance: 16 bits each */

struct bytes {
	const unsigned char *at;
	size_t count;
};

static _Noreturn void refuse(const char *problem)
{
	fprintf(stderr, "font-array: %s\n", problem);
	exit(EXIT_FAILURE);
}

/* A part of the file, which must be inside it. */
static const unsigned char *part(struct bytes file, size_t offset, size_t count)
{
	if (offset > file.count || count > file.count - offset)
		refuse("the font is cut short");
	return file.at + offset;
}

static unsigned be32(const unsigned char *p)
{
	return (unsigned)p[0] << 24 | (unsigned)p[1] << 16 | (unsigned)p[2] << 8 | p[3];
}

static int be16(const unsigned char *p)
{
	return (short)(p[0] << 8 | p[1]);
}

static struct bytes section_find(struct bytes file, const char *name)
{
	for (size_t at = 0; at < file.count;) {
		const unsigned char *head = part(file, at, SECTION_HEAD);
		const size_t length = be32(head + 4);

		if (memcmp(head, name, 4) == 0)
			return (struct bytes){ part(file, at + SECTION_HEAD, length), length };
		at += SECTION_HEAD + length;
	}
	refuse("the font lacks a section");
}

static const unsigned char *glyph_find(struct bytes file, struct bytes index, unsigned code)
{
	for (size_t i = 0; i + INDEX_ENTRY <= index.count; i += INDEX_ENTRY) {
		if (be32(index.at + i) == code)
			return part(file, be32(index.at + i + 5), GLYPH_HEAD);
	}
	refuse("the font lacks an ASCII character");
}

/* A glyph's bits are those of its box only, row after row without gaps. */
static void glyph_draw(struct bytes file, const unsigned char *glyph, int ascent,
		       unsigned char rows[GLYPH_HEIGHT])
{
	const int width = be16(glyph), height = be16(glyph + 2), left = be16(glyph + 4);
	const int top = ascent - be16(glyph + 6) - height;
	const unsigned char *bits;

	if (width < 0 || left < 0 || left + width > GLYPH_WIDTH || height < 0 || top < 0 ||
	    top + height > GLYPH_HEIGHT)
		refuse("a glyph is larger than 8 by 16 pixels");
	bits = part(file, (size_t)(glyph - file.at) + GLYPH_HEAD, (size_t)(width * height + 7) / 8);
	for (int i = 0; i < width * height; i++) {
		if (bits[i / 8] & 0x80 >> i % 8)
			rows[top + i / width] |= (unsigned char)(0x80 >> (left + i % width));
	}
}

int main(int argc, char **argv)
{
	static unsigned char font[65536];
	FILE *in = argc == 2 ? fopen(argv[1], "rb") : NULL;
	struct bytes file = { font, 0 }, index;
	int ascent;

	if (!in)
		refuse("usage: font-array FONT.pf2 (a font that can be read)");
	file.count = fread(font, 1, sizeof(font), in);
	fclose(in);
	index = section_find(file, "CHIX");
	ascent = be16(section_find(file, "ASCE").at);
	for (unsigned code = GLYPH_FIRST; code <= GLYPH_LAST; code++) {
		unsigned char rows[GLYPH_HEIGHT] = { 0 };

		glyph_draw(file, glyph_find(file, index, code), ascent, rows);
		printf("{ ");
		for (int y = 0; y < GLYPH_HEIGHT; y++)
			printf("0x%02x, ", rows[y]);
		printf("}, /* %c */\n", code == '/' || code == '*' ? ' ' : (char)code);
	}
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
