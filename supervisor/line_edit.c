/* Every change is a splice: some characters are replaced, and the rest of the line is drawn again.
 */
#include "supervisor/line_edit.h"

#include "lib/base/assert.h"
#include "lib/base/string.h"

#define KEY_CTRL_A    0x01
#define KEY_CTRL_B    0x02
#define KEY_CTRL_C    0x03
#define KEY_CTRL_D    0x04
#define KEY_CTRL_E    0x05
#define KEY_CTRL_F    0x06
#define KEY_BACKSPACE 0x08
#define KEY_LF	      0x0a
#define KEY_CTRL_K    0x0b
#define KEY_CR	      0x0d
#define KEY_CTRL_N    0x0e
#define KEY_CTRL_P    0x10
#define KEY_CTRL_U    0x15
#define KEY_CTRL_W    0x17
#define KEY_ESCAPE    0x1b
#define KEY_DELETE    0x7f

#define PARAMETER_MAX 100U

typedef void (*edit_function)(struct line_edit *e, struct line_edit_echo *echo);

static void echo_put(struct line_edit_echo *echo, char byte, u32 count)
{
	while (count-- > 0) {
		assert(echo->length < sizeof(echo->bytes));
		echo->bytes[echo->length++] = byte;
	}
}

static void echo_text(struct line_edit_echo *echo, const struct line_edit *e, u32 from)
{
	for (u32 i = from; i < e->length; i++)
		echo_put(echo, e->text[i], 1);
}

/* `remove` characters from `at` on, which is not behind the cursor, become `text`. */
static void splice(struct line_edit *e, struct line_edit_echo *echo, u32 at, u32 remove,
		   const char *text, u32 insert)
{
	u32 old_length = e->length, shown;

	assert(at <= e->cursor && at + remove <= e->length);
	if (insert > LINE_EDIT_BYTES - 1 - (e->length - remove))
		return;
	echo_put(echo, '\b', e->cursor - at);
	memmove(&e->text[at + insert], &e->text[at + remove], e->length - at - remove);
	memcpy(&e->text[at], text, insert);
	e->length += insert - remove;
	e->cursor = at + insert;
	echo_text(echo, e, at);
	shown = e->length;
	if (old_length > shown) {
		echo_put(echo, ' ', old_length - shown);
		shown = old_length;
	}
	echo_put(echo, '\b', shown - e->cursor);
}

static void cursor_left(struct line_edit *e, struct line_edit_echo *echo)
{
	if (e->cursor == 0)
		return;
	e->cursor--;
	echo_put(echo, '\b', 1);
}

static void cursor_right(struct line_edit *e, struct line_edit_echo *echo)
{
	if (e->cursor < e->length)
		echo_put(echo, e->text[e->cursor++], 1);
}

static void cursor_home(struct line_edit *e, struct line_edit_echo *echo)
{
	echo_put(echo, '\b', e->cursor);
	e->cursor = 0;
}

static void cursor_end(struct line_edit *e, struct line_edit_echo *echo)
{
	echo_text(echo, e, e->cursor);
	e->cursor = e->length;
}

static void erase_left(struct line_edit *e, struct line_edit_echo *echo)
{
	if (e->cursor > 0)
		splice(e, echo, e->cursor - 1, 1, "", 0);
}

static void erase_right(struct line_edit *e, struct line_edit_echo *echo)
{
	if (e->cursor < e->length)
		splice(e, echo, e->cursor, 1, "", 0);
}

static void erase_to_begin(struct line_edit *e, struct line_edit_echo *echo)
{
	splice(e, echo, 0, e->cursor, "", 0);
}

static void erase_to_end(struct line_edit *e, struct line_edit_echo *echo)
{
	splice(e, echo, e->cursor, e->length - e->cursor, "", 0);
}

static void erase_word(struct line_edit *e, struct line_edit_echo *echo)
{
	u32 at = e->cursor;

	while (at > 0 && e->text[at - 1] == ' ')
		at--;
	while (at > 0 && e->text[at - 1] != ' ')
		at--;
	splice(e, echo, at, e->cursor - at, "", 0);
}

static void history_show(struct line_edit *e, struct line_edit_echo *echo, u32 back)
{
	const char *line = back ? e->history[(e->lines - back) % LINE_EDIT_LINES] : "";

	e->back = back;
	cursor_end(e, echo);
	splice(e, echo, 0, e->length, line, (u32)strlen(line));
}

static void history_older(struct line_edit *e, struct line_edit_echo *echo)
{
	if (e->back < min_u64(e->lines, LINE_EDIT_LINES))
		history_show(e, echo, e->back + 1);
}

static void history_newer(struct line_edit *e, struct line_edit_echo *echo)
{
	if (e->back > 0)
		history_show(e, echo, e->back - 1);
}

/* Neither an empty line nor the last one again. */
static void history_add(struct line_edit *e)
{
	if (e->length == 0)
		return;
	if (e->lines > 0 && strcmp(e->history[(e->lines - 1) % LINE_EDIT_LINES], e->text) == 0)
		return;
	memcpy(e->history[e->lines++ % LINE_EDIT_LINES], e->text, e->length + 1);
}

static const struct {
	u8 key;
	edit_function edit;
} keys[] = {
	{ KEY_CTRL_A, cursor_home }, { KEY_CTRL_B, cursor_left },    { KEY_CTRL_F, cursor_right },
	{ KEY_CTRL_E, cursor_end },  { KEY_BACKSPACE, erase_left },  { KEY_DELETE, erase_left },
	{ KEY_CTRL_D, erase_right }, { KEY_CTRL_U, erase_to_begin }, { KEY_CTRL_K, erase_to_end },
	{ KEY_CTRL_W, erase_word },  { KEY_CTRL_P, history_older },  { KEY_CTRL_N, history_newer },
};

/* The ends of sequences; with '~' the parameter says which key. */
static const struct {
	u8 end;
	u32 parameter;
	edit_function edit;
} sequences[] = {
	{ 'A', 0, history_older }, { 'B', 0, history_newer }, { 'C', 0, cursor_right },
	{ 'D', 0, cursor_left },   { 'H', 0, cursor_home },   { 'F', 0, cursor_end },
	{ '~', 1, cursor_home },   { '~', 3, erase_right },   { '~', 4, cursor_end },
};

static void key_feed(struct line_edit *e, u8 key, struct line_edit_echo *echo)
{
	char character = (char)key;

	if (key >= ' ' && key <= '~') {
		splice(e, echo, e->cursor, 0, &character, 1);
		return;
	}
	for (u32 i = 0; i < ARRAY_SIZE(keys); i++) {
		if (keys[i].key == key)
			keys[i].edit(e, echo);
	}
}

/* Whatever a terminal sends, a sequence ends with a byte from '@' to '~', or was none. */
static void sequence_feed(struct line_edit *e, u8 byte, struct line_edit_echo *echo)
{
	if (byte >= '0' && byte <= '9' && e->parameter < PARAMETER_MAX)
		e->parameter = e->parameter * 10 + byte - '0';
	if (byte >= ' ' && byte < '@')
		return;
	e->state = LINE_EDIT_PLAIN;
	for (u32 i = 0; i < ARRAY_SIZE(sequences); i++) {
		if (sequences[i].end == byte && sequences[i].parameter == e->parameter)
			sequences[i].edit(e, echo);
	}
}

void line_edit_begin(struct line_edit *e)
{
	e->length = 0;
	e->cursor = 0;
	e->back = 0;
	e->state = LINE_EDIT_PLAIN;
	e->text[0] = '\0';
}

static enum line_edit_result line_end(struct line_edit *e)
{
	e->text[e->length] = '\0';
	history_add(e);
	return LINE_EDIT_DONE;
}

enum line_edit_result line_edit_feed(struct line_edit *e, u8 byte, struct line_edit_echo *echo)
{
	bool was_cr = e->after_cr;

	echo->length = 0;
	e->after_cr = byte == KEY_CR;
	if (byte == KEY_LF && was_cr)
		return LINE_EDIT_MORE;
	if (byte == KEY_CR || byte == KEY_LF)
		return line_end(e);
	if (byte == KEY_CTRL_C)
		return LINE_EDIT_CANCEL;
	if (byte == KEY_ESCAPE) {
		e->state = LINE_EDIT_ESCAPE;
		e->parameter = 0;
	} else if (e->state == LINE_EDIT_ESCAPE) {
		e->state = byte == '[' || byte == 'O' ? LINE_EDIT_SEQUENCE : LINE_EDIT_PLAIN;
	} else if (e->state == LINE_EDIT_SEQUENCE) {
		sequence_feed(e, byte, echo);
	} else {
		key_feed(e, byte, echo);
	}
	return LINE_EDIT_MORE;
}

void line_edit_show(const struct line_edit *e, struct line_edit_echo *echo)
{
	echo->length = 0;
	echo_text(echo, e, 0);
	echo_put(echo, '\b', e->length - e->cursor);
}
