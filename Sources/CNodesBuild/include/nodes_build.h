#ifndef NODES_BUILD_H
#define NODES_BUILD_H

// The commit that the programs were built from: 40 hexadecimal digits, "-modified" behind them where the tree was not
// as it was committed, or "unknown". Lives as long as the process.
const char *nodes_build_commit(void);

#endif
