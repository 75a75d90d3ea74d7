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
