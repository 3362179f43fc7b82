/* Never comes back from its end. */
#include "zoo.h"
#include <unistd.h>

static void destroy(void *instance)
{
    UNUSED(instance);
    for (;;) pause();
}

ZOO_ENTRY(table->destroy = destroy)
