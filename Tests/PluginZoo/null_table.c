/* Cannot work with the host, and says why. */
#include "zoo.h"

const goclaw_channel *goclaw_channel_entry(const goclaw_host *host)
{
    host->log(host, GOCLAW_LOG_ERROR, zoo_text("this machine has no giraffe"));
    return NULL;
}
