/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the program: the list of commands handed to the command line. */
#include "main/lists.h"

int main(int argc, char **argv) { return wr_cli_main(wr_commands, wr_commands_count, argc, argv); }
