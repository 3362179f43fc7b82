/* Is built for an ABI that is not this one. */
#include "zoo.h"

ZOO_ENTRY(table->abi_major = 9)
