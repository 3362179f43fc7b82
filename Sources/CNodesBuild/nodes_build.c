#include "nodes_build.h"

// scripts/record-commit writes it; without it nobody knows.
#if __has_include("commit.h")
#include "commit.h"
#else
#define NODES_BUILD_COMMIT "unknown"
#endif

const char *nodes_build_commit(void) { return NODES_BUILD_COMMIT; }
