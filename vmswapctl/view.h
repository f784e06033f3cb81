// SPDX-License-Identifier: BSD-3-Clause
/* The server's figures as a terminal shows them.
 *
 * All numbers come from the server's /json, their units from its /figures, so
 * that all views show the same. */

#ifndef VMSWAPCTL_VIEW_H
#define VMSWAPCTL_VIEW_H

#include <jansson.h>
#include <stdint.h>

struct client;

struct view {
  struct client *client;
  json_t *table;   /* /figures */
  json_t *now;     /* /json */
  json_t *latency; /* /latency, if that is asked for; else NULL */
};

/* Functions that fail have complained, and return -1. */
extern int view_open (struct view *view, const char *control);
extern int view_refresh (struct view *view);
extern int view_refresh_latency (struct view *view);
extern void view_close (struct view *view);

struct view_text {
  char text[32];
};

/* A number of an object of now (the pool, a guest); 0 where the server has no
 * such figure. */
extern uint64_t view_number (const json_t *object, const char *figure);
extern double view_real (const json_t *object, const char *figure);

/* Numbers as people read them; each returns text->text.  A ratio of nothing is
 * "-". */
extern const char *view_size (const json_t *object, const char *figure,
                              struct view_text *text);
extern const char *view_ratio (const json_t *object, const char *figure,
                               struct view_text *text);

/* Part of whole, in percent; "-": nothing.  Neither 0% of something nor 100% of
 * what is not all of it. */
extern const char *view_share (const json_t *object, const char *part,
                               const char *whole, struct view_text *text);

/* Who uses a guest: "ring", "in use", "connected", "idle"; and "lost" if pages
 * are, "full" if its ring has no room for posts. */
extern const char *view_state (const json_t *guest);

struct view_name {
  char text[1024];
};

/* A text of an object, with what a terminal might not take as '?'.  Returns
 * name->text. */
extern const char *view_text_of (const json_t *object, const char *key,
                                 struct view_name *name);
extern const char *view_guest_name (const json_t *guest,
                                    struct view_name *name);

#endif /* VMSWAPCTL_VIEW_H */
