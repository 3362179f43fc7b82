#include <fcgiapp.h>
#include <sys/socket.h>

/* Linux system calls that glibc declares under _GNU_SOURCE only, which Swift's Glibc module is built without. */
int accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags);
int memfd_create(const char *name, unsigned int flags);

#ifndef MFD_CLOEXEC
#define MFD_CLOEXEC 1U
#endif
