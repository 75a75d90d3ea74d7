/*
 * The build links twice: the first image gives the names (tools/symbols.sh), the second carries
 * them in .rodata behind everything whose address they name.
 */
#include "core/trace/symbols.h"

#include "lib/base/format.h"

struct symbol {
	u64 address;
	const char *name;
};

/* Sorted by address, ends with a NULL name. Weak: absent in the first link. */
extern const struct symbol symbol_table[] __attribute__((weak));

void symbol_describe(u64 address, char *out, size_t bytes)
{
	const struct symbol *best = NULL;

	out[0] = '\0';
	if (!symbol_table)
		return;
	for (const struct symbol *s = symbol_table; s->name && s->address <= address; s++)
		best = s;
	if (best)
		format(out, bytes, "%s+0x%lx", best->name, address - best->address);
}
