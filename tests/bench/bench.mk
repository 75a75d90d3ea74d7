# The guests that measure what exits cost, made of the micro guests' library like them.
BENCH_SRC := $(wildcard tests/bench/guest/*.[cS]) $(call find,tests/micro/lib,*.[cS]) \
             lib/base/string.c lib/base/format.c

BENCH_SMP_SRC := $(filter-out %/guest/main.c,$(BENCH_SRC)) $(wildcard tests/bench/smp/*.c)

$(B)/micro/bench.elf64: $(call objs,micro,$(BENCH_SRC))
$(B)/micro/bench-smp.elf64: $(call objs,micro,$(BENCH_SMP_SRC))
$(B)/micro/bench.elf64 $(B)/micro/bench-smp.elf64: tests/micro/lib/micro.ld
	$(CC) $(LINK) -Wl,-T,tests/micro/lib/micro.ld -Wl,--no-warn-rwx-segments -o $@ $(filter %.o,$^)

bench: $(B)/tests/micro/bench.elf $(B)/tests/micro/bench-smp.elf $(B)/tests/bench/init $(B)/tests/bench/loader.elf
.PHONY: bench

# The first process of the measured boots: an ordinary Linux program without a C library.
$(B)/tests/bench/init: tests/bench/init.c
	@mkdir -p $(@D)
	$(CC) $(STRICT) -O2 -ffreestanding -static -nostdlib -fno-stack-protector -fcf-protection=none \
		-Wl,--build-id=none -Wl,-z,noexecstack -o $@ $<

# Starts the core from QEMU's own loader; above where the core and its modules go.
$(B)/tests/bench/loader.elf: $(wildcard tests/bench/loader/*)
	@mkdir -p $(@D)
	$(CC) $(filter-out -Wcast-qual,$(STRICT)) -m32 -march=i686 -O2 -ffreestanding -static -nostdlib \
		-fno-pic -no-pie -fno-stack-protector -fcf-protection=none -fno-strict-aliasing \
		-Wl,--build-id=none,-z,noexecstack,-n,-Ttext=0x1000000 -o $@ $^
micro: bench
