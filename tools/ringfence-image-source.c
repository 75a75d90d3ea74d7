/*
 * YAML text to a document whose nodes carry their place, so that each complaint about a manifest
 * names file, line and column (libyaml's document interface, yaml.h).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ringfence-image.h"

#define SOURCE_BYTES_MAX MIB

/* Marks count from zero, people from one. */
static void report_at(struct source *s, yaml_mark_t mark)
{
	s->errors++;
	fprintf(stderr, "%s:%zu:%zu: ", s->path, mark.line + 1, mark.column + 1);
}

void source_report(struct source *s, const yaml_node_t *node, const char *format, ...)
{
	va_list arguments;

	report_at(s, node->start_mark);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

const yaml_node_t *source_node(struct source *s, int index)
{
	return yaml_document_get_node(&s->document, index);
}

static bool scalar_is_null(const yaml_node_t *node, const char *text)
{
	return node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static bool scalar_is_one_line(const yaml_node_t *node)
{
	for (size_t i = 0; i < node->data.scalar.length; i++) {
		if (node->data.scalar.value[i] < ' ' || node->data.scalar.value[i] == 0x7f)
			return false;
	}
	return true;
}

const char *source_text(struct source *s, const yaml_node_t *node, const char *expected)
{
	static const char *const types[] = {
		[YAML_SEQUENCE_NODE] = "a list", [YAML_MAPPING_NODE] = "a mapping"
	};
	const char *text;

	if (node->type != YAML_SCALAR_NODE) {
		source_report(s, node, "found %s, expected %s", types[node->type], expected);
		return NULL;
	}
	text = (const char *)node->data.scalar.value;
	if (scalar_is_null(node, text))
		source_report(s, node, "found nothing, expected %s", expected);
	else if (strcmp((const char *)node->tag, YAML_STR_TAG) != 0)
		source_report(s, node, "found the tag %s, expected %s without a tag",
			      (const char *)node->tag, expected);
	else if (!scalar_is_one_line(node))
		source_report(s, node, "found a line break or control character, expected %s",
			      expected);
	else
		return text;
	return NULL;
}

bool source_is_list(struct source *s, const yaml_node_t *node, const char *expected)
{
	const char *tag = (const char *)node->tag;

	if (node->type == YAML_SCALAR_NODE) {
		const char *text = source_text(s, node, expected);

		if (text != NULL)
			source_report(s, node, "found \"%s\", expected %s", text, expected);
	} else if (node->type == YAML_MAPPING_NODE) {
		source_report(s, node, "found a mapping, expected %s", expected);
	} else if (strcmp(tag, YAML_SEQ_TAG) != 0) {
		source_report(s, node, "found the tag %s, expected %s without a tag", tag,
			      expected);
	} else if (node->data.sequence.items.start == node->data.sequence.items.top) {
		source_report(s, node, "found an empty list, expected %s", expected);
	} else {
		return true;
	}
	return false;
}

/* The whole file in memory; NULL with errno. EFBIG when it cannot be a manifest. */
static u8 *text_read(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rbe");
	u8 *text = malloc(SOURCE_BYTES_MAX + 1);
	int error;

	if (file == NULL || text == NULL)
		goto fail;
	*size = fread(text, 1, SOURCE_BYTES_MAX + 1, file);
	if (*size > SOURCE_BYTES_MAX)
		errno = EFBIG;
	if (ferror(file) || *size > SOURCE_BYTES_MAX)
		goto fail;
	fclose(file);
	return text;
fail:
	error = errno;
	free(text);
	if (file != NULL)
		fclose(file);
	errno = error;
	return NULL;
}

/* For bytes that are no text at all libyaml tells the offset only. */
static yaml_mark_t mark_of_offset(const u8 *text, size_t offset)
{
	yaml_mark_t mark = { 0 };

	for (size_t i = 0; i < offset; i++) {
		const bool continues = (text[i] & 0xc0) == 0x80; /* of a UTF-8 sequence */

		mark.column = text[i] == '\n' ? 0 : mark.column + !continues;
		mark.line += text[i] == '\n';
	}
	return mark;
}

static void report_syntax(struct source *s, const yaml_parser_t *parser, const u8 *text)
{
	const yaml_mark_t *context = &parser->context_mark;

	if (parser->error == YAML_READER_ERROR)
		report_at(s, mark_of_offset(text, parser->problem_offset));
	else
		report_at(s, parser->problem_mark);
	fprintf(stderr, "found YAML that does not parse: %s", parser->problem);
	if (parser->context != NULL)
		fprintf(stderr, " (%s at %zu:%zu)", parser->context, context->line + 1,
			context->column + 1);
	fputc('\n', stderr);
}

/* A manifest is one document: anything after it would be ignored silently. */
static bool parse_end(struct source *s, yaml_parser_t *parser, const u8 *text)
{
	yaml_document_t next;
	const yaml_node_t *root;

	if (!yaml_parser_load(parser, &next)) {
		report_syntax(s, parser, text);
		return false;
	}
	root = yaml_document_get_root_node(&next);
	if (root != NULL)
		source_report(s, root, "found a second document, expected the end of the file");
	yaml_document_delete(&next);
	return root == NULL;
}

static bool parse_text(struct source *s, yaml_parser_t *parser, const u8 *text)
{
	if (!yaml_parser_load(parser, &s->document)) {
		report_syntax(s, parser, text);
		return false;
	}
	if (yaml_document_get_root_node(&s->document) == NULL) {
		report_at(s, (yaml_mark_t){ 0 });
		fputs("found an empty manifest, expected the key \"vms\"\n", stderr);
	} else if (parse_end(s, parser, text)) {
		return true;
	}
	yaml_document_delete(&s->document);
	return false;
}

bool source_open(struct source *s, const char *path)
{
	yaml_parser_t parser;
	size_t size = 0;
	u8 *text = text_read(path, &size);
	bool parsed;

	*s = (struct source){ .path = path };
	if (text == NULL || !yaml_parser_initialize(&parser)) {
		fprintf(stderr, "%s: cannot read the manifest: %s\n", path, strerror(errno));
		free(text);
		return false;
	}
	yaml_parser_set_input_string(&parser, text, size);
	parsed = parse_text(s, &parser, text);
	yaml_parser_delete(&parser);
	free(text);
	return parsed;
}

void source_close(struct source *s)
{
	yaml_document_delete(&s->document);
}
