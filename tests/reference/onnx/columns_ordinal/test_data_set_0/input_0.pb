
BageJ(ÄWPBdﬁB≥Z-BMœBü:B§öEBB¥®BUefB\
	B