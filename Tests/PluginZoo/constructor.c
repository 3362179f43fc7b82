/* Leaves a file behind when it is loaded, so that a test sees whether it was. */
#include "zoo.h"

__attribute__((constructor)) static void leave_a_trace(void)
{
    FILE *file = fopen(ZOO_TRACE, "w");
    if (file) fclose(file);
}

ZOO_ENTRY()
