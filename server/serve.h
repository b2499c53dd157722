/* The two commands that are not clients: serve and check. Main thread. */
#ifndef MW_SERVER_SERVE_H
#define MW_SERVER_SERVE_H

/* argv[0] is the command's own name. Both return the exit status: 0, 1 (failed), 2 (usage). */
int mw_serve_main(int argc, char **argv);
int mw_check_main(int argc, char **argv);

#endif
