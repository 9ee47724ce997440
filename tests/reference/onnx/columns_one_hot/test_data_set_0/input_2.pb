
2Köln2Ulm2Köln2Rom2Köln2Köln2Ulm2Köln2Bonn2BonnBcity