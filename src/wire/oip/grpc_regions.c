/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_regions.c - regions of shared memory: status, register, unregister. */
#include "wire/oip/grpc_inside.h"

int wr_oip_rpc_regions(wr_oip_rpc *c, wr_err *err)
{
    wr_str name;
    wr_oip_region *r;
    size_t n;
    WR_TRY(wr_oip_rpc_text(&name, c, err));
    WR_TRY(wr_oip_regions(&r, &n, c->o, name, c->arena, err));
    for (size_t i = 0; i < n; i++) {
        size_t entry = wr_oip_open_entry(c->b, 1, r[i].name);
        size_t value = wr_pbw_open(c->b, 2);
        wr_pbw_str(c->b, 1, r[i].name);
        wr_pbw_str(c->b, 2, r[i].key);
        wr_pbw_u64(c->b, 3, r[i].offset);
        wr_pbw_u64(c->b, 4, r[i].size);
        wr_pbw_close(c->b, value);
        wr_pbw_close(c->b, entry);
    }
    return 0;
}

int wr_oip_rpc_register(wr_oip_rpc *c, wr_err *err)
{
    wr_pb r;
    wr_pb_field f;
    wr_oip_region want = {.name = WR_STR(""), .key = WR_STR("")};
    wr_pb_init(&r, c->in->message);
    while (wr_pb_next(&r, &f)) {
        if (f.number == 1) want.name = wr_pb_str(&r, &f);
        else if (f.number == 2) want.key = wr_pb_str(&r, &f);
        else if (f.number == 3) want.offset = wr_pb_u64(&r, &f);
        else if (f.number == 4) want.size = wr_pb_u64(&r, &f);
    }
    WR_TRY(wr_pb_end(&r, "SystemSharedMemoryRegisterRequest", err));
    return wr_oip_region_register(c->o, &want, err);
}

int wr_oip_rpc_unregister(wr_oip_rpc *c, wr_err *err)
{
    wr_str name;
    WR_TRY(wr_oip_rpc_text(&name, c, err));
    return wr_oip_region_unregister(c->o, name, err);
}

int wr_oip_rpc_cuda_regions(wr_oip_rpc *c, wr_err *err)
{
    wr_str name;
    WR_TRY(wr_oip_rpc_text(&name, c, err));
    return wr_oip_cuda_status(name, err);
}

int wr_oip_rpc_cuda_register(wr_oip_rpc *c, wr_err *err)
{
    wr_str name;
    WR_TRY(wr_oip_rpc_text(&name, c, err));
    return wr_oip_cuda_register(name, err);
}

int wr_oip_rpc_cuda_unregister(wr_oip_rpc *c, wr_err *err)
{
    wr_str name;
    return wr_oip_rpc_text(&name, c, err);
}
