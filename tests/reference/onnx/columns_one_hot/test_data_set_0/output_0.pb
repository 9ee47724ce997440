
2leaves2stays2leaves2leaves2leaves2leaves2stays2stays2leaves2staysBoutput_label