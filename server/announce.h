/* What a start tells the world: DATA/endpoints.json for programs, a few lines for the person. */
#ifndef MW_SERVER_ANNOUNCE_H
#define MW_SERVER_ANNOUNCE_H

#include "server/server_int.h"

/* Atomic and synced. MW_E_IO, MW_E_NO_SPACE, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_endpoints_write(mw_server *server);
/* A file of a former run would send clients to dead ports. */
void mw_endpoints_remove(mw_server *server);
/* To stdout: the ports, the line for an agent's environment, the command for a second terminal. */
void mw_announce(mw_server *server);

/* `text` as one word for a shell, quoted when it must be. Pure. */
void mw_shell_quote(mw_buffer *out, mw_slice text);

#endif
