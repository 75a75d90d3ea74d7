/*
 * What each key of a VM in the manifest takes (docs/manifest.md): a row reads one value into the
 * VM's record, or says what it expected.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ringfence-image-keys.h"

/* The texts of expectations below spell these out. */
static_assert(MANIFEST_MEMORY_MIN == 2 * MIB && MANIFEST_MEMORY_UNIT == 2 * MIB, "text of memory");
static_assert(MANIFEST_MEMORY_MAX == 1024 * GIB && MANIFEST_CPUS_MAX == 64, "text of memory, cpus");
static_assert(MANIFEST_WEIGHT_MAX == 10000 && MANIFEST_CAP_MAX == 6400, "text of weight, cap");
static_assert(MANIFEST_PIN_MAX == 64, "text of pin");
static_assert(sizeof(((struct manifest_vm *)0)->name) == 32, "text of name");
static_assert(sizeof(((struct manifest_vm *)0)->cmdline) == 2048, "text of cmdline");

#define NAME_BYTES_MAX	  (sizeof(((struct manifest_vm *)0)->name) - 1)
#define CMDLINE_BYTES_MAX (sizeof(((struct manifest_vm *)0)->cmdline) - 1)
#define TYPO_DISTANCE	  2U  /* edits that still look like a slip of the fingers */
#define WORD_BYTES_MAX	  16U /* longer than each key */

static void refuse(struct reader *r, const struct key_row *row, const yaml_node_t *value,
		   const char *text)
{
	source_report(r->source, value, "found \"%s\", expected %s", text, row->expected);
}

/* Decimal digits to a number; the rest of the text is at `end`. False: no digit, or too large. */
static bool number_read(const char *text, u64 *number, const char **end)
{
	const char *p = text;

	for (*number = 0; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(*number, 10, number) ||
		    __builtin_add_overflow(*number, (u64)(*p - '0'), number))
			return false;
	}
	*end = p;
	return p != text;
}

static void read_name(struct reader *r, const struct key_row *row, const yaml_node_t *value,
		      const char *text)
{
	const size_t length = strlen(text);
	size_t good = 0;

	while (manifest_name_allows(text[good]))
		good++;
	if (length == 0 || length > NAME_BYTES_MAX || good < length) {
		refuse(r, row, value, text);
		return;
	}
	for (u32 i = 0; i < r->plan->vm_count; i++) {
		if (strcmp(r->plan->vms[i].name, text) != 0)
			continue;
		source_report(r->source, value,
			      "found a second VM named \"%s\" (the first is at %zu:%zu), "
			      "expected a name of its own",
			      text, r->names[i]->start_mark.line + 1,
			      r->names[i]->start_mark.column + 1);
		return;
	}
	r->names[r->plan->vm_count] = value;
	memcpy(r->vm->name, text, length);
}

static void read_cmdline(struct reader *r, const struct key_row *row, const yaml_node_t *value,
			 const char *text)
{
	const size_t length = strlen(text);

	if (length > CMDLINE_BYTES_MAX)
		source_report(r->source, value, "found %zu bytes, expected %s", length,
			      row->expected);
	else
		memcpy(r->vm->cmdline, text, length);
}

static u64 unit_of_suffix(const char *suffix)
{
	if (strcmp(suffix, "K") == 0)
		return KIB;
	if (strcmp(suffix, "M") == 0)
		return MIB;
	return strcmp(suffix, "G") == 0 ? GIB : 0;
}

static void read_memory(struct reader *r, const struct key_row *row, const yaml_node_t *value,
			const char *text)
{
	const char *suffix;
	u64 bytes;

	if (!number_read(text, &bytes, &suffix) ||
	    __builtin_mul_overflow(bytes, unit_of_suffix(suffix), &bytes) ||
	    !manifest_memory_allows(bytes))
		refuse(r, row, value, text);
	else
		r->vm->memory_bytes = bytes;
}

static void field_write(struct reader *r, const struct key_row *row, u32 value)
{
	memcpy((u8 *)r->vm + row->field, &value, sizeof(value));
}

static void read_number(struct reader *r, const struct key_row *row, const yaml_node_t *value,
			const char *text)
{
	const char *end;
	u64 number;

	if (!number_read(text, &number, &end) || *end != '\0' || number == 0 || number > row->max)
		refuse(r, row, value, text);
	else
		field_write(r, row, (u32)number);
}

/* One processor of a pin; `first` holds where each was named. */
static void read_processor(struct reader *r, const yaml_node_t *node, const yaml_node_t **first)
{
	static const char expected[] = "a processor's number from 0 to 63";
	const char *text = source_text(r->source, node, expected);
	const char *end;
	u64 number;

	if (text == NULL)
		return;
	if (!number_read(text, &number, &end) || *end != '\0' || number >= MANIFEST_PIN_MAX) {
		source_report(r->source, node, "found \"%s\", expected %s", text, expected);
	} else if (first[number] != NULL) {
		source_report(r->source, node,
			      "found processor %lu again (the first is at %zu:%zu), "
			      "expected it once",
			      number, first[number]->start_mark.line + 1,
			      first[number]->start_mark.column + 1);
	} else {
		first[number] = node;
		r->vm->cpus_allowed |= BIT64(number);
	}
}

static void read_pin(struct reader *r, const yaml_node_t *list)
{
	const yaml_node_t *first[MANIFEST_PIN_MAX] = { NULL };

	r->vm->cpus_allowed = 0;
	for (const int *item = list->data.sequence.items.start;
	     item < list->data.sequence.items.top; item++)
		read_processor(r, source_node(r->source, *item), first);
}

static void read_restart(struct reader *r, const struct key_row *row, const yaml_node_t *value,
			 const char *text)
{
	static const char *const policies[MANIFEST_RESTART_COUNT] = {
		[MANIFEST_RESTART_NEVER] = "never",
		[MANIFEST_RESTART_ON_FAILURE] = "on-failure",
		[MANIFEST_RESTART_ALWAYS] = "always",
	};

	for (u32 i = 0; i < ARRAY_SIZE(policies); i++) {
		if (strcmp(text, policies[i]) == 0) {
			r->vm->restart = i;
			return;
		}
	}
	refuse(r, row, value, text);
}

static void read_flag(struct reader *r, const struct key_row *row, const yaml_node_t *value,
		      const char *text)
{
	if (strcmp(text, "true") == 0)
		r->vm->flags |= row->flag;
	else if (strcmp(text, "false") != 0)
		refuse(r, row, value, text);
}

/* A file that several VMs name goes into the image once. Takes over what `file` holds. */
static u32 plan_file_index(struct image_plan *plan, struct image_file *file)
{
	for (u32 i = 0; i < plan->file_count; i++) {
		if (plan->files[i].device == file->device && plan->files[i].inode == file->inode) {
			image_file_close(file);
			return i;
		}
	}
	plan->files[plan->file_count] = *file;
	return plan->file_count++;
}

static void read_file(struct reader *r, const struct key_row *row, const yaml_node_t *value,
		      const char *text)
{
	const bool absolute = text[0] == '/';
	struct image_file file;
	const char *found;
	char path[2 * PATH_MAX];

	if (text[0] == '\0') {
		refuse(r, row, value, text);
		return;
	}
	/* A path cut short is longer than PATH_MAX still: opening it fails and says so. */
	snprintf(path, sizeof(path), "%s%s%s", absolute ? "" : r->directory, absolute ? "" : "/",
		 text);
	found = image_file_open(&file, path);
	if (found != NULL) {
		source_report(r->source, value, "found at %s: %s; expected %s", path, found,
			      row->expected);
		return;
	}
	field_write(r, row, plan_file_index(r->plan, &file));
}

const struct key_row key_rows[KEY_COUNT] = {
	[KEY_NAME] = { .name = "name",
		       .expected = "a name of 1 to 31 characters a-z, 0-9 and -",
		       .required = true,
		       .read = read_name },
	[KEY_KERNEL] = { .name = "kernel",
			 .expected = "the kernel image, a path relative to the manifest",
			 .required = true,
			 .read = read_file,
			 .field = offsetof(struct manifest_vm, kernel) },
	[KEY_INITRD] = { .name = "initrd",
			 .expected = "an initial RAM disk, a path relative to the manifest",
			 .read = read_file,
			 .field = offsetof(struct manifest_vm, initrd) },
	[KEY_CMDLINE] = { .name = "cmdline",
			  .expected = "a command line of at most 2047 bytes",
			  .read = read_cmdline },
	[KEY_MEMORY] = { .name = "memory",
			 .expected = "a multiple of 2M from 2M to 1024G, such as 512M",
			 .required = true,
			 .read = read_memory },
	[KEY_CPUS] = { .name = "cpus",
		       .expected = "a number from 1 to 64",
		       .read = read_number,
		       .max = MANIFEST_CPUS_MAX,
		       .field = offsetof(struct manifest_vm, cpus) },
	[KEY_WEIGHT] = { .name = "weight",
			 .expected = "a number from 1 to 10000",
			 .read = read_number,
			 .max = MANIFEST_WEIGHT_MAX,
			 .field = offsetof(struct manifest_vm, weight) },
	[KEY_CAP] = { .name = "cap",
		      .expected = "percent of one processor, a number from 1 to 6400",
		      .read = read_number,
		      .max = MANIFEST_CAP_MAX,
		      .field = offsetof(struct manifest_vm, cap_percent) },
	[KEY_PIN] = { .name = "pin",
		      .expected = "a list of processors from 0 to 63, such as [0, 2]",
		      .read_list = read_pin },
	[KEY_RESTART] = { .name = "restart",
			  .expected = "never, on-failure or always",
			  .read = read_restart },
	[KEY_DEBUG_PORT] = { .name = "debug-port",
			     .expected = "true or false",
			     .read = read_flag,
			     .flag = MANIFEST_FLAG_DEBUG_PORT },
	[KEY_TEST_EXIT] = { .name = "test-exit",
			    .expected = "true or false",
			    .read = read_flag,
			    .flag = MANIFEST_FLAG_TEST_EXIT },
	[KEY_FAULT_VMM] = { .name = "fault-vmm",
			    .expected = "true or false",
			    .read = read_flag,
			    .flag = MANIFEST_FLAG_FAULT_VMM },
};

/* Insertions, deletions and replacements between two words, one table row at a time. */
static size_t word_distance(const char *a, const char *b)
{
	size_t row[WORD_BYTES_MAX + 1];
	const size_t columns = strlen(b);

	if (columns > WORD_BYTES_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= columns; j++)
		row[j] = j;
	for (size_t i = 0; a[i] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < columns; j++) {
			const size_t above = row[j + 1];
			const size_t step = min_u64(above, row[j]) + 1;

			row[j + 1] = min_u64(step, diagonal + (a[i] != b[j]));
			diagonal = above;
		}
	}
	return row[columns];
}

const struct key_row *key_find(const char *name)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (strcmp(name, key_rows[i].name) == 0)
			return &key_rows[i];
	}
	return NULL;
}

const struct key_row *key_nearest(const char *name)
{
	const struct key_row *nearest = NULL;
	size_t best = TYPO_DISTANCE + 1;

	for (size_t i = 0; i < KEY_COUNT; i++) {
		const size_t distance = word_distance(name, key_rows[i].name);

		/* Where more than half of a short word differs, it is another word. */
		if (distance < best &&
		    2 * distance <= min_u64(strlen(name), strlen(key_rows[i].name))) {
			best = distance;
			nearest = &key_rows[i];
		}
	}
	return nearest;
}
