/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_params.c - InferParameter: a value that is one of several kinds. */
#include "wire/oip/grpc_inside.h"

static void read_choice(wr_oip_value *out, wr_pb *r, const wr_pb_field *f)
{
    switch (f->number) {
    case 1:
        out->kind = WR_OIP_BOOL_VALUE;
        out->b = wr_pb_bool(r, f);
        break;
    case 2:
        out->kind = WR_OIP_INT_VALUE;
        out->i64 = wr_pb_i64(r, f);
        break;
    case 3:
        out->kind = WR_OIP_STR_VALUE;
        out->str = wr_pb_str(r, f);
        break;
    case 4:
        out->kind = WR_OIP_REAL_VALUE;
        out->f64 = wr_pb_f64(r, f);
        break;
    case 5:
        out->kind = WR_OIP_UINT_VALUE;
        out->u64 = wr_pb_u64(r, f);
        break;
    default:
        break;
    }
}

void wr_oip_read_value(wr_oip_value *out, wr_pb *r, const wr_pb_field *f)
{
    wr_pb_field key, value, choice;
    wr_pb sub;
    *out = (wr_oip_value){.key = WR_STR("")};
    wr_pb_entry(&key, &value, r, f);
    if (key.number) out->key = wr_pb_str(r, &key);
    if (!value.number) return;
    wr_pb_enter(&sub, r, &value);
    while (wr_pb_next(&sub, &choice)) read_choice(out, &sub, &choice);
}

static int wrong(const wr_oip_value *v, const char *expected, wr_err *err)
{
    return wr_err_set(err, WEIR_EINVAL, "invalid value type for '%.*s' parameter, expected %s.",
                      WR_STR_FMT(wr_str_fit(v->key, 80)), expected);
}

int wr_oip_whole_value(uint64_t *out, const wr_oip_value *v, wr_err *err)
{
    if (v->kind == WR_OIP_UINT_VALUE) {
        *out = v->u64;
        return 0;
    }
    if (v->kind != WR_OIP_INT_VALUE) return wrong(v, "int64_param or uint64_param", err);
    if (v->i64 < 0)
        return wr_err_set(err, WEIR_EINVAL, "invalid value for '%.*s', expected value >= 0.",
                          WR_STR_FMT(wr_str_fit(v->key, 80)));
    *out = (uint64_t)v->i64;
    return 0;
}

bool wr_oip_place_value(int *rc, wr_oip_place *p, const wr_oip_value *v, wr_err *err)
{
    *rc = 0;
    if (wr_str_is(v->key, "shared_memory_region")) {
        if (v->kind == WR_OIP_STR_VALUE) p->region = v->str;
        else *rc = wrong(v, "string_param", err);
    } else if (wr_str_is(v->key, "shared_memory_offset")) {
        *rc = wr_oip_whole_value(&p->offset, v, err);
    } else if (wr_str_is(v->key, "shared_memory_byte_size")) {
        *rc = wr_oip_whole_value(&p->size, v, err);
    } else {
        return false;
    }
    return true;
}
