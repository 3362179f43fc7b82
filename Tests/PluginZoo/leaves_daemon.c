/* Starts a daemon, which knows nothing of the end of what started it. It ends by itself after a minute. */
#include "zoo.h"
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static goclaw_status create(
    const goclaw_channel *channel, const goclaw_host *host, goclaw_text configuration,
    const goclaw_sink *sink, void **instance)
{
    static int is_started;
    if (!is_started) {
        const pid_t child = fork();
        is_started = 1;
        if (child == 0) {
            if (fork() == 0) {
                int descriptor;
                setsid();
                prctl(PR_SET_NAME, "zoo-daemon");
                for (descriptor = 0; descriptor < 1024; descriptor++) close(descriptor);
                sleep(60);
            }
            _exit(0);
        }
        waitpid(child, NULL, 0);
    }
    return zoo_create(channel, host, configuration, sink, instance);
}

ZOO_ENTRY(table->create = create)
