# The guest that measures what exits cost, made of the micro guests' library like them.
BENCH_SRC := $(wildcard tests/bench/guest/*.[cS]) $(call find,tests/micro/lib,*.[cS]) lib/base/string.c

$(B)/micro/bench.elf64: $(call objs,micro,$(BENCH_SRC)) tests/micro/lib/micro.ld
	$(CC) $(LINK) -Wl,-T,tests/micro/lib/micro.ld -Wl,--no-warn-rwx-segments -o $@ $(filter %.o,$^)

bench: $(B)/tests/micro/bench.elf
.PHONY: bench
