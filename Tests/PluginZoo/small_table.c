/* Has a table too small for what every version has. */
#include "zoo.h"

ZOO_ENTRY(table->size = 24)
