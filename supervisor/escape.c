/* Two states and a table. */
#include "supervisor/escape.h"

#include "lib/base/types.h"

static const struct {
	u8 key;
	enum escape_action action;
} keys[] = {
	{ ESCAPE_KEY, ESCAPE_BYTE }, { 'a', ESCAPE_BYTE }, { 'n', ESCAPE_NEXT },
	{ 'm', ESCAPE_MONITOR },     { 'h', ESCAPE_HELP }, { '?', ESCAPE_HELP },
};

enum escape_action escape_feed(struct escape *escape, u8 *byte)
{
	u8 key = *byte;

	if (!escape->seen) {
		escape->seen = key == ESCAPE_KEY;
		return escape->seen ? ESCAPE_NOTHING : ESCAPE_BYTE;
	}
	escape->seen = false;
	for (u32 i = 0; i < ARRAY_SIZE(keys); i++) {
		if (keys[i].key != key)
			continue;
		if (keys[i].action == ESCAPE_BYTE)
			*byte = ESCAPE_KEY;
		return keys[i].action;
	}
	return ESCAPE_UNKNOWN;
}
