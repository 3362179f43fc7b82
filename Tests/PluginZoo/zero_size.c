/* Forgot to state its table's size. */
#include "zoo.h"

ZOO_ENTRY(table->size = 0)
