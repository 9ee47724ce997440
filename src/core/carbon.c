/* SPDX-License-Identifier: Apache-2.0 */
/* carbon.c - grid carbon intensity: the embedded table and the `carbon:` section of weir.yaml. */
#include "core/carbon.h"

#include <stdio.h>

#include "base/num.h"

/* The CSV file becomes bytes of the program; the assembler does it without a compile-time copy. */
__asm__(".pushsection .rodata\n.global wr_carbon_csv\n.hidden wr_carbon_csv\nwr_carbon_csv:\n.incbin \"" WEIR_CARBON_CSV
        "\"\n.byte 0\n.popsection");
extern const char wr_carbon_csv[] __attribute__((visibility("hidden")));

static int fill(wr_carbon *out, wr_str region, wr_str line, wr_err *err)
{
    int64_t year = 0;
    wr_str value = wr_str_cut(&line, ','), when = wr_str_cut(&line, ',');
    WR_TRY(wr_num_f64(&out->g_per_kwh, value, err));
    WR_TRY(wr_num_i64(&year, when, err));
    out->year = (int)year;
    snprintf(out->region, sizeof out->region, "%.*s", WR_STR_FMT(region));
    snprintf(out->source, sizeof out->source, "%.*s", WR_STR_FMT(line));
    return 0;
}

int wr_carbon_region(wr_carbon *out, wr_str region, wr_err *err)
{
    enum { MOST = 512 };
    char names[MOST][32];
    const char *list[MOST];
    size_t n = 0;
    wr_str rest = wr_str_of(wr_carbon_csv);
    wr_str_cut(&rest, '\n'); /* header */
    while (rest.p && rest.n) {
        wr_str line = wr_str_trim(wr_str_cut(&rest, '\n'));
        wr_str name = wr_str_cut(&line, ',');
        if (wr_str_ieq(region, "") || !name.n) continue;
        if (wr_str_eq(name, region)) return fill(out, name, line, err);
        if (n < MOST) {
            snprintf(names[n], sizeof names[n], "%.*s", WR_STR_FMT(name));
            list[n] = names[n];
            n++;
        }
    }
    int near = wr_str_nearest(region, list, n);
    wr_err_set(err, WEIR_EINVAL, "unknown carbon region \"%.*s\"", WR_STR_FMT(region));
    return near < 0
               ? wr_err_hint(err, WEIR_EINVAL,
                             "use WORLD, an ISO-3 country (DEU), aws:, azure: or gcp: region, or `intensity: NUMBER`")
               : wr_err_hint(err, WEIR_EINVAL, "did you mean \"%s\"?", list[near]);
}

int wr_carbon_of(wr_carbon *out, wr_project *p, wr_err *err)
{
    static const char *const known[] = {"region", "intensity", "pue", NULL};
    const wr_yaml *config;
    WR_TRY(wr_project_config(&config, p, err));
    const wr_yaml *c = wr_yaml_get(config, "carbon");
    wr_str region;
    double intensity;
    if (c) WR_TRY(wr_yaml_known(c, "carbon", known, err));
    WR_TRY(wr_yaml_get_str(&region, c, "region", "WORLD", err));
    WR_TRY(wr_yaml_get_f64(&intensity, c, "intensity", -1, err));
    WR_TRY(wr_yaml_get_f64(&out->pue, c, "pue", 1.0, err));
    if (!(out->pue >= 1) || out->pue > 10)
        return wr_yaml_error(wr_yaml_get(c, "pue"), WEIR_EINVAL, err, "pue is a number from 1 to 10");
    const wr_yaml *own = wr_yaml_get(c, "intensity");
    if (!wr_yaml_null(own) && !(intensity >= 0 && intensity <= 1e5))
        return wr_yaml_error(own, WEIR_EINVAL, err, "intensity is grams of CO2e per kWh, 0 or more");
    if (!wr_yaml_null(own)) {
        out->g_per_kwh = intensity;
        out->year = 0;
        snprintf(out->region, sizeof out->region, "custom");
        snprintf(out->source, sizeof out->source, "weir.yaml");
        return 0;
    }
    wr_err why = {0};
    int rc = wr_carbon_region(out, region, &why);
    if (rc == 0) return 0;
    wr_yaml_error(wr_yaml_get(c, "region"), rc, err, "%s", why.msg);
    return wr_err_hint(err, rc, "%s", why.hint);
}
