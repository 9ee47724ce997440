BvariableJ0`£6Cxó8Ct-&C
ÍCCğÛ'CvC^RICG¡CŠ/ÚBÒ.Cl;6C+ÉìB