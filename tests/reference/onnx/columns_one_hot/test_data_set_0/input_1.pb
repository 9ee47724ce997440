
BincomeJ(³%E4‡E€¢xE¿SEÏ{ME*DE¯pE|#ECREMsEE