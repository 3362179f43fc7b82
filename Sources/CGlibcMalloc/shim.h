/* What Swift's Glibc module leaves out: mallinfo2, and prctl, which takes any number of arguments. */
#include <malloc.h>
#include <sys/prctl.h>

/* Whether orphaned descendants become children of this process. Returns -1 and sets errno where the kernel
 * cannot tell. */
static inline int goclaw_get_subreaper(int *is_subreaper)
{
    return prctl(PR_GET_CHILD_SUBREAPER, is_subreaper, 0, 0, 0);
}

static inline int goclaw_set_subreaper(int is_subreaper)
{
    return prctl(PR_SET_CHILD_SUBREAPER, is_subreaper, 0, 0, 0);
}
