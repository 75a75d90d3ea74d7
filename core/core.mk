# Linked twice: the first image's function names become a table in the second (tools/symbols.sh).
# That must not move what it names: names read from the second image have to be the same.
$(B)/core-nameless.elf: $(call objs,core,$(CORE_SRC)) core/core.ld
	$(Q)$(CC) $(LINK) -Wl,-T,core/core.ld -o $@ $(filter %.o,$^)
$(B)/gen/core/symbols.S: $(B)/core-nameless.elf tools/symbols.sh
	@mkdir -p $(@D)
	$(Q)tools/symbols.sh $< > $@.tmp && mv $@.tmp $@
$(B)/gen/core/symbols.o: $(B)/gen/core/symbols.S
	$(Q)$(CC) $(CORE) -c -o $@ $<
$(B)/core.elf: $(call objs,core,$(CORE_SRC)) $(B)/gen/core/symbols.o core/core.ld
	$(Q)$(CC) $(LINK) -Wl,-T,core/core.ld -o $@.tmp $(filter %.o,$^)
	$(Q)tools/symbols.sh $@.tmp | cmp - $(B)/gen/core/symbols.S || \
		{ echo "$@: the table of names moved what it names" >&2; false; }
	@mv $@.tmp $@

# The screen's glyphs, from GRUB's own font: nothing of it is in this repository.
FONT := /usr/share/grub/ascii.pf2
$(FONT):
	@echo "$@ is missing (Debian: apt install grub-common)" >&2; false
$(B)/font-array: tools/font-array.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(STRICT) -O1 -o $@ $<
$(B)/gen/core/boot/font.inc: $(B)/font-array $(FONT)
	@mkdir -p $(@D)
	$(Q)$^ > $@.tmp && mv $@.tmp $@
$(B)/core/core/boot/framebuffer.c.o: $(B)/gen/core/boot/font.inc
