/* Lacks two functions that every plugin must have. */
#include "zoo.h"

ZOO_ENTRY(table->destroy = NULL; table->review = NULL)
