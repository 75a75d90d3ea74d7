#!/bin/sh
# Writes the core's function names as a table in assembly, for core/trace/symbols.c.
# Usage: tools/symbols.sh CORE.ELF
set -eu
LC_ALL=C nm -n "$1" | awk '
	BEGIN {
		print "\t.section .symbols, \"a\"\n\t.balign 8"
		print "\t.globl symbol_table\nsymbol_table:"
	}
	# Only what is linked high; the names of the linker script are no functions.
	$1 !~ /^ffffffff/ { next }
	$3 == "core_text_end" { end = $1 }
	$2 ~ /^[tT]$/ && $3 !~ /^core_(image|text)_/ {
		print "\t.quad 0x" $1 ", name" ++count
		names = names "name" count ":\t.asciz \"" $3 "\"\n"
	}
	END {
		if (!count || !end) {
			print "symbols.sh: no functions, or no end of them" >"/dev/stderr"
			exit 1
		}
		print "\t.quad 0x" end ", 0"
		printf "%s", names
		print "\t.section .note.GNU-stack, \"\", @progbits"
	}'
