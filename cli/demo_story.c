/* The demo's story. Shapes and rules: demo.h. Names of the attributes are those of the
 * OpenTelemetry conventions. */
#include "cli/demo.h"

enum { DESK, ORDERS, SEARCH };
enum { INTERNAL = 1, SERVER = 2, CLIENT = 3 };
enum { INFO = 9, WARN = 13, ERROR = 17 };
enum { SHAPE_ORDER, SHAPE_SEARCH, SHAPE_REFUND };

const mw_demo_service mw_demo_services[MW_DEMO_SERVICES] = {
    [DESK] = {"support-desk", "service.version=2.4.0;deployment.environment.name=demo"},
    [ORDERS] = {"order-tools", "service.version=1.9.3;deployment.environment.name=demo"},
    [SEARCH] = {"knowledge-search", "service.version=0.8.1;deployment.environment.name=demo"},
};

const mw_demo_session mw_demo_sessions[MW_DEMO_SESSIONS] = {
    {"1", "customer-17"}, {"2", "customer-42"}, {"3", "customer-58"}};

#define CHAT "http.request.method=POST;http.route=/chat;http.response.status_code:=200"
#define AGENT                                                                                      \
    "gen_ai.operation.name=invoke_agent;gen_ai.agent.name=support-desk;"                           \
    "gen_ai.provider.name=demo;session.id=$session;user.id=$user"
#define MODEL                                                                                      \
    "gen_ai.operation.name=chat;gen_ai.provider.name=demo;gen_ai.request.model=model-m;"           \
    "gen_ai.response.model=model-m-2;"
#define TOKENS(in, out) "gen_ai.usage.input_tokens:=" #in ";gen_ai.usage.output_tokens:=" #out
#define ASKED ";gen_ai.input.messages=$question"
#define ANSWERED ";gen_ai.output.messages=$answer"
#define TOOL(name) "gen_ai.operation.name=execute_tool;gen_ai.tool.name=" name

/* ---- a look at an order -------------------------------------------------------------------- */

static const mw_demo_span order_spans[] = {
    {1, 0, DESK, SERVER, "POST /chat", 0, 2480, CHAT, NULL},
    {2, 1, DESK, INTERNAL, "invoke_agent support-desk", 6, 2465, AGENT, NULL},
    {3, 2, DESK, CLIENT, "chat model-m", 12, 840, MODEL TOKENS(612, 48) ASKED, NULL},
    {4, 2, DESK, INTERNAL, "execute_tool get_order", 858, 312, TOOL("get_order"), NULL},
    {5, 4, DESK, CLIENT, "GET", 862, 301,
     "http.request.method=GET;server.address=order-tools;url.full=http://order-tools/orders", NULL},
    {6, 5, ORDERS, SERVER, "GET /orders/{id}", 868, 288,
     "http.request.method=GET;http.route=/orders/{id};http.response.status_code:=200", NULL},
    {7, 6, ORDERS, CLIENT, "SELECT orders", 881, 247,
     "db.system.name=postgresql;db.namespace=orders;server.address=orders-db", NULL},
    {8, 2, DESK, CLIENT, "chat model-m", 1179, 1281, MODEL TOKENS(734, 121) ANSWERED, NULL},
    {0, 0, 0, 0, NULL, 0, 0, NULL, NULL},
};

static const mw_demo_log order_logs[] = {
    {4, INFO, 860, NULL, "looking up the order", "gen_ai.tool.name=get_order"},
    {6, INFO, 1150, NULL, "the order is on its way", "order.status=shipped"},
    {0, 0, 0, NULL, NULL, NULL},
};

/* ---- a question to the handbook ------------------------------------------------------------ */

static const mw_demo_span search_spans[] = {
    {1, 0, DESK, SERVER, "POST /chat", 0, 1910, CHAT, NULL},
    {2, 1, DESK, INTERNAL, "invoke_agent support-desk", 5, 1898, AGENT, NULL},
    {3, 2, DESK, CLIENT, "retrieval handbook", 11, 412,
     "gen_ai.operation.name=retrieval;gen_ai.data_source.id=handbook;"
     "server.address=knowledge-search",
     NULL},
    {4, 3, SEARCH, SERVER, "POST /search", 17, 398,
     "http.request.method=POST;http.route=/search;http.response.status_code:=200", NULL},
    {5, 4, SEARCH, CLIENT, "embeddings model-e", 22, 96,
     "gen_ai.operation.name=embeddings;gen_ai.provider.name=demo;gen_ai.request.model=model-e;"
     "gen_ai.usage.input_tokens:=14",
     NULL},
    {6, 4, SEARCH, CLIENT, "query passages", 121, 280,
     "db.system.name=postgresql;db.namespace=handbook;server.address=vectors-db", NULL},
    {7, 2, DESK, CLIENT, "chat model-m", 428, 1470, MODEL TOKENS(1893, 206) ASKED ANSWERED, NULL},
    {0, 0, 0, 0, NULL, 0, 0, NULL, NULL},
};

static const mw_demo_log search_logs[] = {
    {4, INFO, 405, NULL, "4 passages for the question", "search.hits:=4"},
    {7, INFO, 1895, "gen_ai.evaluation.result", "relevance 0.92",
     "gen_ai.evaluation.name=relevance;gen_ai.evaluation.score.label=pass"},
    {0, 0, 0, NULL, NULL, NULL},
};

/* ---- a refund that fails ------------------------------------------------------------------- */

#define NO_ANSWER "payment-gateway gave no answer within 3 s"

static const mw_demo_span refund_spans[] = {
    {1, 0, DESK, SERVER, "POST /chat", 0, 5220, CHAT, NULL},
    {2, 1, DESK, INTERNAL, "invoke_agent support-desk", 7, 5202, AGENT, NULL},
    {3, 2, DESK, CLIENT, "chat model-m", 13, 902, MODEL TOKENS(655, 57) ASKED, NULL},
    {4, 2, DESK, INTERNAL, "execute_tool refund_order", 921, 3061, TOOL("refund_order"),
     "refund_order failed with 504"},
    {5, 4, DESK, CLIENT, "POST", 926, 3049,
     "http.request.method=POST;http.response.status_code:=504;server.address=order-tools;"
     "url.full=http://order-tools/refunds;error.type=504",
     "504 Gateway Timeout"},
    {6, 5, ORDERS, SERVER, "POST /refunds", 933, 3036,
     "http.request.method=POST;http.route=/refunds;http.response.status_code:=504;error.type=504",
     NO_ANSWER},
    {7, 6, ORDERS, CLIENT, "POST", 951, 3001,
     "http.request.method=POST;server.address=payment-gateway;error.type=timeout", NO_ANSWER},
    {8, 2, DESK, CLIENT, "chat model-m", 3990, 1208, MODEL TOKENS(781, 94) ANSWERED, NULL},
    {0, 0, 0, 0, NULL, 0, 0, NULL, NULL},
};

static const mw_demo_log refund_logs[] = {
    {6, WARN, 2440, NULL, "waiting for payment-gateway since 1.5 s", "peer=payment-gateway"},
    {6, ERROR, 3955, NULL, "the refund failed: " NO_ANSWER,
     "exception.type=TimeoutError;exception.message=" NO_ANSWER},
    {4, ERROR, 3980, NULL, "tool refund_order failed with 504", "gen_ai.tool.name=refund_order"},
    {0, 0, 0, NULL, NULL, NULL},
};

const mw_demo_shape mw_demo_shapes[] = {
    [SHAPE_ORDER] = {order_spans, order_logs},
    [SHAPE_SEARCH] = {search_spans, search_logs},
    [SHAPE_REFUND] = {refund_spans, refund_logs},
};

/* ---- conversations ------------------------------------------------------------------------- */

#define SORRY                                                                                      \
    "I could not start the refund just now. I have noted it, and a colleague will call you."

const mw_demo_turn mw_demo_turns[MW_DEMO_TURNS] = {
    {0, SHAPE_ORDER, 1620, "Where is my order 7301?",
     "It left the warehouse this morning and should be with you tomorrow."},
    {0, SHAPE_SEARCH, 1500, "Can I still send it back once I have it?",
     "Yes, within 30 days, as long as the seal is whole."},
    {0, SHAPE_REFUND, 1310, "Then please refund it now.", SORRY},
    {0, SHAPE_ORDER, 1240, "Did anything happen to the order?",
     "No, nothing changed: it is still on its way to you."},
    {1, SHAPE_SEARCH, 760, "Do you ship to the islands?",
     "We do; it takes two days longer and costs the same."},
    {1, SHAPE_ORDER, 690, "And when does 7355 arrive there?", "On Thursday, if the ferry runs."},
    {2, SHAPE_REFUND, 250, "My parcel arrived broken. I want my money back.", SORRY},
    {2, SHAPE_SEARCH, 170, "What do I do with the broken parcel?",
     "Keep it until we have called you, please; a picture of it helps."},
    {2, SHAPE_REFUND, 95, "Please try the refund once more.", SORRY},
};

/* ---- numbers ------------------------------------------------------------------------------- */

static const int64_t waiting[] = {2, 3, 2, 3, 11, 19, 4, 3, 14, 27};
static const int64_t lookups[] = {118, 131, 140, 152, 163, 171, 186, 197, 209, 220};

const mw_demo_series mw_demo_series_list[MW_DEMO_SERIES] = {
    {ORDERS, false, "orders.refunds.waiting", "{refund}",
     "Refunds that wait for the payment service", 180, waiting, sizeof waiting / sizeof waiting[0]},
    {ORDERS, true, "orders.lookups", "{lookup}", "Orders looked up", 180, lookups,
     sizeof lookups / sizeof lookups[0]},
};
