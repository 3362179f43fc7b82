/* Is built for a newer version of this ABI: nothing is wrong with it. */
#include "zoo.h"

ZOO_ENTRY(table->abi_minor = 7; table->size += 64)
