# Builds everything under build/: the core, the ring-3 programs, host tools and tests.
CC      ?= gcc
CLANG   ?= clang
B       := build
Q       := $(if $(V),,@)

STRICT  := -std=gnu17 -Wall -Wextra -Werror -Wconversion -Wshadow -Wundef -Wvla -Wwrite-strings \
           -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wimplicit-fallthrough
COMMON  := $(STRICT) -I. -I$(B)/gen -g -MMD -MP -fno-strict-aliasing -fno-common
ROOT    := $(COMMON) -O2 -ffreestanding -fno-builtin-printf -mgeneral-regs-only -mno-red-zone \
           -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none \
           -fno-omit-frame-pointer -ffile-prefix-map=$(CURDIR)=.
CORE    := $(ROOT) -mcmodel=kernel -D__CORE__
HOST    := -Itests/support/host $(COMMON) -DDEBUG -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
LINK    := -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096

find     = $(sort $(shell find $(1) -name '$(2)' 2>/dev/null))
LIB_SRC  := $(call find,lib,*.c)
CORE_SRC := $(call find,core,*.[cS]) $(filter-out lib/ring3/%,$(LIB_SRC))
VMM_SRC  := $(call find,vmm,*.[cS]) $(call find,lib/ring3,*.[cS]) $(LIB_SRC)
SUP_SRC  := $(call find,supervisor,*.[cS]) $(call find,lib/ring3,*.[cS]) $(LIB_SRC)
VMM_SRC  := $(sort $(VMM_SRC))
SUP_SRC  := $(sort $(SUP_SRC))

# Pure code: compiled a second time for the host, under sanitizers, for unit tests and fuzzing.
# Core files that touch the processor get tests/support/host's headers in place of their own.
CORE_PURE := $(wildcard core/boot/boot_info.c core/cpu/lock.c core/cpu/timer.c core/cpu/tlb.c core/mem/audit.c core/mem/frames.c core/mem/heap.c \
              core/mem/paging.c core/sched/queue.c core/sched/sched.c core/svm/insn_len.c core/svm/permission.c core/sys/elf.c \
              core/sys/process.c core/sys/syscall.c core/sys/vm_sys.c core/trace/log_limit.c \
              core/virt/cpuid.c core/virt/engine.c core/virt/events.c core/virt/guest_fetch.c core/virt/lapic.c \
              core/virt/msr.c core/virt/permission.c core/virt/resident.c core/virt/state_check.c core/virt/vcpu.c \
              core/vmx/*.c)
PURE_SRC := $(filter-out lib/base/string.c lib/ring3/%,$(LIB_SRC)) \
            $(call find,vmm/dev,*.c) $(call find,vmm/emul,*.c) $(call find,vmm/board,*.c) \
            $(call find,vmm/load,*.c) $(filter-out supervisor/main.c,$(call find,supervisor,*.c)) $(CORE_PURE)

objs     = $(patsubst %,$(B)/$(1)/%.o,$(2))

# Host programs have no core and no ring 3 to say what a failed assert() does.
PURE_SRC += $(wildcard tests/support/*.c)

all: $(B)/core.elf $(B)/core-debug.elf $(B)/vmm.elf $(B)/supervisor.elf $(B)/ringfence-image

$(B)/vmm.elf: $(call objs,ring3,$(VMM_SRC)) lib/ring3/ring3.ld
	$(Q)$(CC) $(LINK) -Wl,-T,lib/ring3/ring3.ld -o $@ $(filter %.o,$^)
$(B)/supervisor.elf: $(call objs,ring3,$(SUP_SRC)) lib/ring3/ring3.ld
	$(Q)$(CC) $(LINK) -Wl,-T,lib/ring3/ring3.ld -o $@ $(filter %.o,$^)
$(B)/ringfence-image: $(call find,tools,ringfence-image*.[ch]) lib/abi/manifest.h $(LIB_SRC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -MMD -MP,$(COMMON)) -D_GNU_SOURCE -O1 -o $@ $(filter-out lib/base/string.c lib/ring3/%,$(filter %.c,$^)) -lyaml

$(B)/ring3/%.o: % Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(ROOT) -c -o $@ $<
$(B)/host/%.o: % Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST) -c -o $@ $<
$(B)/fuzz-obj/%.o: % Makefile
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(HOST) -fsanitize=fuzzer-no-link -c -o $@ $<

# Unit tests: every tests/unit/**/*_test.c is one cmocka program over all pure code.
UNIT     := $(patsubst %.c,$(B)/%,$(call find,tests/unit,*_test.c))
$(B)/pure.a: $(call objs,host,$(PURE_SRC))
	@rm -f $@ && ar rcs $@ $^
$(UNIT): $(B)/%: $(B)/host/%.c.o $(B)/pure.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST) -o $@ $^ -lcmocka
unit: $(UNIT)

# Fuzz targets: every tests/fuzz/*_fuzz.c is one libFuzzer program over all pure code.
FUZZ     := $(patsubst %.c,$(B)/%,$(call find,tests/fuzz,*_fuzz.c))
$(B)/pure-fuzz.a: $(call objs,fuzz-obj,$(PURE_SRC))
	@rm -f $@ && ar rcs $@ $^
$(FUZZ): $(B)/%: $(B)/fuzz-obj/%.c.o $(B)/pure-fuzz.a
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(HOST) -fsanitize=fuzzer -o $@ $^
fuzz: $(FUZZ)

clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
include $(wildcard */*.mk */*/*.mk)
.PHONY: all unit fuzz clean
.PRECIOUS: $(B)/host/%.o $(B)/fuzz-obj/%.o
