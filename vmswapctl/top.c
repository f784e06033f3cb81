// SPDX-License-Identifier: BSD-3-Clause
/* vmswapctl top: the server's figures, live, on a whole terminal (ncurses), or
 * once as plain text.
 *
 * Owns the last two answers of the server: rates and times are of what happened
 * between them. */

#include <config.h>

#include <curses.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "options.h"
#include "screen.h"
#include "view.h"

/* --once without a terminal: as many columns as there are. */
#define WIDE 160u

struct top {
  struct view view;
  json_t *earlier;
  json_t *earlier_latency;
  char complaint[256];
  struct screen_choice choice;
  double delay; /* seconds */
  bool once;
  int line; /* the next of the terminal */
};

static struct screen_data
data_of (const struct top *top)
{
  return (struct screen_data){
    .now = top->view.now,
    .latency = top->view.latency,
    .earlier = top->earlier,
    .earlier_latency = top->earlier_latency,
    .complaint = top->complaint,
  };
}

/* Keeps what there is for a comparison, and asks anew.  What fails to be
 * answered changes nothing. */
static int
look_again (struct top *top)
{
  json_t *now = json_incref (top->view.now);
  json_t *latency = json_incref (top->view.latency);

  top->complaint[0] = '\0';
  if (view_refresh (&top->view) == -1 ||
      view_refresh_latency (&top->view) == -1) {
    json_decref (now);
    json_decref (latency);
    return -1;
  }
  json_decref (top->earlier);
  json_decref (top->earlier_latency);
  top->earlier = now;
  top->earlier_latency = latency;
  return 0;
}

static void
print_line (void *opaque, enum screen_attribute attribute, const char *line)
{
  puts (line);
}

static void
wait_for (double seconds)
{
  struct timespec left = { .tv_sec = (time_t) seconds };

  left.tv_nsec = (long) ((seconds - left.tv_sec) * 1e9);
  while (nanosleep (&left, &left) == -1)
    ;
}

static int
print_once (struct top *top)
{
  struct screen_data data;

  if (top->delay > 0) {
    wait_for (top->delay);
    if (look_again (top) == -1)
      return EXIT_CANNOT;
  }
  data = data_of (top);
  screen_render (&data, &top->choice, WIDE, 0, print_line, NULL);
  return EXIT_SOUND;
}

static void
draw_line (void *opaque, enum screen_attribute attribute, const char *line)
{
  static const attr_t attributes[] = {
    [SCREEN_PLAIN] = A_NORMAL,
    [SCREEN_TITLE] = A_BOLD,
    [SCREEN_BAR] = A_REVERSE,
    [SCREEN_HINT] = A_BOLD,
  };
  struct top *top = opaque;

  if (top->line >= LINES - 1)
    return;
  attrset (attributes[attribute]);
  mvaddstr (top->line++, 0, line);
  attrset (A_NORMAL);
}

static void
draw (struct top *top)
{
  char keys[80];
  const struct screen_data data = data_of (top);

  erase ();
  top->line = 0;
  /* The last line has the keys. */
  screen_render (&data, &top->choice, COLS, LINES > 1 ? LINES - 1 : 1,
                 draw_line, top);
  snprintf (keys, sizeof keys, "q quit   s sort (by %s)   arrows scroll",
            screen_sort_name (top->choice.sort));
  mvaddnstr (LINES - 1, 0, keys, COLS - 1);
  refresh ();
}

/* Returns whether to go on. */
static bool
obey (struct top *top, int key)
{
  struct screen_choice *choice = &top->choice;

  switch (key) {
  case 'q':
  case 'Q':
    return false;
  case 's':
    choice->sort = (choice->sort + 1) % screen_nr_sorts ();
    choice->scroll = 0;
    break;
  case KEY_UP:
    choice->scroll -= choice->scroll > 0;
    break;
  case KEY_DOWN:
    choice->scroll++;
    break;
  case KEY_PPAGE:
    choice->scroll -= choice->scroll < 10 ? choice->scroll : 10;
    break;
  case KEY_NPAGE:
    choice->scroll += 10;
    break;
  default:
    break;
  }
  return true;
}

static int64_t
now_ms (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * INT64_C (1000) + ts.tv_nsec / 1000000;
}

/* The terminal is top's until 'q', or until nobody is there to press it. */
static void
live (struct top *top)
{
  int64_t next = now_ms () + (int64_t) (top->delay * 1000);
  int key = ERR;

  do {
    int64_t left = next - now_ms ();

    if (left <= 0) {
      look_again (top);
      left = (int64_t) (top->delay * 1000);
      next = now_ms () + left;
    }
    draw (top);
    timeout ((int) left);
    key = getch ();
    if (key == ERR && !isatty (STDIN_FILENO))
      break;
  } while (obey (top, key));
}

static int
show_live (struct top *top)
{
  SCREEN *screen;

  if (!isatty (STDIN_FILENO) || !isatty (STDOUT_FILENO)) {
    complain ("top needs a terminal; without one: vmswapctl top --once");
    return EXIT_CANNOT;
  }
  screen = newterm (NULL, stdout, stdin);
  if (!screen) {
    complain ("nothing is known of the terminal '%s' (TERM): vmswapctl top "
              "--once needs none",
              getenv ("TERM") ? getenv ("TERM") : "");
    return EXIT_CANNOT;
  }
  cbreak ();
  noecho ();
  keypad (stdscr, TRUE);
  curs_set (0);
  complain_into (top->complaint, sizeof top->complaint);
  live (top);
  complain_into (NULL, 0);
  endwin ();
  delscreen (screen);
  return EXIT_SOUND;
}

static int
parse (struct top *top, const char **control, int argc, char **argv)
{
  static const struct option options[] = {
    { "control", required_argument, NULL, 'c' },
    { "delay", required_argument, NULL, 'd' },
    { "once", no_argument, NULL, 'o' },
    { NULL, 0, NULL, 0 }
  };
  char *end;
  unsigned given = 0;
  int c;

  while ((c = options_next (argc, argv, options, &given)) != -1)
    switch (c) {
    case 'c':
      *control = optarg;
      break;
    case 'd':
      top->delay = strtod (optarg, &end);
      if (*end != '\0' || end == optarg || !(top->delay >= 0) ||
          top->delay > 3600) {
        complain ("--delay %s: give seconds, up to 3600", optarg);
        return EXIT_CANNOT;
      }
      break;
    case 'o':
      top->once = true;
      break;
    default:
      return usage_of (argv[0]);
    }
  if (optind != argc)
    return usage_of (argv[0]);
  /* So often a screen can be read; a server is not to be asked all the time. */
  if (!top->once && top->delay < 0.1)
    top->delay = 0.1;
  return 0;
}

int
command_top (int argc, char **argv)
{
  struct top top = { .delay = 1 };
  const char *control = NULL;
  int status = parse (&top, &control, argc, argv);

  if (status)
    return status;
  if (view_open (&top.view, control) == -1)
    return EXIT_CANNOT;
  if (view_refresh_latency (&top.view) == -1)
    status = EXIT_CANNOT;
  else
    status = top.once ? print_once (&top) : show_live (&top);
  json_decref (top.earlier);
  json_decref (top.earlier_latency);
  view_close (&top.view);
  return status;
}
