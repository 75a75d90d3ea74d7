/* The keys of a VM in the manifest: what plan and keys share. */
#pragma once

#include <limits.h>

#include "tools/ringfence-image.h"

struct reader {
	struct source *source;
	struct image_plan *plan;
	char directory[PATH_MAX];		   /* of the manifest, absolute */
	const yaml_node_t *names[MANIFEST_VM_MAX]; /* values of "name" so far */
	struct manifest_vm *vm;			   /* the one being read */
};

struct key_row;
typedef void read_fn(struct reader *r, const struct key_row *row, const yaml_node_t *value,
		     const char *text);
typedef void read_list_fn(struct reader *r, const yaml_node_t *list);

struct key_row {
	const char *name;
	const char *expected;	 /* completes "expected ..." */
	read_fn *read;		 /* of a key whose value is text */
	read_list_fn *read_list; /* of one whose value is a list */
	bool required;
	u32 flag;     /* of a boolean: MANIFEST_FLAG_* */
	u32 max;      /* of a number, which is at least 1 */
	size_t field; /* of a number, or a path that becomes the file's index: its u32 in the record
		       */
};

enum key {
	KEY_NAME,
	KEY_KERNEL,
	KEY_INITRD,
	KEY_CMDLINE,
	KEY_MEMORY,
	KEY_CPUS,
	KEY_WEIGHT,
	KEY_CAP,
	KEY_PIN,
	KEY_RESTART,
	KEY_DEBUG_PORT,
	KEY_TEST_EXIT,
	KEY_FAULT_VMM,
	KEY_COUNT
};

extern const struct key_row key_rows[KEY_COUNT];

/* The row of a key; NULL when there is none. */
const struct key_row *key_find(const char *name);
/* The row whose key a person may have meant; NULL when none is near. */
const struct key_row *key_nearest(const char *name);
