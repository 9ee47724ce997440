
Boutput_probabilityJPñ,?¦>¾uõ>!E?Sm?Y%Ï>—T?ÒVó>½?†ØÍ>u¿#?¸>¦Œï>­9?‹ø>tº?V2?T×›>LÂ¿>Ú ?