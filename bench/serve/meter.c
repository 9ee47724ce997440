/* SPDX-License-Identifier: Apache-2.0 */
/* meter.c - energy of a process that runs already, while a command runs: serve_meter PID COMMAND [ARGUMENT...]. What
 * io/meter.h says of it, the same for every server: {"energy_j", "tier", "source", "cpu_s", "wall_s"} on stderr's
 * neighbour, descriptor 3, so that the command keeps its own output. The process's children count.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../track/tree.h"
#include "io/meter.h"

int main(int argc, char **argv)
{
    wr_err err;
    wr_meter *m;
    wr_meter_mark from, to;
    wr_tree before, after;
    wr_energy e;
    int status = 0, pid = argc > 2 ? atoi(argv[1]) : 0;
    if (pid <= 0 || wr_meter_open(&m, NULL, &err) < 0) return 2;
    wr_tree_read(&before, pid);
    wr_meter_read(m, &from);
    pid_t child = fork();
    if (child == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0) return 2;
    wr_meter_read(m, &to);
    wr_tree_read(&after, pid);
    double cpu_s = (after.cpu_us - before.cpu_us) / 1e6;
    wr_meter_energy(m, &from, &to, cpu_s, &e);
    dprintf(3, "{\"energy_j\": %.4f, \"tier\": \"%c\", \"source\": \"%s\", \"cpu_s\": %.4f, \"wall_s\": %.3f}\n",
            e.energy_j, e.tier, e.source, cpu_s, (double)(to.mono_ns - from.mono_ns) / 1e9);
    wr_meter_close(m);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
