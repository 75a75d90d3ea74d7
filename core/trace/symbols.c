/*
 * The build links twice: the first image gives the names (tools/symbols.sh), the second carries
 * them in .rodata behind everything whose address they name.
 */
#include "core/trace/symbols.h"

#include "lib/base/format.h"

struct symbol {
	u64 address;
	const char *name; /* NULL: the end of the code */
};

/* Sorted by address. Weak: absent in the first link. */
extern const struct symbol symbol_table[] __attribute__((weak));

void symbol_describe(u64 address, bool is_return, char *out, size_t bytes)
{
	const struct symbol *s = symbol_table;
	u64 code = address - is_return;

	out[0] = '\0';
	if (!s || code < s->address)
		return;
	while (s->name && s[1].address <= code)
		s++;
	if (s->name)
		format(out, bytes, "%s+0x%lx", s->name, address - s->address);
}
