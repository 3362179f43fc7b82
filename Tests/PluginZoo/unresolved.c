/* Needs a function that no library has. */
#include "zoo.h"

void zoo_function_that_nobody_has(void);

ZOO_ENTRY(zoo_function_that_nobody_has())
