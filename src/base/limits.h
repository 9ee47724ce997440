/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h - every cap in the program, in one place. Sizes in bytes unless the name says otherwise. */
#pragma once

enum {
    /* parsers */
    WR_LIMIT_JSON_DEPTH = 64,
    WR_LIMIT_TENSOR_DEPTH = 100,       /* lists in lists of a tensor's data; all of a scanned request, as Triton's */
    WR_LIMIT_TENSOR_ELEMENTS = 1 << 30, /* of one tensor, count */
    WR_LIMIT_YAML_DEPTH = 32,
    WR_LIMIT_YAML_NODES = 200000,      /* nodes after alias expansion */
    WR_LIMIT_PBTXT = 1 << 20,          /* a model's configuration */
    WR_LIMIT_PBTXT_DEPTH = 24,
    WR_LIMIT_PBTXT_FIELDS = 50000,     /* count, nested ones included */
    WR_LIMIT_PBTXT_NAMES = 64,         /* different fields of one message, count */
    WR_LIMIT_DELTA_LINE = 16 << 20,    /* one action of a Delta log */
    WR_LIMIT_DELTA_COLUMNS = 10000,
    WR_LIMIT_UBJSON_VALUES = 32 << 20, /* count, elements of typed arrays included */
    WR_LIMIT_FOREST_FILE = 512 << 20,  /* an XGBoost or LightGBM model */
    WR_LIMIT_PROTOBUF_DEPTH = 100,     /* messages in messages, as Google's own libraries */
    WR_LIMIT_PROTOBUF_FIELDS = 16 << 20, /* count, nested ones included */
    WR_LIMIT_OTLP_SPANS = 100000,      /* spans of one request, count */
    WR_LIMIT_OTLP_ATTRIBUTES = 4096,   /* attributes of a span, an event, a link, count */
    WR_LIMIT_OTLP_ITEMS = 100000,      /* elements of one list or map in an attribute, count */
    WR_LIMIT_OTLP_EVENTS = 10000,      /* events of a span, links of a span, count */
    WR_LIMIT_OTLP_DEPTH = 32,          /* lists and maps in lists and maps */
    WR_LIMIT_SPAN = 16 << 20,          /* one span as it is kept */
    WR_LIMIT_ONNX_FILE = 1 << 30,      /* a model file; also all external data of a model */
    WR_LIMIT_ONNX_NODES = 100000,      /* nodes of a graph, count; also its initializers and values */
    WR_LIMIT_ONNX_ELEMENTS = 1 << 28,  /* elements of one tensor in a graph, count */
    WR_LIMIT_ONNX_OPERANDS = 4096,     /* inputs and outputs of a node, attributes of a node, count */
    WR_LIMIT_LOOKUP_FILE = 1 << 30,    /* the tables of a view's lookups */
    WR_LIMIT_FEATURE_SERVICES = 1000,  /* of weir.yaml, count */
    WR_LIMIT_SIGNATURE = 32 << 20,     /* one bundle with a model's signature */
    WR_LIMIT_SIGNATURE_FILES = 100000, /* files (or pieces) of one signed model, count */
    WR_LIMIT_PEM = 1 << 20,            /* a file of keys or certificates */
    /* HTTP */
    WR_LIMIT_HTTP_HEAD = 56 << 10,     /* request line and headers together; below one read (64 KiB) */
    WR_LIMIT_HTTP_HEADERS = 100,       /* count */
    WR_LIMIT_HTTP_TARGET = 48 << 10,   /* lists of ids stand in queries */
    WR_LIMIT_HTTP_CHUNK_LINE = 256,    /* chunk size line with extensions */
    WR_LIMIT_HTTP_TRAILER = 8 << 10,
    WR_LIMIT_HTTP_BODY_API = 1 << 20,
    WR_LIMIT_HTTP_BODY_OTLP = 32 << 20,
    WR_LIMIT_HTTP_BODY_INFER = 64 << 20,
    WR_LIMIT_HTTP_CONNECTIONS = 10000, /* count, whole process */
    WR_LIMIT_HTTP_PER_IP = 4096,       /* count */
    WR_LIMIT_HTTP_PIPELINE = 64,       /* requests in flight on a connection */
    WR_LIMIT_HTTP2_STREAMS = 128,      /* requests in flight on a connection */
    WR_LIMIT_HTTP2_WINDOW = 1 << 20,   /* of a body on its way; also the most that is held of a paused one */
    WR_LIMIT_HTTP2_CONN_WINDOW = 8 << 20,
    WR_LIMIT_HTTP2_BODIES = 256 << 20, /* buffered bodies of a connection together */
    WR_LIMIT_HTTP2_CONTROL = 2000,     /* pings, settings, resets and the like at once, count */
    WR_LIMIT_HTTP2_CONTROL_RATE = 200, /* and a second after that */
    WR_LIMIT_SSE_BACKLOG = 256 << 10,  /* unsent bytes before a slow reader is dropped */
    /* time */
    WR_LIMIT_HTTP_HEAD_MS = 10000,     /* first byte of a request to end of its head: absolute */
    WR_LIMIT_HTTP_IDLE_MS = 75000,     /* keep-alive */
    WR_LIMIT_HTTP_BODY_GRACE_MS = 10000,
    WR_LIMIT_HTTP_BODY_MIN_RATE = 1024, /* bytes per second after the grace */
    WR_LIMIT_HTTP_WRITE_MS = 30000,    /* no progress of a response */
    /* memory */
    WR_LIMIT_FILE_CONFIG = 4 << 20,    /* a YAML or JSON file of the user's */
    WR_LIMIT_NAME = 255,               /* dataset, model, endpoint, stage name */
    WR_LIMIT_ID = 128,                 /* prediction id */
    WR_LIMIT_DICT = 1 << 22,           /* distinct strings of one column held in memory */
    WR_LIMIT_RECORD = 1 << 20,         /* one record of the append log */
    WR_LIMIT_LABELS = 100000,          /* labels in one request, count */
    WR_LIMIT_INFER_QUEUE = 4096,       /* predictions that wait at once on a loop, and large ones of the process, count */
    WR_LIMIT_ROWS_INFER = 100000,      /* rows in one inference request, count */
    WR_LIMIT_EXPLAIN = 1 << 26,        /* contributions in one answer, count of numbers */
    WR_LIMIT_STAGES = 10000,           /* stages of one pipeline, count */
};
