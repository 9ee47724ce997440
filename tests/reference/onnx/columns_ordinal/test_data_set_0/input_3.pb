
2b2a2a2b2a2b2a2b2a2bBplan