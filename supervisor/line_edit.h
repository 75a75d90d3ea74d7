/*
 * Editing of one line at a dumb terminal, with a history. Bytes go in one by one; what has to be
 * sent to the terminal comes out. ECMA-48 for the arrow keys' sequences.
 */
#pragma once

#include "lib/base/types.h"

#define LINE_EDIT_BYTES 128U /* NUL included */
#define LINE_EDIT_LINES 16U  /* remembered */

enum line_edit_state { LINE_EDIT_PLAIN, LINE_EDIT_ESCAPE, LINE_EDIT_SEQUENCE };

struct line_edit {
	char text[LINE_EDIT_BYTES];
	u32 length, cursor;
	enum line_edit_state state;
	u32 parameter;					/* of the sequence so far */
	bool after_cr;					/* the LF of a CR LF is not another line */
	char history[LINE_EDIT_LINES][LINE_EDIT_BYTES]; /* a ring */
	u32 lines;					/* ever remembered */
	u32 back; /* how far the shown line is back in it; 0: a new line */
};

/* For the terminal: printable characters, spaces and backspaces. */
struct line_edit_echo {
	char bytes[4 * LINE_EDIT_BYTES];
	u32 length;
};

enum line_edit_result {
	LINE_EDIT_MORE,
	LINE_EDIT_DONE,	 /* the line is in `text`; line_edit_begin() comes next */
	LINE_EDIT_CANCEL /* Ctrl-C */
};

/* An empty line; the history stays. */
void line_edit_begin(struct line_edit *edit);
enum line_edit_result line_edit_feed(struct line_edit *edit, u8 byte, struct line_edit_echo *echo);
/* The line as it stands, for a terminal whose cursor is where the line begins. */
void line_edit_show(const struct line_edit *edit, struct line_edit_echo *echo);
