#include <libpq-fe.h>

/* A request to cancel what a connection runs. libpq 17 and newer make it over a connection as encrypted as that one, and
   with its certificates; before, `PQcancel` sends it in clear. */
#ifdef LIBPQ_HAS_ASYNC_CANCEL

typedef PGcancelConn nodes_cancel;

static inline nodes_cancel *nodes_cancel_make(PGconn *connection)
{
    return PQcancelCreate(connection);
}

/* Blocks until the server has taken it. */
static inline void nodes_cancel_send(nodes_cancel *cancel)
{
    (void) PQcancelBlocking(cancel);
}

static inline void nodes_cancel_free(nodes_cancel *cancel)
{
    PQcancelFinish(cancel);
}

#else

typedef PGcancel nodes_cancel;

static inline nodes_cancel *nodes_cancel_make(PGconn *connection)
{
    return PQgetCancel(connection);
}

/* Blocks until the server has taken it. */
static inline void nodes_cancel_send(nodes_cancel *cancel)
{
    char message[256];
    (void) PQcancel(cancel, message, (int) sizeof message);
}

static inline void nodes_cancel_free(nodes_cancel *cancel)
{
    PQfreeCancel(cancel);
}

#endif
