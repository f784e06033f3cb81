// SPDX-License-Identifier: BSD-3-Clause
/* The two sides of proto/vmswap-keeper.h, each with the other one played by the
 * input. */

#ifndef VMSWAP_FUZZ_KEEPER_SIDE_H
#define VMSWAP_FUZZ_KEEPER_SIDE_H

#include "fuzz.h"
#include "vmswap-keeper.h"

/* Sends one message that the input makes: right, or wrong in anything. */
extern void keeper_say (struct input *input, int socket, int descriptor);

/* vmswap-keep gets what the input says. */
extern void keeper_hears (struct input *input, int descriptor);

/* The plugin gets what the input answers. */
extern void plugin_hears (struct input *input, int descriptor);

#endif /* VMSWAP_FUZZ_KEEPER_SIDE_H */
