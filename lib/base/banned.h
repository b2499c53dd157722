/* Functions that do not compile here, each with what to use instead (after git's banned.h). */
#ifndef MW_BASE_BANNED_H
#define MW_BASE_BANNED_H

/* System headers that use these names in inline code come first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#undef strcpy
#undef strcat
#undef strncpy
#undef strncat
#undef sprintf
#undef vsprintf
#undef strtok
#undef gets
#undef atoi
#undef atol
#undef alloca

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok gets atoi atol atoll alloca

#endif
