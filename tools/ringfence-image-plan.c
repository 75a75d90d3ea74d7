/*
 * The structure of the YAML manifest (docs/manifest.md): one key "vms", a list of VMs, and the keys
 * of each. Everything wrong is reported with its place before the run gives up.
 */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ringfence-image-keys.h"

static_assert(MANIFEST_VM_MAX == 64, "texts below");
static_assert(2 * MANIFEST_VM_MAX <= MANIFEST_FILE_MAX, "kernels and initrds always fit");

static void report_unknown_key(struct reader *r, const yaml_node_t *key, const char *text)
{
	const struct key_row *nearest = key_nearest(text);

	if (nearest != NULL)
		source_report(r->source, key, "found the unknown key \"%s\", expected \"%s\"?",
			      text, nearest->name);
	else
		source_report(r->source, key,
			      "found the unknown key \"%s\", expected name, kernel, initrd, "
			      "cmdline, memory, cpus, weight, cap, pin, restart, debug-port, "
			      "test-exit or fault-vmm",
			      text);
}

/* Reads one "key: value"; `seen` holds the pairs of this VM so far, by row. */
static void read_pair(struct reader *r, const yaml_node_pair_t *pair, const yaml_node_pair_t **seen)
{
	const yaml_node_t *key = source_node(r->source, pair->key);
	const yaml_node_t *value = source_node(r->source, pair->value);
	const char *text = source_text(r->source, key, "a key");
	const struct key_row *row = text == NULL ? NULL : key_find(text);

	if (text == NULL)
		return;
	if (row == NULL) {
		report_unknown_key(r, key, text);
		return;
	}
	if (seen[row - key_rows] != NULL) {
		const yaml_node_t *first = source_node(r->source, seen[row - key_rows]->key);

		source_report(r->source, key,
			      "found \"%s\" again (the first is at %zu:%zu), expected it once",
			      text, first->start_mark.line + 1, first->start_mark.column + 1);
		return;
	}
	seen[row - key_rows] = pair;
	if (row->read_list != NULL) {
		if (source_is_list(r->source, value, row->expected))
			row->read_list(r, value);
		return;
	}
	text = source_text(r->source, value, row->expected);
	if (text != NULL)
		row->read(r, row, value, text);
}

/* The loader needs more than this, but less can never work. */
static void check_files_fit(struct reader *r, const yaml_node_pair_t *memory)
{
	const struct manifest_vm *vm = r->vm;
	u64 bytes = r->plan->files[vm->kernel].record.bytes;

	if (vm->initrd != MANIFEST_NO_FILE)
		bytes += r->plan->files[vm->initrd].record.bytes;
	if (vm->memory_bytes < bytes)
		source_report(r->source, source_node(r->source, memory->value),
			      "found less memory than kernel and initrd take, "
			      "expected %luM or more",
			      align_up(bytes, MANIFEST_MEMORY_UNIT) / MIB);
}

static void read_vm(struct reader *r, const yaml_node_t *node)
{
	const yaml_node_pair_t *seen[KEY_COUNT] = { NULL };
	const unsigned errors = r->source->errors;

	r->vm = &r->plan->vms[r->plan->vm_count];
	*r->vm = (struct manifest_vm){ .cpus = 1,
				       .initrd = MANIFEST_NO_FILE,
				       .weight = MANIFEST_WEIGHT_DEFAULT,
				       .cpus_allowed = MANIFEST_ANY_CPU };
	if (node->type != YAML_MAPPING_NODE) {
		source_report(r->source, node, "found no mapping, expected the keys of a VM");
		return;
	}
	for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++)
		read_pair(r, pair, seen);
	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (key_rows[i].required && seen[i] == NULL)
			source_report(r->source, node, "found a VM without \"%s\", expected %s",
				      key_rows[i].name, key_rows[i].expected);
	}
	if (r->source->errors == errors)
		check_files_fit(r, seen[KEY_MEMORY]);
	r->plan->vm_count++;
}

static void read_vms(struct reader *r, const yaml_node_t *vms)
{
	if (vms->type != YAML_SEQUENCE_NODE ||
	    vms->data.sequence.items.start == vms->data.sequence.items.top) {
		source_report(r->source, vms, "found no VM, expected a list of 1 to 64 VMs");
		return;
	}
	for (const int *item = vms->data.sequence.items.start; item < vms->data.sequence.items.top;
	     item++) {
		const yaml_node_t *node = source_node(r->source, *item);

		if (r->plan->vm_count == MANIFEST_VM_MAX) {
			source_report(r->source, node, "found one VM more, expected at most 64");
			return;
		}
		read_vm(r, node);
	}
}

static void read_root(struct reader *r)
{
	const yaml_node_t *root = yaml_document_get_root_node(&r->source->document);
	const yaml_node_pair_t *vms = NULL;

	if (root->type != YAML_MAPPING_NODE) {
		source_report(r->source, root, "found no mapping, expected the key \"vms\"");
		return;
	}
	for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
	     pair < root->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = source_node(r->source, pair->key);
		const char *text = source_text(r->source, key, "the key \"vms\"");

		if (text == NULL)
			continue;
		if (strcmp(text, "vms") != 0)
			source_report(r->source, key,
				      "found the unknown key \"%s\", expected \"vms\"", text);
		else if (vms != NULL)
			source_report(r->source, key, "found \"vms\" again, expected it once");
		else
			vms = pair;
	}
	if (vms != NULL)
		read_vms(r, source_node(r->source, vms->value));
	else if (r->source->errors == 0)
		source_report(r->source, root, "found no key, expected the key \"vms\"");
}

/* Paths in a manifest start at the manifest, wherever the tool runs. */
static bool directory_of(const char *path, char *directory)
{
	char *copy = strdup(path);
	const bool found = copy != NULL && realpath(dirname(copy), directory) != NULL;

	free(copy);
	return found;
}

bool plan_read(struct image_plan *plan, const char *path)
{
	struct source source;
	struct reader reader = { .source = &source, .plan = plan };

	if (!source_open(&source, path))
		return false;
	if (!directory_of(path, reader.directory)) {
		fprintf(stderr, "%s: cannot resolve its directory: %s\n", path, strerror(errno));
		source.errors++;
	} else {
		read_root(&reader);
	}
	source_close(&source);
	return source.errors == 0;
}
