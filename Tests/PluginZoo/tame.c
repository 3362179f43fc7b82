/* Does everything right, and nothing more than it must. */
#include "zoo.h"

ZOO_ENTRY()
